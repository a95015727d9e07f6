"""How figures are said: the same everywhere, in units that can't be misread, and never rounder than the truth."""

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.formats import (
    count_text,
    days_text,
    duration_text,
    metric_name,
    moment_text,
    policy_name,
    rate_text,
    target_text,
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (183_600, "2 d 3 h"),
        (365 * 86_400, "365 d"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(seconds, said):
    assert duration_text(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 min"), (90, "1 min 30 s"), (102_600, "28 h 30 min"), (3_600_000, "1,000 h"), (900, "15 min")]
)
def test_a_target_is_said_in_hours_as_a_day_of_business_hours_is_no_day(seconds, said):
    assert target_text(seconds) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0%"), (0.0001, "<0.1%"), (0.5, "50.0%"), (0.91667, "91.7%"), (0.99951, ">99.9%"), (0.9994, "99.9%"), (1, "100%")],
)
def test_a_rate_is_never_said_to_be_all_or_none_unless_it_is(share, said):
    assert rate_text(share) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0"), (5.142857, "5.1"), (4.96, "5"), (1234, "1,234"), (1234.56, "1,234.6")])
def test_a_mean_has_one_decimal_and_a_count_none(number, said):
    assert count_text(number) == said


@pytest.mark.parametrize(
    ("timezone", "epoch_seconds", "said"),
    [
        ("UTC", 1_795_478_400, "Tue 24 Nov, 00:00"),
        ("Asia/Kolkata", 1_795_478_400, "Tue 24 Nov, 05:30"),
        ("America/New_York", 1_795_478_400, "Mon 23 Nov, 19:00"),
        ("UTC", 1_767_225_599, "Wed 31 Dec 2025, 23:59"),
        ("Pacific/Kiritimati", 253_402_300_799, "Fri 31 Dec 9999, 23:59"),
    ],
)
def test_a_moment_is_local_to_the_account_and_bears_a_year_that_is_not_the_days(timezone, epoch_seconds, said):
    assert moment_text(epoch_seconds, Day.parse("2026-11-23", timezone)) == said


def test_days_are_said_as_stretches_and_the_last_ones_where_there_are_many():
    day = Day.parse("2026-11-01")
    assert days_text([]) == ""
    assert days_text([day]) == "1 Nov"
    assert days_text([day.plus(-1), day, day.plus(3)]) == "31 Oct to 1 Nov, 4 Nov"
    assert days_text([day.plus(offset) for offset in range(5)]) == "1 to 5 Nov"
    scattered = [day.plus(2 * offset) for offset in range(10)]
    assert days_text(scattered) == "earlier ones, 5 Nov, 7 Nov, 9 Nov, 11 Nov, 13 Nov, 15 Nov, 17 Nov, 19 Nov"


def test_names_are_said_in_words():
    assert metric_name("first_reply_time") == "First reply time"
    assert metric_name("") == ""
    assert policy_name("11", "Standard") == "Standard"
    assert policy_name("11", None) == "policy 11"
    assert policy_name(None, None) == "no known policy"
