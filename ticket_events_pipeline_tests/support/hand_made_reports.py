"""Reports with figures chosen by hand, all different, so that a figure in a wrong place is noticed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.model import (
    CHART_DAYS,
    ChartDay,
    Counted,
    DataQuality,
    DayReport,
    DeletedTicket,
    Flow,
    Mean,
    MetricFigures,
    OpenTarget,
    Overdue,
    PolicyFigures,
    TicketFacts,
)
from ticket_events_pipeline.sla.provenance import RULES_VERSION

BERLIN = "Europe/Berlin"
DAY = Day.parse("2026-11-23", BERLIN)
TICKETS = "https://acme.zendesk.com/agent/tickets/"
HOUR, MINUTE = 3600, 60

USUAL = Mean(days=7, breaches=5.142857, achieved=41.0, achievement_rate=0.8885)
FIRST_REPLY = MetricFigures(
    sla_metric="first_reply_time",
    day=Counted(breaches=7, achieved=1234, completed_breached=3),
    active=210,
    breached_open=11,
    mean=USUAL,
    overdue=Overdue(p50_seconds=16 * MINUTE, p90_seconds=2.5 * HOUR, max_seconds=51 * HOUR),
    flow=Flow(
        started=1260,
        discovered=8,
        reopened=12,
        achieved=1234,
        completed_breached=3,
        cancelled=13,
        deleted=0,
        active=210,
    ),
)
GROUP_OWNERSHIP = MetricFigures(
    sla_metric="group_ownership_time",
    day=Counted(breaches=0, achieved=0, completed_breached=0),
    active=6,
    breached_open=0,
    mean=None,
    overdue=Overdue(None, None, None),
    flow=Flow(started=1, discovered=0, reopened=0, achieved=0, completed_breached=0, cancelled=0, deleted=0, active=6),
)
STANDARD = PolicyFigures(
    sla_metric="first_reply_time",
    policy_id="11",
    policy_title="Standard",
    business_hours=False,
    day=Counted(breaches=5, achieved=1200, completed_breached=2),
    active=190,
    breached_open=9,
    mean=Mean(days=7, breaches=3.26, achieved=30, achievement_rate=0.9),
    overdue=Overdue(p50_seconds=10 * MINUTE, p90_seconds=20 * MINUTE, max_seconds=1801),
)
NO_POLICY = PolicyFigures(
    sla_metric="first_reply_time",
    policy_id=None,
    policy_title=None,
    business_hours=None,
    day=Counted(breaches=2, achieved=0, completed_breached=0),
    active=20,
    breached_open=2,
    mean=None,
    overdue=Overdue(None, None, None),
)
LATE = OpenTarget(
    ticket_id=35436,
    sla_metric="next_reply_time",
    instance_id=2,
    policy_id="12",
    policy_title="Bürozeiten",
    business_hours=True,
    target_seconds=28 * HOUR + 30 * MINUTE,
    is_paused=True,
    breached_at=DAY.end - 51 * HOUR,
    overdue_seconds=51 * HOUR,
    due_at=None,
    ticket=TicketFacts("My printer is on fire", "urgent", "360003311090"),
)
DUE = OpenTarget(
    ticket_id=35437,
    sla_metric="total_resolution_time",
    instance_id=1,
    policy_id="11",
    policy_title=None,
    business_hours=False,
    target_seconds=8 * HOUR,
    is_paused=False,
    breached_at=None,
    overdue_seconds=None,
    due_at=DAY.end + 40 * MINUTE,
    ticket=TicketFacts(),
)
DATA_QUALITY = DataQuality(
    as_of=DAY.end,
    is_complete=True,
    events_through=DAY.end - 90,
    history_from=dt.date(2026, 9, 1),
    missing_days=(),
    open_days=(),
    targets=615,
    unknown_policies=3,
    withdrawn_breaches=4,
    superseded_breaches=2,
    restated_days=(),
    applied_events=476,
    metric_events=3205,
    contradicted=0,
    contradicted_targets=(),
    rules_version=RULES_VERSION,
    older_days=(),
    deletions_from=dt.date(2026, 9, 1),
    deletions_through=DAY.end,
)
DELETED = (DeletedTicket(35440, targets=3, late=1), DeletedTicket(35441, targets=2, late=0))
CHART = tuple(
    ChartDay(DAY.plus(place + 1 - CHART_DAYS), Counted(place, 100 + place, 200 + place), is_complete=True)
    for place in range(CHART_DAYS)
)


def day_report(**changes: Any) -> DayReport:
    """An ordinary day with all there is on a page, but for `changes`."""
    report = DayReport(
        day=DAY,
        account="acme",
        tickets_url=TICKETS,
        metrics=(FIRST_REPLY, GROUP_OWNERSHIP),
        policies=(STANDARD, NO_POLICY),
        chart=CHART,
        late=(LATE,),
        late_count=1,
        next_breaches=(DUE,),
        next_count=1,
        unforecast=33,
        deleted=(),
        deleted_count=0,
        data_quality=DATA_QUALITY,
    )
    return replace(report, **changes)


def with_data_quality(**changes: Any) -> DayReport:
    """The same, with other values of its data quality."""
    return day_report(data_quality=replace(DATA_QUALITY, **changes))


def with_deleted_tickets() -> DayReport:
    """The same, with two tickets whose deletion closed five targets."""
    metrics = (replace(FIRST_REPLY, flow=replace(FIRST_REPLY.flow, deleted=5)), GROUP_OWNERSHIP)
    return day_report(metrics=metrics, deleted=DELETED, deleted_count=len(DELETED))


def of_day(day: Day, **changes: Any) -> DayReport:
    """A report of another day, read to its end, with a short chart: it takes the longest to draw."""
    return day_report(
        day=day, chart=(replace(CHART[-1], day=day),), data_quality=replace(DATA_QUALITY, as_of=day.end), **changes
    )


def with_texts(text: str) -> DayReport:
    """Every text that comes from the account is `text`."""
    late = replace(LATE, sla_metric=text, policy_id=text, policy_title=text, ticket=TicketFacts(text, text, text))
    return day_report(
        account=text,
        chart=CHART[-1:],
        metrics=(replace(FIRST_REPLY, sla_metric=text),),
        policies=(replace(STANDARD, sla_metric=text, policy_id=text, policy_title=text),),
        late=(late,),
        next_breaches=(replace(DUE, sla_metric=text, policy_title=text, ticket=TicketFacts(text, text, text)),),
    )
