"""`sla_breach_alert_sensor` in a real Dagster, over real files and runs: what it posts, and that nothing breaks it."""

import functools
import os
import re
from dataclasses import dataclass, field

import dagster as dg
import pytest

from ticket_events_pipeline.alerts.cursor import AlertState
from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.cli.alerts import post_test, run_alerts_test
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, RETRY_SECONDS, WILL_RETRY_TAG
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.defs.sensors.alerts import sla_breach_alert_sensor
from ticket_events_pipeline_tests.support.alert_desk import bold
from ticket_events_pipeline_tests.support.alert_receiver import OK, SECRET, AlertReceiver, receiving
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, Deployment, deployed, launched_from, sensor_context
from ticket_events_pipeline_tests.support.dev_server import Dev, wait_for
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
NAME = "sla_breach_alert_sensor"


LOCATION = "ticket_events_pipeline"


@dataclass
class Watch:
    """The sensor of a deployment, ticked as the daemon ticks it."""

    deployment: Deployment
    webhook: AlertReceiver
    scope: object = field(default_factory=account_scope)
    repository: dg.RepositoryDefinition = REPOSITORY
    cursor: str | None = None
    summary: str = ""

    def tick(self) -> list[str]:
        """The bold parts of its message, if it posts one."""
        before = len(self.webhook.server.requests)
        instance = self.deployment.instance
        context = sensor_context(instance, LOCATION, cursor=self.cursor, repository=self.repository)
        result = sla_breach_alert_sensor(self.scope, clock=self.deployment.clock)(context)
        assert isinstance(result, dg.SkipReason | dg.SensorResult)
        self.summary = (result if isinstance(result, dg.SkipReason) else result.skip_reason).skip_message
        self.cursor = self.cursor if isinstance(result, dg.SkipReason) else result.cursor
        assert SECRET not in f"{result}{self.cursor}"
        assert len(self.webhook.server.requests) - before <= 1
        return [news for text in self.webhook.texts[before:] for news in bold(text.split("\n"))]


def event(number, time, kind="breach", **more):
    return {"id": number, "ticket_id": number, "metric": "reply_time", "instance_id": 1, "type": kind, "time": time, **more}


def deliver(deployment, first, last, hour, day=DAY, kind="breach"):
    """One event each of the tickets from `first` through `last`."""
    events = [
        event(1000 * hour + number, f"{day}T{hour:02}:00:00Z", kind, ticket_id=number) for number in range(first, last + 1)
    ]
    deployment.account.deliver("ticket_metric_events", events)


def summarise(deployment, first=DAY, last=None):
    deployment.fetch(str(first), str(last or first))
    deployment.settle()


@pytest.fixture
def webhook():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def deployment(tmp_path, webhook, monkeypatch):
    with deployed(tmp_path / "root", now=NOON, ticket_tables=False) as running:
        monkeypatch.setenv("TICKET_EVENTS_ALERT_WEBHOOK", webhook.url)
        monkeypatch.setenv("TICKET_EVENTS_ALERT_BREACHES", "3")
        monkeypatch.setenv("TICKET_EVENTS_ALERT_MIN_TARGETS", "8")
        yield running


@pytest.fixture
def watch(deployment, webhook):
    made = Watch(deployment, webhook)
    assert made.tick() == []
    assert made.summary == "Nothing new to post."
    return made


def test_it_is_off_until_it_is_turned_on_and_requests_no_run():
    sensor = REPOSITORY.get_sensor_def(NAME)
    assert (sensor.default_status, sensor.minimum_interval_seconds) == (dg.DefaultSensorStatus.STOPPED, 60)
    assert sensor.targets == []


