"""The week's report as one HTML page in the look of the day's, and where it is stored."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from itertools import groupby

from ticket_events_pipeline import text
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.files import REPORT, put_page, report_days
from ticket_events_pipeline.report.page import environment
from ticket_events_pipeline.report.statements import Statement, reaches
from ticket_events_pipeline.report.week import DAYS_OF_A_WEEK, Week, WeekFigures, WeekReport
from ticket_events_pipeline.report.write import put_explained
from ticket_events_pipeline.storage.store import Store

WEEKS = f"{REPORT}/weeks"
"""Next to the folders of the days; its name is that of no partition."""

_WEEK_PAGE = re.compile(rf"{WEEKS}/(\d{{4}}-W\d{{2}})\.html", re.ASCII)


def week_path(week: Week) -> str:
    """The path of the week's page below the root."""
    return f"{WEEKS}/{week}.html"


def report_weeks(store: Store, timezone: str) -> list[Week]:
    """The weeks that have a page, in order."""
    found = (week_of_page(path, timezone) for path in store.paths(WEEKS))
    return sorted(week for week in found if week is not None)


def week_of_page(path: str, timezone: str) -> Week | None:
    """The week whose page is at the path below the root; None where that is no page of a week."""
    match = _WEEK_PAGE.fullmatch(path)
    try:
        return Week.parse(match[1], timezone) if match else None
    except ValueError:  # 2026-W54: not written by this program
        return None


def write_week(store: Store, report: WeekReport) -> str:
    """Replace the week's page, bring `explained.html` up to date, and return the page's path below the root.

    Raises:
        UsageError: the store can't be written.
        TransientError: it can't be reached.
    """
    timezone = report.week.monday.timezone
    stored = report_weeks(store, timezone)
    page = week_page(
        report,
        previous=max((week for week in stored if week < report.week), default=None),
        following=min((week for week in stored if week > report.week), default=None),
        day_pages=report_days(store, timezone),
    )
    put_explained(store)  # first: the page has a link to it
    put_page(store, week_path(report.week), page.encode())
    return week_path(report.week)


def week_page(
    report: WeekReport, *, previous: Week | None = None, following: Week | None = None, day_pages: Collection[Day] = ()
) -> str:
    """The week's page, as it is stored.

    Args:
        report: its figures.
        previous: an earlier week whose page is stored, to link to.
        following: a later one.
        day_pages: the days whose pages are stored, to link to.
    """
    below = below_goal(report)
    shown = [row for row in report.policies if _has_news(row)]
    page = (
        environment()
        .get_template("week.html")
        .render(
            report=report,
            previous=previous,
            following=following,
            day_pages=day_pages,
            has_days=bool(day_pages),
            span=_span(report.week),
            state=_state(report),
            breaches=sum(row.week.breaches for row in report.metrics),
            compared=compared_text(report),
            uncompared=uncompared_text(report),
            below=below,
            goal=_goal(report, below),
            policies=[(name, list(rows)) for name, rows in groupby(shown, key=lambda row: row.sla_metric)],
            idle_policies=len(report.policies) - len(shown),
            from_goal=from_goal,
            min_targets=report.min_targets,
            moment=partial(text.moment_text, day=report.late_on),
            iso=lambda seconds: text.local_time(seconds, report.late_on.timezone).isoformat(),
        )
    )
    return text.html_characters(page)


def below_goal(report: WeekReport) -> list[WeekFigures]:
    """The metrics whose rate is below the goal, the lowest first."""
    rated = [(row.week.achievement_rate, row) for row in report.metrics]
    below = [(rate, row) for rate, row in rated if rate is not None and not reaches(rate, report.goal_percent)]
    return [row for _, row in sorted(below, key=lambda found: found[0])]


def compared_text(report: WeekReport) -> str:
    """`, 4 more than in the week before (12)`; only whole weeks are compared."""
    if not report.is_compared:
        return " so far" if report.open_days else ""
    before = sum(row.before.breaches for row in report.metrics if row.before is not None)
    difference = sum(row.week.breaches for row in report.metrics) - before
    if not difference:
        return f", as many as in the week before ({text.count_text(before)})"
    amount, side = text.count_text(abs(difference)), "more" if difference > 0 else "fewer"
    return f", {amount} {side} than in the week before ({text.count_text(before)})"


def uncompared_text(report: WeekReport) -> str:
    """Why there is no comparison with the week before; empty where there is one."""
    if report.is_compared:
        return ""
    if report.days_before == DAYS_OF_A_WEEK:
        return "There is no comparison with the week before: this week is not complete."
    if report.days_before:
        found = f"only {report.days_before} of its {DAYS_OF_A_WEEK} days {'has' if report.days_before == 1 else 'have'}"
    else:
        found = "no day of it has"
    return f"There is no comparison with the week before: {found} a complete summary."


def from_goal(rate: float | None, goal_percent: float) -> str:
    """How far a rate is from the goal: `3.0 points below`, `0.4 points above`; `reached` where it is exactly that."""
    if rate is None:
        return ""
    points = rate * 100 - goal_percent
    amount = f"{abs(points):.1f}"
    if amount == "0.0":
        return "reached" if reaches(rate, goal_percent) else "just below"
    return f"{amount} points {'above' if points > 0 else 'below'}"


def _goal(report: WeekReport, below: list[WeekFigures]) -> Statement:
    goal = text.percent_text(report.goal_percent)
    if below:
        return Statement(f"Below the goal of {goal}:", "✗", "bad")
    if any(row.week.achievement_rate is not None for row in report.metrics):
        return Statement(f"Every metric reached the goal of {goal}.", "✓", "good")
    return Statement("No target was achieved or breached, so there is no rate.")


def _has_news(row: WeekFigures) -> bool:
    return any((row.week.breaches, row.week.achieved, row.week.completed_breached))


def _span(week: Week) -> str:
    """`23 to 29 November 2026`."""
    first, last = week.days[0].date, week.days[-1].date
    month = "" if first.month == last.month else f" {text.MONTHS[first.month - 1]}"
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day}{month}{year} to {last.day} {text.MONTHS[last.month - 1]} {last.year}"


def _state(report: WeekReport) -> str:
    complete = sum(day.is_complete is True for day in report.days)
    return "Complete week" if complete == len(report.days) else f"{complete} of {len(report.days)} days complete"
