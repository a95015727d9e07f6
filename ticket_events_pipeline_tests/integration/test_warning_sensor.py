"""`sla_warning_sensor` in a real Dagster, over real files and runs: it warns in time, loses nothing, tells nothing twice."""

import json
import time

import dagster as dg
import pyarrow as pa
import pytest

from ticket_events_pipeline.alerts.warning_data import LatestTargets
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.names import names_schema, write_kind
from ticket_events_pipeline_tests.support.alert_receiver import OK, SECRET, receiving
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPOSITORY, deployed
from ticket_events_pipeline_tests.support.warned import Warned, created

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
MINUTE, HOUR = 60, 3600
NAME = "sla_warning_sensor"
DOWN = (503, {}, "down")


class HangingStore(FolderStore):
    """A store whose server accepts requests and never answers."""

    def versions(self, prefix):
        time.sleep(30)
        raise AssertionError("nobody waits for it")


@pytest.fixture
def webhook():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def deployment(tmp_path, webhook, monkeypatch):
    with deployed(tmp_path / "root", now=NOON) as running:
        monkeypatch.setenv("TICKET_EVENTS_ALERT_WEBHOOK", webhook.url)
        monkeypatch.setenv("TICKET_EVENTS_FETCH_EVERY_MINUTES", "30")
        yield running


@pytest.fixture
def warned(deployment, webhook):
    made = Warned(deployment, webhook)
    made.fetch()
    assert made.tick() == []
    return made


def test_it_is_off_until_it_is_turned_on_and_requests_no_run():
    sensor = REPOSITORY.get_sensor_def(NAME)
    assert (sensor.default_status, sensor.minimum_interval_seconds) == (dg.DefaultSensorStatus.STOPPED, 30)
    assert sensor.targets == []


def test_a_target_is_told_when_it_becomes_due_with_all_that_somebody_needs(deployment, warned, webhook):
    warned.assets = ASSETS
    deployment.account.deliver("ticket_events", [created(1, NOON - HOUR, subject="Printer on fire", group_id=9, assignee_id=5)])
    warned.start(1, NOON - HOUR, minutes=125)
    warned.fetch()
    assert warned.tick() == []
    warned.wait(4 * MINUTE + 30)
    assert warned.tick() == []
    warned.wait(30)
    assert warned.tick() == ["#1 due in 1 h (13:05 UTC, estimate)"]
    assert "`Printer on fire` – First reply time, `Premium`, calendar hours – `group 9`, `agent 5`\n" in webhook.texts[0]
    assert "/agent/tickets/1|#1> *due in 1 h*" in webhook.texts[0]
    warned.wait(30)
    assert warned.tick() == []


def test_a_target_in_business_hours_is_told_by_the_accounts_schedule(deployment, warned, webhook):
    warned.assets = ASSETS
    monday_nine_to_five = json.dumps([[1440 + 9 * 60, 1440 + 17 * 60]])
    schedule = {"id": 3, "name": "Office", "time_zone": "UTC", "intervals": monday_nine_to_five, "holidays": "[]"}
    seen = {"is_deleted": False, "seen_from": 0, "seen_to": NOON * 1000}
    rows = pa.Table.from_pylist([{**schedule, **seen}], names_schema("schedules"))
    write_kind(deployment.store, "schedules", rows, fetched_at=NOON)
    warned.start(1, DAY.start + 8 * HOUR, minutes=225, business_hours=True)
    warned.fetch()
    assert warned.tick() == ["#1 due in 45 min (12:45 UTC, estimate)"]
    assert "First reply time, `Premium`, business hours" in webhook.texts[0]


@pytest.mark.slow
def test_a_webhook_that_was_down_for_an_hour_gets_one_message_with_all_that_is_still_true(deployment, warned, webhook):
    webhook.answer = DOWN
    warned.start(1, NOON - HOUR, minutes=90)
    warned.start(2, NOON - HOUR, minutes=100)
    warned.start(3, NOON - HOUR, minutes=150)
    warned.start(4, NOON - HOUR, minutes=110)
    warned.fetch()
    assert warned.tick() == []
    assert "The next attempt is at 2026-03-02 12:01 UTC." in warned.summary
    warned.work(30 * MINUTE)
    warned.event(1, deployment.clock.now, "breach")
    warned.event(2, deployment.clock.now, "fulfill")
    warned.event(4, deployment.clock.now, "pause")
    warned.work(30 * MINUTE)
    assert warned.told == []
    webhook.answer = OK
    warned.work(11 * MINUTE)
    assert warned.told == [["#3 due in 25 min (13:30 UTC, estimate)", "#1 breached 12:30 UTC, 35 min ago"]]
    assert "Late: nothing could be delivered here since 2026-03-02 12:00 UTC." in webhook.texts[-1]
    warned.restart()
    warned.work(20 * MINUTE)
    assert len(warned.told) == 1
    # The paused one goes on, and has another due time.
    warned.event(4, deployment.clock.now, "activate")
    warned.wait(2 * MINUTE)
    warned.fetch()
    assert warned.tick() == ["#4 due in 18 min (13:51 UTC, estimate)"]


def test_a_daemon_that_was_down_for_an_hour_loses_nothing_and_tells_no_target_that_was_met(deployment, warned):
    warned.start(1, NOON - HOUR, minutes=130)
    warned.start(2, NOON - HOUR, minutes=140)
    warned.fetch()
    assert warned.tick() == []
    deployment.clock.now += HOUR
    warned.start(3, NOON + 5 * MINUTE, minutes=20)
    warned.event(3, NOON + 25 * MINUTE, "breach")
    warned.event(2, NOON + 50 * MINUTE, "fulfill")
    warned.restart()
    assert warned.tick() == []
    assert warned.summary.startswith("No warning is sent before the first fetch after a pause.")
    warned.work(10 * MINUTE)
    assert warned.told == [["#1 due in 10 min (13:10 UTC, estimate)", "#3 breached 12:25 UTC, 35 min ago"]]