@pytest.mark.slow
def test_a_bad_day_is_posted_as_it_gets_worse_and_not_again_when_complete(deployment, watch, webhook):
    deliver(deployment, 1, 2, 9)
    summarise(deployment)
    assert watch.tick() == []
    deliver(deployment, 3, 4, 10)
    deployment.clock.now += 3600
    summarise(deployment)
    assert watch.tick() == ["2026-03-02 First reply time: 4 breaches"]
    assert "so far, as of 2026-03-02 13:00 UTC" in webhook.texts[0]
    assert re.findall(r"/agent/tickets/(\d+)\|#\1>", webhook.texts[0]) == ["4", "3", "2", "1"]
    assert webhook.texts[0].startswith("*SLA alert* of `127.0.0.1`\n")
    assert watch.tick() == []
    deliver(deployment, 5, 6, 11)
    deployment.clock.now = DAY.end + 3600
    summarise(deployment, DAY, DAY.plus(1))
    assert watch.tick() == ["2026-03-02 First reply time: 6 breaches"]
    assert "the whole day, as of 2026-03-03 00:00 UTC" in webhook.texts[1]
    assert re.findall(r"\|#(\d+)>", webhook.texts[1]) == ["6", "5", "4", "3", "2"]
    assert " and 1 more" in webhook.texts[1]
    assert watch.tick() == []


def test_a_low_rate_is_posted_once_there_are_enough_targets(deployment, watch):
    apply = {"sla": {"target": 60, "business_hours": False, "policy": {"id": 1, "title": "A"}}}
    applied = [event(number, f"{DAY}T08:00:00Z", "apply_sla", **apply) for number in range(1, 9)]
    deployment.account.deliver("ticket_metric_events", applied)
    deliver(deployment, 1, 2, 9)
    deliver(deployment, 3, 7, 10, kind="fulfill")
    summarise(deployment)
    assert watch.tick() == []
    deliver(deployment, 8, 8, 11, kind="fulfill")
    deployment.clock.now += 60
    summarise(deployment)
    assert watch.tick() == ["2026-03-02 First reply time: 75.0% met"]


def test_stalled_streams_are_posted_whatever_is_fetched_of_old_days(deployment, watch):
    deployment.fetch(str(DAY))
    assert watch.tick() == []
    deployment.clock.now += 3 * 3600
    # Dagster's log is as fresh as can be after a backfill; the newest day is not.
    deployment.fetch("2026-02-01", "2026-02-03")
    expected = [f"`{stream}` has not been read for 3 h" for stream in ("ticket_events", "ticket_metric_events")]
    assert watch.tick() == expected
    deployment.clock.now += 3600
    assert watch.tick() == []
    assert deployment.materialize("ticket_events", str(DAY)).success
    assert watch.tick() == ["`ticket_events` is read again"]
    deployment.clock.now += 60 * 3600
    assert watch.tick() == ["`ticket_events` has not been read for 2 d 12 h"]
    deployment.fetch(str(DAY), str(DAY.plus(2)))
    assert watch.tick() == [f"`{stream}` is read again" for stream in ("ticket_events", "ticket_metric_events")]


def test_old_days_that_are_summarised_are_not_posted(deployment, watch):
    old = DAY.plus(-30)
    deliver(deployment, 1, 9, 9, day=old)
    summarise(deployment, old)
    summarise(deployment)
    assert watch.tick() == []


def test_a_failed_run_is_posted_once_with_its_error_and_a_link(deployment, watch, webhook, monkeypatch):
    deployment.clock.now = wall_clock()
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
    monkeypatch.setenv("TICKET_EVENTS_DAGSTER_URL", "http://127.0.0.1:3000")
    failed = deployment.run("fetch_ticket_events", str(DAY))
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]
    (text,) = webhook.texts
    assert " UTC: `GET /api/v2/incremental/ticket_events?" in text
    assert "answered 401 (Couldn't authenticate you)" in text
    assert "Check ZENDESK_OAUTH_TOKEN. A fixed token ends" in text
    assert f"<http://127.0.0.1:3000/runs/{failed.run_id}|the run>" in text
    assert watch.tick() == []
    # Assets by themselves are run by a job of Dagster's own.
    deployment.materialize("ticket_events", str(DAY))
    deployment.run("fetch_ticket_events", str(DAY))
    assert sorted(watch.tick()) == ["A run of `__ASSET_JOB` failed", "A run of `fetch_ticket_events` failed"]
    assert len(webhook.texts) == 2


