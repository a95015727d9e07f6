"""A week's report: its figures per metric, policy and day against the goal and the week before, and what is still late.

Every figure is a sum over the stored daily summaries; a rate is that of the sums, never a mean of rates.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.quality.raw_day import owner_of
from ticket_events_pipeline.report.aggregates import reading_order
from ticket_events_pipeline.report.dimension_table import KnownNames, Split, dimension_rows, split_of
from ticket_events_pipeline.report.due_times import with_due_times
from ticket_events_pipeline.report.model import UNKNOWN_ACCOUNT, Counted
from ticket_events_pipeline.report.open_tickets import LateTickets
from ticket_events_pipeline.report.stored import (
    DaySummary,
    PolicyKey,
    SummaryRow,
    read_summary,
    refuse_foreign_timezone,
    total,
)
from ticket_events_pipeline.report.ticket_tables import BY_DIMENSION, BY_DIMENSION_COLUMNS, read_target_dimensions
from ticket_events_pipeline.report.work_list import STORED_COLUMNS, OpenTargets
from ticket_events_pipeline.settings import DEFAULT_MIN_TARGETS, RootSettings
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.provenance import find_sla_day
from ticket_events_pipeline.storage.partition_file import read_partition, stored_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS
from ticket_events_pipeline.tickets.fields import NAMES_OF
from ticket_events_pipeline.tickets.names import read_names
from ticket_events_pipeline.tickets.ticket_facts import TicketFactsReader

DAYS_OF_A_WEEK = 7

_NAME = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)

_Wanted = Callable[[SummaryRow], bool]


@dataclass(frozen=True, order=True)
class Week:
    """A week of ISO 8601, Monday through Sunday, by its Monday."""

    monday: Day

    @classmethod
    def of(cls, day: Day) -> Week:
        """The week that holds the day."""
        return cls(day.plus(-day.date.weekday()))

    @classmethod
    def parse(cls, name: str, timezone: str) -> Week:
        """The week of that name.

        Raises:
            ValueError: it is no name of a week.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is not a week of the form 2026-W48")
        return cls(Day(dt.date.fromisocalendar(int(found[1]), int(found[2]), 1), timezone))

    @property
    def days(self) -> list[Day]:
        """Its seven days."""
        return days_between(self.monday, self.monday.plus(6))

    @property
    def number(self) -> int:
        """Of its ISO year, from 1."""
        return self.monday.date.isocalendar().week

    def plus(self, weeks: int) -> Week:
        """The week that many weeks later."""
        return Week(self.monday.plus(7 * weeks))

    def __str__(self) -> str:
        """`2026-W48`; near New Year, the ISO year may be another than the calendar's."""
        year, week, _ = self.monday.date.isocalendar()
        return f"{year}-W{week:02d}"


@dataclass(frozen=True)
class WeekDay:
    """A day of the week.

    Attributes:
        metrics: its figures by metric; empty where it has no summary.
        is_complete: None where it has no summary.
    """

    day: Day
    metrics: Mapping[str, Counted]
    is_complete: bool | None


@dataclass(frozen=True)
class WeekFigures:
    """A metric's figures of the week, or those of one of its policies.

    Attributes:
        week: sums over its days.
        before: sums over the days of the week before; None where the weeks are not compared.
        policy_id, policy_title, business_hours: of a policy; None of a metric, and where Zendesk never sent it.
    """

    sla_metric: str
    week: Counted
    before: Counted | None
    policy_id: str | None = None
    policy_title: str | None = None
    business_hours: bool | None = None


@dataclass(frozen=True)
class WeekReport:
    """Everything on a week's page.

    Attributes:
        account, tickets_url, goal_percent: as in `DayReport`.
        metrics: in the order people read them.
        policies: likewise, then as the summary sorts them; those with a row in the week.
        days: all seven.
        days_before: how many days of the week before have a complete summary.
        late: tickets with targets that breached in the week and were open at `late_at`; None where those of `late_on` are gone.
        late_on: the last day with a summary.
        late_at: epoch seconds.
        groups: the week's breaches by group; None where no day's ticket tables are made.
        days_without_groups: days with a summary whose ticket tables aren't made, or can't be read.
        min_targets: decided targets without which nothing is compared with others.
    """

    week: Week
    account: str
    tickets_url: str | None
    goal_percent: float
    metrics: tuple[WeekFigures, ...]
    policies: tuple[WeekFigures, ...]
    days: tuple[WeekDay, ...]
    days_before: int
    late: LateTickets | None
    late_on: Day
    late_at: int
    groups: Split | None = None
    days_without_groups: tuple[Day, ...] = ()
    min_targets: int = DEFAULT_MIN_TARGETS

    @property
    def is_compared(self) -> bool:
        """Whether this week and the one before are both whole: sums over fewer days would mislead."""
        return self.days_before == DAYS_OF_A_WEEK and all(found.is_complete is True for found in self.days)

    @property
    def open_days(self) -> list[Day]:
        """Those whose figures will still grow."""
        return [found.day for found in self.days if found.is_complete is False]

    @property
    def missing_days(self) -> list[Day]:
        """Those without a summary."""
        return [found.day for found in self.days if found.is_complete is None]


def newest_week(store: Store, today: Day) -> Week | None:
    """The newest week that is over and has a summary; None without one."""
    weeks = {Week.of(day) for day in stored_days(store, SUMMARY, today.timezone)}
    return max((week for week in weeks if week < Week.of(today)), default=None)


