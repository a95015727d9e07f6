"""The chart of achieved and breached targets per day, for the HTML page and for Markdown.

Here: what the chart shows, in which words and colours. How the charting library's drawing becomes clean SVG is `chart_svg`'s.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

from ticket_events_pipeline.report.chart_svg import Bars, Drawing, Panel, drawn
from ticket_events_pipeline.report.model import ChartDay
from ticket_events_pipeline.text import days_text, short_date_text

# They differ in lightness as much as in hue, so that a print in grey and every eye tell them apart. A page sets others for
# the dark by the groups' classes, which win over these attributes.
ACHIEVED_COLOUR, BREACHED_COLOUR = "#4a90c2", "#8c1d18"

PAPER = Panel(background="#ffffff", ink="#333333")
"""Dagster's UI shows an image in its light and in its dark theme: it brings its own background."""

_WEEK = 7


def breach_chart_svg(chart: Sequence[ChartDay]) -> str:
    """The chart as an `<svg>` element to stand in a page.

    Its groups have the classes `achieved`, `breached` and `missing` inside `breach-chart`, bars of a day not yet read to its
    end `open`; text and lines have the page's `currentColor`. It brings no style, no id, no script and no link.
    """
    return drawn(_drawing(chart))


def breach_chart_image(chart: Sequence[ChartDay]) -> str:
    """The chart as a data URI, to be shown as an image: `![…](data:image/svg+xml;base64,…)`."""
    svg = drawn(_drawing(chart), panel=PAPER)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def chart_text(chart: Sequence[ChartDay]) -> str:
    """What the chart shows, for those who don't see it."""
    if not chart:
        return "No days to show."
    return " ".join(_sentences(chart))


def _sentences(chart: Sequence[ChartDay]) -> Iterator[str]:
    stored = [day for day in chart if day.counted is not None]
    counted = [day.counted for day in chart if day.counted is not None]
    span = f"{short_date_text(chart[0].day.date)} to {short_date_text(chart[-1].day.date)}"
    breaches, achieved = sum(figures.breaches for figures in counted), sum(figures.achieved for figures in counted)
    yield f"Targets achieved and breached per day, {span}: {achieved:,} achieved, {breaches:,} breached."
    missing = [day.day for day in chart if day.counted is None]
    if missing:
        yield f"Without a summary: {days_text(missing)}."
    still_open = [day.day for day in stored if not day.is_complete]
    if still_open:
        yield f"Not yet read to the end: {days_text(still_open)}."


def _drawing(chart: Sequence[ChartDay]) -> Drawing:
    totals = [day.counted.achieved + day.counted.breaches for day in chart if day.counted is not None]
    steps = axis_steps(max(totals, default=0))
    missing = [steps[-1] if day.counted is None else 0 for day in chart]
    series = [
        Bars("breached", "Breached", tuple(day.counted.breaches if day.counted else 0 for day in chart), BREACHED_COLOUR),
        Bars("achieved", "Achieved", tuple(day.counted.achieved if day.counted else 0 for day in chart), ACHIEVED_COLOUR),
    ]
    if any(missing):
        series.append(Bars("missing", "No summary", tuple(missing), "currentColor"))
    return Drawing(
        label=chart_text(chart),
        columns=tuple(_column_name(day) for day in chart),
        named_columns=frozenset(range(len(chart) - 1, -1, -_WEEK)),
        column_texts=tuple(_column_text(day) for day in chart),
        open_columns=frozenset(place for place, day in enumerate(chart) if day.counted is not None and not day.is_complete),
        steps=steps,
        series=tuple(series),
    )


def _column_name(day: ChartDay) -> str:
    return short_date_text(day.day.date).partition(" ")[2]


def _column_text(day: ChartDay) -> str:
    name = short_date_text(day.day.date)
    if day.counted is None:
        return f"{name}: no summary"
    open_day = "" if day.is_complete else ", day still open"
    return f"{name}: {day.counted.achieved:,} achieved, {day.counted.breaches:,} breached{open_day}"


def axis_steps(greatest: int) -> tuple[int, ...]:
    """Whole round numbers from 0 up to the first that isn't below `greatest`, at most six."""
    step = 1
    while step * 5 < greatest:
        # 1, 2, 5, 10, 20, 50, …
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    count = max(1, -(-greatest // step))
    return tuple(step * number for number in range(count + 1))