def test_a_new_sensor_skips_failures_whose_job_has_succeeded_since(deployment, webhook, monkeypatch):
    deployment.clock.now = wall_clock()
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
    deployment.run("fetch_ticket_events", str(DAY))
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "sandbox")
    assert len(Watch(deployment, webhook).tick()) == 1
    deployment.fetch(str(DAY))
    watch = Watch(deployment, webhook)
    assert watch.tick() == []
    # A sensor that has ticked before posts each.
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
    deployment.run("fetch_ticket_events", str(DAY))
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "sandbox")
    deployment.fetch(str(DAY))
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]


def test_of_an_unexpected_error_only_its_class_is_posted(deployment, watch, webhook):
    deployment.clock.now = wall_clock()

    @dg.asset(name="ticket_events")
    def broken():
        raise ZeroDivisionError("what a customer wrote")

    job = dg.Definitions(assets=[broken], jobs=[dg.define_asset_job("fetch_ticket_events", "*")])
    failed = job.resolve_job_def("fetch_ticket_events").execute_in_process(instance=deployment.instance, raise_on_error=False)
    assert not failed.success
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]
    assert " UTC: `ZeroDivisionError` " in webhook.texts[0]
    assert "customer" not in webhook.texts[0]


def a_run(deployment, job="fetch_ticket_events", *, status=dg.DagsterRunStatus.FAILURE, location=None, **tags):
    origin = None if location is None else launched_from(location, job)
    return deployment.instance.create_run_for_job(
        job_def=defs.resolve_job_def(job), status=status, tags=tags, remote_job_origin=origin
    )


def test_only_failures_of_this_code_location_are_posted(deployment, watch):
    deployment.clock.now = wall_clock()
    for status in set(dg.DagsterRunStatus) - {dg.DagsterRunStatus.FAILURE}:
        a_run(deployment, status=status, location=LOCATION)
    a_run(deployment, location="another_location")
    deployment.instance.add_run(dg.DagsterRun(job_name="another_job", status=dg.DagsterRunStatus.FAILURE))
    assert watch.tick() == []
    a_run(deployment)
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]


def test_a_run_that_is_retried_is_no_failure_until_its_retry_has_failed(deployment, watch):
    deployment.clock.now = wall_clock()
    killed = a_run(deployment, location=LOCATION, **{WILL_RETRY_TAG: "true"})
    assert watch.tick() == []
    deployment.instance.add_run_tags(killed.run_id, {RETRIED_BY_TAG: "its-retry"})
    deployment.clock.now += RETRY_SECONDS + 60
    assert watch.tick() == []
    a_run(deployment, **{WILL_RETRY_TAG: "false"})
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]


def test_a_retry_that_never_starts_makes_it_a_failure(deployment, watch):
    deployment.clock.now = wall_clock()
    a_run(deployment, location=LOCATION, **{WILL_RETRY_TAG: "true"})
    deployment.clock.now += RETRY_SECONDS - 60
    assert watch.tick() == []
    deployment.clock.now += 120
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]


def test_a_killed_command_line_run_is_a_failure_at_once(deployment, watch):
    deployment.clock.now = wall_clock()
    a_run(deployment, **{WILL_RETRY_TAG: "true"})
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]


def test_a_failed_command_line_run_of_another_project_is_not_posted(deployment, watch):
    """Every project's command line runs a job of the same name."""
    deployment.clock.now = wall_clock()
    keys = frozenset({dg.AssetKey("another_project")})
    failed = dg.DagsterRun(job_name="__ASSET_JOB", status=dg.DagsterRunStatus.FAILURE, asset_selection=keys)
    deployment.instance.add_run(failed)
    assert watch.tick() == []


def test_a_failure_is_posted_only_after_dagster_decides_on_a_retry(deployment, webhook, monkeypatch):
    deployment.clock.now = wall_clock()
    retries = {"run_retries": {"enabled": True, "retry_on_asset_or_op_failure": False}}
    with dg.DagsterInstance.ephemeral(settings=retries) as deployment.instance:
        watch = Watch(deployment, webhook)
        assert watch.tick() == []
        # A real one, of which Dagster says at once that it will not be started again.
        monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
        failed = deployment.run("fetch_ticket_events", str(DAY))
        assert deployment.instance.get_run_by_id(failed.run_id).tags[WILL_RETRY_TAG] == "false"
        assert len(watch.tick()) == 1
        # And one between its failure and what Dagster says of it.
        a_run(deployment, location=LOCATION)
        assert watch.tick() == []
        deployment.clock.now += 90
        assert watch.tick() == ["A run of `fetch_ticket_events` failed"]


