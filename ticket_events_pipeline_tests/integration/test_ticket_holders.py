"""`sla_target_holders`: who held the ticket while a target's clock ran, rule by rule."""

import datetime as dt

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline.tables.tickets import SLA_TARGET_HOLDERS_TABLE
from ticket_events_pipeline.tickets.fields import TRACKED_FIELDS
from ticket_events_pipeline.tickets.holders import HOLDERS, make_holders
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support.sla_cases import Clock, rows_of
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days, put_audits, put_raw_day
from ticket_events_pipeline_tests.support.ticket_roots import ticket_root

DAY = Clock.DAY  # a Monday
BILLING, SECOND_LEVEL = 10, 20
ANNA, BEN = 1, 2
DAYS_9_TO_17 = Schedule(7, "Days", "UTC", tuple((day * 1440 + 540, day * 1440 + 1020) for day in range(7)))
ALWAYS = Schedule(8, "Always", "UTC", ((0, 10_080),))


class Ticket(Clock):
    """A clock and the audits of its ticket; hours as there."""

    def create(self, hour, **fields):
        return self.audit(hour, *({"event_type": "Create", name: value} for name, value in {"status": "new", **fields}.items()))

    def change(self, hour, **fields):
        return self.audit(hour, *({"event_type": "Change", name: value} for name, value in fields.items()))

    def audit(self, hour, *children):
        time, audit_id = self.DAY.start + round(hour * 3600), 9_000 + len(self.audits) + 100 * self.key["ticket_id"]
        self.audits.append({"id": audit_id, "ticket_id": self.key["ticket_id"], "time": time, "child_events": list(children)})
        return self

    def running(self, hour=8, minutes=120):
        """Started, with a policy."""
        return self.add("activate", hour).apply(hour, minutes)

    def made(self, root, *, first=DAY, last=DAY, schedules=(), snapshots=None, **more):
        """The rows of every day."""
        store = ticket_root(root, self.events, self.audits, first, last, **more)
        by_id = {schedule.id: schedule for schedule in schedules}
        return [
            row
            for made in make_holders(store, days_between(first, last), schedules=by_id, snapshots=snapshots)
            for row in rows_of(made.table)
        ]


def hours(rows):
    """Who held it, from when to when, and how long the clock ran, in hours."""

    def hour(second):
        return (second - DAY.start) / 3600

    return [
        (row["group_id"], row["assignee_id"], hour(row["held_from"]), hour(row["held_to"]), row["calendar_seconds"] / 3600)
        for row in rows
    ]


def said(field, before, value):
    """A change that says what was before."""
    return {"event_type": "Change", field: value, "previous_value": before}


