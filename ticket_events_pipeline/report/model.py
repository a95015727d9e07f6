"""The report as values.

Every rate is achieved / (achieved + breaches) of one metric. What is usual is taken from the same weekday of the weeks before:
offices are closed on others.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.breakdown import Breakdown, GroupFigures
from ticket_events_pipeline.report.durations import MetricDurations
from ticket_events_pipeline.report.open_tickets import Forecast, LateTickets, WorkList

USUAL_WEEKS = 8
"""A day is compared with the same weekday of so many weeks before: enough to outvote a holiday, few enough to follow growth."""

MIN_USUAL_DAYS = 3
"""With fewer of them stored and complete, nothing is called usual yet."""

CHANCE_DEVIATIONS = 3.0
"""Within so many standard deviations a difference may be chance, as in a control chart."""

MIN_DECIDED = 10
"""The rate of a day with fewer decided targets is not compared: a single one would decide it."""

UNKNOWN_ACCOUNT = "an unknown account"
"""The name in the heading where neither a variable nor a file gives one."""

CHART_DAYS = 30
"""Days of the chart, the report's own being the last."""

METRIC_ORDER = (
    "first_reply_time",
    "next_reply_time",
    "requester_wait_time",
    "periodic_update_time",
    "pausable_update_time",
    "agent_work_time",
    "total_resolution_time",
    "group_ownership_time",
)
"""What a customer notices first comes first."""


@dataclass(frozen=True)
class Counted:
    """Figures of one metric, or of one metric, policy and kind of hours, on one day or summed over days.

    Attributes:
        breaches: targets first breached then.
        achieved: targets met then.
        completed_breached: targets fulfilled late then.
    """

    breaches: int
    achieved: int
    completed_breached: int

    @property
    def achievement_rate(self) -> float | None:
        """Share from 0 to 1; None where nothing was decided."""
        decided = self.achieved + self.breaches
        return self.achieved / decided if decided else None


@dataclass(frozen=True)
class Spread:
    """The median of some days' figures, their range, and their standard deviation as estimated from the median."""

    median: float
    least: float
    greatest: float
    deviation: float = 0.0


@dataclass(frozen=True)
class Usual:
    """The same weekday of the `USUAL_WEEKS` weeks before.

    Attributes:
        days: how many of them are stored and complete, at least `MIN_USUAL_DAYS`; the figures are of those.
        breaches, achieved: a day without a row counts as zero.
        achievement_rate: of the days on which something was decided; None with fewer than `MIN_USUAL_DAYS` of those.
    """

    days: int
    breaches: Spread
    achieved: Spread
    achievement_rate: Spread | None


class Change(Enum):
    """How a figure compares with the usual one. Only what lies outside the usual range, and beyond chance, is a change.

    Nothing is known of a day that is still open, but that it has MORE breaches already.
    """

    UNKNOWN = "unknown"
    USUAL = "usual"
    MORE = "more"
    FEWER = "fewer"


@dataclass(frozen=True)
class Elapsed:
    """How long the targets took that were completed on the day, in the hours of their policy; all None where none is known.

    Attributes:
        targets: how many of the completed ones have a measured duration.
    """

    targets: int
    p50_seconds: float | None
    p90_seconds: float | None


@dataclass(frozen=True)
class Overdue:
    """How late the targets were that were fulfilled late on the day, in seconds open; all None where there was none."""

    p50_seconds: float | None
    p90_seconds: float | None
    max_seconds: int | None


@dataclass(frozen=True)
class MetricFigures:
    """A tile: one SLA metric on the day.

    Attributes:
        sla_metric: as in `sla_targets`.
        day: its figures.
        active: open targets at as_of, late ones included.
        breached_open: late and open at as_of.
        usual: None where too few of the same weekdays before are known.
        breaches_change, rate_change: the day compared with it. A rate that is MORE is better; with fewer than `MIN_DECIDED`
            decided targets it is UNKNOWN.
        overdue, elapsed: over all policies of the metric.
        flow: from the targets open when the day began to `active`.
        trend: `CHART_DAYS` days of the metric, oldest first.
    """

    sla_metric: str
    day: Counted
    active: int
    breached_open: int
    usual: Usual | None
    breaches_change: Change
    rate_change: Change
    overdue: Overdue
    elapsed: Elapsed
    flow: Flow
    trend: tuple[ChartDay, ...]


@dataclass(frozen=True)
class PolicyFigures:
    """A row of `daily_sla_breach_summary`, against the same weekdays before.

    Attributes:
        policy_id, policy_title, business_hours: None where Zendesk never sent it.
    """

    sla_metric: str
    policy_id: str | None
    policy_title: str | None
    business_hours: bool | None
    day: Counted
    active: int
    breached_open: int
    usual: Usual | None
    breaches_change: Change
    overdue: Overdue
    elapsed: Elapsed


@dataclass(frozen=True)
class Flow:
    """How the open targets of a metric, or of all, changed on the day.

    Attributes:
        active: open at as_of.
        deleted: closed because their ticket was deleted; None where the rules that made the day didn't count them.
    """

    started: int
    discovered: int
    reopened: int
    achieved: int
    completed_breached: int
    cancelled: int
    deleted: int | None
    active: int

    @property
    def open_before(self) -> int:
        """Open when the day began, as far as the day's own tables know."""
        came = self.started + self.discovered + self.reopened
        return self.active - came + self.achieved + self.completed_breached + self.cancelled + (self.deleted or 0)


@dataclass(frozen=True)
class DeletedTicket:
    """A ticket whose deletion closed targets on the day: how many of them, and how many of those were late."""

    ticket_id: int
    targets: int
    late: int


