"""Pruning: removes the days of a root before a date, so that no figure of a later day changes.

First the record says which days are pruned and closed, then their files are removed. So whatever a killed run has left is not
missing, and the next run removes the rest. Days are held as a fetch holds them: none is removed while it is written.

A day is not closed before its tables are up to date, and not before what is missing up to it was fetched: the tables of later
days would lack it. Nothing is recorded, so no day is closed, where no file would be removed.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial

from ticket_events_pipeline.background_worker import map_concurrently
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.ingest.catch_up import CompleteFiles, catch_up
from ticket_events_pipeline.ingest.lease import Lease, Sleep, hold_days
from ticket_events_pipeline.report.week_page import week_of_page
from ticket_events_pipeline.retention.settings import CLOSING, PRUNABLE, REACH_DAYS, RetentionSettings, least_days
from ticket_events_pipeline.sla.footer_cache import SLA_TABLES, TABLES, WITHOUT_TICKET_TABLES, FooterCache
from ticket_events_pipeline.sla.staleness import compare
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.pruned_days import RETENTION, PrunedDays, read_pruned_days, write_pruned_days
from ticket_events_pipeline.storage.rejected_rows import REJECTED
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.staleness import compare_tickets

Log = Callable[[str], None]

FILES_AT_ONCE = 200
"""Removed under one check of the fence."""

_IN_DAY_FOLDER = re.compile(r"[a-z_]+/date=(\d{4}-\d{2}-\d{2})/[^/]+", re.ASCII)
_REJECTED = re.compile(rf"{REJECTED}/[a-z_]+/(\d{{1,11}})-[0-9a-f]+\.jsonl", re.ASCII)


@dataclass(frozen=True)
class Root:
    """The root to be pruned, as the account's variables describe it.

    Attributes:
        store: where the files are.
        first_day: the first partition.
        today: by the timezone of the days.
        restate_days: closed days that are re-read every night.
        has_ticket_tables: whether the ticket tables are made.
    """

    store: Store
    first_day: Day
    today: Day
    restate_days: int
    has_ticket_tables: bool

    @classmethod
    def of(cls, store: Store, settings: RetentionSettings, *, now: float) -> Root:
        """The root in `store` at that time, epoch seconds."""
        today = Day.containing(now, settings.first_day.timezone)
        return cls(store, settings.first_day, today, settings.restate_days, settings.has_ticket_tables)

    @property
    def newest_before(self) -> Day:
        """The latest date before which anything may be pruned."""
        return self.today.plus(1 - least_days(self.restate_days))


@dataclass(frozen=True)
class AssetFiles:
    """What is to be removed of an asset.

    Attributes:
        before: the first day that is kept.
        paths: by path, the day of the file.
        size_bytes: of all of them.
    """

    asset: str
    before: Day
    paths: Mapping[str, Day]
    size_bytes: int

    @property
    def days(self) -> list[Day]:
        """In order."""
        return sorted(set(self.paths.values()))


@dataclass(frozen=True)
class PrunePlan:
    """What pruning does.

    Attributes:
        record: what is pruned and closed afterwards.
        assets: those of which files are removed or were before, in the order of PRUNABLE.
        held_back: why less is pruned than was asked for, as a sentence; None if all of it is.
    """

    record: PrunedDays
    assets: tuple[AssetFiles, ...]
    held_back: str | None

    @property
    def files(self) -> int:
        """How many are removed."""
        return sum(len(found.paths) for found in self.assets)

    @property
    def size_bytes(self) -> int:
        """Of them."""
        return sum(found.size_bytes for found in self.assets)


def plan_prune(root: Root, before: Mapping[str, dt.date]) -> PrunePlan:
    """What pruning would remove; nothing is changed.

    Args:
        root: the root.
        before: by asset, the first day (a date) to be kept.

    Raises:
        UsageError: an asset is unknown, or the date is too late.
        DamagedFileError: the record of what was pruned before can't be read.
    """
    _refuse(root, before)
    known = read_pruned_days(root.store)
    stored = _stored_files(root, {*before, *known.before})
    allowed, held_back = _removing(known, stored, before), None
    closing_dates = [date for asset, date in allowed.items() if asset in CLOSING]
    if closing_dates:
        obstacle = _first_unfinished(root, known, until=_closed_by(root, max(closing_dates)))
        if obstacle is not None:
            day, reason = obstacle
            latest = day.plus(-REACH_DAYS).date
            limited = {asset: min(date, latest) if asset in CLOSING else date for asset, date in before.items()}
            allowed = _removing(known, stored, limited)
            held_back = (
                f"Nothing from {latest} on is pruned yet, except pages of the report: that would close the days up to "
                f"{REACH_DAYS} days later, and {day} is not finished. {reason}"
            )
    record = _recorded(known, allowed)
    found = (
        _files_before(root.store, asset, stored[asset], Day(record.before[asset], root.today.timezone))
        for asset in PRUNABLE
        if asset in record.before
    )
    return PrunePlan(record, tuple(found), held_back)


def prune(root: Root, before: Mapping[str, dt.date], *, label: str = "", log: Log, sleep: Sleep | None = None) -> PrunePlan:
    """Remove the days before a date of each asset, and record them as pruned; see `plan_prune`.

    `label` names this to fetches that wait for it, and `sleep` waits for a fetch. It may be run again at any time, and removes
    what a killed run has left. Where there is nothing to remove, no file is written.

    Raises:
        UsageError, DamagedFileError: see `plan_prune`.
        DaysHeldError: a fetch has been reading one of the days for some minutes, or another prune is running.
        TransientError: the store can't be reached.
    """
    planned = plan_prune(root, before)
    if not planned.files:
        return planned
    with ExitStack() as held:
        hold = partial(_held, held, root.store, label=label, log=log, sleep=sleep)
        own, days = hold(RETENTION, [root.today]), _days_to_close(root, before)
        streams = {stream: hold(stream, days) for stream in STREAMS}
        plan = plan_prune(root, before)
        if plan.record != read_pruned_days(root.store):
            write_pruned_days(own.fenced(), plan.record)
        for found in plan.assets:
            fenced = streams.get(found.asset, own).fenced()
            for some in _chunks(sorted(found.paths)):
                fenced.delete(*some)
    return plan


def reopen(root: Root, first: Day, *, label: str = "", log: Log) -> PrunedDays:
    """Let the days from `first` on be fetched and made again; what was removed stays removed. Returns the new record.

    Raises:
        DamagedFileError: the record of what was pruned can't be read.
        DaysHeldError: a prune is running.
    """
    with ExitStack() as held:
        own = _held(held, root.store, RETENTION, [root.today], label=label, log=log, sleep=None)
        known = read_pruned_days(root.store)
        closed = None if known.closed_before is None else min(known.closed_before, first.date)
        record = PrunedDays({asset: min(date, first.date) for asset, date in known.before.items()}, closed)
        if record != known:
            write_pruned_days(own.fenced(), record)
    return record


def _refuse(root: Root, before: Mapping[str, dt.date]) -> None:
    unknown = sorted(before.keys() - set(PRUNABLE))
    if unknown:
        raise UsageError(f"There is no asset {unknown[0]} with days. Give one of {', '.join(PRUNABLE)}.")
    newest, least = root.newest_before, least_days(root.restate_days)
    late = max(before.values(), default=dt.date.min)
    if late > newest.date:
        raise UsageError(
            f"{late} is too late: at least {least} days are kept, so give {newest} or an earlier day. Tables are made from "
            f"up to {REACH_DAYS} days before their own, and the last days are read again."
        )


def _held(held: ExitStack, store: Store, name: str, days: list[Day], *, label: str, log: Log, sleep: Sleep | None) -> Lease:
    lease = hold_days(store, name, days, label=label or "prune", log=log, sleep=sleep)
    held.callback(lease.release, is_finished=True)
    return lease


def _days_to_close(root: Root, before: Mapping[str, dt.date]) -> list[Day]:
    """All days that are or will be closed: while they are held, no fetch writes one of them."""
    last = _closed_by(root, max(before.values(), default=root.first_day.date)).plus(-1)
    zone = root.today.timezone
    stored = [day for stream in STREAMS for day in stored_days(root.store, stream, zone)[:1]]
    return days_between(min([last, *stored]), last)


def _closed_by(root: Root, before: dt.date) -> Day:
    """The first open day after pruning before a date."""
    return Day(before, root.today.timezone).plus(REACH_DAYS)


def _removing(known: PrunedDays, stored: Mapping[str, Mapping[str, Day]], before: Mapping[str, dt.date]) -> dict[str, dt.date]:
    """Those of the dates that are to be recorded, as files that weren't pruned before are removed with them.

    Such files of one asset are enough for all assets with the same or an earlier date: what these don't have is pruned, too.
    Pages of the report are enough for the report alone.
    """
    later = {asset: date for asset, date in before.items() if date > known.before.get(asset, dt.date.min)}
    removing = {
        asset
        for asset, date in later.items()
        if any(known.before.get(asset, dt.date.min) <= day.date < date for day in stored[asset].values())
    }
    latest = max((later[asset] for asset in removing if asset in CLOSING), default=dt.date.min)
    return {asset: date for asset, date in later.items() if asset in removing or date <= latest}


def _recorded(known: PrunedDays, later: Mapping[str, dt.date]) -> PrunedDays:
    """The record after pruning: what was pruned stays pruned, and what is pruned now closes days; reopened ones stay open."""
    closed = [date + dt.timedelta(days=REACH_DAYS) for asset, date in later.items() if asset in CLOSING]
    if known.closed_before is not None:
        closed.append(known.closed_before)
    return replace(known, before={**known.before, **later}, closed_before=max(closed, default=None))


def _first_unfinished(root: Root, known: PrunedDays, *, until: Day) -> tuple[Day, str] | None:
    """The first day before `until` that has to be fetched or made first, and why; None if there is none."""
    first = root.first_day

    def is_open(day: Day) -> bool:
        return first <= day < until and not known.is_closed(day)

    found = dict(_unfetched(root, is_open)) | dict(_stale(root, is_open))
    return min(found.items(), default=None)


def _unfetched(root: Root, is_open: Callable[[Day], bool]) -> Iterator[tuple[Day, str]]:
    days = [day for day in catch_up(root.store, root.today, CompleteFiles()).days if is_open(day)]
    if days:
        yield days[0], f"It is not stored to its end: hourly_fetch reads it, or ticket-events backfill {days[0]} --missing."


def _stale(root: Root, is_open: Callable[[Day], bool]) -> Iterator[tuple[Day, str]]:
    """A root without any SLA table is one of raw files alone, and nothing waits for its tables."""
    cache = FooterCache(TABLES if root.has_ticket_tables else WITHOUT_TICKET_TABLES)
    stored = cache.read(root.store, root.today.timezone)
    while stored.unread:
        stored = cache.read(root.store, root.today.timezone)
    if not any(stored.footers[table] for table in SLA_TABLES):
        return
    comparison = compare(stored, is_open)
    stale = dict(comparison.stale)
    if root.has_ticket_tables:
        tickets = compare_tickets(comparison, is_open)
        stale = {**tickets.stale, **tickets.stale_changes, **stale}
    if stale:
        day = min(stale)
        yield day, f"{stale[day]} new_event_partitions_sensor makes it, or ticket-events backfill {day}.. --missing."


def _stored_files(root: Root, assets: Collection[str]) -> dict[str, dict[str, Day]]:
    """By asset, the day of each file."""
    store, zone = root.store, root.today.timezone
    return {
        asset: dict([*_of_days(store.paths(asset), zone), *_rejected_of(store, asset, zone)])
        for asset in PRUNABLE
        if asset in assets
    }


def _files_before(store: Store, asset: str, stored: Mapping[str, Day], before: Day) -> AssetFiles:
    paths = {path: day for path, day in stored.items() if day < before}
    sizes = map_concurrently(lambda path: _size(store, path), list(paths))
    return AssetFiles(asset, before, paths, sum(sizes))


def _of_days(paths: Sequence[str], timezone: str) -> Iterator[tuple[str, Day]]:
    """The files in the folders of days, and the pages of weeks: these belong to the last day of the week."""
    for path in paths:
        match = _IN_DAY_FOLDER.fullmatch(path)
        week = week_of_page(path, timezone)
        try:
            if match is not None:
                yield path, Day.parse(match[1], timezone)
            elif week is not None:
                yield path, week.days[-1]
        except ValueError:  # date=2026-02-30: not one of ours
            continue


def _rejected_of(store: Store, asset: str, timezone: str) -> Iterator[tuple[str, Day]]:
    """The rejected rows of a stream, which have no readable time: they belong to the day that their page was asked from."""
    for path in store.paths(f"{REJECTED}/{asset}") if asset in STREAMS else []:
        match = _REJECTED.fullmatch(path)
        if match is not None:
            yield path, Day.containing(int(match[1]), timezone)


def _size(store: Store, path: str) -> int:
    try:
        with closing(store.reader(path)) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError:  # removed meanwhile
        return 0


def _chunks(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), FILES_AT_ONCE):
        yield paths[start : start + FILES_AT_ONCE]
