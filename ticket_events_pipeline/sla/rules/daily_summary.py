"""`daily_sla_breach_summary`: one row per (sla_metric, policy_id, business_hours) of a day (docs/explanation/sla-rules.md).

A count has its rule in COUNTS: what each target of the day's `sla_targets` adds, and under which of its policies.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.row_runs import Ints
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.table import TIMESTAMP

KEY = list(DAILY_SLA_BREACH_SUMMARY_TABLE.key)
"""Null is a value of its own in it."""

OF_POLICY = ("policy_id", "business_hours")
"""Those of its columns that say which policy a figure is booked under."""

OWN, AT_ENTRY, AT_BREACH = POLICIES = ("", "entry_", "breach_")
"""A target's policies, as the prefix of their columns: the target's own, those in force at its entry and its first breach."""


@dataclass(frozen=True)
class DayTargets:
    """`sla_targets` of a day. All that is closed in it was closed on the day."""

    rows: pa.Table
    start: pa.Scalar

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.rows[name]

    def entered_by(self, cause: str) -> pa.ChunkedArray:
        """Which targets were opened for the first time on the day, by that cause."""
        is_entered = pc.greater_equal(self["entered_at"], self.start)
        return pc.and_(is_entered, pc.equal(self["entered_by"], cause))

    def has(self, *outcomes: str) -> pa.ChunkedArray:
        """Which targets have one of these outcomes."""
        return pc.is_in(self["outcome"], pa.array(outcomes))

    def is_breach(self) -> pa.ChunkedArray:
        """Which targets first breached on the day and aren't superseded."""
        is_breached_on_day = pc.fill_null(pc.greater_equal(self["breached_at"], self.start), False)
        return pc.and_not(is_breached_on_day, self["superseded"])


@dataclass(frozen=True)
class Count:
    """A figure that is a sum over targets: what each adds (true is 1), and the policy that it is booked under."""

    rule: Callable[[DayTargets], pa.ChunkedArray]
    booked_under: str = OWN


COUNTS = {
    "targets_started": Count(lambda targets: targets.entered_by("policy"), AT_ENTRY),
    "targets_discovered": Count(lambda targets: targets.entered_by("breach"), AT_ENTRY),
    "targets_reopened": Count(lambda targets: targets["reopened_on_day"]),
    "targets_cancelled": Count(lambda targets: targets.has("cancelled")),
    "targets_deleted": Count(lambda targets: targets.has("deleted")),
    "breaches": Count(DayTargets.is_breach, AT_BREACH),
    "breach_events": Count(lambda targets: targets["breach_events_on_day"], AT_BREACH),
    "achieved": Count(lambda targets: targets.has("achieved")),
    "completed_breached": Count(lambda targets: targets.has("breached")),
    "superseded_breaches": Count(lambda targets: targets["superseded"]),
    "withdrawn_breaches": Count(lambda targets: targets["withdrawn_breaches_on_day"]),
    "contradicted": Count(lambda targets: targets["is_contradicted"]),
    "active_eod": Count(lambda targets: targets.has("active", "breached_open")),
    "breached_open_eod": Count(lambda targets: targets.has("breached_open")),
    "paused_eod": Count(lambda targets: targets["is_paused"]),
}
"""By column."""

_NOT_IN_VERSION_1 = ("targets_deleted", "contradicted")

PERCENTILES = {"overdue_p50_seconds": 50, "overdue_p90_seconds": 90}


def daily_summary(targets: pa.Table, *, day: Day, as_of: int, events_through: int | None, history_from: dt.date) -> pa.Table:
    """The day's figures per metric and policy.

    Args:
        targets: `sla_targets` of the day, as of `as_of`.
        day: the partition.
        as_of: epoch seconds.
        events_through: epoch seconds of the newest event read up to the day; None if there never was one.
        history_from: the first day whose events are known.

    Returns:
        The table's columns, sorted by its key, nulls last; a row only where one of the counts is not 0. The last three
        arguments stand in every row.
    """
    columns = figures(day_targets(targets, day), KEY, COUNTS)
    size = columns.num_rows
    summary = {name: columns[name] for name in columns.column_names}
    if targets["is_contradicted"].null_count:  # made before rules 9 and 10: not counted is not 0
        summary |= dict.fromkeys(_NOT_IN_VERSION_1, pa.nulls(size, pa.int64()))
    summary["policy_title"] = _titles(targets, columns["policy_id"])
    summary["as_of"] = _repeated(as_of * 1000, TIMESTAMP, size)
    summary["events_through"] = _repeated(events_through and events_through * 1000, TIMESTAMP, size)
    summary["history_from"] = pa.repeat(pa.scalar(history_from, pa.date32()), size)
    schema = DAILY_SLA_BREACH_SUMMARY_TABLE.schema
    return pa.table([summary[field.name].cast(field.type) for field in schema], schema=schema)


def day_targets(targets: pa.Table, day: Day) -> DayTargets:
    """The day's `sla_targets`, to be counted."""
    return DayTargets(targets, pa.scalar(day.start * 1000, pa.int64()).cast(TIMESTAMP))


def figures(targets: DayTargets, key: Sequence[str], counts: Mapping[str, Count]) -> pa.Table:
    """The figures of the targets per key: the counts, `breached_tickets`, `achievement_rate`, and the overdue figures.

    Args:
        targets: of a day.
        key: columns of them. Those of OF_POLICY are taken from the policy that a figure is booked under; null is a value.
        counts: some of COUNTS, `breaches`, `achieved` and `completed_breached` among them.

    Returns:
        The key and the figures, sorted by the key, nulls last; a row only where one of the counts is not 0.
    """
    return summed(bookings(targets, key, counts), key, counts)


