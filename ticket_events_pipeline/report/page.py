"""The day's report as one HTML page that needs nothing else: no network, no script, no fonts.

The template engine escapes all text, and a character that HTML cannot hold becomes U+FFFD; the page's own security policy would
stop a script all the same. Nothing of the machine or the moment goes in: equal figures make equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ticket_events_pipeline import text
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report import statements
from ticket_events_pipeline.report.aggregates import reading_order, total_flow
from ticket_events_pipeline.report.data_quality import no_tables_text, notices, quality_facts
from ticket_events_pipeline.report.dimension_table import Split, dimension_title
from ticket_events_pipeline.report.durations import DAYS_BEFORE
from ticket_events_pipeline.report.model import DayReport, MetricFigures
from ticket_events_pipeline.report.open_tickets import FORECAST_HOURS, LONG_LATE_DAYS, LateTickets
from ticket_events_pipeline.report.trend_line import trend_line_svg

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

LINES = 25
"""Lines of a list that are shown at once; the rest is folded, or the page's end would be out of reach."""

PAPER_LINES = 6
"""Of a list, on paper: a day has to fit on two pages."""

PAPER_ROWS = 5
"""Of the table of a dimension, on paper."""

NAMED_METRICS = 4
"""Metrics below the goal that the first lines name."""

UNKNOWN = "\u2013"
"""Shown where there is no figure."""


@dataclass(frozen=True)
class LatePart:
    """A part of the work list.

    Attributes:
        name: for its anchors.
        heading: without the number of tickets.
        tickets: which.
        before: tickets in the parts before it.
    """

    name: str
    heading: str
    tickets: LateTickets
    before: int


def report_page(report: DayReport, *, previous: Day | None = None, following: Day | None = None) -> str:
    """The day's page, as it is stored in the day's folder.

    Args:
        report: its figures.
        previous: an earlier day whose page is stored, to link to.
        following: a later one.
    """
    day = report.day
    page = (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            previous=previous,
            following=following,
            complete_before=previous if _is_last_complete(previous, report) else None,
            breaches=statements.total_breaches(report),
            headline=statements.headline(report),
            goal=statements.goal_summary(report),
            below_goal=statements.below_goal(report),
            late_parts=_late_parts(report),
            late_tickets=_late_tickets(report),
            next_due_at=report.forecast.tickets[0].targets[0].due_at if report.forecast.tickets else None,
            policies=[(name, list(rows)) for name, rows in groupby(report.policies, key=lambda row: row.sla_metric)],
            trend=partial(_trend, goal_percent=report.goal_percent),
            flow=total_flow([metric.flow for metric in report.metrics]),
            notices=notices(report),
            no_tables=no_tables_text(report),
            min_targets=None if report.breakdown is None else report.breakdown.min_targets,
            quality_facts=quality_facts(report),
            moment=partial(text.moment_text, day=day),
            iso=lambda seconds: text.local_time(seconds, day.timezone).isoformat(),
            due_in=lambda due_at: text.due_text(due_at - report.data_quality.as_of),
        )
    )
    return text.html_characters(page)


def _late_parts(report: DayReport) -> list[LatePart]:
    """Those to be shown at once; what is late for long is folded."""
    work = report.work_list
    on_day = text.short_date_text(report.day.date)
    return [
        LatePart("new", f"New: breached on {on_day}", work.new, 0),
        LatePart("older", f"Breached before {on_day}", work.older, len(work.new.tickets)),
    ]


def _late_tickets(report: DayReport) -> int:
    work = report.work_list
    return sum(part.ticket_count for part in (work.new, work.older, work.long_late))


def _trend(metric: MetricFigures, *, goal_percent: float) -> Markup:
    from markupsafe import Markup  # with the template engine: neither is needed to start the command line

    return Markup(trend_line_svg(metric.trend, goal_percent=goal_percent))  # noqa: S704  # made of dates and rates


def _is_last_complete(previous: Day | None, report: DayReport) -> bool:
    """Whether the open day's page (`latest.html` until midnight) should point to `previous`, the last complete day."""
    complete = [chart_day.day for chart_day in report.chart if chart_day.is_complete]
    return previous is not None and previous == max(complete, default=None)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """What all pages of figures are made with: it escapes all text, and has the filters of their templates."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ticket_events_pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "clock": _known(text.clock_text),
        "count": text.count_text,
        "date": text.date_text,
        "days": text.days_text,
        "duration": _known(text.duration_text),
        "elapsed_name": text.elapsed_name,
        "hours": text.hours_name,
        "metric": text.metric_name,
        "percent": text.percent_text,
        "policy": lambda target: text.policy_name(target.policy_id, target.policy_title),
        "rate": _known(text.rate_text),
        "short_date": text.short_date_text,
        "spread": statements.spread_text,
        "target": _known(text.hours_text),
        "weekday": text.weekday_text,
    }
    environment.globals |= {
        "breaches_change": statements.breaches_change,
        "days_before": DAYS_BEFORE,
        "dimension_title": dimension_title,
        "forecast_hours": FORECAST_HOURS,
        "goal_statement": statements.goal_statement,
        "lines": LINES,
        "long_late_days": LONG_LATE_DAYS,
        "metrics_of": _metrics_of,
        "named_metrics": NAMED_METRICS,
        "paper_lines": PAPER_LINES,
        "paper_rows": PAPER_ROWS,
        "plural": text.plural,
        "rate_change": statements.rate_change,
        "shown_of": _shown_of,
        "without_estimate": statements.without_estimate,
    }
    return environment


def _known(format_figure: Callable[[Any], str]) -> Callable[[Any], str]:
    """The formatted figure, and UNKNOWN where there is none."""
    return lambda figure: UNKNOWN if figure is None else format_figure(figure)


def _shown_of(shown: Sequence[object], count: int) -> str:
    """How many tickets there are, and how many of them are shown where the list is cut: `200 of 1,234 tickets`."""
    tickets = text.plural(count, "ticket")
    return f"{len(shown):,} of {tickets}" if len(shown) < count else tickets


def _metrics_of(split: Split) -> list[str]:
    """The metrics with a decided target in the rows."""
    return sorted({name for row in split.rows for name in row.by_metric}, key=reading_order)
