"""The open targets of today with the time at which each will breach: what warnings and `ticket-events due` tell.

Read from the stored tables alone, so they are as of the last fetch, never as of now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.provenance import SlaDay, find_sla_day
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, STREAMS
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, SCHEDULES_FETCHED_AT
from ticket_events_pipeline.tickets.provenance import MADE_FROM_TARGETS
from ticket_events_pipeline.tickets.rules.due_times import CALENDAR
from ticket_events_pipeline.tickets.rules.known_by import codes_in
from ticket_events_pipeline.tickets.rules.values import IS_UNKNOWN

_KEY = ["ticket_id", "metric", "instance_id"]

_TARGET_COLUMNS = [
    *_KEY,
    "sla_metric",
    "policy_id",
    "policy_title",
    "business_hours",
    "target_seconds",
    "outcome",
    "is_paused",
    "breached_at",
    "due_at",
    "last_event_at",
]

_HOLDERS = {"group_id": "group_id_eod", "assignee_id": "assignee_id_eod"}
_DIMENSION_COLUMNS = [*_KEY, *_HOLDERS.values(), "known_by", "due_at", "due_by"]

DUE_TARGET_COLUMNS = [
    *_TARGET_COLUMNS[:-1],
    "due_by",
    "group_id",
    "assignee_id",
    "group_is_known",
    "assignee_is_known",
]
"""The columns of `DueTargets.targets`."""


@dataclass(frozen=True)
class DueTargets:
    """The open targets of a day, and when they will breach. Times are epoch seconds.

    Attributes:
        day: the day that they are of.
        as_of: the moment that they are as of; whatever happened later isn't in them.
        complete: whether the day was read to its end.
        read_at: up to when the day's metric events were read; None without a readable raw file.
        schedules_fetched_at: when the schedules behind the estimates in business hours were fetched; None without any.
        targets: `DUE_TARGET_COLUMNS`, one row for each target that is open and in time, paused or not, and for each that
            breached on the day and is open, sorted by (due_at, ticket_id, metric, instance_id), those without `due_at` last.
            `breached_at` and `due_at` are epoch seconds. `due_at` is an estimate, NULL without one, and `due_by` its hours:
            `calendar` or `business_hours`. `group_id` and `assignee_id` hold the ticket at as_of; NULL and known is nobody,
            NULL and not known is unknown. Assumed holders count as known: on an open day nearly all are, since audits of
            its last minutes may still come.
        has_holders: whether the ticket tables of the day are there.
        unreadable: a sentence for each file that can't be read and was done without.
    """

    day: Day
    as_of: int
    complete: bool
    read_at: int | None
    schedules_fetched_at: int | None
    targets: pa.Table
    has_holders: bool = False
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Dimensions:
    """`sla_target_dimensions` of the day; without rows where the ticket tables are off, not made yet, or damaged."""

    rows: pa.Table | None = None
    footer: Mapping[str, str] | None = None
    error: str | None = None


def read_due_targets(store: Store, today: Day, *, breached_since: int | None = None) -> DueTargets | None:
    """Those of today, or until today has `sla_targets`, of yesterday; None where neither has.

    Args:
        store: where the tables are.
        today: the account's day now.
        breached_since: the open ones that breached from then on (epoch seconds) are in it, too, if that is before the day.

    Raises:
        DamagedFileError: the file of `sla_targets` can't be read. Older targets in its place would hide that.
    """
    for day in (today, today.plus(-1)):
        found = find_sla_day(store, TARGETS, day, _TARGET_COLUMNS)
        if found is not None:
            return _due_targets(store, day, found, breached_since=breached_since)
    return None


def _due_targets(store: Store, day: Day, found: SlaDay, *, breached_since: int | None) -> DueTargets:
    since = day.start if breached_since is None else min(day.start, breached_since)
    dimensions = _read_dimensions(store, day)
    footer = dimensions.footer or {}
    known_through = _known_through(footer, found)
    targets = _with_dimensions(_open_targets(found.rows, breached_since=since), dimensions.rows, known_through=known_through)
    inputs = found.provenance.inputs
    read_at, raw_error = _read_at(store, day)
    return DueTargets(
        day=day,
        as_of=inputs.as_of,
        complete=inputs.complete,
        read_at=read_at,
        schedules_fetched_at=_whole_number(footer.get(SCHEDULES_FETCHED_AT)),
        targets=_sorted(targets).select(DUE_TARGET_COLUMNS),
        has_holders=dimensions.rows is not None,
        unreadable=tuple(error for error in (dimensions.error, raw_error) if error is not None),
    )


def _open_targets(rows: pa.Table, *, breached_since: int) -> pa.Table:
    """Those in time, and those that breached from then on; times become epoch seconds."""
    for name in ("breached_at", "due_at", "last_event_at"):
        rows = _in_seconds(rows, name)
    outcome = rows["outcome"]
    is_new = pc.and_(
        pc.equal(outcome, "breached_open"), pc.fill_null(pc.greater_equal(rows["breached_at"], breached_since), False)
    )
    return rows.filter(pc.or_(pc.equal(outcome, "active"), is_new))


def _read_dimensions(store: Store, day: Day) -> _Dimensions:
    try:
        found = read_partition_and_metadata(store, DIMENSIONS, day, _DIMENSION_COLUMNS)
    except DamagedFileError as error:
        return _Dimensions(error=str(error))
    return _Dimensions() if found is None else _Dimensions(*found)


def _known_through(footer: Mapping[str, str], targets: SlaDay) -> int | None:
    """Up to when the targets behind the dimensions were known, epoch seconds; None if they are today's very targets.

    A target without an event since then has the same estimate still. Events may come late by the lag of the stream.
    """
    if footer.get(MADE_FROM_TARGETS) == targets.content_hash:
        return None
    return (_whole_number(footer.get("as_of")) or 0) - STREAMS[METRIC_EVENTS].lag_seconds


def _with_dimensions(targets: pa.Table, dimensions: pa.Table | None, *, known_through: int | None) -> pa.Table:
    if dimensions is None:
        return _without_dimensions(targets)
    joined = targets.join(_holders_and_estimates(dimensions, targets), _KEY, join_type="left outer", use_threads=False)
    runs = pc.and_(pc.equal(joined["outcome"], "active"), pc.invert(joined["is_paused"]))
    if known_through is not None:
        runs = pc.and_(runs, pc.less(joined["last_event_at"], known_through))
    runs = pc.fill_null(runs, False)
    is_calendar = pc.is_valid(joined["due_at"])
    due_at = pc.coalesce(joined["due_at"], pc.if_else(runs, joined["estimate"], None))
    due_by = pc.if_else(is_calendar, CALENDAR, pc.if_else(runs, joined["due_by"], None))
    joined = _replaced(_replaced(joined, "due_at", due_at), "due_by", due_by)
    for name in ("group_is_known", "assignee_is_known"):
        joined = _replaced(joined, name, pc.fill_null(joined[name], False))
    return joined


def _holders_and_estimates(dimensions: pa.Table, targets: pa.Table) -> pa.Table:
    """What `sla_target_dimensions` tells of these targets: who holds the ticket, and `estimate` in epoch seconds."""
    ours = dimensions.filter(pc.is_in(dimensions["ticket_id"], targets["ticket_id"].combine_chunks()))
    columns = {name: ours[name] for name in _KEY}
    codes = codes_in(ours["known_by"], list(_HOLDERS.values()))
    for name, at_the_end in _HOLDERS.items():
        columns[name] = ours[at_the_end]
        columns[f"{name.removesuffix('_id')}_is_known"] = pa.array(codes[at_the_end] != IS_UNKNOWN)
    columns["estimate"] = _in_seconds(ours, "due_at")["due_at"]
    columns["due_by"] = ours["due_by"]
    return pa.table(columns)


def _without_dimensions(targets: pa.Table) -> pa.Table:
    due_by = pc.if_else(pc.is_valid(targets["due_at"]), CALENDAR, pa.scalar(None, pa.string()))
    targets = targets.append_column("due_by", due_by)
    for name in _HOLDERS:
        targets = targets.append_column(name, pa.nulls(targets.num_rows, pa.int64()))
        is_known = pa.repeat(pa.scalar(False), targets.num_rows)
        targets = targets.append_column(f"{name.removesuffix('_id')}_is_known", is_known)
    return targets


def _sorted(targets: pa.Table) -> pa.Table:
    return targets.sort_by([(name, "ascending") for name in ("due_at", *_KEY)])


def _read_at(store: Store, day: Day) -> tuple[int | None, str | None]:
    """Up to when the day's metric events were read, and what is wrong with their file."""
    try:
        footer = read_raw_footer(store, METRIC_EVENTS, day)
    except DamagedFileError as error:
        return None, str(error)
    return (None if footer is None else footer.read_up_to), None


def _in_seconds(rows: pa.Table, name: str) -> pa.Table:
    return _replaced(rows, name, pc.divide(rows[name].cast(pa.int64()), 1000))


def _replaced(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
