"""The stored files behind a report as values: the summaries of the day and of the days before it, and the day's targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.report.model import (
    CHART_DAYS,
    MEAN_DAYS,
    ContradictedTarget,
    Counted,
    DeletedTicket,
    Flow,
    OpenTarget,
    Overdue,
    TicketFacts,
)
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.provenance import Provenance, find_sla_day
from ticket_events_pipeline.sla.restatements import restatements_in
from ticket_events_pipeline.sla.rules.daily_summary import overdue_figures
from ticket_events_pipeline.storage.store import Store

PolicyKey = tuple[str, str | None, bool | None]
"""sla_metric, policy_id, business_hours: the key of a summary's rows."""

_KEY = ("sla_metric", "policy_id", "business_hours")
_COUNTED = ("breaches", "achieved", "completed_breached")
_SUMMARY_COLUMNS = [
    *_KEY,
    "policy_title",
    "targets_started",
    "targets_discovered",
    "targets_reopened",
    "targets_cancelled",
    "targets_deleted",
    *_COUNTED,
    "contradicted",
    "superseded_breaches",
    "withdrawn_breaches",
    "active_eod",
    "breached_open_eod",
    "overdue_p50_seconds",
    "overdue_p90_seconds",
    "overdue_max_seconds",
]

LONGEST_LATE, LONGEST_NEXT, LONGEST_DELETED, LONGEST_CONTRADICTED = 200, 50, 20, 5
"""Lines of each list: a longer page is not read to its end."""

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
_TARGET_COLUMNS = [*_SHOWN, "outcome", "applied_at", "is_contradicted", DUE_AT]


@dataclass(frozen=True)
class SummaryRow:
    """A row of `daily_sla_breach_summary`, as far as the report shows it; `contradicted` is None if it wasn't counted."""

    key: PolicyKey
    policy_title: str | None
    counted: Counted
    superseded: int
    withdrawn: int
    active: int
    breached_open: int
    overdue: Overdue
    flow: Flow
    contradicted: int | None


@dataclass(frozen=True)
class DaySummary:
    """A day's stored summary.

    Attributes:
        rows: in the file's order.
        provenance: how it was made, from its footer.
        restatements: how often its figures changed after the day had been complete.
    """

    day: Day
    rows: tuple[SummaryRow, ...]
    provenance: Provenance
    restatements: int

    @property
    def is_complete(self) -> bool:
        """Whether it was made from a day that had been read to its end."""
        return self.provenance.inputs.complete


def total(rows: list[Counted]) -> Counted:
    """Figures summed up; zeros for none."""
    return Counted(
        breaches=sum(row.breaches for row in rows),
        achieved=sum(row.achieved for row in rows),
        completed_breached=sum(row.completed_breached for row in rows),
    )


class SummaryHistory:
    """The summaries of a root. Keeps those that a report of the next day needs again: of ascending days each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Day, DaySummary | None] = {}

    def of(self, day: Day) -> DaySummary:
        """The day's own.

        Raises:
            DayNotFetchedError: it has not been made.
            DamagedFileError: its file can't be read.
        """
        # Read again: it may have been made since the day before was reported.
        found = self._known[day] = read_summary(self._store, day)
        if found is None:
            raise not_made(SUMMARY, day)
        return found

    def before(self, day: Day) -> dict[Day, DaySummary | None]:
        """Those of the days before that a report needs, oldest first; None where a day has none that can be read."""
        days = [day.plus(-offset) for offset in range(max(CHART_DAYS - 1, MEAN_DAYS), 0, -1)]
        summaries = {past: self._known[past] if past in self._known else self._earlier(past) for past in days}
        self._known = {**summaries, day: self._known.get(day)}
        return summaries

    def _earlier(self, day: Day) -> DaySummary | None:
        try:
            return read_summary(self._store, day)
        except DamagedFileError:  # shown as a missing day: an old file must not prevent today's report
            return None


def not_made(asset: str, day: Day) -> DayNotFetchedError:
    """The error that names the table that a report lacks."""
    return DayNotFetchedError(
        f"{day} has no report yet: {asset} of that day has not been made. Materialize {asset} of {day} first."
    )


def read_summary(store: Store, day: Day) -> DaySummary | None:
    """The day's summary; None where it has not been made.

    Raises:
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    found = find_sla_day(store, SUMMARY, day, _SUMMARY_COLUMNS)
    if found is None:
        return None
    rows = tuple(_row(row) for row in found.rows.to_pylist())
    return DaySummary(day, rows, found.provenance, restatements_in(found.metadata))


def _row(row: dict[str, Any]) -> SummaryRow:
    return SummaryRow(
        key=(row["sla_metric"], row["policy_id"], row["business_hours"]),
        policy_title=row["policy_title"],
        counted=Counted(**{name: row[name] for name in _COUNTED}),
        superseded=row["superseded_breaches"],
        withdrawn=row["withdrawn_breaches"],
        active=row["active_eod"],
        breached_open=row["breached_open_eod"],
        overdue=Overdue(row["overdue_p50_seconds"], row["overdue_p90_seconds"], row["overdue_max_seconds"]),
        flow=_flow(row),
        contradicted=row["contradicted"],
    )


def _flow(row: dict[str, Any]) -> Flow:
    return Flow(
        started=row["targets_started"],
        discovered=row["targets_discovered"],
        reopened=row["targets_reopened"],
        achieved=row["achieved"],
        completed_breached=row["completed_breached"],
        cancelled=row["targets_cancelled"],
        deleted=row["targets_deleted"],
        active=row["active_eod"],
    )


@dataclass(frozen=True)
class DayTargets:
    """The targets of a day. The lists are cut, the counts are of all; the facts of their tickets are still blank.

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
    found = find_sla_day(store, TARGETS, day, _TARGET_COLUMNS)
    if found is None:
        raise not_made(TARGETS, day)
    return _day_targets(found.rows)


def _day_targets(table: pa.Table) -> DayTargets:
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
    return {metric: _as_overdue(found) for metric, found in figures.items()}


def _as_overdue(found: dict[str, float | int | None]) -> Overdue:
    longest = found["overdue_max_seconds"]
    return Overdue(found["overdue_p50_seconds"], found["overdue_p90_seconds"], None if longest is None else int(longest))
