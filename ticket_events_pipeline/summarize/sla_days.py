"""The three SLA tables of a range of days: read what is stored, apply the rules of `sla/`, write one file a day each.

What a day is made from is told in every file's footer; the rules themselves are `sla/`'s.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError, ForeignRootError
from ticket_events_pipeline.lake.content_hash import content_hash
from ticket_events_pipeline.lake.partition_file import partition_path, read_metadata, write_partition
from ticket_events_pipeline.lake.raw_footer import RawFooter, read_raw_day
from ticket_events_pipeline.lake.schemas import metric_shaped
from ticket_events_pipeline.lake.store import Store
from ticket_events_pipeline.sla.clocks import advance, empty_clocks
from ticket_events_pipeline.sla.daily_summary import daily_summary
from ticket_events_pipeline.sla.events import has_metric_events, sla_events
from ticket_events_pipeline.sla.targets import targets
from ticket_events_pipeline.summarize.inputs import RawState, day_inputs
from ticket_events_pipeline.summarize.provenance import Provenance, read_sla_day
from ticket_events_pipeline.summarize.restatements import RESTATEMENTS, restatements_with

CLOCKS, TARGETS, SUMMARY = "sla_clocks", "sla_targets", "daily_sla_breach_summary"
RAW_STREAMS = ("ticket_events", "ticket_metric_events")

HISTORY_DAYS = 30
"""Where the day before was never made, this many days of stored events are replayed to know the open clocks."""

RAW_COLUMNS = [
    "id",
    "ticket_id",
    "metric",
    "instance_id",
    "type",
    "time",
    "deleted",
    "sla_target_minutes",
    "sla_target_seconds",
    "sla_business_hours",
    "sla_policy_id",
    "sla_policy_title",
    "sla_is_group",
    "status_calendar_minutes",
    "status_business_minutes",
]
"""What the rules need of a raw file: a day of audits with comments is large, and none of that is read."""


@dataclass(frozen=True)
class MadeDay:
    """A day of an SLA table that has been written: its rows, how they were made, and their file.

    Attributes:
        restatements: of a summary, how often its figures changed after the day had been complete; None of other tables.
    """

    day: Day
    table: pa.Table
    provenance: Provenance
    content_hash: str
    size_bytes: int
    url: str
    restatements: int | None = None


@dataclass(frozen=True)
class _Memory:
    """Everything that a day needs of the days before it."""

    clocks: pa.Table
    clocks_hash: str | None
    events_through: int | None
    history_from: dt.date


@dataclass(frozen=True)
class _RawDay:
    """The metric-shaped events of a day from both streams, and the state of the two files."""

    states: dict[str, RawState]
    events: pa.Table
    times: list[pa.ChunkedArray]

    def newest_before(self, as_of: int) -> int | None:
        """Newest event time before `as_of`, epoch seconds."""
        newest = []
        for times in self.times:
            seen = times.filter(pc.less(times, pa.scalar(as_of * 1000)))
            if len(seen):
                newest.append(pc.max(seen).as_py() // 1000)
        return max(newest, default=None)


def make_clocks(store: Store, days: list[Day]) -> Iterator[MadeDay]:
    """Make `sla_clocks` of contiguous, ascending days in order, the clocks carried in memory.

    Raises:
        DayNotFetchedError: a day's raw events have not landed.
        ForeignRootError: they are filed under the days of another timezone.
        DamagedFileError: a stored file can't be read.
    """
    memory = _memory_before(store, days[0])
    for day in days:
        raw = _read_raw(store, day)
        inputs = day_inputs(day, **_both(raw.states), previous_clocks=memory.clocks_hash)
        if inputs is None:
            raise _not_fetched(day, raw.states)
        clocks = advance(memory.clocks, raw.events, day)
        newest = [through for through in (memory.events_through, raw.newest_before(inputs.as_of)) if through is not None]
        provenance = Provenance(inputs, max(newest, default=None), memory.history_from)
        made = _write(store, CLOCKS, day, clocks, provenance)
        memory = replace(memory, clocks=clocks, clocks_hash=made.content_hash, events_through=provenance.events_through)
        yield made


def make_targets(store: Store, days: list[Day]) -> Iterator[MadeDay]:
    """Make `sla_targets` of the days, each from its `sla_clocks`.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks` yet.
        DamagedFileError: a stored file can't be read.
    """
    for day in days:
        clocks, provenance = read_sla_day(store, CLOCKS, day)
        yield _write(store, TARGETS, day, targets(clocks, day=day, as_of=provenance.inputs.as_of), provenance)


def make_summaries(store: Store, days: list[Day]) -> Iterator[MadeDay]:
    """Make `daily_sla_breach_summary` of the days, each from its `sla_targets`.

    Raises:
        DayNotFetchedError: a day has no `sla_targets` yet.
        DamagedFileError: a stored file can't be read.
    """
    for day in days:
        targets_of_day, provenance = read_sla_day(store, TARGETS, day)
        summary = daily_summary(
            targets_of_day,
            day=day,
            as_of=provenance.inputs.as_of,
            events_through=provenance.events_through,
            history_from=provenance.history_from,
        )
        yield _write(store, SUMMARY, day, summary, provenance)


def _memory_before(store: Store, day: Day) -> _Memory:
    """The clocks at the end of the day before; where it was never made, those of the stored events of 30 days."""
    before = day.plus(-1)
    if read_metadata(store, CLOCKS, before) is not None:
        clocks, provenance = read_sla_day(store, CLOCKS, before)
        return _Memory(clocks, content_hash(clocks), provenance.events_through, provenance.history_from)
    memory = _Memory(empty_clocks(), None, None, day.date)
    for past in (day.plus(-offset) for offset in range(HISTORY_DAYS, 0, -1)):
        raw = _read_raw(store, past)
        if day_inputs(past, **_both(raw.states), previous_clocks=None) is None:
            continue
        newest = raw.newest_before(past.end)
        memory = _Memory(
            advance(memory.clocks, raw.events, past),
            None,
            newest if newest is not None else memory.events_through,
            min(memory.history_from, past.date),
        )
    return memory


def _read_raw(store: Store, day: Day) -> _RawDay:
    states: dict[str, RawState] = {}
    tables: dict[str, pa.Table] = {}
    for stream in RAW_STREAMS:
        found = read_raw_day(store, stream, day, RAW_COLUMNS)
        if found is None:
            continue
        table, footer = found
        if footer.timezone != day.timezone:
            raise _of_another_timezone(store, footer, day)
        states[stream] = RawState(footer.content_hash, footer.complete, footer.fetched_at, int(has_metric_events(table)))
        tables[stream] = table
    # The later fetch wins where an event came in both streams; in one and the same second, the metric stream does.
    by_fetch = sorted(tables, key=lambda stream: (states[stream].fetched_at, stream))
    shaped = [tables[stream].filter(metric_shaped(tables[stream])) for stream in by_fetch]
    return _RawDay(states, sla_events(*shaped), [table["time"].cast(pa.int64()) for table in shaped])


def _of_another_timezone(store: Store, footer: RawFooter, day: Day) -> ForeignRootError:
    return ForeignRootError(
        f"{store.location} holds {footer.stream} of {day} as a day of {footer.timezone}, but TICKET_EVENTS_TIMEZONE is "
        f"{day.timezone}. Set it back, or start a new root: set TICKET_EVENTS_ROOT to an empty folder and backfill it."
    )


def _both(states: dict[str, RawState]) -> dict[str, RawState | None]:
    return {stream: states.get(stream) for stream in RAW_STREAMS}


def _not_fetched(day: Day, states: dict[str, RawState]) -> DayNotFetchedError:
    audits_only = " (ticket_events has, but holds no metric events, and audits say nothing of SLAs)" if states else ""
    return DayNotFetchedError(
        f"{day} can't be summarised: ticket_metric_events of that day has not landed{audits_only}. "
        f"Materialise ticket_metric_events of {day} first."
    )


def _write(store: Store, asset: str, day: Day, table: pa.Table, provenance: Provenance) -> MadeDay:
    digest = content_hash(table)
    footer = {**provenance.to_metadata(), "partition": str(day), "content_hash": digest}
    restatements = restatements_with(store, asset, day, table) if asset == SUMMARY else None
    if restatements is not None:
        footer[RESTATEMENTS] = str(restatements)
    if "policy_title" in table.column_names:
        footer["policy_title"] = json.dumps(_titles(table), sort_keys=True)
    size = write_partition(store, asset, day, table, footer)
    return MadeDay(day, table, provenance, digest, size, store.url(partition_path(asset, day)), restatements)


def _titles(table: pa.Table) -> dict[str, str]:
    ids, titles = table["policy_id"].to_pylist(), table["policy_title"].to_pylist()
    return {key: title for key, title in zip(ids, titles, strict=True) if key is not None and title is not None}
