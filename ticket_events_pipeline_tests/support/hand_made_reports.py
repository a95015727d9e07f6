"""Reports with figures chosen by hand, all different, so that a figure in a wrong place is noticed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.breakdown import Breakdown, DimensionSplit, GroupFigures, Known
from ticket_events_pipeline.report.dimension_table import Decided, DimensionRow, split_of
from ticket_events_pipeline.report.durations import Duration, GroupDuration, MetricDurations
from ticket_events_pipeline.report.holders import Holder, Party
from ticket_events_pipeline.report.model import (
    CHART_DAYS,
    Change,
    ChartDay,
    Counted,
    DataQuality,
    DayReport,
    DeletedTicket,
    Elapsed,
    Flow,
    GroupPart,
    MetricFigures,
    Overdue,
    PolicyFigures,
    Spread,
    TicketTableState,
    Usual,
)
from ticket_events_pipeline.report.open_tickets import Forecast, LateTickets, OpenTarget, OpenTicket, Unforecast, WorkList
from ticket_events_pipeline.report.time_used import TimeUsed
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts

BERLIN = "Europe/Berlin"
DAY = Day.parse("2026-11-23", BERLIN)
TICKETS = "https://acme.zendesk.com/agent/tickets/"
HOUR, MINUTE = 3600, 60

NEVER_OVERDUE, NO_ELAPSED = Overdue(None, None, None), Elapsed(0, None, None)
CHART = tuple(
    ChartDay(DAY.plus(place + 1 - CHART_DAYS), Counted(place, 100 + place, 200 + place), is_complete=True)
    for place in range(CHART_DAYS)
)
TREND = tuple(
    ChartDay(DAY.plus(place + 1 - CHART_DAYS), Counted(place // 2, 300 + place, 400 + place), is_complete=True)
    for place in range(CHART_DAYS)
)
USUAL = Usual(days=8, breaches=Spread(2.5, 1, 6), achieved=Spread(1041, 902, 1310), achievement_rate=Spread(0.8885, 0.81, 0.92))
FIRST_REPLY = MetricFigures(
    sla_metric="first_reply_time",
    day=Counted(breaches=7, achieved=1234, completed_breached=3),
    active=210,
    breached_open=11,
    usual=USUAL,
    breaches_change=Change.MORE,
    rate_change=Change.MORE,
    overdue=Overdue(p50_seconds=16 * MINUTE, p90_seconds=2.5 * HOUR, max_seconds=51 * HOUR),
    elapsed=Elapsed(targets=1237, p50_seconds=12 * MINUTE, p90_seconds=70 * MINUTE),
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
    trend=TREND,
)
GROUP_OWNERSHIP = MetricFigures(
    sla_metric="group_ownership_time",
    day=Counted(breaches=0, achieved=0, completed_breached=0),
    active=6,
    breached_open=0,
    usual=None,
    breaches_change=Change.UNKNOWN,
    rate_change=Change.UNKNOWN,
    overdue=NEVER_OVERDUE,
    elapsed=NO_ELAPSED,
    flow=Flow(started=1, discovered=0, reopened=0, achieved=0, completed_breached=0, cancelled=0, deleted=0, active=6),
    trend=tuple(ChartDay(day.day, None) for day in CHART),
)
STANDARD = PolicyFigures(
    sla_metric="first_reply_time",
    policy_id="11",
    policy_title="Standard",
    business_hours=False,
    day=Counted(breaches=5, achieved=1200, completed_breached=2),
    active=190,
    breached_open=9,
    usual=Usual(days=8, breaches=Spread(3, 0, 4), achieved=Spread(30, 20, 40), achievement_rate=Spread(0.9, 0.8, 1)),
    breaches_change=Change.USUAL,
    overdue=Overdue(p50_seconds=10 * MINUTE, p90_seconds=20 * MINUTE, max_seconds=1801),
    elapsed=Elapsed(targets=1202, p50_seconds=13 * MINUTE, p90_seconds=61 * MINUTE),
)
NO_POLICY = PolicyFigures(
    sla_metric="first_reply_time",
    policy_id=None,
    policy_title=None,
    business_hours=None,
    day=Counted(breaches=2, achieved=0, completed_breached=0),
    active=20,
    breached_open=2,
    usual=None,
    breaches_change=Change.UNKNOWN,
    overdue=NEVER_OVERDUE,
    elapsed=NO_ELAPSED,
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
    due_by=None,
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
    due_by="calendar",
)
SECOND_LEVEL, BILLING = Party(360002, True, "Second level"), Party(360001, True, "Billing")
ANNA, BEN, NOBODY = Party(9001, True, "Anna Schmidt"), Party(9002, True, "Ben Okafor"), Party(None, True, "nobody")
UNKNOWN_PARTY = Party(None, False, "unknown")
LATE_TICKET = OpenTicket(
    LATE.ticket_id, TicketFacts("My printer is on fire", "urgent", "360002"), (LATE,), Holder(SECOND_LEVEL, UNKNOWN_PARTY)
)
DUE_TICKET = OpenTicket(DUE.ticket_id, TicketFacts(), (DUE,))
NO_TICKETS = LateTickets((), 0, 0)
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


def late_tickets(*tickets: OpenTicket) -> LateTickets:
    """A part of the work list that is not cut."""
    return LateTickets(tickets, len(tickets), sum(len(ticket.targets) for ticket in tickets))


WORK_LIST = WorkList(new=NO_TICKETS, older=late_tickets(LATE_TICKET), long_late=NO_TICKETS)
NOTHING_LATE = WorkList(NO_TICKETS, NO_TICKETS, NO_TICKETS)
FORECAST = Forecast(
    (DUE_TICKET,), ticket_count=1, target_count=1, later=39, overdue_estimates=586, without=Unforecast(20, 4, 7, 2)
)
NOTHING_FORESEEN = Forecast((), 0, 0, 0, 0, Unforecast())


def day_report(**changes: Any) -> DayReport:
    """An ordinary day with all there is on a page, but for `changes`."""
    report = DayReport(
        day=DAY,
        account="acme",
        tickets_url=TICKETS,
        goal_percent=95.0,
        metrics=(FIRST_REPLY, GROUP_OWNERSHIP),
        policies=(STANDARD, NO_POLICY),
        usual=replace(USUAL, breaches=Spread(3, 2, 6), achievement_rate=None),
        breaches_change=Change.MORE,
        chart=CHART,
        work_list=WORK_LIST,
        forecast=FORECAST,
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
    """A report of another day, read to its end, with short trends: they take the longest to draw."""
    metrics = tuple(replace(metric, trend=(replace(TREND[-1], day=day),)) for metric in (FIRST_REPLY, GROUP_OWNERSHIP))
    chart = (replace(CHART[-1], day=day),)
    return day_report(day=day, chart=chart, metrics=metrics, data_quality=replace(DATA_QUALITY, as_of=day.end), **changes)


def with_late(new: tuple[OpenTicket, ...] = (), older: tuple[OpenTicket, ...] = (), **changes: Any) -> DayReport:
    """An ordinary day with this work list."""
    return day_report(work_list=WorkList(late_tickets(*new), late_tickets(*older), NO_TICKETS), **changes)


def dimension_row(value: str | None, shown: str, breaches: int, achieved: int, **more: Any) -> DimensionRow:
    """The figures of a value, all of the first reply time."""
    row = DimensionRow(
        value=value,
        is_known=True,
        shown=shown,
        is_deleted=False,
        breaches=breaches,
        achieved=achieved,
        completed_breached=0,
        breached_tickets=None,
        open=0,
        late=0,
        by_metric={"first_reply_time": Decided(breaches, achieved)} if breaches + achieved else {},
    )
    return replace(row, **more)


GROUP_ROWS = (
    dimension_row("360002", "Second level", 31, 1201, open=44, late=9),
    dimension_row("360001", "Billing", 4, 13, open=5, late=2, is_deleted=True),
    dimension_row("360003", "Archive", 1, 2),
    dimension_row(None, "none", 3, 17, open=6, late=1),
    dimension_row(None, "unknown", 2, 11, is_known=False),
)
AGENT_ROWS = (dimension_row("9002", "Ben Okafor", 5, 15), dimension_row(None, "nobody", 7, 8))
TIME = TimeUsed(
    targets=38,
    unmeasured=3,
    groups={("360001", True): 0.715, ("360002", True): 0.2, (None, False): 0.085},
    agents={("9002", True): 0.6, (None, True): 0.4},
    by_others=22,
)
BREAKDOWN = Breakdown(
    splits=(
        DimensionSplit("group", split_of(GROUP_ROWS, min_targets=20), {"360002": 6}, TIME.groups),
        DimensionSplit("assignee", split_of(AGENT_ROWS, min_targets=20), {}, TIME.agents),
        DimensionSplit("channel", split_of([dimension_row("email", "email", 40, 900)], min_targets=20)),
        DimensionSplit("custom_field:36", split_of([dimension_row("gold", "gold", 40, 900)], min_targets=20)),
    ),
    time=TIME,
    groups=(),
    known=Known({"audit": 30, "snapshot": 4, "assumed": 3, "unknown": 1}, targets=615, unknown_targets=5),
    min_targets=20,
)
DURATIONS = (
    MetricDurations(
        sla_metric="first_reply_time",
        all=Duration(
            312,
            {"calendar": None, "business": None},
            {"calendar": None, "business": None},
            {"calendar": 61.0, "business": 31.0},
        ),
        mean_before={"calendar": 75.0, "business": None},
        groups=(
            GroupDuration(
                SECOND_LEVEL,
                Duration(
                    301,
                    {"calendar": 20.0, "business": 11.0},
                    {"calendar": 140.0, "business": 90.0},
                    {"calendar": 62.0, "business": 32.0},
                ),
                {"calendar": 76.0, "business": 41.0},
            ),
            GroupDuration(
                UNKNOWN_PARTY,
                Duration(
                    11,
                    {"calendar": 1.0, "business": None},
                    {"calendar": 2.0, "business": None},
                    {"calendar": 1.5, "business": None},
                ),
                {"calendar": None, "business": None},
            ),
        ),
        more=2,
        days_before=7,
    ),
)


def group_part(
    group: Party = SECOND_LEVEL,
    *,
    late: tuple[OpenTicket, ...] = (),
    elsewhere: tuple[OpenTicket, ...] = (),
    forecast: Forecast = NOTHING_FORESEEN,
) -> GroupPart:
    """A group's part of the page, with two agents."""
    figures = GroupFigures(
        group=group,
        breaches=31,
        decided=1232,
        agents=split_of(AGENT_ROWS, min_targets=20),
        time=TIME,
        used_by=((BILLING, 0.715), (group, 0.2)),
    )
    return GroupPart(figures, late_tickets(*late), late_tickets(*elsewhere), forecast)


