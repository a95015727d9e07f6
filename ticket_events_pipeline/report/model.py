"""The report as values.

Every rate is achieved / (achieved + breaches) of one metric; a mean rate is that of the sums of its days, not the mean of
their rates: a day with two targets must not weigh as much as one with two hundred.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ticket_events_pipeline.day import Day

MEAN_DAYS = 7
"""The days before it that a day is compared with: one of each weekday."""

UNKNOWN_ACCOUNT = "an unknown account"
"""The name in the heading where neither a variable nor a file gives one."""

CHART_DAYS = 30
"""Days of the chart, the report's own being the last."""


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
class Mean:
    """The mean of the days before.

    Attributes:
        days: how many of the `MEAN_DAYS` before have a summary; the mean is of those.
        breaches, achieved: a day's, on the average.
        achievement_rate: of the sums; None where nothing was decided.
    """

    days: int
    breaches: float
    achieved: float
    achievement_rate: float | None


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
        mean: None where none of the days before has a summary.
        overdue: over all policies of the metric.
        flow: from the targets open when the day began to `active`.
    """

    sla_metric: str
    day: Counted
    active: int
    breached_open: int
    mean: Mean | None
    overdue: Overdue
    flow: Flow


@dataclass(frozen=True)
class PolicyFigures:
    """A row of `daily_sla_breach_summary`, against the days before.

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
    mean: Mean | None
    overdue: Overdue


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
    """A day of the chart; `counted` (over all metrics) is None where the day has no summary."""

    day: Day
    counted: Counted | None
    is_complete: bool = False


@dataclass(frozen=True)
class TicketFacts:
    """What stored audits hold of a ticket as of the end of the day; None where they don't."""

    subject: str | None = None
    priority: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class OpenTarget:
    """A line of the work list, or of what breaches next. Times are epoch seconds.

    Attributes:
        target_seconds: what the policy allows; None where Zendesk never sent it.
        breached_at, overdue_seconds: of a late one; None otherwise. Overdue is the time late while open, up to as_of.
        due_at: when an open, unpaused target in calendar hours will breach if nothing happens: an estimate; None otherwise.
    """

    ticket_id: int
    sla_metric: str
    instance_id: int
    policy_id: str | None
    policy_title: str | None
    business_hours: bool | None
    target_seconds: int | None
    is_paused: bool
    breached_at: int | None
    overdue_seconds: int | None
    due_at: int | None
    ticket: TicketFacts


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


@dataclass(frozen=True)
class DayReport:
    """Everything that one day's report shows.

    Attributes:
        account: its name, for the heading.
        tickets_url: prefix of a ticket's address (`https://acme.zendesk.com/agent/tickets/`); None in the sandbox.
        metrics: sorted by name; one for each metric with a row on the day or on one of the days before.
        policies: sorted as the summary is.
        chart: `CHART_DAYS` days, oldest first.
        late: the work list, oldest breach first, cut to its longest length; `late_count` is of all.
        next_breaches: soonest first, cut likewise; `next_count` is of all.
        unforecast: open, unbreached targets whose breach can't be foreseen: in business hours, paused, or without a target.
        deleted: tickets whose deletion closed targets, in order, cut likewise; `deleted_count` is of all.
    """

    day: Day
    account: str
    tickets_url: str | None
    metrics: tuple[MetricFigures, ...]
    policies: tuple[PolicyFigures, ...]
    chart: tuple[ChartDay, ...]
    late: tuple[OpenTarget, ...]
    late_count: int
    next_breaches: tuple[OpenTarget, ...]
    next_count: int
    unforecast: int
    deleted: tuple[DeletedTicket, ...]
    deleted_count: int
    data_quality: DataQuality
