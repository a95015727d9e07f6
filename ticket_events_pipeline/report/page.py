"""The day's report as one HTML page that needs nothing else: no network, no script, no fonts.

The template engine escapes all text, and a character that HTML cannot hold becomes U+FFFD; the page's own security policy would
stop a script all the same. Nothing of the machine or the moment goes in: equal figures make equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ticket_events_pipeline import text
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.aggregates import total_flow
from ticket_events_pipeline.report.charts import breach_chart_svg
from ticket_events_pipeline.report.data_quality import notices, quality_facts
from ticket_events_pipeline.report.model import MEAN_DAYS, DayReport, Mean, OpenTarget

if TYPE_CHECKING:
    from jinja2 import Environment

LINES = 25
"""Lines of a list that are shown at once; the rest is folded, or the page's end would be out of reach."""

UNKNOWN = "\u2013"
"""Shown where there is no figure."""


def report_page(report: DayReport, *, previous: Day | None = None, following: Day | None = None) -> str:
    """The day's page, as it is stored in the day's folder.

    Args:
        report: its figures.
        previous: an earlier day whose page is stored, to link to.
        following: a later one.
    """
    from markupsafe import Markup  # with the template engine: neither is needed to start the command line

    day = report.day
    page = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            previous=previous,
            following=following,
            complete_before=previous if _is_last_complete(previous, report) else None,
            breaches=sum(metric.day.breaches for metric in report.metrics),
            flow=total_flow([metric.flow for metric in report.metrics]),
            notices=notices(report),
            quality_facts=quality_facts(report),
            chart_svg=Markup(breach_chart_svg(report.chart)),  # noqa: S704  # made of dates and counts
            moment=partial(text.moment_text, day=day),
            iso=lambda seconds: text.local_time(seconds, day.timezone).isoformat(),
            time_left=partial(_time_left, as_of=report.data_quality.as_of),
        )
    )
    return text.html_characters(page)


def _is_last_complete(previous: Day | None, report: DayReport) -> bool:
    """Whether the open day's page (`latest.html` until midnight) should point to `previous`, the last complete day."""
    complete = [chart_day.day for chart_day in report.chart if chart_day.is_complete]
    return previous is not None and previous == max(complete, default=None)


@lru_cache(maxsize=1)
def _environment() -> Environment:
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
        "count": text.count_text,
        "date": text.date_text,
        "duration": _known(text.duration_text),
        "hours": text.hours_name,
        "metric": text.metric_name,
        "policy": lambda target: text.policy_name(target.policy_id, target.policy_title),
        "rate": _known(text.rate_text),
        "short_date": text.short_date_text,
        "target": _known(text.hours_text),
    }
    environment.globals |= {
        "breaches_against": breaches_against,
        "is_far_above": is_far_above,
        "lines": LINES,
        "mean_days": MEAN_DAYS,
        "plural": text.plural,
        "policy_name": text.policy_name,
        "rate_against": rate_against,
        "shown_of": _shown_of,
    }
    return environment


def _known(format_figure: Callable[[Any], str]) -> Callable[[Any], str]:
    """The formatted figure, and UNKNOWN where there is none."""
    return lambda figure: UNKNOWN if figure is None else format_figure(figure)


def _shown_of(shown: Sequence[OpenTarget], count: int) -> str:
    """How many there are, and how many of them are shown where the list is cut: `200 of 1,234`."""
    return f"{len(shown):,} of {count:,}" if len(shown) < count else f"{count:,}"


def _time_left(due_at: int, *, as_of: int) -> str:
    """The time until an open target breaches; Zendesk may not have delivered a breach that is due."""
    return text.duration_text(due_at - as_of) if due_at > as_of else "due already"


def breaches_against(mean: Mean | None, breaches: int) -> str:
    """The difference to a usual day, and that: `2 more than usual (5)`, `1.4 fewer than usual (3.4)`, `as usual (3)`."""
    if mean is None:
        return "no earlier day to compare with"
    return _against(breaches - mean.breaches, text.count_text(mean.breaches), "more than usual", "fewer than usual")


def is_far_above(mean: Mean | None, breaches: int) -> bool:
    """Whether there were so many more than usual that it has to catch the eye: one breach and a quarter of them at least."""
    return mean is not None and breaches - mean.breaches >= max(1, mean.breaches / 4)


def rate_against(mean: Mean | None, rate: float | None) -> str:
    """The difference of an achievement rate to the usual one: `3.2 points below usual (95.4%)`; empty if that is unknown."""
    if mean is None or mean.achievement_rate is None:
        return ""
    usual = text.rate_text(mean.achievement_rate)
    if rate is None:
        return f"usually {usual}"
    return _against((rate - mean.achievement_rate) * 100, usual, "points above usual", "points below usual")


def _against(difference: float, usual: str, more: str, less: str) -> str:
    amount = text.count_text(abs(difference))
    side = more if difference > 0 else less
    shown = "as usual" if amount == "0" else f"{amount} {side.replace('points', 'point') if amount == '1' else side}"
    return f"{shown} ({usual})"
