"""The day's figures as Markdown, for the summary's materialisation in Dagster's UI.

The UI renders GitHub's dialect (react-markdown with remark-gfm) and drops raw HTML (rehype-sanitize), comments included. It
makes links of bare addresses, even of escaped ones, since it searches the finished text for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ticket_events_pipeline.report.data_quality import MAKE_AGAIN, notices
from ticket_events_pipeline.report.model import MEAN_DAYS, Counted, DayReport, Mean, PolicyFigures
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.text import (
    count_text,
    date_text,
    days_text,
    hours_name,
    markdown_text,
    metric_name,
    moment_text,
    plural,
    policy_name,
    rate_text,
)

UNKNOWN = "-"
"""Shown where there is no figure."""

_HEADER = (
    "Metric",
    "Policy",
    "Breaches",
    f"{MEAN_DAYS}-day mean",
    "Achieved",
    "Rate",
    f"{MEAN_DAYS}-day rate",
    "Late, open",
    "Active",
)
_RULE = ("---", "---", *["---:"] * (len(_HEADER) - 2))


def summary_markdown(report: DayReport) -> str:
    """A line of totals, a table with a row per metric and policy, and how far the figures reach."""
    return "\n\n".join((_totals(report), _table(report), _reach(report)))


def _totals(report: DayReport) -> str:
    day = Counted(
        breaches=sum(metric.day.breaches for metric in report.metrics),
        achieved=sum(metric.day.achieved for metric in report.metrics),
        completed_breached=sum(metric.day.completed_breached for metric in report.metrics),
    )
    mean = sum(metric.mean.breaches for metric in report.metrics if metric.mean is not None)
    compared = f" (7-day mean {count_text(mean)})" if any(metric.mean for metric in report.metrics) else ""
    return (
        f"**{day.breaches:,} {'breach' if day.breaches == 1 else 'breaches'}**{compared}, {day.achieved:,} achieved, "
        f"{report.late_count:,} late and still open on {date_text(report.day.date)}."
    )


def _table(report: DayReport) -> str:
    if not report.policies:
        return "No target was open on this day."
    rows = (_HEADER, _RULE, *(_cells(policy) for policy in report.policies))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cells(row: PolicyFigures) -> tuple[str, ...]:
    name = f"{markdown_text(policy_name(row.policy_id, row.policy_title))}, {hours_name(row.business_hours)}"
    return (
        markdown_text(metric_name(row.sla_metric)),
        name,
        f"{row.day.breaches:,}",
        UNKNOWN if row.mean is None else count_text(row.mean.breaches),
        f"{row.day.achieved:,}",
        _rate(row.day),
        _rate(row.mean),
        f"{row.breached_open:,}",
        f"{row.active:,}",
    )


def _rate(figures: Counted | Mean | None) -> str:
    rate = None if figures is None else figures.achievement_rate
    return UNKNOWN if rate is None else rate_text(rate)


def _reach(report: DayReport) -> str:
    return " ".join(_sentences(report))


def _sentences(report: DayReport) -> Iterator[str]:
    quality = report.data_quality
    state = "complete" if quality.is_complete else "**open**"
    yield f"The day is {state}; figures as of {moment_text(quality.as_of, report.day)} ({report.day.timezone})."
    measured = next((metric.mean.days for metric in report.metrics if metric.mean is not None), 0)
    yield f"{plural(measured, 'day')} of the {MEAN_DAYS} before are in the means."
    if quality.missing_days:
        yield f"Of the last {len(report.chart)} days, these have no summary: {days_text(quality.missing_days)}."
    yield from _oddities(report)
    yield from (f"**{notice.title}** {notice.text}" for notice in notices(report) if notice.kind == "alarm")


def _oddities(report: DayReport) -> Iterator[str]:
    quality, deleted = report.data_quality, [metric.flow.deleted or 0 for metric in report.metrics]
    if sum(deleted):
        yield f"{plural(sum(deleted), 'target')} closed because their ticket was deleted."
    if quality.contradicted:
        tickets = ", ".join(dict.fromkeys(str(target.ticket_id) for target in quality.contradicted_targets))
        targets = plural(quality.contradicted, "target")
        yield f"**{targets}** with an outcome that the measured duration contradicts (tickets {tickets}): see the report."
    if quality.rules_version < RULES_VERSION:
        yield f"Made under the rules of version {quality.rules_version}: {MAKE_AGAIN}."
