"""Whether a day of a stream has the traffic that the days before make expected: its number of rows, and SLAs applied at all.

A holiday is as quiet as an outage, so a volume finding is a question only. A day with traffic and without any
`apply_sla` is a broken SLA feed, not a perfect day: no target begins, so none breaches, and every rate looks good. The
account's own days decide what traffic is expected, so that quiet accounts, weekends and accounts without SLAs cause no alarm.
"""

from __future__ import annotations

import calendar
import functools
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, materialize_again
from ticket_events_pipeline.sla.rules.events import APPLY, RANK_BY_TYPE
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footers
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.ticket_metric_events import metric_shaped
from ticket_events_pipeline.text import plural

_T = TypeVar("_T")

VOLUME_WEEKS = 8
"""The same weekday of so many weeks is the baseline: enough to outvote a holiday, few enough to follow growth."""

MIN_VOLUME_WEEKS = 4
"""With fewer known weeks there is no baseline yet."""

FAR_FACTOR = 2.0
"""A day is far off with less than half or more than double the usual number of rows, ..."""

FAR_DEVIATIONS = 5.0
"""... if it is also so many standard deviations off (estimated from the median), since some weekdays vary anyway, ..."""

MIN_ROWS_APART = 100
"""... and so many rows: in a small account, chance makes half or double."""

DEVIATION_OF_MAD = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations."""

MIN_EXPECTED_APPLIES = 40.0
"""So many applies must be expected before their absence means anything. A ticket brings about four at once, and that of ten
expected tickets none comes happens by chance once in 22,000 days."""

MIN_TRAFFIC = 0.5
"""Share of the usual number of metric events; a day with less is quiet itself."""

FEED_WEEKS = 4
"""The same weekday of so many weeks is the baseline. An account that gives up its SLAs gets findings for at most so long."""

MIN_FEED_DAYS = 3
"""So many days of the baseline must be known: of the weekday, or in the first weeks of the `RECENT_DAYS` before."""

RECENT_DAYS = 7

ROWS_PER_BATCH = 64 * 1024

APPLY_TYPES = [name for name, rank in RANK_BY_TYPE.items() if rank == APPLY]

_COLUMNS = ["metric", "instance_id", "type"]

_NOT_COMPLETE = "it is still open, or can't be read"


def same_weekdays(day: Day, weeks: int) -> list[Day]:
    """The same weekday of the `weeks` weeks before, the latest first; offices are closed on other weekdays."""
    return [day.plus(-7 * week) for week in range(1, weeks + 1)]


def _known(days: Iterable[Day], look_up: Callable[[Day], _T | None]) -> list[_T]:
    """The results of `look_up` for the days that have one."""
    found = (look_up(day) for day in days)
    return [value for value in found if value is not None]


def volume_is_usual(store: Store, stream: str, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: it holds about as many rows as the same weekday in the weeks before."""

    @functools.cache
    def complete_rows(day: Day) -> int | None:
        return next((footer.rows for _, footer in read_raw_footers(store, stream, [day]) if footer.complete), None)

    for day in days:
        rows = complete_rows(day)
        if rows is None:
            yield CheckedDay(day, skipped_reason=_NOT_COMPLETE)
            continue
        baseline = _known(same_weekdays(day, VOLUME_WEEKS), complete_rows)
        if len(baseline) < MIN_VOLUME_WEEKS:
            reason = f"of its weekday, fewer than {MIN_VOLUME_WEEKS} of {VOLUME_WEEKS} weeks are stored"
            yield CheckedDay(day, skipped_reason=reason)
        else:
            yield _check_volume(stream, day, rows, baseline)


def _check_volume(stream: str, day: Day, rows: int, baseline: list[int]) -> CheckedDay:
    usual = statistics.median(baseline)
    figures = {"rows": rows, "usual_rows": usual}
    if not is_far(rows, baseline):
        return CheckedDay(day, figures=figures)
    problem = (
        f"It holds {plural(rows, 'row')}, but {usual:,.0f} are usual on a {calendar.day_name[day.date.weekday()]}: the median "
        f"of {plural(len(baseline), 'week')} with {min(baseline)} to {max(baseline)}."
    )
    remedy = (
        f"If neither a holiday nor a change of yours explains it, run `ticket-events verify {day} {day} --against-api`, or "
        f"materialize {stream} of {day} again."
    )
    return CheckedDay(day, (Finding(problem, remedy),), figures=figures)