def test_each_of_two_accounts_posts_its_own_runs_and_files(deployment, webhook):
    deployment.clock.now = wall_clock()

    def environment(name):
        return {**os.environ, "TICKET_EVENTS_ROOT": str(deployment.root / name)}

    scopes = [account_scope(name, functools.partial(environment, name)) for name in ("acme", "umbrella")]
    both = dg.Definitions.merge(*(account_definitions(scope) for scope in scopes))
    repository = both.get_repository_def()
    watches = [Watch(deployment, webhook, scope, repository) for scope in scopes]
    assert [watch.tick() for watch in watches] == [[], []]
    job = both.resolve_job_def("umbrella_fetch_ticket_events")
    deployment.instance.create_run_for_job(job_def=job, status=dg.DagsterRunStatus.FAILURE)
    everything = both.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={dg.AssetKey(["umbrella", "ticket_events"])}
    )
    deployment.instance.create_run_for_job(
        job_def=everything, status=dg.DagsterRunStatus.FAILURE, asset_selection={dg.AssetKey(["umbrella", "ticket_events"])}
    )
    assert [sorted(watch.tick()) for watch in watches] == [
        [],
        ["A run of `umbrella/ticket_events` failed", "A run of `umbrella_fetch_ticket_events` failed"],
    ]
    assert [text.split("\n")[0] for text in webhook.texts] == ["*SLA alert* of `umbrella`"]


def test_a_webhook_that_was_down_gets_one_message_when_it_is_back(deployment, watch, webhook):
    webhook.answer = (503, {}, "")
    deliver(deployment, 1, 4, 9)
    summarise(deployment)
    assert watch.tick() == ["2026-03-02 First reply time: 4 breaches"]
    assert watch.tick() == []
    assert watch.summary == (
        "destination 1 (webhook): 1 alert is pending. Nothing was accepted since 2026-03-02 12:00 UTC (attempts: 1); the last "
        "answer: 503. "
        "The next attempt is at 2026-03-02 12:01 UTC."
    )
    deployment.clock.now += 3600
    deliver(deployment, 5, 6, 10)
    summarise(deployment)
    webhook.answer = OK
    assert watch.tick() == ["2026-03-02 First reply time: 6 breaches"]
    assert watch.summary == "destination 1 (webhook): Posted 1 alert."
    assert "Late: nothing was accepted here since 2026-03-02 12:00 UTC." in webhook.texts[-1]
    assert watch.tick() == []
    # After a lost cursor, the present is posted once more.
    watch.cursor = None
    assert [len(watch.tick()), len(watch.tick())] == [1, 0]


def test_each_destination_gets_its_own_message_and_one_that_is_down_its_own_retries(deployment, watch, webhook, monkeypatch):
    """With a service of the library besides, whose URL stands nowhere either."""
    with receiving((503, {}, SECRET)) as second, ScriptedServer([OK] * 9) as third:
        service = f"json://{third.url.removeprefix('http://')}/{SECRET}"
        monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", f"{second.url},{service}")
        deliver(deployment, 1, 4, 9)
        summarise(deployment)
        assert watch.tick() == ["2026-03-02 First reply time: 4 breaches"]
        assert len(third.requests) == 1
        assert watch.summary.split("\n")[::2] == [
            "destination 1 (webhook): Posted 1 alert.",
            "destination 3 (json): Posted 1 alert.",
        ]
        second.answer = OK
        deployment.clock.now += 60
        assert watch.tick() == []
        assert watch.summary.split("\n")[1] == "destination 2 (webhook): Posted 1 alert."
        assert watch.tick() == []
    assert ["Late: nothing was accepted here since" in text for text in second.texts] == [False, True]
    assert (len(webhook.texts), len(third.requests)) == (1, 1)


