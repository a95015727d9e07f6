"""The days that a command is given: one grammar for all commands.

`2026-11-23`, `2026-11-01..2026-11-30`, `2026-11-01..`, `today`, `yesterday`, `last-7-days` (the closed ones); or two days.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

import click

from ticket_events_pipeline.day import Day, day_ranges, days_between
from ticket_events_pipeline.storage.pruned_days import PrunedDays
from ticket_events_pipeline.text import ranges_text

DAYS = "[DAYS]"
"""How the argument is named in a command's usage."""

DAYS_HELP = "DAYS: 2026-11-23, 2026-11-01..2026-11-30, 2026-11-01.. (through today), today, yesterday, or last-7-days."

MOST_DAYS = 36_500
"""A range of a century is a typing error."""

FIRST_DATE, LAST_DATE = dt.date(1900, 1, 1), dt.date(2200, 12, 31)
"""No partition is outside: farther days are typing errors, and the days around them may not exist."""

_LAST_DAYS = re.compile(r"last-([1-9][0-9]{0,4})-days?", re.ASCII)


def parse_days(words: Sequence[str], today: Day) -> list[Day]:
    """The days that the words of a command name, in order; none for no word.

    Args:
        words: one of the grammar above, or the first and the last day.
        today: the day now, in the timezone of the days.

    Raises:
        click.UsageError: they name no days; the message shows what does.
    """
    if not words:
        return []
    try:
        first, last = _range(words, today)
        if last < first:
            raise ValueError(f"{last} is before {first}")
        if (last.date - first.date).days >= MOST_DAYS:
            raise ValueError(f"{first} to {last} is more than {MOST_DAYS:,} days")
        for day in (first, last):
            if not FIRST_DATE <= day.date <= LAST_DATE:
                raise ValueError(f"{day} is outside {FIRST_DATE} to {LAST_DATE}")
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{error}. {DAYS_HELP}") from None
    return days_between(first, last)


def pruned_notes(pruned: PrunedDays, days: Sequence[Day], *assets: str) -> list[str]:
    """Which days that aren't stored can't be had any more, a line each reason; none where all can be fetched and made.

    Args:
        pruned: the record of the root.
        days: those that aren't stored.
        assets: what isn't stored of them.
    """
    gone = [day for day in days if any(pruned.has(asset, day) for asset in assets)]
    closed = [day for day in days if pruned.is_closed(day) and day not in set(gone)]
    lines = [f"Pruned, so no longer stored: {ranges_text(day_ranges(gone))}"] if gone else []
    return [*lines, *([f"Closed, so not made again: {ranges_text(day_ranges(closed))}"] if closed else [])]


def words_of(days: Sequence[Day]) -> str:
    """The days, first to last, as a command takes them."""
    return str(days[0]) if len(days) == 1 else f"{days[0]}..{days[-1]}"


def parse_day(word: str, today: Day) -> Day:
    """The one day that a word names.

    Raises:
        click.UsageError: it names none, or several.
    """
    days = parse_days([word], today)
    if len(days) > 1:
        raise click.UsageError(f"{word!r} is more than one day: give one, as in 2026-11-23, or yesterday.")
    return days[0]


def _range(words: Sequence[str], today: Day) -> tuple[Day, Day]:
    if len(words) > 2:
        raise ValueError(f"{len(words)} dates are too many")
    if len(words) == 2:
        return _one(words[0], today), _one(words[1], today)
    word = words[0]
    if found := _LAST_DAYS.fullmatch(word):
        return today.plus(-int(found[1])), today.plus(-1)
    if ".." in word:
        first, _, last = word.partition("..")
        return _one(first, today), _one(last, today) if last else today
    return _one(word, today), _one(word, today)


def _one(word: str, today: Day) -> Day:
    named = {"today": 0, "yesterday": -1}
    return today.plus(named[word]) if word in named else Day.parse(word, today.timezone)


def outside_note(days: Sequence[Day], first_partition: dt.date, today: Day) -> str | None:
    """A note for each side of the partitions that some of the days are on; None if all are within."""
    early = [day for day in days if day.date < first_partition]
    late = [day for day in days if day > today]
    notes = []
    if early:
        set_to = f"Set TICKET_EVENTS_START_DATE, now {first_partition}, to {early[0]} or earlier."
        notes.append(f"Before the first partition: {_span(early)}. {set_to}")
    if late:
        notes.append(f"In the future: {_span(late)}. Today is {today} in {today.timezone}.")
    return " ".join(notes) or None


def _span(days: Sequence[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