def read_week(store: Store, settings: RootSettings, week: Week) -> WeekReport:
    """The week's report, from the stored SLA tables.

    Raises:
        DayNotFetchedError: none of its days has a summary.
        ForeignRootError: its days were made in another timezone.
    """
    days, before = _summaries(store, week.days), _summaries(store, week.plus(-1).days)
    if not days:
        raise DayNotFetchedError(f"No summary is stored of any day of {week}, {week.days[0]} to {week.days[-1]}.")
    for summary in days.values():
        refuse_foreign_timezone(store, summary)
    last = max(days)
    days_before = _complete(before)
    compared = before if days_before == _complete(days) == DAYS_OF_A_WEEK else {}
    owner = owner_of(
        store, METRIC_EVENTS, [last], account=settings.account, former=settings.former_accounts, timezone=settings.timezone
    )
    names = read_names(store, kinds=tuple(NAMES_OF.values()))
    by_group = {day: table for day in days if (table := _breaches_by_group(store, day)) is not None}
    rows = dimension_rows(pa.concat_tables(by_group.values()), names, "group") if by_group else []
    return WeekReport(
        week=week,
        account=owner.account or UNKNOWN_ACCOUNT,
        tickets_url=settings.tickets_url,
        goal_percent=settings.goal_percent,
        metrics=_metrics(days.values(), compared.values()),
        policies=_policies(days.values(), compared.values()),
        days=tuple(_week_day(day, days.get(day)) for day in week.days),
        days_before=days_before,
        late=_late(store, week, last, names),
        late_on=last,
        late_at=days[last].provenance.inputs.as_of,
        groups=split_of(rows, min_targets=settings.min_targets) if by_group else None,
        days_without_groups=tuple(day for day in days if day not in by_group),
        min_targets=settings.min_targets,
    )


def _breaches_by_group(store: Store, day: Day) -> pa.Table | None:
    """The day's rows by group; None where they aren't stored or can't be read."""
    try:
        table = read_partition(store, BY_DIMENSION, day, BY_DIMENSION_COLUMNS)
    except DamagedFileError:
        return None
    return None if table is None else table.filter(pc.equal(table["dimension"], "group"))


def _summaries(store: Store, days: Sequence[Day]) -> dict[Day, DaySummary]:
    """Those that are stored and can be read; the page names the other days."""
    found = {}
    for day in days:
        try:
            summary = read_summary(store, day)
        except DamagedFileError:
            continue
        if summary is not None:
            found[day] = summary
    return found


def _complete(summaries: Mapping[Day, DaySummary]) -> int:
    return sum(summary.is_complete for summary in summaries.values())


def _week_day(day: Day, summary: DaySummary | None) -> WeekDay:
    if summary is None:
        return WeekDay(day, {}, None)
    names = {row.key[0] for row in summary.rows}
    return WeekDay(day, {name: _sum([summary], _of_metric(name)) for name in names}, summary.is_complete)


def _metrics(days: Iterable[DaySummary], before: Iterable[DaySummary]) -> tuple[WeekFigures, ...]:
    days, before = list(days), list(before)
    names = {row.key[0] for summary in (*days, *before) for row in summary.rows}
    return tuple(
        WeekFigures(name, _sum(days, _of_metric(name)), _sum_before(before, _of_metric(name)))
        for name in sorted(names, key=reading_order)
    )


def _policies(days: Iterable[DaySummary], before: Iterable[DaySummary]) -> tuple[WeekFigures, ...]:
    days, before = list(days), list(before)
    titles = {row.key: row.policy_title for summary in days for row in summary.rows}  # the newest one wins
    figures = []
    for key in sorted(titles, key=_policy_order):
        wanted = _of_policy(key)
        found = WeekFigures(
            sla_metric=key[0],
            week=_sum(days, wanted),
            before=_sum_before(before, wanted),
            policy_id=key[1],
            policy_title=titles[key],
            business_hours=key[2],
        )
        figures.append(found)
    return tuple(figures)


def _policy_order(key: PolicyKey) -> tuple[tuple[int, str], tuple[bool, str], tuple[bool, bool]]:
    """By metric, then by policy and hours, unknown ones last."""
    sla_metric, policy_id, business_hours = key
    return reading_order(sla_metric), (policy_id is None, policy_id or ""), (business_hours is None, bool(business_hours))


def _of_metric(name: str) -> _Wanted:
    return lambda row: row.key[0] == name


def _of_policy(key: PolicyKey) -> _Wanted:
    return lambda row: row.key == key


def _sum(summaries: Iterable[DaySummary], wanted: _Wanted) -> Counted:
    return total([row.counted for summary in summaries for row in summary.rows if wanted(row)])


def _sum_before(summaries: Sequence[DaySummary], wanted: _Wanted) -> Counted | None:
    return _sum(summaries, wanted) if summaries else None


def _late(store: Store, week: Week, last: Day, names: KnownNames) -> LateTickets | None:
    """The tickets with targets that breached since Monday and are still open on the last day."""
    try:
        found = find_sla_day(store, TARGETS, last, [*STORED_COLUMNS, "outcome"])
    except DamagedFileError:
        return None
    if found is None:
        return None
    monday = pa.scalar(week.monday.start * 1000)
    in_week = pc.fill_null(pc.greater_equal(found.rows["breached_at"].cast(pa.int64()), monday), False)
    # To a work list, what breached on its day is new: here the day is the week.
    targets = OpenTargets.of(
        with_due_times(found.rows.filter(in_week), None), day=week.monday, as_of=found.provenance.inputs.as_of
    )
    targets = targets.held(read_target_dimensions(store, last), names)
    facts = TicketFactsReader(store).facts(last, targets.ticket_ids)
    return targets.work_list(facts).new
