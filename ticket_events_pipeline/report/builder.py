"""Builds one day's report, or those of a range of days, from the stored files alone, each read once.

Only `sla_target_dimensions` is read twice: its due times are needed earlier than the rest, and are a small part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.quality.raw_day import owner_of
from ticket_events_pipeline.report.aggregates import Compared, all_metrics, metric_figures, policy_figures, reading_order
from ticket_events_pipeline.report.breakdown import Breakdown, BreakdownSource, GroupFigures, breakdown_of
from ticket_events_pipeline.report.data_quality import data_quality_of, event_counts
from ticket_events_pipeline.report.durations import DurationHistory, MetricDurations, metric_durations
from ticket_events_pipeline.report.model import (
    CHART_DAYS,
    UNKNOWN_ACCOUNT,
    DayReport,
    GroupPart,
    TicketTableState,
)
from ticket_events_pipeline.report.stored import SummaryHistory
from ticket_events_pipeline.report.targets import DayTargets, read_targets
from ticket_events_pipeline.report.ticket_tables import TicketTables, read_ticket_tables
from ticket_events_pipeline.report.work_list import OpenTargets
from ticket_events_pipeline.settings import DEFAULT_GOAL_PERCENT, DEFAULT_MIN_TARGETS, RootSettings
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS
from ticket_events_pipeline.tickets.fields import NAMES_OF
from ticket_events_pipeline.tickets.names import fetched_at, read_names
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts, TicketFactsReader

DAYS_AHEAD = 30
"""Days whose lists are read ahead: their tickets are searched together, and memory doesn't grow with the range."""


def read_day_report(
    store: Store, day: Day, *, account: str, tickets_url: str | None, goal_percent: float = DEFAULT_GOAL_PERCENT
) -> DayReport:
    """The day's report.

    Args:
        store: the root.
        day: the day.
        account: its name, for the heading.
        tickets_url: prefix of a ticket's address; None for no links.
        goal_percent: the achievement rate to reach.

    Raises:
        DayNotFetchedError: its summary or its targets have not been made.
        DamagedFileError: one of their files can't be read.
    """
    return ReportReader(store, account=account, tickets_url=tickets_url, goal_percent=goal_percent).read(day)


def names_at(store: Store) -> int | None:
    """When the names of groups were fetched last, or those of another kind if they weren't: epoch seconds; None without any."""
    times = (fetched_at(store, kind) for kind in NAMES_OF.values())
    return next((time for time in times if time is not None), None)


def report_reader(store: Store, settings: RootSettings, days: Sequence[Day]) -> ReportReader:
    """A reader of the reports of these days; without a setting, the stored files name the account."""
    newest = list(days[-1:])
    former = settings.former_accounts
    owner = owner_of(store, METRIC_EVENTS, newest, account=settings.account, former=former, timezone=settings.timezone)
    return ReportReader(
        store,
        account=owner.account or UNKNOWN_ACCOUNT,
        tickets_url=settings.tickets_url,
        goal_percent=settings.goal_percent,
        days=days,
        min_targets=settings.min_targets,
        custom_fields=settings.dimensions,
    )