@dataclass(frozen=True)
class ContradictedTarget:
    """A target fulfilled on the day whose outcome and measured duration disagree."""

    ticket_id: int
    sla_metric: str


@dataclass(frozen=True)
class ChartDay:
    """A day of a chart; `counted` is None where the day has no summary."""

    day: Day
    counted: Counted | None
    is_complete: bool = False


@dataclass(frozen=True)
class GroupPart:
    """What the page shows of one group.

    Attributes:
        figures: its breaches, and whose they were.
        late: tickets with late and open targets that it holds now.
        elsewhere: tickets with targets that breached with it and are late and open now with another group, or with one that
            isn't known.
        forecast: what it holds now and will breach next.
    """

    figures: GroupFigures
    late: LateTickets
    elsewhere: LateTickets
    forecast: Forecast


@dataclass(frozen=True)
class TicketTableState:
    """Whether a day's ticket tables can be shown.

    Attributes:
        audits: whether the day's audits were there when they were made: `complete`, `open` or `missing`; None without tables.
        is_current: whether they were made from the day's SLA targets as they are now.
        unreadable: the names of those that are stored and can't be read.
        names_at: when the names were fetched, epoch seconds; None where there are none.
    """

    audits: str | None = None
    is_current: bool = True
    unreadable: tuple[str, ...] = ()
    names_at: int | None = None


@dataclass(frozen=True)
class DataQuality:
    """How far a day's figures can be trusted. Times are epoch seconds.

    Attributes:
        as_of: what the day's figures are as of.
        is_complete: whether the day was read to its end.
        events_through: newest metric event read up to the day; None before the first.
        history_from: first day whose events are known.
        missing_days: of the chart's days since `history_from`, those without a summary that can be read.
        open_days: of the chart's days, those whose summary was made from a day not yet read to its end.
        targets: open at some moment of the day.
        unknown_policies: targets among them without any policy: Zendesk's breach came without an apply.
        withdrawn_breaches: breach rows dated on the day that Zendesk took back.
        superseded_breaches: late on the day, and met after the target was relaxed.
        restated_days: of the chart's days, those whose figures changed after they had been complete.
        applied_events: `apply_sla` and `apply_group_sla` events of the day; None where its raw file is gone.
        metric_events: of the day; with `applied_events` 0, the feed is broken.
        contradicted: targets fulfilled on the day whose outcome and measured duration disagree; None where not counted.
        contradicted_targets: some of them.
        rules_version: the version of the SLA rules that made the day.
        older_days: of the chart's days, those made by older rules than the program's.
        deletions_from: first day of the unbroken range of days whose deleted tickets are known; None where none are.
        deletions_through: epoch seconds up to which they are known; None likewise.
        has_elapsed: whether the day's durations are stored; an earlier version that made the day didn't store them.
        is_raw_pruned: whether the day's metric events are not stored on purpose.
        is_closed: whether the day is neither fetched nor made again, since earlier days were pruned.
        audits_kept_from: the first date whose ticket events are kept, where some that the page reads were pruned; else None.
    """

    as_of: int
    is_complete: bool
    events_through: int | None
    history_from: dt.date
    missing_days: tuple[Day, ...]
    open_days: tuple[Day, ...]
    targets: int
    unknown_policies: int
    withdrawn_breaches: int
    superseded_breaches: int
    restated_days: tuple[Day, ...]
    applied_events: int | None
    metric_events: int | None
    contradicted: int | None
    contradicted_targets: tuple[ContradictedTarget, ...]
    rules_version: int
    older_days: tuple[Day, ...]
    deletions_from: dt.date | None
    deletions_through: int | None
    has_elapsed: bool = True
    is_raw_pruned: bool = False
    is_closed: bool = False
    audits_kept_from: dt.date | None = None


@dataclass(frozen=True)
class DayReport:
    """Everything that one day's report shows.

    Attributes:
        account: its name, for the heading.
        tickets_url: prefix of a ticket's address (`https://acme.zendesk.com/agent/tickets/`); None in the sandbox.
        goal_percent: the achievement rate to reach, of each metric.
        metrics: in the order people read them (`METRIC_ORDER`), others by name after them; one for each metric with a row on
            one of the chart's days.
        policies: by metric in the same order, then as the summary is.
        usual: over all metrics; its rate is None, as a rate over several metrics would mislead. None as in `MetricFigures`.
        breaches_change: of all metrics.
        chart: `CHART_DAYS` days over all metrics, oldest first.
        work_list: what is late and still open.
        forecast: what will breach next.
        deleted: tickets whose deletion closed targets, in order, cut likewise; `deleted_count` is of all.
        breakdown: the day's breaches by group, agent and so on; None where the ticket tables aren't there.
        groups: the groups with a section of their own, by name.
        durations: of each metric; None where they aren't stored.
        ticket_tables: whether they can be shown.
    """

    day: Day
    account: str
    tickets_url: str | None
    goal_percent: float
    metrics: tuple[MetricFigures, ...]
    policies: tuple[PolicyFigures, ...]
    usual: Usual | None
    breaches_change: Change
    chart: tuple[ChartDay, ...]
    work_list: WorkList
    forecast: Forecast
    deleted: tuple[DeletedTicket, ...]
    deleted_count: int
    data_quality: DataQuality
    breakdown: Breakdown | None = None
    groups: tuple[GroupPart, ...] = ()
    durations: tuple[MetricDurations, ...] | None = None
    ticket_tables: TicketTableState = TicketTableState()
