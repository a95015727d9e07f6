"""The day's figures as Markdown, for the summary's materialisation in Dagster's UI.

The UI renders GitHub's dialect (react-markdown with remark-gfm) and drops raw HTML (rehype-sanitize), comments included. It
makes links of bare addresses, even of escaped ones, since it searches the finished text for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ticket_events_pipeline.report.data_quality import MAKE_AGAIN, notices
from ticket_events_pipeline.report.model import DayReport, MetricFigures, PolicyFigures
from ticket_events_pipeline.report.statements import (
    Statement,
    below_goal,
    breaches_change,
    goal_statement,
    goal_summary,
    headline,
    spread_text,
    total_breaches,
)
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.text import (
    clock_text,
    days_text,
    hours_name,
    markdown_text,
    metric_name,
    moment_text,
    plural,
    policy_name,
    rate_text,
    weekday_text,
)

UNKNOWN = "-"
"""Shown where there is no figure."""

_METRICS = ("Metric", "Rate", "Goal", "Breaches", "Usual", "Median time", "Late and open")
_POLICIES = ("Metric", "Policy", "Rate", "Breaches", "Usual", "Achieved", "Late and open", "Open")


def summary_markdown(report: DayReport) -> str:
    """The headline, a table of the metrics and one of the policies, and how far the figures reach."""
    tables = [
        _table(_METRICS, ("---", "---:", "---", *["---:"] * 4), (_metric_cells(metric, report) for metric in report.metrics)),
        _table(_POLICIES, ("---", "---", *["---:"] * 6), (_policy_cells(row) for row in report.policies)),
    ]
    shown = [table for table in tables if table] or ["No target was open on this day."]
    return "\n\n".join((_first_lines(report), *shown, _reach(report)))


def _first_lines(report: DayReport) -> str:
    said, goal = headline(report), goal_summary(report)
    first = _signed(Statement(f"{total_breaches(report):,} {said.text}.", said.sign))
    below = ", ".join(f"{markdown_text(metric_name(metric.sla_metric))} {_rate(metric)}" for metric in below_goal(report))
    return f"**{first}** {_signed(goal)}{f' {below}.' if below else ''}"


def _table(header: Sequence[str], rule: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Empty without rows."""
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join((f"| {' | '.join(header)} |", f"| {' | '.join(rule)} |", *lines)) if lines else ""


def _metric_cells(metric: MetricFigures, report: DayReport) -> tuple[str, ...]:
    rate, median = metric.day.achievement_rate, metric.elapsed.p50_seconds
    return (
        markdown_text(metric_name(metric.sla_metric)),
        _rate(metric),
        UNKNOWN if rate is None else _signed(goal_statement(rate, report.goal_percent)),
        f"{metric.day.breaches:,}",
        _usual(metric),
        UNKNOWN if median is None else clock_text(median),
        f"{metric.breached_open:,}",
    )


def _policy_cells(row: PolicyFigures) -> tuple[str, ...]:
    return (
        markdown_text(metric_name(row.sla_metric)),
        f"{markdown_text(policy_name(row.policy_id, row.policy_title))}, {hours_name(row.business_hours)}",
        _rate(row),
        f"{row.day.breaches:,}",
        _usual(row),
        f"{row.day.achieved:,}",
        f"{row.breached_open:,}",
        f"{row.active:,}",
    )


def _rate(figures: MetricFigures | PolicyFigures) -> str:
    rate = figures.day.achievement_rate
    return UNKNOWN if rate is None else rate_text(rate)


def _usual(figures: MetricFigures | PolicyFigures) -> str:
    """`4 (2–7)`, and whether the day had more or fewer."""
    if figures.usual is None:
        return UNKNOWN
    change = breaches_change(figures.breaches_change)
    return spread_text(figures.usual.breaches) + (f" {_signed(change)}" if change else "")


def _signed(statement: Statement) -> str:
    return f"{statement.sign} {statement.text}".lstrip()


def _reach(report: DayReport) -> str:
    return " ".join(_sentences(report))


def _sentences(report: DayReport) -> Iterator[str]:
    quality = report.data_quality
    state = "complete" if quality.is_complete else "**open**"
    yield f"The day is {state}; figures as of {moment_text(quality.as_of, report.day)} ({report.day.timezone})."
    weekday = weekday_text(report.day.date)
    if report.usual is None:
        yield f"There are not enough earlier {weekday}s to compare with."
    else:
        yield f"Usual: the median of the last {plural(report.usual.days, weekday)} (lowest–highest)."
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