def with_breakdown(*, groups: tuple[GroupPart, ...] = (), breakdown: Breakdown = BREAKDOWN, **changes: Any) -> DayReport:
    """An ordinary day whose ticket tables are made."""
    made = {"ticket_tables": TicketTableState(audits="complete", names_at=DAY.end + 4 * HOUR), "durations": DURATIONS}
    return day_report(**{"breakdown": breakdown, "groups": groups, **made, **changes})


def _breakdown_of(text: str) -> Breakdown:
    """Every name is `text`."""
    row = dimension_row("360002", text, 31, 1201, by_metric={text: Decided(31, 1201)})
    few = dimension_row(text, text, 1, 2, is_deleted=True)
    names = ("group", "assignee", "priority", f"custom_field:{text}")
    return replace(
        BREAKDOWN, splits=tuple(DimensionSplit(name, split_of([row, few], min_targets=20), {}, TIME.groups) for name in names)
    )


def with_texts(text: str) -> DayReport:
    """Every text that comes from the account is `text`."""
    facts = TicketFacts(text, text, text)
    party = Party(360002, True, text)
    then = Holder(Party(360001, True, text, is_deleted=True), Party(9001, True, text))
    target = replace(LATE, sla_metric=text, policy_id=text, policy_title=text, breached_with=then)
    late = replace(LATE_TICKET, facts=facts, targets=(target,), now_with=Holder(party, party))
    due = replace(DUE_TICKET, facts=facts, targets=(replace(DUE, sla_metric=text, policy_title=text),))
    worse = Counted(breaches=9, achieved=1, completed_breached=0)
    return with_late(
        new=(late,),
        older=(late,),
        account=text,
        chart=CHART[-1:],
        metrics=(
            replace(FIRST_REPLY, sla_metric=text, trend=TREND[-1:]),
            replace(FIRST_REPLY, sla_metric=text, trend=TREND[-1:], day=worse),
        ),
        policies=(replace(STANDARD, sla_metric=text, policy_id=text, policy_title=text),),
        forecast=replace(FORECAST, tickets=(due,)),
        breakdown=_breakdown_of(text),
        groups=(group_part(party, late=(late,), elsewhere=(late,)),),
        durations=(replace(DURATIONS[0], sla_metric=text, groups=(replace(DURATIONS[0].groups[0], group=party),)),),
        ticket_tables=TicketTableState(audits=text, unreadable=(text,), names_at=DAY.end),
    )
