"""Business seconds: hours, holidays, changes of the clocks."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ticket_events_pipeline.tickets.rules.business_hours import Schedule, business_seconds
from ticket_events_pipeline.tickets.rules.time_zones import PLACES, REGION_OF, ZONES, find_zone

HOUR = 3600
BERLIN = "Europe/Berlin"


def clock(text, zone=BERLIN):
    """Epoch seconds of a local time."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def at(weekday, hours):
    """Minutes since Sunday."""
    return round((weekday * 24 + hours) * 60)


def schedule(*intervals, zone=BERLIN, holidays=()):
    days = [tuple(dt.date.fromisoformat(day) for day in holiday) for holiday in holidays]
    return Schedule(1, "Support", zone, intervals, tuple(days))


def hours(found, *spans):
    starts, ends = (np.array([clock(span[side]) for span in spans]) for side in (0, 1))
    return (business_seconds(found, starts, ends) / HOUR).tolist()


WEEK = schedule(*((at(day, 9), at(day, 17)) for day in range(1, 6)))
ALWAYS = schedule((0, 7 * 1440))
# 2026-03-29 is the Sunday on which the clocks go forward from 2 to 3, 2026-10-25 that on which they go back from 3 to 2.


def test_only_seconds_within_the_hours_count_on_every_weekday():
    week = [f"2026-03-{day:02} 00:00" for day in range(1, 9)]  # from a Sunday
    assert hours(WEEK, *pairwise(week)) == [0, 8, 8, 8, 8, 8, 0]


def test_an_interval_is_half_open():
    spans = [("2026-03-02 08:59", "2026-03-02 09:00"), ("2026-03-02 17:00", "2026-03-02 17:01")]
    assert hours(WEEK, *spans, ("2026-03-02 16:59:59", "2026-03-02 17:00:01")) == [0, 0, 1 / HOUR]


def test_many_spans_are_computed_at_once_in_their_own_order():
    spans = [("2026-03-04 10:00", "2026-03-04 11:00"), ("2026-03-02 16:00", "2026-03-03 10:00"), ("2026-03-02", "2026-03-02")]
    assert hours(WEEK, *spans) == [1, 2, 0]


def test_a_week_over_the_turn_of_the_year():
    assert hours(WEEK, ("2025-12-26 12:00", "2026-01-05 12:00")) == [5 + 5 * 8 + 3]


def test_overlapping_touching_and_repeated_intervals_count_once():
    overlapping = schedule((at(1, 9), at(1, 12)), (at(1, 11), at(1, 14)), (at(1, 14), at(1, 15)), (at(1, 9), at(1, 12)))
    assert hours(overlapping, ("2026-03-02 00:00", "2026-03-03 00:00")) == [6]


def test_an_interval_over_midnight_and_over_the_end_of_the_week():
    night = schedule((at(1, 22), at(2, 6)), (at(6, 22), at(7, 6)))
    assert hours(night, ("2026-03-01 00:00", "2026-03-04 00:00")) == [6 + 8]


def test_holidays_are_closed_with_their_last_day():
    closed = schedule(*WEEK.intervals, holidays=[("2026-03-03", "2026-03-04"), ("2026-03-04", "2026-03-04")])
    assert hours(closed, ("2026-03-02 00:00", "2026-03-06 00:00")) == [8 + 8]
    for_ever = schedule(*WEEK.intervals, holidays=[("2026-03-03", "9999-12-31")])
    assert hours(for_ever, ("2026-03-02 00:00", "2026-04-06 00:00")) == [8]


def test_around_the_clock_is_calendar_time_also_on_days_of_23_and_25_hours():
    spans = [("2026-03-29", "2026-03-30"), ("2026-10-25", "2026-10-26"), ("2026-01-01", "2026-12-31")]
    assert hours(ALWAYS, *spans) == [23, 25, 364 * 24]
    by_day = schedule(*((at(day, 0), at(day, 24)) for day in range(7)))
    assert hours(by_day, *spans) == hours(ALWAYS, *spans)
    closed = schedule((0, 7 * 1440), holidays=[("2026-03-29", "2026-03-29"), ("2026-10-25", "2026-10-25")])
    assert hours(closed, *spans) == [0, 0, 364 * 24 - 23 - 25]


def test_where_the_clocks_go_forward_the_hour_left_out_is_no_business_hour():
    spring = ("2026-03-29", "2026-03-30")
    assert hours(schedule((at(0, 1), at(0, 4))), spring) == [2]
    assert hours(schedule((at(0, 2), at(0, 3))), spring) == [0]
    assert hours(schedule((at(0, 2), at(0, 2.5)), (at(0, 3), at(0, 4))), spring) == [1]  # both begin at 3, and count once


def test_where_the_clocks_go_back_an_interval_does_not_come_twice():
    autumn = ("2026-10-25", "2026-10-26")
    assert hours(schedule((at(0, 1), at(0, 4))), autumn) == [4]
    assert hours(schedule((at(0, 2), at(0, 2.5))), autumn) == [0.5]
    assert hours(schedule((at(0, 2), at(0, 3))), autumn) == [2]


def test_a_schedule_without_hours_has_no_business_seconds():
    assert hours(schedule(), ("2026-03-01", "2026-03-08")) == [0]
    assert hours(schedule((600, 600), (700, 600)), ("2026-03-01", "2026-03-08")) == [0]


def test_no_spans_give_no_seconds():
    assert business_seconds(WEEK, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_the_hours_are_those_of_the_schedules_zone():
    eastern = schedule(*WEEK.intervals, zone="Eastern Time (US & Canada)")
    start = clock("2026-03-02 08:00", "America/New_York")
    assert business_seconds(eastern, np.array([start]), np.array([start + 2 * HOUR])).tolist() == [HOUR]


def test_a_zone_nobody_knows_gives_no_seconds_instead_of_wrong_ones():
    assert business_seconds(schedule((0, 10080), zone="Atlantis"), np.array([0]), np.array([1])) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("Berlin", "Europe/Berlin"),
        ("Buenos Aires", "America/Argentina/Buenos_Aires"),
        ("UTC", "UTC"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("International Date Line West", "Etc/GMT+12"),
    ],
)
def test_a_zone_is_found_by_zendesks_name_and_by_its_iana_name(name, expected):
    assert find_zone(name).key == expected


def test_every_name_in_the_tables_is_a_zone():
    assert [name for name in (*ZONES, *REGION_OF) if find_zone(name) is None] == []
    assert sum(len(places) for places in PLACES.values()) == len(REGION_OF)


def test_a_day_that_began_before_the_clocks_went_back_over_midnight_counts():
    newfoundland = schedule((0, 1440), zone="America/St_Johns")  # Sundays
    first = clock("2010-11-07 00:00", "America/St_Johns")  # a minute later, it is 23:01 on Saturday again
    assert business_seconds(newfoundland, np.array([first - 60]), np.array([first + 600])).tolist() == [600]
