"""`due_at` of `sla_target_dimensions` in business hours, from stored files, and as `ticket-events ticket` tells it."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition_and_metadata
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.sla_cases import Clock, rows_of
from ticket_events_pipeline_tests.support.sla_roots import put_raw_day, sla_root
from ticket_events_pipeline_tests.support.ticket_days import audit, make_ticket_days, put_schedules

DAY, HOUR = Clock.DAY, 3600
DAYS_9_TO_17 = Schedule(1, "Days", "UTC", tuple((day * 1440 + 540, day * 1440 + 1020) for day in range(7)))
ALWAYS = Schedule(2, "Always", "UTC", ((0, 7 * 1440),))
FETCHED_AT = DAY.start - 100


def at(hour):
    return DAY.start + round(hour * HOUR)


def running_since_16():
    """4 business hours are allowed."""
    return Clock(ticket_id=7).add("activate", 16).apply(16, 240, business_hours=True)


def make(root, clock, *, schedules=(DAYS_9_TO_17,), audits=(), days=1):
    """The rows of the last day, and its footer."""
    last = DAY.plus(days - 1)
    put_raw_day(root, list(audits) or [audit(900, 7, 8, "Create", status="new")], DAY, stream="ticket_events")
    for later in range(1, days):
        put_raw_day(root, [], DAY.plus(later), stream="ticket_events")
    sla_root(root, clock.events, DAY, last)
    if schedules:
        put_schedules(root, *schedules, at=FETCHED_AT)
    make_ticket_days(root, DAY, last)
    table, footer = read_partition_and_metadata(FolderStore(root), "sla_target_dimensions", last)
    return rows_of(table), footer


def due(*arguments, **more):
    rows, _ = make(*arguments, **more)
    return [(row["due_by"], row["due_at"]) for row in rows]


def test_what_is_left_of_a_target_is_laid_along_the_hours_of_the_schedule(tmp_path):
    assert due(tmp_path, running_since_16()) == [("business_hours", at(24 + 12))]


def test_the_due_time_is_the_same_on_the_next_days_until_something_happens(tmp_path):
    assert due(tmp_path / "one", running_since_16(), days=3) == [("business_hours", at(24 + 12))]
    paused = running_since_16().add("pause", 16.5).add("activate", 24 + 10)
    assert due(tmp_path / "two", paused, days=2) == [("business_hours", at(24 + 13.5))]


def test_a_due_time_may_lie_before_the_end_of_the_day(tmp_path):
    early = Clock(ticket_id=7).add("activate", 9).apply(9, 240, business_hours=True)
    assert due(tmp_path, early) == [("business_hours", at(13))]


@pytest.mark.parametrize(
    "then",
    [
        lambda clock: clock.add("pause", 16.5),
        lambda clock: clock.add("breach", 16.5),
        lambda clock: clock.add("fulfill", 16.5),
        lambda clock: clock.add("apply_sla", 16.5, sla=None),
    ],
    ids=["paused", "late", "met", "cancelled"],
)
def test_a_target_that_does_not_run_in_time_has_no_due_time_and_its_clocks_are_not_read(then, tmp_path):
    rows, footer = make(tmp_path, then(running_since_16()))
    assert [(row["due_by"], row["due_at"]) for row in rows] == [(None, None)]
    assert "made_from_clocks" not in footer


def test_calendar_hours_stay_as_in_sla_targets(tmp_path):
    assert due(tmp_path, Clock(ticket_id=7).add("activate", 16).apply(16, 600)) == [("calendar", at(26))]


def test_a_clock_that_was_running_before_its_first_known_event_has_no_due_time(tmp_path):
    assert due(tmp_path, Clock(ticket_id=7).add("pause", 15).add("activate", 16).apply(16, 240, business_hours=True)) == [
        (None, None)
    ]


def test_the_time_while_a_ticket_was_deleted_counts_as_in_calendar_hours(tmp_path):
    audits = [
        audit(900, 7, 8, "Create", status="new"),
        audit(901, 7, 16.25, status="deleted"),
        audit(902, 7, 16.5, status="open"),
    ]
    assert due(tmp_path, running_since_16(), audits=audits) == [("business_hours", at(24 + 12))]


def assignment(number, hour, schedule_id):
    child = {"id": 1, "event_type": "ScheduleAssignment", "previous_schedule_id": None, "new_schedule_id": schedule_id}
    return {**audit(number, 7, hour), "child_events": [child]}


CREATED = audit(900, 7, 8, "Create", status="new")


@pytest.mark.parametrize(
    ("audits", "schedules", "expected"),
    [
        ([CREATED, assignment(901, 16.5, 2)], (DAYS_9_TO_17, ALWAYS), at(20)),
        ([CREATED, assignment(901, 16.5, 1)], (DAYS_9_TO_17, ALWAYS), at(24 + 12)),
        ([CREATED, assignment(901, 16.5, 3)], (DAYS_9_TO_17,), None),
        ([CREATED], (DAYS_9_TO_17,), at(24 + 12)),
        ([CREATED], (ALWAYS, DAYS_9_TO_17), at(24 + 12)),
        ([audit(900, 8, 8, "Create", status="new")], (DAYS_9_TO_17,), at(24 + 12)),
        ([audit(900, 8, 8, "Create", status="new")], (DAYS_9_TO_17, ALWAYS), None),
        ([CREATED], (), None),
    ],
    ids=[
        "its own",
        "its other own",
        "one that is gone",
        "none, the only one",
        "none, the default of two",
        "unknown, the only one",
        "unknown, of two",
        "never fetched",
    ],
)
def test_the_schedule_is_the_tickets_own_else_the_accounts_default_and_where_unknown_its_only_one(
    audits, schedules, expected, tmp_path
):
    assert [due_at for _, due_at in due(tmp_path, running_since_16(), audits=audits, schedules=schedules)] == [expected]


def test_the_footer_says_when_schedules_were_fetched_and_which_clocks_were_read(tmp_path):
    _, footer = make(tmp_path / "one", running_since_16())
    _, clocks = read_partition_and_metadata(FolderStore(tmp_path / "one"), "sla_clocks", DAY)
    assert (footer["schedules_fetched_at"], footer["made_from_clocks"]) == (str(FETCHED_AT), clocks["content_hash"])
    _, footer = make(tmp_path / "two", running_since_16(), schedules=())
    assert not {"schedules_fetched_at", "made_from_clocks"} & footer.keys()


def ticket(place, *arguments):
    everything = {**dict.fromkeys(os.environ), **place.env()}
    ended = CliRunner().invoke(commands, ["ticket", *arguments], env=everything)
    assert ended.exception is None, ended.exception
    return ended.stdout


def test_the_story_of_a_ticket_says_when_its_target_is_due_and_that_this_is_an_estimate(tmp_path):
    place = new_place(tmp_path)
    make(place.root, running_since_16())
    assert f"  due {DAY.plus(1)} 12:00:00 (an estimate, business hours of Days)" in ticket(place, "7").splitlines()
    (target,) = json.loads(ticket(place, "7", "--json"))["targets"]
    assert (target["due_at"], target["held"]["due_at"]) == (None, f"{DAY.plus(1)}T12:00:00Z")
    (place.root / partition_path("sla_target_dimensions", DAY)).unlink()
    assert "estimate" not in ticket(place, "7")


@pytest.mark.parametrize(
    ("audits", "schedules", "said"),
    [
        ([CREATED, assignment(901, 16.5, 2)], (DAYS_9_TO_17, ALWAYS), "business hours of Always"),
        ([CREATED], (ALWAYS, DAYS_9_TO_17), "business hours of Days"),
        ([audit(900, 8, 8, "Create", status="new")], (DAYS_9_TO_17,), "business hours of Days"),
    ],
    ids=["its own", "none, the default of two", "unknown, the only one"],
)
def test_the_story_names_the_schedule_behind_a_due_time(audits, schedules, said, tmp_path):
    place = new_place(tmp_path)
    make(place.root, running_since_16(), audits=audits, schedules=schedules)
    assert f"(an estimate, {said})" in ticket(place, "7")
    (place.root / "zendesk_names/schedules.parquet").unlink()
    assert "(an estimate, business hours)" in ticket(place, "7")
