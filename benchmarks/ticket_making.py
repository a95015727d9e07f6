"""Making the SLA tables and the ticket tables of a root, as the assets do; what the ticket benchmarks time.

    python benchmarks/ticket_making.py TABLE[,TABLE] ROOT FIRST LAST

TABLE is `sla`, for the three SLA tables, or the name of a ticket table. Nothing is asked of Zendesk. There is one schedule.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from measuring import Measured, measured
from sla_account import STREAM, write_account
from ticket_account import AUDITS, write_audits

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import MadeDay, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tickets.by_dimension import make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.durations import make_durations
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.holders import make_holders
from ticket_events_pipeline.tickets.provenance import MadeTicketDay
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states

Make = Callable[[Store, list[Day]], Iterator[MadeDay] | Iterator[MadeTicketDay]]

OFFICE_HOURS = tuple((day * 1440 + 540, day * 1440 + 1020) for day in range(1, 6))
SCHEDULES = {1: Schedule(1, "Office hours", "Berlin", OFFICE_HOURS)}

SLA = "sla"
SLA_TABLES: tuple[Make, ...] = (make_clocks, make_targets, make_summaries)
TICKET_TABLES: dict[str, Make] = {
    "ticket_field_changes": make_changes,
    "ticket_states": lambda store, days: make_states(store, days, fields=tracked_fields()),
    "sla_target_dimensions": lambda store, days: make_dimensions(
        store, days, snapshots=Snapshots(store, days[0].timezone), schedules=SCHEDULES
    ),
    "daily_sla_breaches_by_dimension": make_breaches_by_dimension,
    "sla_target_holders": lambda store, days: make_holders(store, days, schedules=SCHEDULES),
    "daily_ticket_durations": make_durations,
}
"""In the order in which they are made."""


def write_raw(root: Path, days: list[Day], *, events: int) -> None:
    """The raw files of both streams, with about so many metric events in all, and a fifth as many audits."""
    per_day = events // len(days)
    counts = write_account(root, days, events_per_day=per_day), write_audits(root, days, events_per_day=per_day)
    print(f"{counts[0]:,} metric events and {counts[1]:,} audits written", file=sys.stderr)


def link(files: Path, root: Path, days: list[Day] | None = None) -> None:
    """A root with the same files, of all days or some."""
    names = None if days is None else {f"date={day}" for day in days}
    for file in files.glob("*/*/*.parquet"):
        if names is None or file.parent.name in names:
            target = root / file.relative_to(files)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, target)


def make(table: str, root: Path, days: list[Day]) -> int:
    """How many rows the made files have."""
    rows = 0
    for make_table in SLA_TABLES if table == SLA else (TICKET_TABLES[table],):
        for made in make_table(FolderStore(root), days):
            rows += made.table.num_rows
            del made
    return rows


def made(tables: Sequence[str], root: Path, first: Day, last: Day) -> Measured:
    """Make tables of the days one after the other in a process of their own, as a run does."""
    return measured([sys.executable, __file__, ",".join(tables), str(root), str(first), str(last)])


class Part(NamedTuple):
    """What a table took of a process: seconds without the start of the interpreter and the imports."""

    table: str
    rows: int
    work: float


def parts_of(run: Measured) -> list[Part]:
    """Of each table."""
    lines = [line.split() for line in run.output.splitlines()]
    return [Part(table, int(rows), float(seconds)) for table, _, rows, _, seconds in lines]


def work(run: Measured) -> float:
    """Seconds without the start of the interpreter and the imports."""
    return sum(part.work for part in parts_of(run))


__all__ = ["AUDITS", "SLA", "STREAM", "TICKET_TABLES", "Part", "link", "made", "make", "parts_of", "work", "write_raw"]

if __name__ == "__main__":
    names, folder, first, last = sys.argv[1:]
    for name in names.split(","):
        begun = time.monotonic()
        count = make(name, Path(folder), days_between(Day.parse(first), Day.parse(last)))
        print(name, "rows", count, "work", time.monotonic() - begun)
