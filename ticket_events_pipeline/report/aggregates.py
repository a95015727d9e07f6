"""A day's figures per metric and per policy, against the mean of the days before it.

Only sums and means over stored summaries; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, fields

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.history import DaySummary, SummaryRow, total
from ticket_events_pipeline.report.model import MEAN_DAYS, ChartDay, Counted, Flow, Mean, MetricFigures, Overdue, PolicyFigures

NEVER_OVERDUE = Overdue(None, None, None)

_IsWanted = Callable[[SummaryRow], bool]


def metric_figures(
    summary: DaySummary, before: Sequence[DaySummary], overdue: Mapping[str, Overdue]
) -> tuple[MetricFigures, ...]:
    """One for each metric with a row on the day or on one of the days before, sorted by name.

    Args:
        summary: of the day.
        before: of those of the `MEAN_DAYS` days before that have one.
        overdue: per metric, over all its policies.
    """
    names = {row.key[0] for of_day in (summary, *before) for row in of_day.rows}
    return tuple(_metric(name, summary, before, overdue.get(name, NEVER_OVERDUE)) for name in sorted(names))


def _metric(name: str, summary: DaySummary, before: Sequence[DaySummary], overdue: Overdue) -> MetricFigures:
    rows = [row for row in summary.rows if row.key[0] == name]
    return MetricFigures(
        sla_metric=name,
        day=_counted(rows),
        active=sum(row.active for row in rows),
        breached_open=sum(row.breached_open for row in rows),
        mean=_mean(before, lambda row: row.key[0] == name),
        overdue=overdue,
        flow=total_flow([row.flow for row in rows]),
    )


def total_flow(flows: Sequence[Flow]) -> Flow:
    """Flows summed up; a figure that one of them lacks is unknown."""
    columns = zip(*(astuple(flow) for flow in flows), strict=True) if flows else [(0,)] * len(fields(Flow))
    return Flow(*(total_of(column) for column in columns))  # type: ignore[arg-type]  # only `deleted` may be None


def total_of(counts: Iterable[int | None]) -> int | None:
    """The sum; None if one of them is unknown."""
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def policy_figures(summary: DaySummary, before: Sequence[DaySummary]) -> tuple[PolicyFigures, ...]:
    """One for each row of the day's summary, in its order. A day before without such a row counts as one of zeros."""
    return tuple(_policy(row, before) for row in summary.rows)


def _policy(row: SummaryRow, before: Sequence[DaySummary]) -> PolicyFigures:
    sla_metric, policy_id, business_hours = row.key
    return PolicyFigures(
        sla_metric=sla_metric,
        policy_id=policy_id,
        policy_title=row.policy_title,
        business_hours=business_hours,
        day=row.counted,
        active=row.active,
        breached_open=row.breached_open,
        mean=_mean(before, lambda past: past.key == row.key),
        overdue=row.overdue,
    )


def mean_days(before: Mapping[Day, DaySummary | None], day: Day) -> list[DaySummary]:
    """The summaries that the day is measured against, of those stored."""
    wanted = [before.get(day.plus(-offset)) for offset in range(MEAN_DAYS, 0, -1)]
    return [summary for summary in wanted if summary is not None]


def chart_day(day: Day, summary: DaySummary | None) -> ChartDay:
    """The day in the chart, over all metrics."""
    if summary is None:
        return ChartDay(day, None)
    return ChartDay(day, _counted(summary.rows), summary.is_complete)


def _mean(before: Sequence[DaySummary], is_wanted: _IsWanted) -> Mean | None:
    if not before:
        return None
    sums = _counted(row for summary in before for row in summary.rows if is_wanted(row))
    return Mean(len(before), sums.breaches / len(before), sums.achieved / len(before), sums.achievement_rate)


def _counted(rows: Iterable[SummaryRow]) -> Counted:
    return total([row.counted for row in rows])
