"""The cache of Dagster's log: the newest record of each day, each read once, whatever is deleted from the log."""

import datetime as dt
import re
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as db

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.event_log import EventLog, log_position
from ticket_events_pipeline.defs.scope import account_scope

SCOPE = account_scope(environment=dict)
FIRST = Day(dt.date(2026, 3, 2))
DAYS = days_between(FIRST, FIRST.plus(4))
ASSET = "ticket_metric_events"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as in_memory:
        yield in_memory


@pytest.fixture
def stored(tmp_path):
    """An instance whose log is in files, one per run and one for all assets: deletions work differently there."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        yield local


def report(instance, day, content_hash, *, asset=ASSET, **more):
    metadata = {"content_hash": content_hash, "complete": True, "rows": 7, **more}
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=str(day), metadata=metadata))


def hashes(log, instance, wanted=None):
    """By day, the hash of its newest record."""
    log.refresh(instance, log_position(instance), wanted or {ASSET: DAYS})
    found = {day: log.record(ASSET, day) for day in DAYS}
    return {day: record.get("content_hash") for day, record in found.items() if record is not None}


@contextmanager
def database_statements():
    """Collects every statement while the block lasts."""
    statements = []
    db.event.listen(db.Engine, "before_cursor_execute", note := lambda *about: statements.append(about[2]))
    try:
        yield statements
    finally:
        db.event.remove(db.Engine, "before_cursor_execute", note)


def records_read(statements):
    return len([text for text in statements if re.search(r"event_logs\.event\b", text)])


def test_the_newest_record_of_a_day_counts(instance):
    for day, content_hash in [(DAYS[0], "a"), (DAYS[1], "b"), (DAYS[0], "c"), (DAYS[0], "d")]:
        report(instance, day, content_hash)
    log = EventLog(SCOPE)
    assert hashes(log, instance) == {DAYS[0]: "d", DAYS[1]: "b"}
    assert log.record(ASSET, DAYS[0]) == {"content_hash": "d", "complete": "true"}
    assert [log.has_record(ASSET, day) for day in DAYS] == [True, True, False, False, False]


def test_a_record_made_by_hand_says_nothing(instance):
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition=str(FIRST)))
    log = EventLog(SCOPE)
    assert hashes(log, instance) == {FIRST: None}
    assert log.record(ASSET, FIRST) == {}


def test_a_key_that_is_no_date_is_ignored(instance):
    for partition in ("", "not a date", "2026-02-30", "20260302"):
        report(instance, partition, "x")
    report(instance, FIRST, "a")
    assert hashes(EventLog(SCOPE), instance) == {FIRST: "a"}


def test_only_new_records_are_read_and_none_while_the_log_is_unchanged(instance):
    log = EventLog(SCOPE)
    report(instance, DAYS[0], "a")
    wanted = {ASSET: DAYS}
    hashes(log, instance, wanted)
    with database_statements() as statements:
        assert log.refresh(instance, log_position(instance), wanted) is False
        assert (len([text for text in statements if "FROM event_logs" in text]), records_read(statements)) == (1, 0)
    report(instance, DAYS[1], "b")
    with database_statements() as statements:
        assert hashes(log, instance, wanted) == {DAYS[0]: "a", DAYS[1]: "b"}
        assert records_read(statements) == 1


def test_more_records_are_found_than_one_query_names(instance, monkeypatch):
    monkeypatch.setattr("ticket_events_pipeline.defs.event_log.RECORDS_PER_READ", 2)
    for day in DAYS:
        report(instance, day, str(day))
    assert hashes(EventLog(SCOPE), instance) == {day: str(day) for day in DAYS}


def test_records_that_there_was_no_time_for_are_read_by_a_later_refresh(instance):
    report(instance, FIRST, "a")
    log = EventLog(SCOPE, seconds=-1)
    assert hashes(log, instance) == {}
    assert log.has_record(ASSET, FIRST)
    log._seconds = 1
    assert hashes(log, instance) == {FIRST: "a"}


def test_reused_ids_are_not_mistaken_for_the_records_that_had_them(stored):
    log = EventLog(SCOPE)
    for day in DAYS:
        report(stored, day, "before")
    hashes(log, stored)
    stored.wipe()
    assert hashes(log, stored) == {}
    for day in DAYS:
        report(stored, day, "after")
    assert hashes(log, stored) == dict.fromkeys(DAYS, "after")


def test_another_dagster_home_is_another_log(instance, stored):
    log = EventLog(SCOPE)
    report(instance, FIRST, "a")
    assert hashes(log, instance) == {FIRST: "a"}
    for day in DAYS:
        report(stored, day, "b")
    assert hashes(log, stored) == dict.fromkeys(DAYS, "b")


def test_every_removal_of_records_changes_the_position(stored):
    run = stored.create_run_for_job(job_def=dg.GraphDefinition("empty").to_job())
    for asset in ("another", ASSET):
        report(stored, FIRST, "a", asset=asset)
    positions = [log_position(stored)]
    for harm in (
        lambda: stored.wipe_assets([dg.AssetKey("another")]),
        lambda: stored.delete_run(run.run_id),
        stored.wipe,
    ):
        harm()
        positions.append(log_position(stored))
    assert len(set(positions)) == len(positions)


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_same_days_are_partitions_for_us_as_for_dagster(timezone):
    scope = account_scope(environment=lambda: {"TICKET_EVENTS_TIMEZONE": timezone, "TICKET_EVENTS_START_DATE": "2026-01-31"})
    today = Day.containing(wall_clock(), timezone)
    edges = [Day(dt.date(2026, 1, 31), timezone).plus(offset) for offset in (-2, -1, 0, 1)]
    for day in [*edges, *(today.plus(offset) for offset in (-2, -1, 0, 1, 2))]:
        assert scope.is_partition(day) == scope.partitions.has_partition_key(str(day))