def is_far(rows: int, baseline: list[int]) -> bool:
    """Whether `rows` are far from the numbers of rows of the baseline."""
    usual = statistics.median(baseline)
    deviation = DEVIATION_OF_MAD * statistics.median(abs(count - usual) for count in baseline)
    apart = abs(rows - usual)
    is_another_size = rows * FAR_FACTOR < usual or rows > usual * FAR_FACTOR
    return is_another_size and apart > FAR_DEVIATIONS * deviation and apart >= MIN_ROWS_APART


@dataclass(frozen=True)
class Traffic:
    """The metric events of a complete day, and how many of them apply a policy."""

    events: int
    applies: int


def slas_are_applied(store: Store, stream: str, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: at least one SLA was applied, if the days before make one expected."""

    @functools.cache
    def traffic_of(day: Day) -> Traffic | None:
        return _traffic(store, stream, day)

    for day in days:
        traffic = traffic_of(day)
        if traffic is None:
            yield CheckedDay(day, skipped_reason=_NOT_COMPLETE)
        else:
            yield _check_feed(stream, day, traffic, traffic_of)


def _check_feed(stream: str, day: Day, traffic: Traffic, traffic_of: Callable[[Day], Traffic | None]) -> CheckedDay:
    figures = {"metric_events": traffic.events, "applies": traffic.applies}
    if traffic.applies or traffic.events < MIN_EXPECTED_APPLIES:  # the days before needn't be read
        return CheckedDay(day, figures=figures)
    baseline = _feed_baseline(day, traffic_of)
    if not baseline:
        return CheckedDay(day, skipped_reason=f"fewer than {MIN_FEED_DAYS} days before are stored", figures=figures)
    expected = expected_applies(traffic.events, baseline)
    if expected < MIN_EXPECTED_APPLIES:
        return CheckedDay(day, figures=figures)
    problem = f"None of {traffic.events} metric events applies an SLA; by the days before, about {expected:.0f} should."
    remedy = (
        f"No target began, so no figure of the day can be trusted. {materialize_again(stream, day)} If there are none then, "
        "ask Zendesk why the export has no apply_sla. If the account has given up its SLAs, do nothing: after some weeks "
        "the check is green again."
    )
    return CheckedDay(day, (Finding(problem, remedy),), figures=figures)


def expected_applies(events: int, baseline: list[Traffic]) -> float:
    """How many applies so many events should have brought; 0 if the day is a quiet one."""
    if events < MIN_TRAFFIC * statistics.median(day.events for day in baseline):
        return 0.0
    return events * statistics.median(day.applies / day.events if day.events else 0.0 for day in baseline)


def _feed_baseline(day: Day, traffic_of: Callable[[Day], Traffic | None]) -> list[Traffic]:
    """The traffic of the baseline; empty where too few days are known."""
    known = _known(same_weekdays(day, FEED_WEEKS), traffic_of)
    if len(known) < MIN_FEED_DAYS:
        known = _known((day.plus(-offset) for offset in range(1, RECENT_DAYS + 1)), traffic_of)
    return known if len(known) >= MIN_FEED_DAYS else []


def _traffic(store: Store, stream: str, day: Day) -> Traffic | None:
    events = applies = 0
    try:
        with opened_partition(store, stream, day) as file:
            if file is None or not RawFooter.from_metadata(file.metadata).complete:
                return None
            for batch in file.batches(_COLUMNS, batch_rows=ROWS_PER_BATCH):
                rows = pa.Table.from_batches([batch])
                types = rows["type"].filter(metric_shaped(rows))
                events += len(types)
                applies += pc.sum(pc.is_in(types, pa.array(APPLY_TYPES)), min_count=0).as_py()
    except (DamagedFileError, KeyError, ValueError, TypeError):  # `days_are_whole` names it
        return None
    return Traffic(events, applies)
