"""Roots with months of drawn days: all tables made as the sensor has them made, and pruned as the command does."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from shutil import copytree

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.retention.prune import PrunePlan, Root, prune
from ticket_events_pipeline.retention.settings import RetentionSettings
from ticket_events_pipeline.sla.footer_cache import TABLES, WITHOUT_TICKET_TABLES, FooterCache
from ticket_events_pipeline.sla.staleness import Comparison, compare, stale_ranges
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import Layout, read_partition_and_metadata
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.tickets.by_dimension import make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.durations import make_durations
from ticket_events_pipeline.tickets.holders import make_holders
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA, Snapshots
from ticket_events_pipeline.tickets.staleness import (
    NOTHING_STALE,
    TicketComparison,
    change_ranges,
    compare_tickets,
    ticket_ranges,
)
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support.drawn_tickets import FIRST, TRACKED, DrawnTickets, as_text, milliseconds
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

DAYS = 84
LAST = FIRST.plus(DAYS - 1)
TODAY = LAST
EVERY_DAY = days_between(FIRST, LAST)
NEWEST_BEFORE = TODAY.plus(-74)
"""The latest day before which may be pruned."""


class Lake:
    """A root of drawn tickets, without Dagster and without a Zendesk account."""

    def __init__(self, path: Path, drawn: DrawnTickets, *, has_tickets: bool) -> None:
        self.path, self.drawn, self.has_tickets, self.store = path, drawn, has_tickets, FolderStore(path)

    def copied_to(self, path: Path) -> Lake:
        copytree(self.path, path)
        return Lake(path, self.drawn, has_tickets=self.has_tickets)

    @property
    def tables(self) -> Sequence[str]:
        return TABLES if self.has_tickets else WITHOUT_TICKET_TABLES

    @property
    def root(self) -> Root:
        settings = RetentionSettings({}, FIRST, restate_days=3, has_ticket_tables=self.has_tickets)
        return Root.of(self.store, settings, now=TODAY.start + 3600)

    def land(self, days: list[Day], *, without_audits: set[Day] | frozenset[Day] = frozenset()) -> None:
        for day in days:
            self.drawn.put(self.path, day, with_audits=day not in without_audits)

    def put_snapshots(self) -> None:
        """The snapshots that the drawn account has given, in the folder of the day on which each was asked for."""
        rows = defaultdict(list)
        for number, (seen_at, updated_at, values) in self.drawn.early.items():
            for field, value in values.items():
                text = as_text(value)
                row = {"ticket_id": number, "field": field, "value": text}
                rows[Day.containing(seen_at)].append(row | milliseconds(seen_at, updated_at))
        for day, found in rows.items():
            table = pa.Table.from_pylist(found, SNAPSHOTS_SCHEMA)
            with (
                self.store.writer(f"ticket_snapshots/date={day}/drawn.parquet") as sink,
                Layout().writer(sink, table.schema) as file,
            ):
                file.write_table(table, row_group_size=1024)
                file.finish({})

    def make(self, days: list[Day], *, is_of_tickets_alone: bool = False) -> None:
        """What a run that the sensor requests makes."""
        snapshots = Snapshots(self.store, "UTC")
        if not is_of_tickets_alone:
            make_sla_days(self.path, days[0], days[-1])
        if not self.has_tickets:
            return
        list(make_states(self.store, days, fields=TRACKED))
        list(make_dimensions(self.store, days, snapshots=snapshots, schedules={}))
        list(make_breaches_by_dimension(self.store, days))
        list(make_holders(self.store, days, schedules={}, snapshots=snapshots))
        list(make_durations(self.store, days, snapshots=snapshots))

    def compared(self) -> tuple[Comparison, TicketComparison]:
        pruned = read_pruned_days(self.store)

        def may_be_made(day: Day) -> bool:
            return not pruned.is_closed(day)

        comparison = compare(FooterCache(self.tables).read(self.store, "UTC"), may_be_made)
        return comparison, compare_tickets(comparison, may_be_made) if self.has_tickets else NOTHING_STALE

    def settle(self) -> list[tuple[str, str]]:
        """Make what is stale, until nothing is; returns the ranges of days that were made."""
        made: list[tuple[str, str]] = []
        for _ in range(10):
            comparison, tickets = self.compared()
            ranges = stale_ranges(comparison, "")
            covered = {day for found in ranges for day in found.days}
            alone = ticket_ranges(comparison, tickets, "", covered)
            changes = change_ranges(comparison, tickets, "")
            for found in changes:
                list(make_changes(self.store, found.days))
            for found in ranges:
                self.make(found.days)
            for found in alone:
                self.make(found.days, is_of_tickets_alone=True)
            every = [*changes, *ranges, *alone]
            if not every:
                return made
            made += [(str(found.days[0]), str(found.days[-1])) for found in every]
        raise AssertionError(f"nothing settles: {made}")

    def prune(self, before: dict[str, dt.date]) -> PrunePlan:
        return prune(self.root, before, log=lambda _: None)

    def table(self, asset: str, day: Day) -> tuple[pa.Table, dict[str, str]] | None:
        return read_partition_and_metadata(self.store, asset, day)

    def files(self) -> dict[str, bytes]:
        return {path: (self.path / path).read_bytes() for path in self.store.paths("") if not path.startswith("_inflight")}


def made_lake(path: Path, seed: int, *, has_tickets: bool, tickets: int = 60, gaps: Collection[Day] = ()) -> Lake:
    """A lake with all days landed and made, but for the `gaps`; some days before the last month have no audits."""
    drawn = DrawnTickets(seed, tickets, days=DAYS)
    lake = Lake(path, drawn, has_tickets=has_tickets)
    without_audits = set(random.Random(seed).sample(EVERY_DAY[1:-30], 2))  # noqa: S311
    landed = [day for day in EVERY_DAY if day not in gaps]
    lake.land(landed, without_audits=without_audits)
    lake.put_snapshots()
    if has_tickets:
        list(make_changes(lake.store, [day for day in landed if day not in without_audits]))
    lake.make(_first_range(landed))
    lake.settle()
    return lake


def _first_range(days: list[Day]) -> list[Day]:
    return [day for place, day in enumerate(days) if day == days[0].plus(place)]