def test_wrong_settings_skip_the_tick_and_keep_the_cursor(deployment, watch, monkeypatch):
    before = watch.cursor
    monkeypatch.setenv("TICKET_EVENTS_ALERT_WEBHOOK", f"http://hooks.example/{SECRET}")
    monkeypatch.setenv("TICKET_EVENTS_ALERT_BREACHES", SECRET)
    assert watch.tick() == []
    assert watch.summary.startswith("The settings don't work yet:")
    assert "TICKET_EVENTS_ALERT_WEBHOOK: must begin with https://" in watch.summary
    assert "TICKET_EVENTS_ALERT_BREACHES: is no whole number" in watch.summary
    monkeypatch.delenv("TICKET_EVENTS_ALERT_WEBHOOK")
    monkeypatch.delenv("TICKET_EVENTS_ALERT_BREACHES")
    assert watch.tick() == []
    assert "TICKET_EVENTS_ALERT_WEBHOOK is not set" in watch.summary
    assert watch.cursor == before


def test_an_unusable_root_is_reported_and_failed_runs_are_still_posted(deployment, watch, monkeypatch):
    deployment.clock.now = wall_clock()
    monkeypatch.setenv("TICKET_EVENTS_ROOT", "s3://key:hush@bucket")
    a_run(deployment)
    assert watch.tick() == ["A run of `fetch_ticket_events` failed"]
    assert watch.summary.startswith(
        "destination 1 (webhook): Posted 1 alert.\nCan't be read: The settings don't work yet:\n"
        "  - TICKET_EVENTS_ROOT: holds a secret"
    )
    assert "hush" not in watch.summary


def damaged(path, other):
    """The file in every state that it can be found in; at last as it was."""
    content = path.read_bytes()
    for state in (content[:100], b"", other.read_bytes(), content[:-9] + b"123456789"):
        path.write_bytes(state)
        yield
    path.unlink()
    path.mkdir()
    yield
    path.rmdir()
    path.write_bytes(content)


def test_a_damaged_file_is_named_and_hides_nothing_else(deployment, watch):
    deliver(deployment, 1, 4, 9)
    deliver(deployment, 5, 9, 9, day=DAY.plus(1))
    deployment.clock.now = DAY.end + 12 * 3600
    summarise(deployment, DAY, DAY.plus(1))
    of_days = [f"2026-03-0{day} First reply time: {count} breaches" for count, day in ((4, 2), (5, 3))]
    before = watch.cursor
    other = deployment.root / "sla_clocks" / f"date={DAY}" / "sla_clocks.parquet"
    for asset, expected in (("daily_sla_breach_summary", of_days[:1]), ("ticket_metric_events", of_days)):
        path = deployment.root / asset / f"date={DAY.plus(1)}" / f"{asset}.parquet"
        for _ in damaged(path, other):
            watch.cursor = before
            assert watch.tick() == expected
            assert "\nCan't be read: " in watch.summary
            assert str(path) in watch.summary or f"{asset} of {DAY.plus(1)}" in watch.summary


def test_a_test_message_has_real_figures_and_the_alert_is_posted_nevertheless(deployment, watch, webhook):
    deliver(deployment, 1, 4, 9)
    summarise(deployment)
    assert [answer.is_accepted for answer in post_test(os.environ).values()] == [True]
    assert webhook.texts[0].startswith("*Test of the SLA alerts* of `127.0.0.1`")
    alert, _, warning = webhook.texts[0].partition("A warning of sla_warning_sensor looks like this (made up):\n")
    assert bold(alert.split("\n")) == ["2026-03-02 First reply time: 4 breaches"]
    assert "|#4>" in alert
    assert warning.startswith("• #1 *due in 1 h* (")
    assert "estimate) – `The ticket's subject` – First reply time, `Example`, business hours – no group, nobody\n" in warning
    assert watch.tick() == ["2026-03-02 First reply time: 4 breaches"]


def test_the_test_command_names_a_missing_webhook_and_a_refusal(tmp_path):
    place = new_place(tmp_path, ZENDESK_SANDBOX="1")
    ended = place.ticket_events("alerts", "test")
    assert (ended.code, "TICKET_EVENTS_ALERT_WEBHOOK is not set" in ended.output) == (1, True)
    with receiving((404, {}, "no_service")) as webhook:
        ended = place.ticket_events("alerts", "test", TICKET_EVENTS_ALERT_WEBHOOK=webhook.url)
    said = "Destination 1 (webhook) did not accept the test message: 404 no_service. Check TICKET_EVENTS_ALERT_WEBHOOK"
    assert (ended.code, said in ended.output) == (1, True)
    assert SECRET not in ended.output


