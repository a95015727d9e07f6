"""`daily_sla_breach_summary`: one row per (sla_metric, policy_id, business_hours) of a day (SLA.md part 3).

Here: sums over one day's `sla_targets`, each booked under the policy that the table in SLA.md names. Not here: any rule
about a single target.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.row_runs import Ints
from ticket_events_pipeline.tables.schemas import DAILY_SLA_BREACH_SUMMARY_SCHEMA, TIMESTAMP

KEY = ["sla_metric", "policy_id", "business_hours"]
"""Null is a value of its own in it."""

COUNTS = [
    "targets_started",
    "targets_discovered",
    "targets_reopened",
    "targets_cancelled",
    "targets_deleted",
    "breaches",
    "breach_events",
    "achieved",
    "completed_breached",
    "superseded_breaches",
    "withdrawn_breaches",
    "contradicted",
    "active_eod",
    "breached_open_eod",
    "paused_eod",
]
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
        `DAILY_SLA_BREACH_SUMMARY_SCHEMA`, sorted by its key, nulls last; a row only where one of the counts is not 0. The
        last three arguments stand in every row.
    """
    sums = _sums(_bookings(targets, day_start=day.start))
    columns = {name: sums[name] for name in (*KEY, *COUNTS, "breached_tickets")}
    if targets["is_contradicted"].null_count:  # made before rules 9 and 10: not counted is not 0
        columns |= dict.fromkeys(["targets_deleted", "contradicted"], pa.nulls(sums.num_rows, pa.int64()))
    columns["policy_title"] = _titles(targets, sums["policy_id"])
    columns["achievement_rate"] = _achievement_rate(sums["achieved"], sums["breaches"])
    columns |= _overdue(sums["overdue_seconds"])
    columns["as_of"] = _repeated(as_of * 1000, TIMESTAMP, sums.num_rows)
    columns["events_through"] = _repeated(events_through and events_through * 1000, TIMESTAMP, sums.num_rows)
    columns["history_from"] = pa.repeat(pa.scalar(history_from, pa.date32()), sums.num_rows)
    schema = DAILY_SLA_BREACH_SUMMARY_SCHEMA
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _bookings(targets: pa.Table, *, day_start: int) -> pa.Table:
    """What each target adds to which key: under its own policy, under that at its entry, under that at its breach."""
    start = pa.scalar(day_start * 1000, pa.int64()).cast(TIMESTAMP)
    is_entered = pc.greater_equal(targets["entered_at"], start)
    is_breached_on_day = pc.fill_null(pc.greater_equal(targets["breached_at"], start), False)
    is_breach = pc.and_not(is_breached_on_day, targets["superseded"])
    entry = {
        "targets_started": pc.and_(is_entered, pc.equal(targets["entered_by"], "policy")),
        "targets_discovered": pc.and_(is_entered, pc.equal(targets["entered_by"], "breach")),
    }
    breach = {
        "breaches": is_breach,
        "breach_events": targets["breach_events_on_day"],
        "breached_ticket_id": pc.if_else(is_breach, targets["ticket_id"], None),
    }
    booked = [
        _booked(targets, "", _own_figures(targets)),
        _booked(targets, "entry_", entry).filter(is_entered),
        _booked(targets, "breach_", breach).filter(pc.greater(targets["breach_events_on_day"], 0)),
    ]
    return pa.concat_tables(booked, promote_options="default")


def _own_figures(targets: pa.Table) -> dict[str, pa.ChunkedArray]:
    """What is booked under the target's policy. All that is closed in a day's table was closed on the day."""
    outcome = targets["outcome"]
    is_completed_breached = pc.equal(outcome, "breached")
    return {
        "targets_reopened": targets["reopened_on_day"],
        "targets_cancelled": pc.equal(outcome, "cancelled"),
        "targets_deleted": pc.equal(outcome, "deleted"),
        "achieved": pc.equal(outcome, "achieved"),
        "completed_breached": is_completed_breached,
        "superseded_breaches": targets["superseded"],
        "withdrawn_breaches": targets["withdrawn_breaches_on_day"],
        "contradicted": targets["is_contradicted"],
        "active_eod": pc.is_in(outcome, pa.array(["active", "breached_open"])),
        "breached_open_eod": pc.equal(outcome, "breached_open"),
        "paused_eod": targets["is_paused"],
        "overdue_seconds": pc.if_else(is_completed_breached, targets["overdue_seconds"], None),
    }


def _booked(targets: pa.Table, prefix: str, figures: dict[str, pa.ChunkedArray]) -> pa.Table:
    key = {"sla_metric": targets["sla_metric"], **{name: targets[prefix + name] for name in KEY[1:]}}
    return pa.table(key | {name: figure.cast(pa.int64()) for name, figure in figures.items()})


def _sums(bookings: pa.Table) -> pa.Table:
    """One row per key, sorted, nulls last; the overdue seconds as a list."""
    sums = bookings.group_by(KEY, use_threads=False).aggregate(
        [
            *((name, "sum", pc.ScalarAggregateOptions(min_count=0)) for name in COUNTS),
            ("breached_ticket_id", "count_distinct", pc.CountOptions(mode="only_valid")),
            ("overdue_seconds", "list"),
        ]
    )
    names = [*KEY, *COUNTS, "breached_tickets", "overdue_seconds"]
    return sums.rename_columns(names).sort_by([(name, "ascending") for name in KEY])


def _titles(targets: pa.Table, policy_ids: pa.ChunkedArray) -> pa.Array:
    """The title that the day's targets have for each of the policies, null being one: all of them have the same."""
    carried = [
        pa.table({"id": targets[f"{prefix}policy_id"], "title": targets[f"{prefix}policy_title"]})
        for prefix in ("", "entry_", "breach_")
    ]
    titles = pa.concat_tables(carried).group_by("id", use_threads=False).aggregate([("title", "max")])
    return titles["title_max"].take(pc.index_in(policy_ids, titles["id"].combine_chunks()))


def _achievement_rate(achieved: pa.ChunkedArray, breaches: pa.ChunkedArray) -> pa.ChunkedArray:
    decided = pc.add(achieved, breaches)
    return pc.divide(achieved.cast(pa.float64()), pc.if_else(pc.equal(decided, 0), None, decided))


def overdue_figures(seconds: Ints) -> dict[str, float | int | None]:
    """Linear percentiles and the maximum of these, under their columns' names; None where there are none."""
    ordered = np.sort(seconds)
    percentiles = {name: _percentile(ordered, percent) for name, percent in PERCENTILES.items()}
    return {**percentiles, "overdue_max_seconds": int(ordered[-1]) if len(ordered) else None}


def _overdue(seconds: pa.ChunkedArray) -> dict[str, pa.Array]:
    """The figures per row; null where no target was completed late."""
    per_row = [overdue_figures(values.values.drop_null().to_numpy()) for values in seconds]
    kinds = {**dict.fromkeys(PERCENTILES, pa.float64()), "overdue_max_seconds": pa.int64()}
    return {name: pa.array([figures[name] for figures in per_row], kind) for name, kind in kinds.items()}


def _percentile(ordered: Ints, percent: int) -> float | None:
    if not len(ordered):
        return None
    # In whole numbers, so that a figure that comes out even is shown even.
    place, rest = divmod((len(ordered) - 1) * percent, 100)
    low, high = int(ordered[place]), int(ordered[min(place + 1, len(ordered) - 1)])
    return low + (high - low) * rest / 100


def _repeated(value: int | None, kind: pa.DataType, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.int64()), size).cast(kind)
