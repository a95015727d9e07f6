"""Days of a zone: half-open, contiguous, 23 to 25 hours long."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, day_ranges, days_between, zone

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"]


@given(st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1)), st.sampled_from(ZONES))
def test_a_day_ends_where_the_next_begins(date, timezone):
    day = Day(date, timezone)
    assert day.end == day.plus(1).start
    # Apia skipped 2011-12-30 altogether.
    assert 23 * 3600 <= day.end - day.start <= 25 * 3600 or (timezone, str(day)) == ("Pacific/Apia", "2011-12-30")


@given(st.integers(600_000_000, 4_000_000_000), st.sampled_from(ZONES))
def test_every_second_lies_in_the_day_that_contains_it(moment, timezone):
    day = Day.containing(moment, timezone)
    assert day.start <= moment < day.end


def test_midnight_belongs_to_the_new_day():
    day = Day.parse("2026-03-02", "America/New_York")
    assert Day.containing(day.start, "America/New_York") == day
    assert Day.containing(day.start - 1, "America/New_York") == day.plus(-1)


@pytest.mark.parametrize(("text", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-06-01", 24)])
def test_a_change_of_the_clock_makes_a_day_of_23_or_25_hours(text, hours):
    day = Day.parse(text, "America/New_York")
    assert day.end - day.start == hours * 3600


@pytest.mark.parametrize("text", ["20260302", "2026-3-2", "2026-02-30", "2026-W10-1", "", "yesterday"])
def test_a_date_of_another_form_is_refused_by_name(text):
    with pytest.raises(ValueError, match="not a date of the form YYYY-MM-DD"):
        Day.parse(text)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "utc\0"])
def test_an_unknown_zone_is_refused_with_examples(name):
    with pytest.raises(ValueError, match="is not an IANA timezone"):
        zone(name)


def test_days_between_includes_both_ends():
    first = Day.parse("2026-02-27")
    assert [str(day) for day in days_between(first, first.plus(2))] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert days_between(first, first.plus(-1)) == []


def test_days_are_grouped_into_contiguous_ranges():
    first = Day.parse("2026-03-01")
    assert day_ranges([]) == []
    assert day_ranges([first, first.plus(1), first.plus(2), first.plus(4)]) == [
        (first, first.plus(2)),
        (first.plus(4), first.plus(4)),
    ]
