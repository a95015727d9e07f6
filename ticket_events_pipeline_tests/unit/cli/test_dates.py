"""The days that commands are given."""

from __future__ import annotations

import datetime as dt

import click
import pytest

from ticket_events_pipeline.cli.dates import MOST_DAYS, outside_note, parse_day, parse_days
from ticket_events_pipeline.day import Day

TODAY = Day.parse("2026-03-30", "Europe/Berlin")  # the day after the clock changed


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        (["2026-02-28"], "2026-02-28", "2026-02-28"),
        (["2026-02-27..2026-03-02"], "2026-02-27", "2026-03-02"),
        (["2026-02-27", "2026-03-02"], "2026-02-27", "2026-03-02"),
        (["2026-03-27.."], "2026-03-27", "2026-03-30"),
        (["yesterday..today"], "2026-03-29", "2026-03-30"),
        (["2026-03-27..yesterday"], "2026-03-27", "2026-03-29"),
        (["today"], "2026-03-30", "2026-03-30"),
        (["yesterday"], "2026-03-29", "2026-03-29"),
        (["last-1-day"], "2026-03-29", "2026-03-29"),
        (["last-7-days"], "2026-03-23", "2026-03-29"),
    ],
)
def test_every_form_names_its_days_in_the_timezone_of_today(words: list[str], first: str, last: str) -> None:
    days = parse_days(words, TODAY)
    assert (str(days[0]), str(days[-1]), days[0].timezone) == (first, last, "Europe/Berlin")
    assert len(days) == (days[-1].date - days[0].date).days + 1


def test_no_word_names_no_day() -> None:
    assert parse_days([], TODAY) == []


@pytest.mark.parametrize(
    "words",
    [
        ["2026-2-28"],
        ["28.02.2026"],
        ["20260228"],
        ["2026-02-30"],
        [""],
        [".."],
        ["..2026-02-28"],
        ["2026-02-28...2026-03-01"],
        ["last-0-days"],
        ["last-days"],
        ["Yesterday"],
        ["2026-02-27..2026-02-28", "2026-03-02"],
        ["2026-02-26", "2026-02-27", "2026-02-28"],
        ["last-99999-days"],
        ["0001-01-01.."],
        ["0001-01-01"],
        ["1899-12-31"],
        ["2201-01-01"],
        ["2200-12-31..2201-01-01"],
        ["9999-12-31"],
    ],
)
def test_what_names_no_days_is_refused_with_what_does(words: list[str]) -> None:
    with pytest.raises(click.UsageError, match=r"DAYS: 2026-11-23, .*last-7-days"):
        parse_days(words, TODAY)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(click.UsageError, match="2026-02-27 is before 2026-02-28"):
        parse_days(["2026-02-28..2026-02-27"], TODAY)


def test_the_longest_range_is_a_century() -> None:
    assert len(parse_days([f"last-{MOST_DAYS}-days"], TODAY)) == MOST_DAYS


def test_one_day_is_no_range() -> None:
    assert parse_day("yesterday", TODAY) == TODAY.plus(-1)
    with pytest.raises(click.UsageError, match="more than one day"):
        parse_day("last-7-days", TODAY)


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (["2026-11-01..2026-11-23"], None),
        (
            ["2026-10-30..2026-11-02"],
            "Before the first partition: 2026-10-30 to 2026-10-31. Set TICKET_EVENTS_START_DATE, now",
        ),
        (["2026-11-24"], "In the future: 2026-11-24. Today is 2026-11-23 in UTC."),
    ],
)
def test_days_outside_the_partitions_are_named(words: list[str], note: str | None) -> None:
    today = Day.parse("2026-11-23")
    found = outside_note(parse_days(words, today), dt.date(2026, 11, 1), today)
    assert found is None if note is None else found.startswith(note)