def summed(booked: pa.Table, key: Sequence[str], counts: Mapping[str, Count]) -> pa.Table:
    """The figures of `bookings`, with any columns as the key; see `figures`."""
    sums = _sums(booked, key, counts)
    columns = {name: sums[name] for name in (*key, *counts, "breached_tickets")}
    columns["achievement_rate"] = _achievement_rate(sums["achieved"], sums["breaches"])
    return pa.table(columns | _overdue(sums["overdue_seconds"]))


def breaches_of_day(targets: pa.Table, day: Day) -> pa.Table:
    """Those of the day's `sla_targets` that its `breaches` count."""
    return targets.filter(day_targets(targets, day).is_breach())


def bookings(targets: DayTargets, key: Sequence[str], counts: Mapping[str, Count]) -> pa.Table:
    """What each target adds to which key, under each of its policies; the arguments are those of `figures`."""
    booked = []
    for policy in POLICIES:
        columns = {name: targets[policy + name if name in OF_POLICY else name] for name in key}
        added = {name: count.rule(targets).cast(pa.int64()) for name, count in counts.items() if count.booked_under == policy}
        if policy == AT_BREACH:
            added["breached_ticket_id"] = pc.if_else(targets.is_breach(), targets["ticket_id"], None)
        if policy == OWN:
            added["overdue_seconds"] = pc.if_else(targets.has("breached"), targets["overdue_seconds"], None)
        booked.append(_without_empty(pa.table(columns | added), counts))
    return pa.concat_tables(booked, promote_options="default")


def _without_empty(booked: pa.Table, counts: Mapping[str, Count]) -> pa.Table:
    """The rows that add something."""
    adds = pa.chunked_array([pa.repeat(False, booked.num_rows)])
    for name in counts.keys() & set(booked.column_names):
        adds = pc.or_(adds, pc.fill_null(pc.not_equal(booked[name], 0), False))
    return booked.filter(adds)


def _sums(booked: pa.Table, key: Sequence[str], counts: Mapping[str, Count]) -> pa.Table:
    """One row per key, sorted, nulls last; the overdue seconds as a list."""
    sums = booked.group_by(list(key), use_threads=False).aggregate(
        [
            *((name, "sum", pc.ScalarAggregateOptions(min_count=0)) for name in counts),
            ("breached_ticket_id", "count_distinct", pc.CountOptions(mode="only_valid")),
            ("overdue_seconds", "list"),
        ]
    )
    names = [*key, *counts, "breached_tickets", "overdue_seconds"]
    return sums.rename_columns(names).sort_by([(name, "ascending") for name in key])


def _titles(targets: pa.Table, policy_ids: pa.ChunkedArray) -> pa.Array:
    """The title that the day's targets have for each of the policies, null being one: all of them have the same."""
    carried = [
        pa.table({"id": targets[f"{prefix}policy_id"], "title": targets[f"{prefix}policy_title"]}) for prefix in POLICIES
    ]
    titles = pa.concat_tables(carried).group_by("id", use_threads=False).aggregate([("title", "max")])
    return titles["title_max"].take(pc.index_in(policy_ids, titles["id"].combine_chunks()))


def _achievement_rate(achieved: pa.ChunkedArray, breaches: pa.ChunkedArray) -> pa.ChunkedArray:
    decided = pc.add(achieved, breaches)
    return pc.divide(achieved.cast(pa.float64()), pc.if_else(pc.equal(decided, 0), None, decided))


def overdue_figures(seconds: Ints) -> dict[str, float | int | None]:
    """Linear percentiles and the maximum of these, under their columns' names; None where there are none."""
    ordered = np.sort(seconds)
    percentiles = {name: percentile(ordered, percent) for name, percent in PERCENTILES.items()}
    return {**percentiles, "overdue_max_seconds": int(ordered[-1]) if len(ordered) else None}


def _overdue(seconds: pa.ChunkedArray) -> dict[str, pa.Array]:
    """The figures per row; null where no target was completed late."""
    lists = seconds.combine_chunks()
    rows, values = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    is_late = pc.is_valid(values).to_numpy(zero_copy_only=False)
    rows, late = rows[is_late], values.drop_null().to_numpy()
    ordered = late[np.lexsort([late, rows])]
    counts = np.bincount(rows, minlength=len(lists))
    firsts = np.cumsum(counts) - counts
    figures = {name: _percentiles(ordered, firsts, counts, percent) for name, percent in PERCENTILES.items()}
    return {**figures, "overdue_max_seconds": _percentiles(ordered, firsts, counts, 100).cast(pa.int64())}


def _percentiles(ordered: Ints, firsts: Ints, counts: Ints, percent: int) -> pa.Array:
    """`percentile` of each of several runs of ascending numbers; null for a run of none."""
    places, rests = np.divmod((counts - 1) * percent, 100)
    has_any = counts > 0
    low = ordered[(firsts + places)[has_any]]
    high = ordered[(firsts + np.minimum(places + 1, counts - 1))[has_any]]
    found = np.zeros(len(counts))
    found[has_any] = low + (high - low) * rests[has_any] / 100
    return pa.array(found, mask=~has_any)


def percentile(ordered: Ints, percent: int) -> float | None:
    """The linear percentile of ascending numbers; None of none."""
    if not len(ordered):
        return None
    # In whole numbers, so that a figure that comes out even is shown even.
    place, rest = divmod((len(ordered) - 1) * percent, 100)
    low, high = int(ordered[place]), int(ordered[min(place + 1, len(ordered) - 1)])
    return low + (high - low) * rest / 100


def _repeated(value: int | None, kind: pa.DataType, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.int64()), size).cast(kind)
