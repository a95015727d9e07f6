"""The stored `sla_targets` of a day as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.due_times import read_estimates, with_due_times
from ticket_events_pipeline.report.holders import TARGET_KEY
from ticket_events_pipeline.report.model import ContradictedTarget, DeletedTicket, Elapsed, Overdue
from ticket_events_pipeline.report.stored import PolicyKey, not_made
from ticket_events_pipeline.report.work_list import STORED_COLUMNS, OpenTargets
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.provenance import SlaDay, find_sla_day
from ticket_events_pipeline.sla.rules.daily_summary import overdue_figures, percentile
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE

LONGEST_DELETED, LONGEST_CONTRADICTED = 20, 5
"""Lines of each list: a longer page is not read to its end."""

ELAPSED = "elapsed_seconds"

_COLUMNS = [*STORED_COLUMNS, "outcome", "applied_at", "is_contradicted", ELAPSED]
_POLICY_KEY = ["sla_metric", "policy_id", "business_hours"]


@dataclass(frozen=True)
class DayTargets:
    """The targets of a day.

    Attributes:
        open: for the work list and the forecast.
        targets: open at some moment of the day.
        unknown_policies: those that no policy was ever applied to.
        overdue: per metric, of those fulfilled late on the day.
        elapsed: per metric, of those fulfilled on the day.
        elapsed_by_policy: the same per row of the summary.
        has_elapsed: whether the file holds durations at all; those of earlier versions don't.
        deleted: tickets whose deletion closed targets, cut; `deleted_count` is of all.
        contradicted: the first of the targets whose outcome and duration disagree.
        hours: `business_hours` of those that breached on the day, by their key.
        content_hash: of the table.
    """

    open: OpenTargets
    targets: int
    unknown_policies: int
    overdue: dict[str, Overdue]
    elapsed: dict[str, Elapsed]
    elapsed_by_policy: dict[PolicyKey, Elapsed]
    has_elapsed: bool
    deleted: tuple[DeletedTicket, ...]
    deleted_count: int
    contradicted: tuple[ContradictedTarget, ...]
    hours: pa.Table
    content_hash: str


def read_targets(store: Store, day: Day, *, with_estimates: bool = True) -> DayTargets:
    """The day's targets; without `with_estimates`, those in business hours have no due time.

    Raises:
        DayNotFetchedError: `sla_targets` of the day has not been made.
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    found = find_sla_day(store, TARGETS, day, _COLUMNS)
    if found is None:
        raise not_made(TARGETS, day)
    estimates = read_estimates(store, day, made_from=found.content_hash) if with_estimates else None
    return _day_targets(found, day, with_due_times(found.rows, estimates))


def _day_targets(found: SlaDay, day: Day, table: pa.Table) -> DayTargets:
    outcome = table["outcome"]
    deleted = _deleted(table.filter(pc.equal(outcome, "deleted")))
    completed = table.filter(pc.is_in(outcome, pa.array(["achieved", "breached"])))
    return DayTargets(
        open=OpenTargets.of(table, day=day, as_of=found.provenance.inputs.as_of),
        targets=table.num_rows,
        unknown_policies=table["applied_at"].null_count,
        overdue=_overdue(table.filter(pc.equal(outcome, "breached"))),
        elapsed={metric: elapsed for (metric,), elapsed in _elapsed(completed, _POLICY_KEY[:1]).items()},
        elapsed_by_policy=_elapsed(completed, _POLICY_KEY),
        has_elapsed=_has_elapsed(found),
        deleted=tuple(deleted[:LONGEST_DELETED]),
        deleted_count=len(deleted),
        contradicted=_contradicted(table.filter(pc.fill_null(table["is_contradicted"], False))),
        hours=_breached_since(table, day).select([*TARGET_KEY, "business_hours"]),
        content_hash=found.content_hash,
    )


def _breached_since(table: pa.Table, day: Day) -> pa.Table:
    return table.filter(pc.fill_null(pc.greater_equal(table["breached_at"].cast(pa.int64()), day.start * 1000), False))


def _has_elapsed(found: SlaDay) -> bool:
    """Files say their schema version since version 2."""
    return ELAPSED in SLA_TARGETS_TABLE.at(int(found.metadata.get(VERSION_KEY, "1"))).names


def _deleted(closed: pa.Table) -> list[DeletedTicket]:
    """The tickets that these targets were closed with, those with late ones first."""
    per_ticket = closed.group_by("ticket_id").aggregate([([], "count_all"), ("breached_at", "count")]).to_pylist()
    tickets = [DeletedTicket(row["ticket_id"], row["count_all"], row["breached_at_count"]) for row in per_ticket]
    return sorted(tickets, key=lambda ticket: (-ticket.late, ticket.ticket_id))


def _contradicted(targets: pa.Table) -> tuple[ContradictedTarget, ...]:
    named = targets.select(["ticket_id", "sla_metric", "instance_id"]).sort_by(
        [(name, "ascending") for name in ("ticket_id", "sla_metric", "instance_id")]
    )
    rows = named.slice(0, LONGEST_CONTRADICTED).to_pylist()
    return tuple(ContradictedTarget(row["ticket_id"], row["sla_metric"]) for row in rows)


def _overdue(fulfilled_late: pa.Table) -> dict[str, Overdue]:
    per_metric = fulfilled_late.group_by("sla_metric").aggregate([("overdue_seconds", "list")])
    figures = {
        metric.as_py(): overdue_figures(seconds.values.drop_null().to_numpy())
        for metric, seconds in zip(per_metric["sla_metric"], per_metric["overdue_seconds_list"], strict=True)
    }
    return {metric: _as_overdue(found) for metric, found in figures.items()}


def _as_overdue(found: dict[str, float | int | None]) -> Overdue:
    longest = found["overdue_max_seconds"]
    return Overdue(found["overdue_p50_seconds"], found["overdue_p90_seconds"], None if longest is None else int(longest))


def _elapsed(completed: pa.Table, key: list[str]) -> dict[Any, Elapsed]:
    """By the values of the key's columns, as a tuple."""
    per_key = completed.group_by(key, use_threads=False).aggregate([(ELAPSED, "list")])
    keys = zip(*(per_key[name].to_pylist() for name in key), strict=True)
    found = (np.sort(seconds.values.drop_null().to_numpy()) for seconds in per_key[f"{ELAPSED}_list"])
    return {
        named: Elapsed(len(ordered), percentile(ordered, 50), percentile(ordered, 90))
        for named, ordered in zip(keys, found, strict=True)
    }
