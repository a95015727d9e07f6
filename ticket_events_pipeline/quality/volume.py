"""Whether a complete day of a stream holds about as many rows as its weekday usually does. Read from footers alone.

A holiday is as quiet as an outage; so this never says more than that somebody should look.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.baseline import known_of, same_weekdays, weekday_name
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, read_again
from ticket_events_pipeline.storage.raw_footer import read_raw_footers
from ticket_events_pipeline.storage.store import Store

WEEKS = 8
"""The weekday is looked at in so many weeks before: long enough to outvote a holiday, short enough to follow growth."""

FEWEST_WEEKS = 4
"""Of fewer known weeks, nothing is usual yet."""

FAR_FACTOR = 2.0
"""A day is far off below half and above the double of the usual number of rows, ..."""

FAR_DEVIATIONS = 5.0
"""... if it also lies so many standard deviations off, by the median's reckoning: a weekday that varies anyway may, ..."""

FEWEST_ROWS_APART = 100
"""... and so many rows: of a small account, chance makes half or double."""

DEVIATION_OF_MAD = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations."""


def volume_is_usual(store: Store, stream: str, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: its rows are about as many as the same weekday's in the weeks before."""

    @functools.cache
    def complete_rows(day: Day) -> int | None:
        return next((footer.rows for _, footer in read_raw_footers(store, stream, [day]) if footer.complete), None)

    for day in days:
        rows = complete_rows(day)
        if rows is None:
            yield CheckedDay(day, silence="it is still open, or can't be read")
            continue
        before = known_of(same_weekdays(day, WEEKS), complete_rows)
        if len(before) < FEWEST_WEEKS:
            yield CheckedDay(day, silence=f"of its weekday, fewer than {FEWEST_WEEKS} of {WEEKS} weeks are stored")
        else:
            yield _checked(stream, day, rows, before)


def _checked(stream: str, day: Day, rows: int, before: list[int]) -> CheckedDay:
    usual = statistics.median(before)
    figures = {"rows": rows, "usual_rows": usual}
    if not is_far(rows, before):
        return CheckedDay(day, figures=figures)
    problem = (
        f"It holds {rows} rows, but {usual:.0f} are usual on a {weekday_name(day)}: the median of {len(before)} weeks with "
        f"{min(before)} to {max(before)}."
    )
    remedy = (
        f"If neither a holiday nor anything that you did explains it, see what `ticket-events verify {day} {day} "
        f"--against-api` says, or {_lower(read_again(stream, day))}"
    )
    return CheckedDay(day, (Finding(problem, remedy),), figures=figures)


def is_far(rows: int, before: list[int]) -> bool:
    """Whether `rows` are far from what the rows of the days before make usual."""
    usual = statistics.median(before)
    deviation = DEVIATION_OF_MAD * statistics.median(abs(count - usual) for count in before)
    apart = abs(rows - usual)
    is_another_size = rows * FAR_FACTOR < usual or rows > usual * FAR_FACTOR
    return is_another_size and apart > FAR_DEVIATIONS * deviation and apart >= FEWEST_ROWS_APART


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
