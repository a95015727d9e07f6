"""What the sensor reads of Dagster's log: the newest record of a day, and no more questions for many days than for few."""

import datetime as dt
import json
import re
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as db

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.account_scope import account_scope
from ticket_events_pipeline.defs.event_log import EventLog
from ticket_events_pipeline.defs.sensors import WATCHED
from ticket_events_pipeline.defs.staleness import SUMMARY, landed_inputs, stretches

REPOSITORY = defs.get_repository_def()
SENSOR = REPOSITORY.get_sensor_def("new_event_partitions_sensor")
SCOPE = account_scope(environment=dict)
FIRST = Day(dt.date(2026, 3, 2))


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


def land(instance, day, content_hash, *, asset="ticket_metric_events"):
    fetched_at = dg.MetadataValue.timestamp(float(day.end + 3600))
    metadata = {"content_hash": content_hash, "complete": True, "fetched_at": fetched_at, "metric_rows": 1}
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=str(day), metadata=metadata))


def hashes(instance, *days):
    found = EventLog(instance, SCOPE).raw_states("ticket_metric_events", days)
    return {day: state.content_hash for day, state in found.items()}


@contextmanager
def asked_of_the_database():
    """Every statement while the block lasts."""
    statements = []
    db.event.listen(db.Engine, "before_cursor_execute", note := lambda *about: statements.append(about[2]))
    try:
        yield statements
    finally:
        db.event.remove(db.Engine, "before_cursor_execute", note)


def records_read(statements):
    return len([text for text in statements if re.search(r"event_logs\.event\b", text)])


def tick(instance, cursor=None):
    return SENSOR(dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=REPOSITORY))


def test_of_the_materialisations_of_a_day_the_newest_counts(instance):
    later = FIRST.plus(1)
    for day, content_hash in [(FIRST, "a"), (later, "b"), (FIRST, "c"), (FIRST, "d")]:
        land(instance, day, content_hash)
    assert hashes(instance, FIRST, later, FIRST.plus(2)) == {FIRST: "d", later: "b"}


def test_a_day_that_somebody_else_has_told_of_is_no_raw_day(instance):
    instance.report_runless_asset_event(dg.AssetMaterialization("ticket_metric_events", partition=str(FIRST)))
    assert hashes(instance, FIRST) == {}


def test_only_what_lies_behind_the_place_is_told_and_with_its_newest_place(instance):
    log = EventLog(instance, SCOPE)
    land(instance, FIRST, "a")
    (before,) = log.materialised_after("ticket_metric_events", 0).values()
    for day in (FIRST.plus(1), FIRST.plus(2), FIRST.plus(1)):
        land(instance, day, "b")
    found = EventLog(instance, SCOPE).materialised_after("ticket_metric_events", before)
    assert {day: place - before for day, place in found.items()} == {FIRST.plus(1): 3, FIRST.plus(2): 2}
    assert EventLog(instance, SCOPE).materialised_after("ticket_metric_events", before + 3) == {}


def test_what_lands_while_a_tick_looks_is_left_to_the_next_tick(instance):
    """The tick's picture of an asset is one: else a place would be passed by that was never looked at."""
    log = EventLog(instance, SCOPE)
    land(instance, FIRST, "a")
    seen = log.materialised_after("ticket_metric_events", 0)
    land(instance, FIRST.plus(1), "b")
    land(instance, FIRST, "c")
    assert log.materialised_after("ticket_metric_events", 0) == seen
    assert {state.content_hash for state in log.raw_states("ticket_metric_events", [FIRST]).values()} == {"a"}


def test_more_records_are_found_than_one_query_names(instance, monkeypatch):
    monkeypatch.setattr("ticket_events_pipeline.defs.event_log.RECORDS_PER_READ", 2)
    days = days_between(FIRST, FIRST.plus(4))
    for day in days:
        land(instance, day, str(day))
    assert hashes(instance, *days) == {day: str(day) for day in days}


def test_a_tick_over_many_days_asks_no_more_of_the_database_than_one_over_few(instance, tmp_path_factory):
    def statements(days):
        with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as local:
            for number in range(days):
                land(local, FIRST.plus(number), "a")
            tick(local)  # the first one also looks at what the database knows
            with asked_of_the_database() as asked:
                (request,) = tick(local).run_requests
            assert request.tags["dagster/asset_partition_range_end"] == str(FIRST.plus(days - 1))
            return len([text for text in asked if text.startswith("SELECT")])

    assert statements(2) == statements(40) > 0


def test_a_tick_without_news_asks_each_asset_once_and_reads_no_record(instance):
    land(instance, FIRST, "a")
    with asked_of_the_database() as asked:
        assert tick(instance, json.dumps(dict.fromkeys(WATCHED, 10**9))).skip_reason is not None
    assert len([text for text in asked if "FROM event_logs" in text]) == len(WATCHED)
    assert records_read(asked) == 0


def test_a_record_is_read_once_however_often_it_is_asked_for(instance):
    log = EventLog(instance, SCOPE)
    for day in (FIRST, FIRST.plus(1)):
        land(instance, day, "a")
    with asked_of_the_database() as asked:
        log.raw_states("ticket_metric_events", [FIRST])
        log.raw_states("ticket_metric_events", [FIRST])
        assert records_read(asked) == 1
        assert log.raw_states("ticket_metric_events", [FIRST, FIRST.plus(1)]).keys() == {FIRST, FIRST.plus(1)}
        assert records_read(asked) == 2


def test_another_memory_of_the_day_before_makes_another_state(instance):
    """A run that failed three times is worth another try when what it begins with has changed."""
    land(instance, FIRST, "a")

    def state():
        (stretch,) = stretches(EventLog(instance, SCOPE), {FIRST}, FIRST, fresh=lambda _: False)
        return stretch.state

    before = state()
    land(instance, FIRST.plus(-1), "c", asset="sla_clocks")
    assert state() != before


def test_a_fresh_day_is_the_same_to_its_summary_as_to_its_raw_files(instance):
    """Else a state that was tried three times would look like a new one once another day of the stretch has landed again."""
    later = FIRST.plus(1)
    for day in (FIRST, later):
        land(instance, day, "a")
    inputs = landed_inputs(EventLog(instance, SCOPE), [later])[later]
    made_from = {name: text for name, text in inputs.to_metadata().items() if name.startswith("made_from_")}
    as_of = dg.MetadataValue.timestamp(float(inputs.as_of))
    metadata = {**made_from, "complete": inputs.complete, "as_of": as_of}
    instance.report_runless_asset_event(dg.AssetMaterialization(SUMMARY, partition=str(later), metadata=metadata))
    by_files, by_summary = (
        stretches(EventLog(instance, SCOPE), {FIRST}, later, fresh=fresh)
        for fresh in (lambda _: False, lambda day: day == later)
    )
    assert by_files == by_summary
    assert by_files[0].days == [FIRST, later]


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_same_days_are_partitions_for_us_as_for_dagster(timezone):
    scope = account_scope(environment=lambda: {"TICKET_EVENTS_TIMEZONE": timezone, "TICKET_EVENTS_START_DATE": "2026-01-31"})
    today = Day.containing(wall_clock(), timezone)
    edges = [Day(dt.date(2026, 1, 31), timezone).plus(offset) for offset in (-2, -1, 0, 1)]
    for day in [*edges, *(today.plus(offset) for offset in (-2, -1, 0, 1, 2))]:
        assert scope.is_partition(day) == scope.partitions.has_partition_key(str(day))
