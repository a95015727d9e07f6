"""A day's figures by SLA metric, and the short table of them that the summary's materialisation shows.

Dagster's UI shows Markdown of less than 1,000 characters in place, and longer text behind a click.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.report.aggregates import reading_order
from ticket_events_pipeline.text import markdown_text, metric_name, rate_text

NO_FIGURE = "-"

_HEADER = ("Metric", "Breaches", "Achieved", "Rate", "Late and open")
_RULE = ("---", *["---:"] * (len(_HEADER) - 1))
_SUMMED = ("breaches", "achieved", "breached_open_eod")


@dataclass(frozen=True)
class MetricDay:
    """The figures of one SLA metric on one day, all policies together.

    Attributes:
        sla_metric: the metric's name in SLA policies.
        breaches: targets that breached on the day.
        achieved: targets that were met on the day.
        late_and_open: targets that have breached and are still open at the end.
    """

    sla_metric: str
    breaches: int
    achieved: int
    late_and_open: int

    @property
    def achievement_rate(self) -> float | None:
        """A share from 0 to 1; None if no target was decided on the day."""
        decided = self.achieved + self.breaches
        return self.achieved / decided if decided else None


def metric_days(summary: pa.Table) -> list[MetricDay]:
    """The figures of each metric, as people read them, from the rows of a day's `daily_sla_breach_summary`."""
    summed = summary.group_by("sla_metric").aggregate([(column, "sum") for column in _SUMMED]).to_pylist()
    rows = sorted(summed, key=lambda row: reading_order(row["sla_metric"] or ""))
    return [MetricDay(row["sla_metric"] or "", *(row[f"{column}_sum"] or 0 for column in _SUMMED)) for row in rows]


def metric_table(metrics: Iterable[MetricDay]) -> str:
    """The figures as a Markdown table, a row per metric."""
    rows = [_cells(metric) for metric in metrics]
    if not rows:
        return "No target was open on this day."
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (_HEADER, _RULE, *rows))


def _cells(metric: MetricDay) -> tuple[str, ...]:
    rate = metric.achievement_rate
    return (
        markdown_text(metric_name(metric.sla_metric)),
        f"{metric.breaches:,}",
        f"{metric.achieved:,}",
        NO_FIGURE if rate is None else rate_text(rate),
        f"{metric.late_and_open:,}",
    )
