"""Due times in business hours: the time that has run counts in the hours of the schedule, and the rest is laid along them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from ticket_events_pipeline.tickets.rules.business_hours import LOOK_AHEAD_SECONDS, Schedule
from ticket_events_pipeline.tickets.rules.due_times import NO_SCHEDULE, RunningTargets, due_times, schedules_of
from ticket_events_pipeline.tickets.rules.running_time import NEVER, RunningTime
from ticket_events_pipeline.tickets.rules.values import FieldValues

HOUR = 3600
WEEKDAYS = tuple((day * 1440 + 9 * 60, day * 1440 + 17 * 60) for day in range(1, 6))
OFFICE = Schedule(1, "Office", "Berlin", WEEKDAYS)
ALWAYS = Schedule(2, "Always", "UTC", ((0, 7 * 1440),))


def at(text):
    """Epoch seconds of a time in UTC."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


def due(seconds, *stretches, schedule=OFFICE, schedules=None, from_beginning=True):
    """The due time of a target whose clock ran in these stretches, as text in UTC."""
    starts, ends = (np.array([at(stretch[side]) for stretch in stretches]) for side in (0, 1))
    ran = RunningTime(np.zeros(len(starts), np.int64), starts, ends, starts[:1], np.array([from_beginning]))
    running = RunningTargets(np.array([0]), np.array([seconds]), ran)
    known = {schedule.id: schedule} if schedules is None else schedules
    (found,) = due_times(running, np.array([schedule.id]), known)
    return None if found == NEVER else dt.datetime.fromtimestamp(found, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


# 2026-11-27 is a Friday; Berlin is an hour ahead of UTC in winter.
FRIDAY_AFTERNOON = ("2026-11-27 15:00", "2026-11-27 15:30")


def test_what_is_left_on_friday_runs_on_monday():
    assert due(3 * HOUR, FRIDAY_AFTERNOON) == "2026-11-30 10:00:00"


def test_a_target_that_ends_when_the_schedule_closes_is_due_then_and_not_when_it_opens():
    assert due(HOUR, FRIDAY_AFTERNOON) == "2026-11-27 16:00:00"
    assert due(HOUR + 1, FRIDAY_AFTERNOON) == "2026-11-30 08:00:01"


def test_a_due_time_stays_the_same_while_nothing_happens():
    ends = ["2026-11-27 15:00:01", "2026-11-27 16:00", "2026-11-28 12:00", "2026-11-30 08:00", "2026-12-05 00:00"]
    assert {due(3 * HOUR, ("2026-11-27 15:00", end)) for end in ends} == {"2026-11-30 10:00:00"}


def test_paused_time_does_not_count():
    assert due(3 * HOUR, FRIDAY_AFTERNOON, ("2026-11-30 09:00", "2026-11-30 09:30")) == "2026-11-30 11:30:00"


def test_a_target_that_was_reached_before_a_pause_was_due_then():
    assert due(HOUR // 2, FRIDAY_AFTERNOON, ("2026-11-30 09:00", "2026-11-30 09:30")) == "2026-11-27 15:30:00"


def test_a_clock_that_starts_outside_the_hours_runs_from_the_next_opening():
    assert due(HOUR, ("2026-11-28 03:00", "2026-11-28 04:00")) == "2026-11-30 09:00:00"


def test_a_target_of_no_time_is_due_when_its_clock_starts():
    assert due(0, ("2026-11-28 03:00", "2026-11-28 04:00")) == "2026-11-28 03:00:00"
    assert due(-5, ("2026-11-28 03:00", "2026-11-28 04:00")) == "2026-11-28 03:00:00"


def test_holidays_are_left_out():
    closed = Schedule(1, "", "Berlin", WEEKDAYS, ((dt.date(2026, 11, 28), dt.date(2026, 12, 1)),))
    assert due(3 * HOUR, FRIDAY_AFTERNOON, schedule=closed) == "2026-12-02 10:00:00"


def test_changes_of_the_clock_are_respected_both_ways():
    nights = Schedule(1, "", "Berlin", tuple((day * 1440, day * 1440 + 6 * 60) for day in range(7)))
    # The night of 2026-03-29 has five hours, that of 2026-10-25 seven.
    assert due(6 * HOUR, ("2026-03-28 23:00", "2026-03-28 23:01"), schedule=nights) == "2026-03-29 23:00:00"
    assert due(6 * HOUR, ("2026-10-24 22:00", "2026-10-24 22:01"), schedule=nights) == "2026-10-25 04:00:00"


def test_around_the_clock_business_hours_are_calendar_hours():
    assert due(1000 * HOUR, FRIDAY_AFTERNOON, schedule=ALWAYS) == "2027-01-08 07:00:00"


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(1, "", "UTC", ()),
        Schedule(1, "", "UTC", ((600, 600),)),
        Schedule(1, "", "UTC", WEEKDAYS, ((dt.date(2026, 1, 1), dt.date(2099, 12, 31)),)),
        Schedule(1, "", "UTC", ((1440, 1441),)),
        Schedule(1, "", "Nowhere/Special", WEEKDAYS),
    ],
    ids=["no interval", "no length", "holidays for ever", "a minute a week", "unknown zone"],
)
def test_a_schedule_with_hardly_any_hours_or_an_unknown_zone_gives_no_date(schedule):
    assert due(3 * HOUR, FRIDAY_AFTERNOON, schedule=schedule) is None


def test_a_target_beyond_three_years_has_no_date():
    last = LOOK_AHEAD_SECONDS
    assert due(last, FRIDAY_AFTERNOON, schedule=ALWAYS) == "2029-11-29 15:00:00"
    assert due(last + 1, FRIDAY_AFTERNOON, schedule=ALWAYS) is None
    assert due(2**63 - 1, FRIDAY_AFTERNOON, schedule=ALWAYS) is None


def test_a_clock_that_may_have_run_before_its_first_known_event_has_no_date():
    assert due(3 * HOUR, FRIDAY_AFTERNOON, from_beginning=False) is None


def test_a_schedule_that_the_account_does_not_have_gives_no_date():
    assert due(3 * HOUR, FRIDAY_AFTERNOON, schedules={2: ALWAYS}) is None


def said(*values):
    """Each an id, None for known to be empty, or "unknown"."""
    ids = pa.array([None if value == "unknown" else value for value in values], pa.int64())
    codes = np.array([4 if value == "unknown" else 0 for value in values], np.int8)
    return FieldValues(ids, codes, *[np.zeros(len(values), bool)] * 2)


def test_a_ticket_without_a_schedule_has_the_oldest_of_the_account_and_an_unknown_one_the_only_one():
    values = said(1, None, "unknown", 7)
    assert schedules_of(values, {1: OFFICE}).tolist() == [1, 1, 1, 7]
    assert schedules_of(values, {2: ALWAYS, 1: OFFICE}).tolist() == [1, 1, NO_SCHEDULE, 7]
    assert schedules_of(values, {}).tolist() == [1, NO_SCHEDULE, NO_SCHEDULE, 7]
