"""A root with SLA days in it: raw files as a pass leaves them, written without one, and the tables that the core makes of them.

Events are those of `sla_cases`: dicts as Zendesk sends them, but for their `time`, which is epoch seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import MadeDay, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.storage.store import FolderStore
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline_tests.support.sla_cases import raw_table

METRIC = "ticket_metric_events"

Events = list[dict[str, Any]]


def put_raw_day(
    root: Path,
    events: Events,
    day: Day,
    *,
    now: float | None = None,
    stream: str = METRIC,
    told: dict[str, str] | None = None,
    audits: Events | tuple[()] = (),
) -> None:
    """The raw file of the day with those of `events` that lie in it; complete unless `now` lies in it, too.

    The footer says what is `told` besides. `audits` go to `ticket_events` only.
    """
    read_to = day.end + 3600 if now is None else now
    rows = [row for row in [*events, *audits] if day.start <= row["time"] < min(day.end, read_to)]
    table = raw_table(sorted(rows, key=lambda row: (row["time"], row["id"])), stream)
    put_raw_table(root, table, stream, day, read_to=read_to, told=told)


def put_raw_table(
    root: Path, table: pa.Table, stream: str, day: Day, *, read_to: float, told: dict[str, str] | None = None
) -> None:
    """The raw file of the day with these rows, read up to then; the footer says what is `told` besides."""
    footer = RawFooter(
        schema_version=SCHEMA_VERSION,
        account="recorded",
        timezone=day.timezone,
        sideload=False,
        stream=stream,
        partition=str(day),
        window_start=day.start,
        window_end=day.end,
        complete=read_to >= day.end,
        next_start_time=int(read_to),
        requests=1,
        rows=table.num_rows,
        duplicates=0,
        rejected=0,
        fetched_at=int(read_to),
        content_hash=content_hash(table),
        pages=(),
    )
    write_partition(FolderStore(root), stream, day, table, {**footer.to_metadata(), **(told or {})})


def make_sla_days(root: Path, first: Day, last: Day) -> list[MadeDay]:
    """The three tables of the days; the made summaries."""
    store, days = FolderStore(root), days_between(first, last)
    list(make_clocks(store, days))
    list(make_targets(store, days))
    return list(make_summaries(store, days))


def put_audits(root: Path, audits: Events, day: Day, *, now: float | None = None) -> None:
    """The day's raw `ticket_events` with those of the audits that lie in it, and no metric events."""
    put_raw_day(root, [], day, now=now, stream="ticket_events", audits=audits)


def sla_root(
    root: Path, events: Events, first: Day, last: Day, *, now: float | None = None, audits: Events | None = None
) -> list[MadeDay]:
    """The raw days and the tables; the last day is open if `now` lies in it. Audits land if there is a list of them."""
    for day in days_between(first, last):
        put_raw_day(root, events, day, now=now if day == last else None)
        if audits is not None:
            put_audits(root, audits, day, now=now if day == last else None)
    return make_sla_days(root, first, last)


def all_events(*clocks: Any) -> Events:
    """Those of several `sla_cases.Clock`s."""
    return [event for clock in clocks for event in clock.events]


def all_audits(*clocks: Any) -> Events:
    """Those of the tickets of several `sla_cases.Clock`s."""
    return [audit for clock in clocks for audit in clock.audits]
