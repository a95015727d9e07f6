"""Which clocks are carried over between days, and for how long."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
import pytest

from ticket_events_pipeline.sla.rules.clocks import advance, empty_clocks
from ticket_events_pipeline.sla.rules.events import sla_events
from ticket_events_pipeline_tests.support.sla_cases import Clock, clocks_by_day, raw_table, tables_of

DAY = Clock.DAY


def ids_after(days, *clocks):
    """The ids of the events that are still kept so many days after the first day."""
    events = [event for clock in clocks for event in clock.events]
    last = DAY.plus(days)
    return sorted(clocks_by_day(events, DAY, last)[last]["id"].to_pylist())


def test_a_closed_target_is_kept_until_30_days_after_the_tickets_last_event():
    closed = Clock().apply(9, 60).add("fulfill", 24)
    assert ids_after(29, closed) == [1, 2]
    assert ids_after(30, closed) == [1, 2]  # exactly 30 days after it
    assert ids_after(31, closed) == []


def test_any_recent_clock_keeps_all_clocks_of_its_ticket():
    closed = Clock().apply(9, 60).add("fulfill", 10)
    other = Clock(metric="agent_work_time", first_id=11).add("activate", 24 * 20).add("fulfill", 24 * 20)
    assert ids_after(49, closed, other) == [1, 2, 11, 12]
    assert ids_after(51, closed, other) == []


def test_deleted_events_do_not_keep_a_clock():
    assert ids_after(40, Clock().apply(9, 60).add("fulfill", 10).add("breach", 24 * 20, deleted=True)) == []


def test_an_open_target_is_kept_but_does_not_keep_a_closed_one():
    open_target = Clock().apply(9, 60)
    closed = Clock(metric="agent_work_time", first_id=11).apply(9, 60).add("fulfill", 10)
    assert ids_after(90, open_target, closed) == [1]


def test_unsolved_ticket_keeps_its_clocks():
    closed = Clock().apply(9, 60).add("fulfill", 10)
    resolution = Clock(metric="resolution_time", first_id=11).add("activate", 9)
    assert ids_after(90, closed, resolution) == [1, 2, 11]
    assert ids_after(90, closed, resolution.add("fulfill", 40)) == []


def test_a_deleted_breach_alone_makes_no_unsolved_ticket():
    assert ids_after(40, Clock(metric="resolution_time").add("breach", 9, deleted=True)) == []


def test_a_clock_without_a_target_is_kept():
    assert ids_after(5, Clock().add("activate", 9)) == [1]


@pytest.mark.parametrize(("days", "entered_on"), [(29, DAY), (32, DAY.plus(32))])
def test_a_breach_joins_its_clock_while_the_clock_is_kept(days, entered_on):
    clock = Clock().apply(9, 60).add("apply_sla", 10, sla=None).add("breach", 24 * days + 9)
    row = clock.target(DAY.plus(days))
    assert row["entered_at"] // 86_400 == entered_on.start // 86_400
    assert row["outcome"] == "breached_open"


def test_dropping_some_clocks_does_not_change_the_others():
    clocks = [Clock(ticket_id=n, first_id=10 * n).apply(9, 60) for n in range(1, 6)]
    for clock in clocks[::2]:
        clock.add("fulfill", 10)
    late = Clock(ticket_id=9, first_id=100).apply(24 * 33, 60)
    kept = clocks_by_day([e for c in [*clocks, late] for e in c.events], DAY, DAY.plus(35))[DAY.plus(35)]
    assert [row["ticket_id"] for row in tables_of(kept, DAY.plus(35))[0]] == [2, 4, 9]
    fulfilled = sla_events(raw_table(Clock(ticket_id=4, first_id=200).add("fulfill", 24 * 36).events))
    rows, _ = tables_of(advance(kept, fulfilled, DAY.plus(36)), DAY.plus(36))
    assert [(row["ticket_id"], row["outcome"]) for row in rows] == [(2, "active"), (4, "achieved"), (9, "active")]


def test_an_id_in_both_means_the_days_event():
    yesterday = clocks_by_day(Clock().apply(9, 60).add("breach", 10).add("fulfill", 11).events, DAY, DAY)[DAY]
    moved = Clock(first_id=2).add("breach", 30).events
    clocks = advance(yesterday, sla_events(raw_table(moved)), DAY.plus(1))
    assert sorted(clocks["id"].to_pylist()) == [1, 2, 3]
    assert tables_of(clocks, DAY.plus(1))[0] == []  # the breach now comes after the fulfil


def test_event_that_moved_to_the_day_rewrites_its_own_clock_alone():
    clocks = [Clock(ticket_id=n, first_id=10 * n).apply(9, 60).add("breach", 10) for n in (1, 2, 3)]
    yesterday = clocks_by_day([event for clock in clocks for event in clock.events], DAY, DAY)[DAY]
    moved = Clock(ticket_id=2, first_id=21).add("breach", 30).events
    rows, _ = tables_of(advance(yesterday, sla_events(raw_table(moved)), DAY.plus(1)), DAY.plus(1))
    assert [row["breached_at"] - DAY.start for row in rows] == [36_000, 108_000, 36_000]


def test_clocks_stored_and_read_again_are_the_same():
    clock = Clock().apply(8, 60, 12, title="VIP").apply(9, 60).add("breach", 24 + 9)
    stored = io.BytesIO()
    pq.write_table(clocks_by_day(clock.events, DAY, DAY)[DAY], stored, row_group_size=1)
    next_day = DAY.plus(1)
    clocks = clocks_by_day(clock.events, next_day, next_day, start=pq.read_table(stored))[next_day]
    assert clocks == clocks_by_day(clock.events, DAY, next_day)[next_day]
    assert tables_of(pq.read_table(stored), DAY) == tables_of(clocks_by_day(clock.events, DAY, DAY)[DAY], DAY)


def test_days_without_any_event_have_empty_tables():
    clocks = advance(empty_clocks(), sla_events(), DAY)
    assert clocks == empty_clocks()
    assert tables_of(clocks, DAY) == ([], [])
