"""Whether SLAs are still applied: a day with traffic and without any `apply_sla` is a broken feed, not a perfect day.

Without applies no target begins, so none breaches, and every rate looks well. What is traffic, and how many applies it should
have brought, is told by the account's own days before: quiet accounts, weekends and accounts without SLAs are no matter.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.baseline import known_of, same_weekdays
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, read_again
from ticket_events_pipeline.sla.rules.events import APPLY, RANK_BY_TYPE
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.schemas import metric_shaped

FEWEST_EXPECTED = 40.0
"""So many applies must be due before their absence means anything. A ticket brings about four at once, and of ten tickets that
are due, none comes once in 22,000 days by chance."""

LEAST_TRAFFIC = 0.5
"""Of the usual number of metric events; with fewer, the day is quiet itself."""

WEEKS = 4
"""The weekday is looked at in so many weeks before. An account that gives up its SLAs is accused for so long at most."""

FEWEST_DAYS = 3
"""So many days before must be known, of the weekday; in the first weeks, of the `RECENT_DAYS` before."""

RECENT_DAYS = 7

ROWS_PER_BATCH = 64 * 1024

APPLY_TYPES = [name for name, rank in RANK_BY_TYPE.items() if rank == APPLY]

_COLUMNS = ["metric", "instance_id", "type"]


@dataclass(frozen=True)
class Traffic:
    """A complete day's metric events, and how many of them apply a policy."""

    events: int
    applies: int


def slas_are_applied(store: Store, stream: str, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: some SLA was applied, if the days before make one due."""

    @functools.cache
    def look(day: Day) -> Traffic | None:
        return _traffic(store, stream, day)

    for day in days:
        traffic = look(day)
        if traffic is None:
            yield CheckedDay(day, silence="it is still open, or can't be read")
        else:
            yield _checked(stream, day, traffic, look)


def _checked(stream: str, day: Day, traffic: Traffic, look: Callable[[Day], Traffic | None]) -> CheckedDay:
    figures = {"metric_events": traffic.events, "applies": traffic.applies}
    if traffic.applies or traffic.events < FEWEST_EXPECTED:  # the days before needn't be read
        return CheckedDay(day, figures=figures)
    before = _days_before(day, look)
    if not before:
        return CheckedDay(day, silence=f"fewer than {FEWEST_DAYS} days before are stored", figures=figures)
    due = expected_applies(traffic.events, before)
    if due < FEWEST_EXPECTED:
        return CheckedDay(day, figures=figures)
    problem = f"Of {traffic.events} metric events none applies an SLA; by the days before, about {due:.0f} should."
    return CheckedDay(day, (Finding(problem, _remedy(stream, day)),), figures=figures)


def expected_applies(events: int, before: list[Traffic]) -> float:
    """How many applies so many events should have brought; 0 if the day is a quiet one."""
    if events < LEAST_TRAFFIC * statistics.median(day.events for day in before):
        return 0.0
    return events * statistics.median(day.applies / day.events if day.events else 0.0 for day in before)


def _days_before(day: Day, look: Callable[[Day], Traffic | None]) -> list[Traffic]:
    """Those to measure against; none where too few are known."""
    before = known_of(same_weekdays(day, WEEKS), look)
    if len(before) < FEWEST_DAYS:
        before = known_of((day.plus(-offset) for offset in range(1, RECENT_DAYS + 1)), look)
    return before if len(before) >= FEWEST_DAYS else []


def _remedy(stream: str, day: Day) -> str:
    return (
        f"No target began, so no figure of the day can be trusted. {read_again(stream, day)} If none come then either, ask "
        "Zendesk why the export has no apply_sla; if the account has given up its SLAs, wait: after some weeks this is usual."
    )


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