def test_each_holder_has_the_time_that_the_clock_ran_until_the_breach(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().change(9, group_id=SECOND_LEVEL).change(9.5, assignee_id=ANNA)
    rows = ticket.add("breach", 10).add("fulfill", 12).made(tmp_path)
    assert hours(rows) == [(BILLING, None, 8, 9, 1), (SECOND_LEVEL, None, 9, 9.5, 0.5), (SECOND_LEVEL, ANNA, 9.5, 10, 0.5)]
    assert {row["ended_by"] for row in rows} == {"breach"}
    assert all(row["is_known"] for row in rows)


def test_the_example_of_the_documentation(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().change(9.8, group_id=SECOND_LEVEL).change(10, assignee_id=ANNA)
    ticket.add("breach", 10).change(11, group_id=30, assignee_id=BEN).add("fulfill", 11)
    rows = ticket.made(tmp_path)
    assert [(row["group_id"], row["assignee_id"], row["calendar_seconds"] / 60) for row in rows] == [
        (BILLING, None, 108),
        (SECOND_LEVEL, None, 12),
    ]


def test_a_met_target_has_its_rows_on_the_day_of_its_fulfilment(tmp_path):
    rows = Ticket().create(8, group_id=BILLING).running().add("fulfill", 9).made(tmp_path)
    assert hours(rows) == [(BILLING, None, 8, 9, 1)]
    assert rows[0]["ended_by"] == "fulfilment"


def test_a_target_that_breached_has_no_rows_on_the_day_of_its_late_fulfilment(tmp_path):
    ticket = Ticket().create(20, group_id=BILLING).running(20).add("breach", 22).add("fulfill", 30)
    rows = ticket.made(tmp_path, last=DAY.plus(1))
    assert hours(rows) == [(BILLING, None, 20, 22, 2)]


def test_a_breach_that_is_superseded_on_its_day_keeps_its_rows(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running(8, 60).add("breach", 9).apply(9.5, 600, policy=12)
    ticket.add("fulfill", 10).add("update_status", 10, status={"calendar": 120, "business": 120})
    rows = ticket.made(tmp_path)
    assert [(row["ended_by"], row["calendar_seconds"]) for row in rows] == [("breach", 3600)]


def test_pauses_and_fulfilled_times_are_no_running_time_but_do_not_end_a_stretch(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().add("pause", 9).add("activate", 10)
    rows = ticket.add("breach", 12).made(tmp_path)
    assert hours(rows) == [(BILLING, None, 8, 12, 3)]


def test_a_holder_under_whom_the_clock_never_ran_has_no_row(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().add("pause", 9).change(9, group_id=SECOND_LEVEL)
    ticket.change(10, group_id=BILLING).add("activate", 10).add("breach", 11)
    assert hours(ticket.made(tmp_path)) == [(BILLING, None, 8, 9, 1), (BILLING, None, 10, 11, 1)]


def test_the_time_in_which_the_ticket_was_deleted_does_not_count(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().change(9, status="deleted").change(11, status="open")
    assert hours(ticket.add("fulfill", 12).made(tmp_path)) == [(BILLING, None, 8, 12, 2)]


def test_all_cycles_of_a_reopened_target_count(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().add("fulfill", 9).change(24, group_id=SECOND_LEVEL)
    ticket.add("activate", 25).change(26, group_id=BILLING).add("breach", 26.5)
    rows = ticket.made(tmp_path, last=DAY.plus(1))
    first, *second = hours(rows)
    assert first == (BILLING, None, 8, 9, 1)
    assert second == [(BILLING, None, 8, 24, 1), (SECOND_LEVEL, None, 25 - 1, 26, 1), (BILLING, None, 26, 26.5, 0.5)]


def test_who_held_a_reopened_target_in_its_first_cycle_is_looked_up_in_earlier_audits(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().change(9, group_id=SECOND_LEVEL).add("fulfill", 10)
    ticket.change(30, group_id=BILLING)
    later = 24 * 2 + 8
    ticket.add("activate", later).add("breach", later + 1)
    *_, one, two, three = hours(ticket.made(tmp_path, last=DAY.plus(2)))
    assert (one, two) == ((BILLING, None, 8, 9, 1), (SECOND_LEVEL, None, 9, 30, 1))
    assert three == (BILLING, None, 30, later + 1, 1)


@pytest.mark.slow
def test_what_lies_too_far_back_to_be_looked_up_is_unknown(tmp_path):
    started, later = 24 * 5, 24 * 32
    ticket = Ticket().create(8, group_id=BILLING).running(started).change(started + 1, group_id=SECOND_LEVEL)
    ticket.add("fulfill", started + 2).change(24 * 10, priority="high")  # from then on, the newest group is enough
    ticket.add("activate", later).add("breach", later + 1)
    rows = ticket.made(tmp_path, last=DAY.plus(32))
    assert hours(rows[:2]) == [(BILLING, None, started, started + 1, 1), (SECOND_LEVEL, None, started + 1, started + 2, 1)]
    assert hours(rows[2:]) == [(None, None, started, started + 1, 1), (SECOND_LEVEL, None, started + 1, later + 1, 2)]
    assert [row["is_known"] for row in rows] == [True, True, False, True]


def test_a_change_counts_from_its_very_second_on(tmp_path):
    at_start = Ticket().create(7, group_id=BILLING).change(8, group_id=SECOND_LEVEL).running().add("breach", 10)
    assert hours(at_start.made(tmp_path / "start")) == [(SECOND_LEVEL, None, 8, 10, 2)]
    at_breach = Ticket().create(8, group_id=BILLING).running().change(10, group_id=SECOND_LEVEL).add("breach", 10)
    assert hours(at_breach.made(tmp_path / "breach")) == [(BILLING, None, 8, 10, 2)]


def test_nobody_and_unknown_are_two_things(tmp_path):
    nobody = Ticket().create(8).running().add("breach", 10).made(tmp_path / "nobody")
    assert [(row["group_id"], row["assignee_id"], row["is_known"]) for row in nobody] == [(None, None, True)]
    unknown = Ticket().running().add("breach", 10).made(tmp_path / "unknown")
    assert [(row["group_id"], row["assignee_id"], row["is_known"]) for row in unknown] == [(None, None, False)]


def test_one_unknown_of_the_two_makes_the_holder_unknown_and_keeps_the_other(tmp_path):
    ticket = Ticket().running().audit(9, said("group_id", BILLING, SECOND_LEVEL))
    rows = ticket.add("breach", 10).made(tmp_path)
    assert [(row["group_id"], row["is_known"]) for row in rows] == [(BILLING, False), (SECOND_LEVEL, False)]


def test_the_audits_of_a_later_day_tell_who_held_it_before(tmp_path):
    ticket = Ticket().running().add("breach", 10)
    ticket.audit(30, said("group_id", BILLING, SECOND_LEVEL))
    ticket.audit(31, said("assignee_id", ANNA, BEN))
    assert hours(ticket.made(tmp_path, last=DAY.plus(1))) == [(BILLING, ANNA, 8, 10, 2)]


class StoredSnapshots:
    """Snapshots in memory."""

    def __init__(self, *rows):
        columns = ("ticket_id", "field", "value", "seen_at", "updated_at")
        self.rows = [dict(zip(columns, row, strict=True)) for row in rows]

    def stored(self, tickets, *, since=None):
        found = [row for row in self.rows if row["ticket_id"] in tickets]
        return pa.Table.from_pylist(found, schema=SNAPSHOTS_SCHEMA)


def test_a_stored_snapshot_tells_who_held_a_ticket_that_never_moved(tmp_path):
    seen, updated = ((DAY.start + hour * 3600) * 1000 for hour in (23, 7))
    snapshots = StoredSnapshots((1, "group_id", str(BILLING), seen, updated), (1, "assignee_id", None, seen, updated))
    rows = Ticket().running().add("breach", 10).made(tmp_path, snapshots=snapshots)
    assert [(row["group_id"], row["assignee_id"], row["is_known"]) for row in rows] == [(BILLING, None, True)]


def test_over_a_day_whose_audits_are_missing_the_holder_is_not_known(tmp_path):
    ticket = Ticket().create(20, group_id=BILLING).running(20).add("breach", 24 * 2 + 4)
    rows = ticket.made(tmp_path, last=DAY.plus(2), without=(DAY.plus(1),))
    assert [(row["group_id"], row["is_known"]) for row in rows] == [(BILLING, False)]
    assert sum(row["calendar_seconds"] for row in rows) == 32 * 3600


def test_a_day_whose_audits_are_missing_knows_nobody(tmp_path):
    ticket = Ticket().create(20, group_id=BILLING).running(20).add("breach", 30)
    rows = ticket.made(tmp_path, last=DAY.plus(1), without=(DAY.plus(1),))
    assert [(row["group_id"], row["is_known"]) for row in rows] == [(None, False)]
    assert read_metadata(FolderStore(tmp_path), HOLDERS, DAY.plus(1))["audits"] == "missing"


@pytest.mark.slow
def test_a_memory_that_was_begun_later_is_no_evidence_for_the_time_before(tmp_path):
    moved = 24 * 25
    ticket = Ticket().create(8, group_id=BILLING).running().change(9, group_id=SECOND_LEVEL)
    ticket.audit(moved, said("group_id", SECOND_LEVEL, BILLING), said("assignee_id", None, ANNA)).add("breach", 24 * 32 + 1)
    first, last = DAY, DAY.plus(32)
    for day in days_between(first, last):
        put_raw_day(tmp_path, ticket.events, day)
        put_audits(tmp_path, ticket.audits, day)
    make_sla_days(tmp_path, first, last)
    store = FolderStore(tmp_path)
    list(make_states(store, [last], fields=TRACKED_FIELDS))  # replays the audits of 30 days
    (made,) = make_holders(store, [last], schedules={})
    rows = rows_of(made.table)
    assert [row[:4] for row in hours(rows)] == [
        (SECOND_LEVEL, None, 8, 48),
        (SECOND_LEVEL, None, 48, moved),
        (BILLING, ANNA, moved, 24 * 32 + 1),
    ]
    assert [row["is_known"] for row in rows] == [False, True, True]


def test_business_seconds_are_those_of_the_tickets_schedule_at_its_end(tmp_path):
    ticket = Ticket().create(6, group_id=BILLING).running(7)
    ticket.audit(8, {"event_type": "ScheduleAssignment", "previous_schedule_id": 8, "new_schedule_id": 7})
    ticket.add("pause", 10).add("activate", 16).add("breach", 18)
    rows = ticket.made(tmp_path, schedules=(DAYS_9_TO_17, ALWAYS))
    assert [(row["calendar_seconds"], row["business_seconds"]) for row in rows] == [(5 * 3600, 2 * 3600)]


@pytest.mark.parametrize(
    ("schedules", "expected"),
    [
        ((DAYS_9_TO_17,), 3600),
        ((DAYS_9_TO_17, ALWAYS), None),
        ((), None),
        ((Schedule(9, "Nowhere", "Atlantis", ALWAYS.intervals),), None),
    ],
    ids=["the only one", "one of two", "none known", "an unknown zone"],
)
def test_without_a_schedule_of_its_own_a_ticket_has_the_accounts_only_one(schedules, expected, tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().add("breach", 10)
    assert [row["business_seconds"] for row in ticket.made(tmp_path, schedules=schedules)] == [expected]


def test_a_schedule_that_is_not_among_those_known_is_not_replaced_by_the_only_one(tmp_path):
    ticket = Ticket().create(6, group_id=BILLING).running(8)
    ticket.audit(8, {"event_type": "ScheduleAssignment", "previous_schedule_id": None, "new_schedule_id": 99})
    assert [row["business_seconds"] for row in ticket.add("breach", 10).made(tmp_path, schedules=(ALWAYS,))] == [None]


def test_an_open_day_knows_only_what_was_read(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().add("breach", 10)
    assert ticket.made(tmp_path, now=DAY.start + 9 * 3600) == []


def test_a_day_without_ended_targets_is_an_empty_file_with_the_schema(tmp_path):
    Ticket().create(8, group_id=BILLING).running().made(tmp_path)
    assert read_partition(FolderStore(tmp_path), HOLDERS, DAY).schema == SLA_TARGET_HOLDERS_TABLE.schema


def test_a_clock_whose_activation_is_not_known_has_no_rows(tmp_path):
    assert Ticket().create(7, group_id=BILLING).apply(8, 60).add("breach", 9).made(tmp_path) == []


def test_a_day_made_alone_equals_the_same_day_of_a_range(tmp_path):
    ticket = Ticket().create(8, group_id=BILLING).running().change(30, group_id=SECOND_LEVEL).add("breach", 50)
    expected = ticket.made(tmp_path, last=DAY.plus(2))
    (made,) = make_holders(FolderStore(tmp_path), [DAY.plus(2)], schedules={})
    assert rows_of(made.table) == expected


def test_a_day_without_states_says_what_to_make(tmp_path):
    day = Day(dt.date(2026, 3, 2))
    put_raw_day(tmp_path, Ticket().running().events, day)
    make_sla_days(tmp_path, day, day)
    with pytest.raises(DayNotFetchedError, match="Materialize ticket_states of 2026-03-02 first"):
        list(make_holders(FolderStore(tmp_path), [day], schedules={}))
