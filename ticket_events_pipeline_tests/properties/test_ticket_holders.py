"""Of any tickets, who held them and how long their clocks ran equals what a plain oracle says."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.durations import NEGATIVE_DURATIONS, make_durations
from ticket_events_pipeline.tickets.holders import make_holders
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline_tests.support import ticket_holders_oracle as oracle
from ticket_events_pipeline_tests.support.sla_cases import rows_of
from ticket_events_pipeline_tests.support.ticket_lives import audits_of, events_of, lives
from ticket_events_pipeline_tests.support.ticket_roots import ticket_root

ROOTS = int(os.environ.get("TICKET_ROOTS", "3"))
TICKETS = 60
FIRST, DAYS = Day(dt.date(2026, 3, 27), "Europe/Berlin"), 5  # the clocks go forward on the 29th
LAST = FIRST.plus(DAYS - 1)
WEEK = tuple((day * 1440 + 540, day * 1440 + 1020) for day in range(7))
SCHEDULES = {
    7: Schedule(7, "Days", "Berlin", WEEK, ((dt.date(2026, 3, 30), dt.date(2026, 3, 30)),)),
    8: Schedule(8, "Always", "Eastern Time (US & Canada)", ((0, 10_080),)),
}
ZONES = {7: "Europe/Berlin", 8: "America/New_York"}


def as_of(day, now):
    return min(day.end, now)


def approximately(rows):
    return [{name: pytest.approx(value) if isinstance(value, float) else value for name, value in row.items()} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(ROOTS))
def test_holders_and_durations_equal_the_oracle(seed, tmp_path):
    found = lives(seed, FIRST, DAYS, tickets=TICKETS)
    events, audits = events_of(found), audits_of(found)
    now = LAST.start + 40_000 if seed % 2 else LAST.end
    store = ticket_root(tmp_path, events, audits, FIRST, LAST, now=None if now == LAST.end else now)
    schedules = SCHEDULES if seed % 3 else {7: SCHEDULES[7]}
    days = days_between(FIRST, LAST)
    made = zip(make_holders(store, days, schedules=schedules), make_durations(store, days), strict=True)
    for holders, durations in made:
        day = holders.day
        until = {"date": day.date, "timezone": day.timezone, "as_of": as_of(day, now)}
        known = [audit for audit in audits if audit["time"] < now]
        expected = oracle.holders(events, known, **until, schedules=schedules, zones=ZONES)
        assert rows_of(holders.table) == expected
        rows, negative = oracle.durations(events, known, **until)
        assert rows_of(durations.table) == approximately(rows)
        assert durations.footer[NEGATIVE_DURATIONS] == str(negative)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 200 + ROOTS))
def test_due_times_equal_the_oracle(seed, tmp_path):
    found = lives(seed, FIRST, DAYS, tickets=TICKETS)
    events, audits = events_of(found), audits_of(found)
    now = LAST.start + 40_000 if seed % 2 else LAST.end
    store = ticket_root(tmp_path, events, audits, FIRST, LAST, now=None if now == LAST.end else now)
    schedules = SCHEDULES if seed % 3 else {7: SCHEDULES[7]}
    through, kinds = LAST.end + 14 * 86_400, Counter()
    snapshots = Snapshots(store, FIRST.timezone)
    for made in make_dimensions(store, days_between(FIRST, LAST), snapshots=snapshots, schedules=schedules):
        until = {"date": made.day.date, "timezone": FIRST.timezone, "as_of": as_of(made.day, now), "through": through}
        known = [audit for audit in audits if audit["time"] < now]
        dues = {}
        for row in rows_of(made.table):
            is_far = row["due_by"] == "business_hours" and row["due_at"] > through
            if row["due_by"] is not None:
                due_at = oracle.LATER if is_far else row["due_at"]
                dues[row["ticket_id"], row["metric"], row["instance_id"]] = (row["due_by"], due_at)
        assert dues == oracle.due_times(events, known, **until, schedules=schedules, zones=ZONES)
        kinds.update(due_by if due_at != oracle.LATER else oracle.LATER for due_by, due_at in dues.values())
    assert {"calendar", "business_hours"} <= kinds.keys()


def running_seconds(rows):
    found = {}
    for row in rows:
        key = (row["ticket_id"], row["metric"], row["instance_id"])
        found[key] = found.get(key, 0) + row["calendar_seconds"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + ROOTS))
def test_where_audits_are_missing_nothing_wrong_counts_as_known_and_no_time_is_lost(seed, tmp_path):
    found = lives(seed, FIRST, DAYS, tickets=TICKETS)
    events, audits, days = events_of(found), audits_of(found), days_between(FIRST, LAST)
    missing = [(days[0],), (days[1],), (days[2], days[3]), (days[4],), (days[0], days[2])][seed % 5]
    store = ticket_root(tmp_path, events, audits, FIRST, LAST, without=missing)
    # No audit of a missing day is known, so no deletion of that day is either.
    stored = [audit for audit in audits if not any(day.start <= audit["time"] < day.end for day in missing)]
    known = 0
    for made in make_holders(store, days, schedules=SCHEDULES):
        rows, until = rows_of(made.table), {"date": made.day.date, "timezone": FIRST.timezone, "as_of": made.day.end}
        landed = [audit for audit in stored if audit["time"] < made.day.end]
        assert running_seconds(rows) == running_seconds(oracle.holders(events, landed, **until, schedules={}, zones={}))
        for row in rows:
            if row["is_known"]:
                known += 1
                truth = found[row["ticket_id"] - 1].holders(row["held_from"], row["held_to"])
                assert truth == {(row["group_id"], row["assignee_id"])}, row
    for made in make_durations(store, days):
        assert made.day not in missing or not any(made.table["is_known"].to_pylist())
    assert known > 10