def test_the_test_is_posted_where_it_can_be_and_a_wrong_url_is_named(deployment, webhook, monkeypatch, capfd):
    monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", SECRET)
    assert not run_alerts_test()
    assert len(webhook.texts) == 1
    said = capfd.readouterr()
    assert "Destination 1 (webhook) accepted the test message" in said.out
    assert "it can't be used: TICKET_EVENTS_NOTIFY_URLS: URL 1 is no URL" in said.err
    assert SECRET not in said.err


def test_a_wrong_url_is_named_at_every_tick_and_the_others_get_their_alerts(deployment, watch, webhook, monkeypatch):
    monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", SECRET)
    deliver(deployment, 1, 4, 9)
    summarise(deployment)
    assert watch.tick() == ["2026-03-02 First reply time: 4 breaches"]
    assert "\nGets nothing: TICKET_EVENTS_NOTIFY_URLS: URL 1 is no URL" in watch.summary
    assert SECRET not in f"{watch.summary}{watch.cursor}"


def test_targets_that_cannot_be_read_leave_an_alert_without_tickets(deployment, watch, webhook):
    deliver(deployment, 1, 4, 9)
    summarise(deployment)
    before = watch.cursor
    other = deployment.root / "sla_clocks" / f"date={DAY}" / "sla_clocks.parquet"
    for _ in damaged(deployment.root / "sla_targets" / f"date={DAY}" / "sla_targets.parquet", other):
        watch.cursor = before
        assert watch.tick() == ["2026-03-02 First reply time: 4 breaches"]
        assert "#" not in webhook.texts[-1]
        assert "\nCan't be read: " in watch.summary
    watch.cursor = before
    watch.tick()
    assert "|#4>" in webhook.texts[-1]


TURN_ON = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
  ... on Sensor { sensorState { status } } ... on PythonError { message } } }"""
TICKS = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
  ticks(limit: 20) { status skipReason cursor error { message } } } } } }"""
SELECTOR = {
    "sensor": {"repositoryLocationName": "ticket_events_pipeline", "repositoryName": "__repository__", "sensorName": NAME}
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_url_is_nowhere_in_dagsters_home_logs_or_ticks(tmp_path):
    """The whole deployment with the sensor turned on, its webhook down at first, and every logger at DEBUG."""
    with receiving((503, {}, SECRET)) as webhook:
        place = new_place(
            tmp_path, ZENDESK_SANDBOX="1", TICKET_EVENTS_ALERT_WEBHOOK=webhook.url, TICKET_EVENTS_START_DATE="2026-03-01"
        )
        config = place.home / "dagster.yaml"
        logs = "python_logs:\n  python_log_level: DEBUG\n  managed_python_loggers: [root, urllib3.connectionpool]\n"
        config.write_text(config.read_text() + logs)
        # A fact to post: a run that failed.
        assert place.materialize("ticket_events", "2026-03-02", ZENDESK_OAUTH_TOKEN="wrong").code != 0
        dev = Dev(place)
        try:
            ui = dev.start()
            assert ui.query(TURN_ON, **SELECTOR)["startSensor"]["sensorState"]["status"] == "RUNNING"
            wait_for(lambda: webhook.texts, 60, "the sensor posts")
            webhook.answer = OK

            def ticks():
                return ui.query(TICKS, **SELECTOR)["sensorOrError"]["sensorState"]["ticks"]

            def is_posted():
                return any("destination 1 (webhook): Posted " in (tick["skipReason"] or "") for tick in ticks())

            wait_for(is_posted, 200, "it is posted")
            assert SECRET not in str(ticks())
            assert {tick["status"] for tick in ticks()} <= {"SKIPPED", "STARTED"}
            cursor, mark = (
                next(tick["cursor"] for tick in ticks() if tick["cursor"]),
                Destination(Kind.WEBHOOK, webhook.url).mark,
            )
            assert AlertState.parse(cursor, [mark]).by_mark[mark].outage is None
        finally:
            dev.stop()
    assert len(webhook.texts) == 2
    assert place.holds(SECRET) == []
