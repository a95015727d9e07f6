"""The stored summaries behind a report as values: that of the day, and those of the days that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ticket_events_pipeline.day import Day, same_weekdays
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError, ForeignRootError
from ticket_events_pipeline.report.model import CHART_DAYS, USUAL_WEEKS, Counted, Flow, Overdue
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.provenance import Provenance, find_sla_day
from ticket_events_pipeline.sla.restatements import restatements_in
from ticket_events_pipeline.storage.partition_file import read_metadata, stored_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import utc_text

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
    """The summaries of a root. Keeps those that a report of a later day needs again: of ascending days each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Day, DaySummary | None] = {}

    def of(self, day: Day) -> DaySummary:
        """The day's own.

        Raises:
            DayNotFetchedError: it has not been made.
            DamagedFileError: its file can't be read.
            ForeignRootError: it was made of a day in another timezone.
        """
        # Read again: it may have been made since the day before was reported.
        found = self._known[day] = read_summary(self._store, day)
        if found is None:
            raise not_made(SUMMARY, day)
        refuse_foreign_timezone(self._store, found)
        return found

    def before(self, day: Day) -> dict[Day, DaySummary | None]:
        """Those of the days before that a report needs, oldest first; None where a day has none that can be read."""
        weekdays = same_weekdays(day, USUAL_WEEKS)
        days = sorted({*weekdays, *(day.plus(-offset) for offset in range(1, CHART_DAYS))})
        summaries = {past: self._known[past] if past in self._known else self._earlier(past) for past in days}
        # The same weekdays of the next days lie between those of this one.
        kept = {past: found for past, found in self._known.items() if days[0] < past <= day}
        self._known = {**kept, **summaries}
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


def refuse_foreign_timezone(store: Store, summary: DaySummary) -> None:
    """Raise where a complete day ended at another moment: the files say when, but in no footer the timezone of the days.

    Raises:
        ForeignRootError: see above.
    """
    if summary.is_complete and summary.provenance.inputs.as_of != summary.day.end:
        raise ForeignRootError(
            f"{store.location} holds {SUMMARY} of {summary.day} as a day that ended at "
            f"{utc_text(summary.provenance.inputs.as_of)}, but with TICKET_EVENTS_TIMEZONE {summary.day.timezone} it ended at "
            f"{utc_text(summary.day.end)}. Set TICKET_EVENTS_TIMEZONE to the timezone that the days were fetched with."
        )


def newest_summary(store: Store, timezone: str) -> Day | None:
    """The day that a command shows without being told one: the newest complete one, else the newest; None without any.

    Raises:
        DamagedFileError: a file can't be read.
    """
    days = stored_days(store, SUMMARY, timezone)
    for day in reversed(days):
        if (read_metadata(store, SUMMARY, day) or {}).get("complete") == "true":
            return day
    return days[-1] if days else None


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