@pytest.mark.slow
def test_of_two_destinations_one_that_is_down_gets_its_message_later_and_the_other_none_twice(
    deployment, warned, webhook, monkeypatch
):
    with receiving(DOWN) as other:
        monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", other.url)
        warned.start(1, NOON - HOUR, minutes=110)
        warned.fetch()
        assert warned.tick() == ["#1 due in 50 min (12:50 UTC, estimate)"]
        warned.start(2, NOON - HOUR, minutes=130)
        warned.work(20 * MINUTE)
        assert [line for message in warned.told[1:] for line in message] == ["#2 due in 1 h (13:10 UTC, estimate)"]
        other.answer = OK
        warned.work(11 * MINUTE)
    assert [text.count("due in") for text in webhook.texts] == [1, 1]
    assert other.texts[-1].count("due in") == 2


@pytest.mark.slow
def test_stale_data_is_told_once_and_so_is_that_it_is_fresh(deployment, warned, webhook):
    warned.start(1, NOON - HOUR, minutes=230)
    warned.fetch()
    for _ in range(62):
        warned.wait(MINUTE)
        warned.tick()
    assert warned.told == [["No new data for 1 h 1 min, since 2026-03-02 12:00 UTC"]]
    assert "Is frequent_fetch turned on?" in webhook.texts[0]
    warned.work(HOUR)
    assert warned.told[1:] == [["The data is fresh again"], ["#1 due in 1 h (14:50 UTC, estimate)"]]


def test_an_empty_root_is_stale(deployment, webhook):
    warned = Warned(deployment, webhook)
    assert warned.tick() == ["No SLA table of today or yesterday can be read"]
    warned.wait(30)
    assert warned.tick() == []


@pytest.mark.slow
def test_a_breach_shortly_before_midnight_that_no_warning_came_before_is_told_on_the_next_day(deployment, webhook):
    deployment.clock.now = DAY.end - 30 * MINUTE
    warned = Warned(deployment, webhook)
    warned.fetch()
    assert warned.tick() == []
    webhook.answer = DOWN
    warned.start(1, DAY.end - HOUR, minutes=55)
    warned.fetch()
    warned.tick()
    warned.event(1, DAY.end - 5 * MINUTE, "breach")
    warned.work(HOUR)
    webhook.answer = OK
    warned.work(11 * MINUTE)
    assert [line.partition(",")[0] for line in warned.told[-1]] == ["#1 breached Mon 2 Mar"]


def test_an_unchanged_root_is_not_read_again(deployment, warned):
    latest, problems = LatestTargets(), []
    found = latest.read(deployment.store, DAY, problems)
    assert found is not None
    assert latest.read(deployment.store, DAY, problems) is found
    warned.start(1, NOON - HOUR, minutes=125)
    warned.wait(MINUTE)
    warned.fetch()
    assert latest.read(deployment.store, DAY, problems).targets.num_rows == 1
    assert problems == []


def test_a_damaged_file_is_named_and_what_was_known_before_is_used(deployment, warned):
    warned.start(1, NOON - HOUR, minutes=125)
    warned.fetch()
    assert warned.tick() == []
    (path,) = deployment.root.glob("sla_targets/*/*.parquet")
    path.write_bytes(path.read_bytes()[:200])
    warned.wait(5 * MINUTE)
    assert warned.tick() == ["#1 due in 1 h (13:05 UTC, estimate)"]
    assert "\nCan't be read: " in warned.summary
    assert str(path) in warned.summary


def test_a_root_that_hangs_takes_no_tick_and_what_was_known_before_is_used(deployment, warned):
    latest, problems = LatestTargets(seconds=0.5), []
    found = latest.read(deployment.store, DAY, problems)
    assert latest.read(HangingStore(deployment.root), DAY, problems) is found is not None
    assert problems == [f"{deployment.store.location} did not answer within 0.5 s."]


def test_wrong_settings_skip_the_tick_and_keep_the_cursor(deployment, warned, monkeypatch):
    before = warned.cursor
    monkeypatch.setenv("TICKET_EVENTS_WARN_MINUTES", SECRET)
    assert warned.tick() == []
    assert warned.summary == (
        "The settings don't work yet:\n  - TICKET_EVENTS_WARN_MINUTES: is no number of minutes from 1 to 1440: give it as in "
        "60, and other ones for single metrics as in 60,first_reply_time=30"
    )
    monkeypatch.delenv("TICKET_EVENTS_WARN_MINUTES")
    monkeypatch.delenv("TICKET_EVENTS_ALERT_WEBHOOK")
    assert warned.tick() == []
    assert "TICKET_EVENTS_ALERT_WEBHOOK is not set" in warned.summary
    assert warned.cursor == before


def test_a_wrong_url_is_named_at_every_tick_and_the_one_that_takes_its_place_gets_what_waited(warned, webhook, monkeypatch):
    monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", SECRET)
    named = "\nGets nothing: TICKET_EVENTS_NOTIFY_URLS: URL 1 is no URL: it begins with a scheme"
    assert warned.tick() == []
    assert named in warned.summary
    warned.start(1, NOON - HOUR, minutes=90)
    warned.fetch()
    assert warned.tick() == ["#1 due in 30 min (12:30 UTC, estimate)"]
    assert named in warned.summary
    assert SECRET not in f"{warned.summary}{warned.cursor}"
    with receiving() as other:
        monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", other.url)
        warned.wait(30)
        assert warned.tick() == []
        assert [text.count("due in") for text in other.texts] == [1]
    assert "Gets nothing" not in warned.summary