class ReportReader:
    """Reads the reports of several days, best in ascending order: then a raw file is read at most twice, any other once.

    `days` are those that will be read. Another day's report is right too, and costs more reads.
    """

    def __init__(
        self,
        store: Store,
        *,
        account: str,
        tickets_url: str | None,
        goal_percent: float = DEFAULT_GOAL_PERCENT,
        days: Sequence[Day] = (),
        min_targets: int = DEFAULT_MIN_TARGETS,
        custom_fields: tuple[str, ...] = (),
    ) -> None:
        self._store = store
        self._account = account
        self._tickets_url = tickets_url
        self._goal_percent = goal_percent
        self._days = sorted(days)
        self._history = SummaryHistory(store)
        self._tickets = TicketFactsReader(store)
        self._ahead: dict[Day, DayTargets] = {}
        self._min_targets = min_targets
        self._custom_fields = custom_fields
        self._durations = DurationHistory(store)
        self._names = read_names(store, kinds=tuple(NAMES_OF.values()))
        self._names_at = names_at(store)
        self._pruned = read_pruned_days(store)

    def read(self, day: Day, *, with_tickets: bool = True) -> DayReport:
        """The day's report, see `read_day_report`.

        `with_tickets=False` reads no facts of the tickets and none of the ticket tables, which are made later than the summary:
        the work list is in the order of the time overdue.
        """
        summary = self._history.of(day)
        chart_days = [day.plus(-offset) for offset in range(CHART_DAYS - 1, -1, -1)]
        compared = Compared.of(summary, self._history.before(day), chart_days=chart_days)
        targets = self._targets(day, with_tickets=with_tickets)
        tables = read_ticket_tables(self._store, day) if with_tickets else TicketTables()
        facts = self._facts(day, targets) if with_tickets else {}
        held = targets.open.held(tables.dimensions, self._names)
        breakdown = self._breakdown(day, targets, tables, held)
        raw = event_counts(self._store, day, as_of=summary.provenance.inputs.as_of)
        usual, breaches_change, chart = all_metrics(compared)
        return DayReport(
            day=day,
            account=self._account,
            tickets_url=self._tickets_url,
            goal_percent=self._goal_percent,
            metrics=metric_figures(compared, targets.overdue, targets.elapsed),
            policies=policy_figures(compared, targets.elapsed_by_policy),
            usual=usual,
            breaches_change=breaches_change,
            chart=chart,
            work_list=held.work_list(facts),
            forecast=held.forecast(facts),
            deleted=targets.deleted,
            deleted_count=targets.deleted_count,
            data_quality=data_quality_of(summary, compared.chart, targets, raw, pruned=self._pruned),
            breakdown=breakdown,
            groups=_groups(breakdown, held, facts),
            durations=self._metric_durations(day, tables),
            ticket_tables=_state(tables, targets, names_at=self._names_at),
        )

    def _breakdown(self, day: Day, targets: DayTargets, tables: TicketTables, held: OpenTargets) -> Breakdown | None:
        source = BreakdownSource(
            day=day,
            tables=tables,
            hours=targets.hours,
            names=self._names,
            min_targets=self._min_targets,
            custom_fields=self._custom_fields,
            late_now=held.late_by_group(),
        )
        return breakdown_of(source)

    def _metric_durations(self, day: Day, tables: TicketTables) -> tuple[MetricDurations, ...] | None:
        if tables.durations is None:
            return None
        found = metric_durations(tables.durations, self._durations.before(day), self._names)
        return tuple(sorted(found, key=lambda metric: reading_order(metric.sla_metric)))

    def _targets(self, day: Day, *, with_tickets: bool) -> DayTargets:
        if day not in self._ahead:
            self._ahead = {day: read_targets(self._store, day, with_estimates=with_tickets)}
            for ahead in [known for known in self._days if known > day][: DAYS_AHEAD - 1]:
                try:
                    self._ahead[ahead] = read_targets(self._store, ahead, with_estimates=with_tickets)
                except (DayNotFetchedError, DamagedFileError):
                    break  # raised when its turn comes
        return self._ahead.pop(day)

    def _facts(self, day: Day, targets: DayTargets) -> dict[int, TicketFacts]:
        expected = frozenset[int]().union(*(ahead.open.ticket_ids for ahead in self._ahead.values()))
        return self._tickets.facts(day, targets.open.ticket_ids, expected=expected)


def _groups(breakdown: Breakdown | None, held: OpenTargets, facts: dict[int, TicketFacts]) -> tuple[GroupPart, ...]:
    groups = () if breakdown is None else breakdown.groups
    return tuple(_group_part(group, held, facts) for group in groups)


def _group_part(figures: GroupFigures, held: OpenTargets, facts: dict[int, TicketFacts]) -> GroupPart:
    group_id = figures.group.number or 0
    late, elsewhere = held.late_of_group(group_id, facts)
    return GroupPart(figures, late, elsewhere, held.next_of_group(group_id, facts))


def _state(tables: TicketTables, targets: DayTargets, *, names_at: int | None) -> TicketTableState:
    is_current = tables.made_from_targets in (None, targets.content_hash)
    return TicketTableState(tables.audits, is_current=is_current, unreadable=tables.unreadable, names_at=names_at)
