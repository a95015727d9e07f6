"""What a day's `sla_targets` tells: the work list, what breaches next, how late the late ones were, and what was deleted.

Here: one day's file into values, cut to what a page can show. The tickets' own facts are `ticket_facts`'.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.history import not_made
from ticket_events_pipeline.report.model import ContradictedTarget, DeletedTicket, OpenTarget, Overdue, TicketFacts
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.provenance import find_sla_day
from ticket_events_pipeline.sla.rules.daily_summary import overdue_figures
from ticket_events_pipeline.storage.store import Store

LONGEST_LATE, LONGEST_NEXT, LONGEST_DELETED, LONGEST_CONTRADICTED = 200, 50, 20, 5
"""So many lines of each list: a page that nobody can read to its end helps nobody."""

DUE_AT = "due_at"

_SHOWN = [
    "ticket_id",
    "sla_metric",
    "instance_id",
    "policy_id",
    "policy_title",
    "business_hours",
    "target_seconds",
    "is_paused",
    "breached_at",
    "overdue_seconds",
]
_COLUMNS = [*_SHOWN, "outcome", "applied_at", "is_contradicted", DUE_AT]


@dataclass(frozen=True)
class DayTargets:
    """What the targets of a day come to. The lists are cut, the counts are of all; their tickets' facts are still blank.

    Attributes:
        late: breached and open at as_of, oldest breach first.
        next_breaches: open, with a foreseeable breach, soonest first.
        unforecast: open and unbreached, without one.
        targets: open at some moment of the day.
        unknown_policies: those that no policy was ever applied to.
        overdue: per metric, of those fulfilled late on the day.
        deleted: tickets whose deletion closed targets; `deleted_count` is of all.
        contradicted: the first of the targets whose outcome and duration disagree.
    """

    late: tuple[OpenTarget, ...]
    late_count: int
    next_breaches: tuple[OpenTarget, ...]
    next_count: int
    unforecast: int
    targets: int
    unknown_policies: int
    overdue: dict[str, Overdue]
    deleted: tuple[DeletedTicket, ...]
    deleted_count: int
    contradicted: tuple[ContradictedTarget, ...]

    @property
    def ticket_ids(self) -> frozenset[int]:
        """The tickets of both lists."""
        return frozenset(target.ticket_id for target in (*self.late, *self.next_breaches))


def read_targets(store: Store, day: Day) -> DayTargets:
    """The day's targets.

    Raises:
        DayNotFetchedError: `sla_targets` of the day has not been made.
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    found = find_sla_day(store, TARGETS, day, _COLUMNS)
    if found is None:
        raise not_made(TARGETS, day)
    return _told(found.rows)


def _told(table: pa.Table) -> DayTargets:
    outcome = table["outcome"]
    late = table.filter(pc.equal(outcome, "breached_open"))
    active = table.filter(pc.equal(outcome, "active"))
    foreseen = active.filter(pc.is_valid(active[DUE_AT]))
    deleted = _deleted(table.filter(pc.equal(outcome, "deleted")))
    return DayTargets(
        late=_lines(late, "breached_at", longest=LONGEST_LATE),
        late_count=late.num_rows,
        next_breaches=_lines(foreseen, DUE_AT, longest=LONGEST_NEXT),
        next_count=foreseen.num_rows,
        unforecast=active.num_rows - foreseen.num_rows,
        targets=table.num_rows,
        unknown_policies=table["applied_at"].null_count,
        overdue=_overdue(table.filter(pc.equal(outcome, "breached"))),
        deleted=tuple(deleted[:LONGEST_DELETED]),
        deleted_count=len(deleted),
        contradicted=_contradicted(table.filter(pc.fill_null(table["is_contradicted"], False))),
    )


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


def _lines(rows: pa.Table, first: str, *, longest: int) -> tuple[OpenTarget, ...]:
    """The first rows in the order of a time; of one moment, the older ticket first."""
    order = [(name, "ascending") for name in (first, "ticket_id", "sla_metric", "instance_id")]
    shown = rows.select([*_SHOWN, DUE_AT]).sort_by(order).slice(0, longest)
    for name in ("breached_at", DUE_AT):
        seconds = pc.divide(shown[name].cast(pa.int64()), 1000)
        shown = shown.set_column(shown.schema.get_field_index(name), name, seconds)
    return tuple(OpenTarget(**row, ticket=TicketFacts()) for row in shown.to_pylist())


def _overdue(fulfilled_late: pa.Table) -> dict[str, Overdue]:
    per_metric = fulfilled_late.group_by("sla_metric").aggregate([("overdue_seconds", "list")])
    figures = {
        metric.as_py(): overdue_figures(seconds.values.drop_null().to_numpy())
        for metric, seconds in zip(per_metric["sla_metric"], per_metric["overdue_seconds_list"], strict=True)
    }
    return {metric: _as_overdue(told) for metric, told in figures.items()}


def _as_overdue(told: dict[str, float | int | None]) -> Overdue:
    longest = told["overdue_max_seconds"]
    return Overdue(told["overdue_p50_seconds"], told["overdue_p90_seconds"], None if longest is None else int(longest))
