"""A root with SLA days: raw files written directly, and the SLA tables that the pipeline makes from them.

An event is a dict as Zendesk sends it, except that its `time` is epoch seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import MadeDay, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.raw_files import put_raw_table
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
    more_footer: dict[str, str] | None = None,
    audits: Events | tuple[()] = (),
) -> None:
    """Write the day's raw file with the `events` of that day; the day is complete unless it contains `now`.

    `more_footer` adds or replaces footer keys. `audits` belong to `ticket_events` only.
    """
    read_to = day.end + 3600 if now is None else now
    rows = [row for row in [*events, *audits] if day.start <= row["time"] < min(day.end, read_to)]
    table = raw_table(sorted(rows, key=lambda row: (row["time"], row["id"])), stream)
    put_raw_table(root, table, stream, day, read_to=read_to, more_footer=more_footer)


def make_sla_days(root: Path, first: Day, last: Day) -> list[MadeDay]:
    """Make the three SLA tables of the days; returns the summaries."""
    store, days = FolderStore(root), days_between(first, last)
    list(make_clocks(store, days))
    list(make_targets(store, days))
    return list(make_summaries(store, days))


def put_audits(root: Path, audits: Events, day: Day, *, now: float | None = None) -> None:
    """Write the day's raw `ticket_events` with the audits of that day and no metric events."""
    put_raw_day(root, [], day, now=now, stream="ticket_events", audits=audits)


def sla_root(
    root: Path, events: Events, first: Day, last: Day, *, now: float | None = None, audits: Events | None = None
) -> list[MadeDay]:
    """Write the raw days and make the SLA tables; the last day is open if it contains `now`. `audits` land if given."""
    for day in days_between(first, last):
        put_raw_day(root, events, day, now=now if day == last else None)
        if audits is not None:
            put_audits(root, audits, day, now=now if day == last else None)
    return make_sla_days(root, first, last)


def all_events(*clocks: Any) -> Events:
    """The events of several `sla_cases.Clock`s."""
    return [event for clock in clocks for event in clock.events]


def all_audits(*clocks: Any) -> Events:
    """The audits of several `sla_cases.Clock`s."""
    return [audit for clock in clocks for audit in clock.audits]
