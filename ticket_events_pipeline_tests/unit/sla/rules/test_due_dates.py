"""`sla_targets.due_at`: when an open target will breach if nothing happens; hours count from 2026-03-02 00:00 UTC."""

import duckdb
import pytest

from ticket_events_pipeline.sla.build import TARGETS, make_summaries
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.damages import path_of, without_estimates
from ticket_events_pipeline_tests.support.sla_cases import Clock, rows_of
from ticket_events_pipeline_tests.support.sla_roots import all_events, sla_root

DAY = Clock.DAY
NEXT = DAY.plus(1)


def at(hour):
    return DAY.start + round(hour * 3600)


def started(minutes=60, **more):
    return Clock().add("activate", 9).apply(9, minutes, **more)


def due_at(clock, as_of, day=DAY):
    return clock.target(day=day, as_of=at(as_of))["due_at"]


def test_a_clock_that_never_stopped_is_due_its_target_after_its_start():
    assert {due_at(started(), hour) for hour in (9.5, 9.99, 12, 24)} == {at(10)}
    assert due_at(started(48 * 60), 48, NEXT) == at(9 + 48)


def test_time_in_pause_is_not_counted():
    clock = started().add("pause", 9.5).add("activate", 12).add("pause", 12.25).add("activate", 20)
    assert due_at(clock, 21) == at(20.25)


def test_a_repeated_activate_does_not_restart_a_clock():
    assert due_at(started().add("activate", 9.75), 12) == at(10)


def test_all_cycles_of_a_reopened_clock_count_together():
    """See `due_dates.running`; what Zendesk does is unknown."""
    clock = started(120).add("fulfill", 10).add("activate", 15)
    assert due_at(clock, 16) == at(16)


def test_a_changed_target_counts_from_the_same_start():
    assert due_at(started().apply(9.25, 180, policy=12), 9.5) == at(12)


def test_a_due_date_may_be_before_as_of_until_zendesk_sends_the_breach():
    assert due_at(started(), 23) == at(10)


def test_events_from_as_of_on_do_not_exist_yet():
    assert due_at(started().add("pause", 9.5).add("activate", 12), 9.5) == at(10)


def test_midnight_stops_no_clock():
    clock = started(20 * 60).add("pause", 23).add("activate", 25)
    assert due_at(clock, 26, NEXT) == at(25 + 20 - 14)


UNFORESEEN = {
    "paused": started().add("pause", 9.5),
    "late": started().add("breach", 10),
    "fulfilled": started().add("fulfill", 9.5),
    "cancelled": started().add("apply_sla", 9.5, sla=None),
    "in business hours": started(business_hours=True),
    "without a target": Clock().add("activate", 9).add("apply_sla", 9, sla={"policy": {"id": 1}}),
    "never started": Clock().apply(9, 60),
    "running since before the first event known": Clock().apply(9, 60).add("pause", 10).add("activate", 11),
    "allowed more time than a calendar has": started(2**62 // 60),
    "allowed less than no time at all": started(-(2**62) // 60),
}


@pytest.mark.parametrize("name", UNFORESEEN)
def test_a_due_date_is_null_if_it_cannot_be_estimated(name):
    assert due_at(UNFORESEEN[name], 24) is None


def test_unnamed_hours_are_calendar_hours_as_in_rule_b5():
    sla = {"target": 60, "policy": {"id": 1}}
    assert due_at(Clock().add("activate", 9).add("apply_sla", 9, sla=sla), 9.5) == at(10)


def test_each_of_several_clocks_has_its_own_due_date(tmp_path):
    """There are other clocks between them."""
    unshown = Clock(ticket_id=1, first_id=1).add("pause", 2).add("activate", 3)
    early = Clock(ticket_id=2, first_id=11).add("activate", 1).apply(1, 60 * 60)
    paused = Clock(ticket_id=3, first_id=21).add("activate", 4).apply(4, 60).add("pause", 4.5)
    late = Clock(ticket_id=4, first_id=31).add("activate", 5).apply(5, 2 * 60).add("pause", 6).add("activate", 7)
    sla_root(tmp_path, all_events(unshown, early, paused, late), DAY, DAY)
    with duckdb.connect() as connection:
        found = connection.sql(f"select ticket_id, epoch(due_at) from '{path_of(tmp_path, TARGETS, DAY)}'").fetchall()  # noqa: S608
    assert found == [(2, at(61)), (3, None), (4, at(8))]


def test_a_file_without_the_column_is_summarised_and_read_with_newer_ones(tmp_path):
    summaries = sla_root(tmp_path, started(30 * 60).events, DAY, NEXT)
    without_estimates(tmp_path, DAY)
    (again,) = make_summaries(FolderStore(tmp_path), [DAY])
    assert rows_of(again.table) == [
        {**row, "targets_deleted": None, "contradicted": None} for row in rows_of(summaries[0].table)
    ]
    with duckdb.connect() as connection:
        files = f"read_parquet('{tmp_path}/{TARGETS}/date=*/*.parquet', hive_partitioning=true, union_by_name=true)"
        found = connection.sql(f"select date::text, epoch(due_at) from {files} order by 1").fetchall()  # noqa: S608
    assert found == [(str(DAY), None), (str(NEXT), at(39))]
