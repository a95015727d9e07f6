"""A day's figures per metric and per policy, against the same weekdays before it.

Only sums over stored summaries; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from ticket_events_pipeline.day import Day, same_weekdays
from ticket_events_pipeline.report.model import (
    METRIC_ORDER,
    USUAL_WEEKS,
    Change,
    ChartDay,
    Counted,
    Elapsed,
    Flow,
    MetricFigures,
    Overdue,
    PolicyFigures,
    Usual,
)
from ticket_events_pipeline.report.stored import DaySummary, PolicyKey, SummaryRow, total
from ticket_events_pipeline.report.usual import breaches_change, rate_change, usual_of

NEVER_OVERDUE = Overdue(None, None, None)
NEVER_MEASURED = Elapsed(0, None, None)

_IsWanted = Callable[[SummaryRow], bool]


@dataclass(frozen=True)
class Compared:
    """A day's summary, and what it is compared with.

    Attributes:
        summary: of the day.
        chart: of the days of the chart, the day itself the last; None where one has no summary.
        usual: of the same weekdays before, the complete ones that are stored.
    """

    summary: DaySummary
    chart: Mapping[Day, DaySummary | None]
    usual: Sequence[DaySummary]

    @classmethod
    def of(cls, summary: DaySummary, before: Mapping[Day, DaySummary | None], *, chart_days: Sequence[Day]) -> Compared:
        """The day's, from the summaries of the days before."""
        chart = {day: summary if day == summary.day else before[day] for day in chart_days}
        weekdays = (before[day] for day in reversed(same_weekdays(summary.day, USUAL_WEEKS)))
        return cls(summary, chart, [past for past in weekdays if past is not None and past.is_complete])

    def usual_of(self, is_wanted: _IsWanted, *, with_rate: bool = True) -> Usual | None:
        """What is usual for the rows that are wanted; a day without any counts as zeros."""
        return usual_of([_of_rows(past, is_wanted) for past in self.usual], with_rate=with_rate)

    def trend(self, is_wanted: _IsWanted) -> tuple[ChartDay, ...]:
        """The chart of the rows that are wanted."""
        return tuple(
            ChartDay(day, None) if past is None else ChartDay(day, _of_rows(past, is_wanted), past.is_complete)
            for day, past in self.chart.items()
        )


def all_metrics(compared: Compared) -> tuple[Usual | None, Change, tuple[ChartDay, ...]]:
    """What is usual over all metrics, how the day's breaches compare with it, and the chart."""
    usual = compared.usual_of(_any, with_rate=False)
    summary = compared.summary
    change = breaches_change(_of_rows(summary, _any).breaches, usual, is_complete=summary.is_complete)
    return usual, change, compared.trend(_any)


def metric_figures(
    compared: Compared, overdue: Mapping[str, Overdue], elapsed: Mapping[str, Elapsed]
) -> tuple[MetricFigures, ...]:
    """One for each metric with a row on one of the chart's days, in the order people read them.

    Args:
        compared: the day.
        overdue: per metric, over all its policies.
        elapsed: likewise.
    """
    names = {row.key[0] for past in compared.chart.values() if past is not None for row in past.rows}
    return tuple(
        _metric(name, compared, overdue.get(name, NEVER_OVERDUE), elapsed.get(name, NEVER_MEASURED))
        for name in sorted(names, key=reading_order)
    )


def reading_order(name: str) -> tuple[int, str]:
    """Sorts metrics as people read them: as `METRIC_ORDER` has them, others by name after them."""
    return METRIC_ORDER.index(name) if name in METRIC_ORDER else len(METRIC_ORDER), name


def _metric(name: str, compared: Compared, overdue: Overdue, elapsed: Elapsed) -> MetricFigures:
    def is_wanted(row: SummaryRow) -> bool:
        return row.key[0] == name

    summary = compared.summary
    rows = [row for row in summary.rows if is_wanted(row)]
    day, usual = _of_rows(summary, is_wanted), compared.usual_of(is_wanted)
    return MetricFigures(
        sla_metric=name,
        day=day,
        active=sum(row.active for row in rows),
        breached_open=sum(row.breached_open for row in rows),
        usual=usual,
        breaches_change=breaches_change(day.breaches, usual, is_complete=summary.is_complete),
        rate_change=rate_change(day, usual, is_complete=summary.is_complete),
        overdue=overdue,
        elapsed=elapsed,
        flow=total_flow([row.flow for row in rows]),
        trend=compared.trend(is_wanted),
    )


def total_flow(flows: Sequence[Flow]) -> Flow:
    """Flows summed up; a figure that one of them lacks is unknown."""
    columns = zip(*(astuple(flow) for flow in flows), strict=True) if flows else [(0,)] * len(fields(Flow))
    return Flow(*(total_of(column) for column in columns))  # type: ignore[arg-type]  # only `deleted` may be None


def total_of(counts: Iterable[int | None]) -> int | None:
    """The sum; None if one of them is unknown."""
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def policy_figures(compared: Compared, elapsed: Mapping[PolicyKey, Elapsed]) -> tuple[PolicyFigures, ...]:
    """One for each row of the day's summary, by metric in the order people read them; `elapsed` is per row."""
    rows = sorted(compared.summary.rows, key=lambda row: reading_order(row.key[0]))  # stable: of a metric, in the file's order
    return tuple(_policy(row, compared, elapsed.get(row.key, NEVER_MEASURED)) for row in rows)


def _policy(row: SummaryRow, compared: Compared, elapsed: Elapsed) -> PolicyFigures:
    sla_metric, policy_id, business_hours = row.key
    usual = compared.usual_of(lambda past: past.key == row.key)
    return PolicyFigures(
        sla_metric=sla_metric,
        policy_id=policy_id,
        policy_title=row.policy_title,
        business_hours=business_hours,
        day=row.counted,
        active=row.active,
        breached_open=row.breached_open,
        usual=usual,
        breaches_change=breaches_change(row.counted.breaches, usual, is_complete=compared.summary.is_complete),
        overdue=row.overdue,
        elapsed=elapsed,
    )


def _any(_: SummaryRow) -> bool:
    return True


def _of_rows(summary: DaySummary, is_wanted: _IsWanted) -> Counted:
    return total([row.counted for row in summary.rows if is_wanted(row)])
