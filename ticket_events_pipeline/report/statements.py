"""What a day's figures say, in the words that the page and the Markdown share. Texts are plain, for each of them to escape.

Good and bad are said by a sign and by words; a page may colour them as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ticket_events_pipeline.report.model import Change, DayReport, MetricFigures, Spread
from ticket_events_pipeline.report.open_tickets import Unforecast
from ticket_events_pipeline.text import count_text, percent_text, weekday_text


@dataclass(frozen=True)
class Statement:
    """A sentence or a part of one.

    Attributes:
        text: in words; understood without the sign.
        sign: before it; empty where nothing is good or bad.
        tone: the colour that it may have.
    """

    text: str
    sign: str = ""
    tone: Literal["good", "bad", "plain"] = "plain"


def total_breaches(report: DayReport) -> int:
    """Over all metrics."""
    return sum(metric.day.breaches for metric in report.metrics)


def headline(report: DayReport) -> Statement:
    """How many targets breached compared with other such weekdays, but for the number that the text follows."""
    breaches, is_open = total_breaches(report), not report.data_quality.is_complete
    said = f"{'target' if breaches == 1 else 'targets'} breached{' so far' if is_open else ''}"
    usual = report.usual
    if usual is None:
        return Statement(said)
    weekdays, spread = f"{weekday_text(report.day.date)}s", range_text(usual.breaches)
    if report.breaches_change is Change.MORE:
        already = "already " if is_open else ""
        return Statement(f"{said}: {already}more than on the last {usual.days} {weekdays} ({spread})", "▲", "bad")
    if report.breaches_change is Change.FEWER:
        return Statement(f"{said}: fewer than on the last {usual.days} {weekdays} ({spread})", "▼", "good")
    if is_open:
        return Statement(f"{said}; whole {weekdays} had {spread}")
    about = "" if usual.breaches.least <= breaches <= usual.breaches.greatest else "about "
    return Statement(f"{said}, {about}as on other {weekdays} ({spread})")


PAUSED = "are paused and have no due time until they go on"

NO_SCHEDULE = "in business hours whose schedule or beginning isn't known"


def without_estimate(targets: Unforecast, *, business_hours: str = NO_SCHEDULE) -> str:
    """That these targets have no due time, and why, but for the number that the text follows.

    A paused clock can't breach before it goes on; the others may at any time. `business_hours` is what is said of those in
    business hours.
    """
    reasons = (
        (targets.business_hours, business_hours),
        (targets.unknown_length, "of unknown length"),
        (targets.begun_before, "begun before the stored history"),
    )
    why = "; ".join(f"{number:,} {reason}" for number, reason in reasons if number)
    open_targets = "open target" if targets.count == 1 else "open targets"
    paused = "is paused and has no due time until it goes on" if targets.paused == 1 else PAUSED
    if not why:
        return f"{open_targets} {paused}."
    has = "has" if targets.count == 1 else "have"
    if not targets.paused:
        return f"{open_targets} {has} no estimate and may breach at any time: {why}."
    running = targets.count - targets.paused
    return f"{open_targets} {has} no estimate. {running:,} may breach at any time: {why}. {targets.paused:,} {paused}."


def below_goal(report: DayReport) -> list[MetricFigures]:
    """The metrics whose rate is below the goal, the lowest first."""
    rated = [(metric.day.achievement_rate, metric) for metric in report.metrics]
    below = [(rate, metric) for rate, metric in rated if rate is not None and not reaches(rate, report.goal_percent)]
    return [metric for _, metric in sorted(below, key=lambda found: found[0])]


def goal_summary(report: DayReport) -> Statement:
    """Whether all metrics reached the goal; where not, the sentence that the names of those `below_goal` follow."""
    goal = percent_text(report.goal_percent) + ("" if report.data_quality.is_complete else " so far")
    if below_goal(report):
        return Statement(f"Below the goal of {goal}:", "✗", "bad")
    if any(metric.day.achievement_rate is not None for metric in report.metrics):
        return Statement(f"Every metric reached the goal of {goal}.", "✓", "good")
    return Statement("No target was achieved or breached, so there is no rate.")


def goal_statement(rate: float | None, goal_percent: float) -> Statement:
    """A metric's rate against the goal."""
    if rate is None:
        return Statement("nothing achieved or breached")
    if reaches(rate, goal_percent):
        return Statement("goal reached", "✓", "good")
    return Statement("below the goal", "✗", "bad")


def reaches(rate: float, goal_percent: float) -> bool:
    """Whether a rate from 0 to 1 is at the goal or above it, rounding errors aside."""
    return round(rate * 100 - goal_percent, 9) >= 0


def breaches_change(change: Change) -> Statement | None:
    """None where it is usual, or where that is unknown."""
    if change is Change.MORE:
        return Statement("more than usual", "▲", "bad")
    return Statement("fewer than usual", "▼", "good") if change is Change.FEWER else None


def rate_change(change: Change) -> Statement | None:
    """As `breaches_change`, of a rate."""
    if change is Change.MORE:
        return Statement("better than usual", "▲", "good")
    return Statement("worse than usual", "▼", "bad") if change is Change.FEWER else None


def spread_text(spread: Spread) -> str:
    """`4 (2–7)`; `4` where all days had that."""
    median = count_text(spread.median)
    return median if spread.least == spread.greatest else f"{median} ({range_text(spread)})"


def range_text(spread: Spread) -> str:
    """`2–7`; `4` where all days had that."""
    least, greatest = count_text(spread.least), count_text(spread.greatest)
    return least if least == greatest else f"{least}–{greatest}"
