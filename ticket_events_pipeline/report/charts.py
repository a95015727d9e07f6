"""The chart of achieved and breached targets per day as an SVG image, for Markdown.

It holds shapes and texts alone: no style, id, link or script. Equal figures make equal bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from ticket_events_pipeline.report.model import ChartDay
from ticket_events_pipeline.text import days_text, short_date_text

# They differ in lightness as much as in hue, so that a print in grey and every eye distinguish them.
ACHIEVED_COLOUR, BREACHED_COLOUR = "#4a90c2", "#8c1d18"

# Dagster's UI shows an image in its light and in its dark theme: it brings its own background.
_PAPER, _INK = "#ffffff", "#333333"

_WEEK = 7

# Units of the view box.
_WIDTH, _HEIGHT = 760, 270
_TOP, _BOTTOM = 12, 212
_RIGHT = 752
_INSET = 14  # between the ends of the axis and the columns, as the last column's name is wider than the column
_COLUMN_NAMES_AT, _LEGEND_AT = 232.5, 249.5
_BAR_SHARE = 0.88  # of a column; the rest is the gap to the next one
_FONT_SIZE, _MARK_SIZE = 13, 11
_DIGIT_WIDTH = 8  # at most, at that size

_FONT = {"font-family": "system-ui, sans-serif", "font-size": str(_FONT_SIZE)}
_LINES = {"stroke": "currentColor", "stroke-opacity": "0.2", "fill": "none"}
_DASHED = {"fill-opacity": "0.06", "stroke": "currentColor", "stroke-opacity": "0.5", "stroke-dasharray": "3 3"}
_OPEN = {"class": "open", "fill-opacity": "0.5"}


def breach_chart_image(chart: Sequence[ChartDay]) -> str:
    """The chart as a data URI, to be shown as an image: `![…](data:image/svg+xml;base64,…)`."""
    size = {"width": str(_WIDTH), "height": str(_HEIGHT)}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, **_root_attributes(chart), "color": _INK})
    _add(root, "rect", **size, fill=_PAPER)
    if chart:
        _draw(root, chart)
    return f"data:image/svg+xml;base64,{base64.b64encode(ElementTree.tostring(root)).decode()}"


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


def axis_steps(greatest: int) -> tuple[int, ...]:
    """Whole round numbers from 0 up to the first that isn't below `greatest`, at most six."""
    step = 1
    while step * 5 < greatest:
        # 1, 2, 5, 10, 20, 50, …
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    count = max(1, -(-greatest // step))
    return tuple(step * number for number in range(count + 1))


@dataclass(frozen=True)
class _Bars:
    """One kind of bar: a number per column, stacked upon the numbers of `below`."""

    legend: str
    values: tuple[int, ...]
    below: tuple[int, ...]
    look: dict[str, str]


@dataclass(frozen=True)
class _Scale:
    """Where columns and numbers lie in the view box."""

    left: float
    columns: int
    greatest: int

    def middle(self, column: int) -> float:
        """The x of a column's middle."""
        return self.left + _INSET + (column + 0.5) * self.column_width

    def y(self, number: int) -> float:
        """The y of a number at the vertical axis."""
        return _BOTTOM - number * (_BOTTOM - _TOP) / self.greatest

    @property
    def column_width(self) -> float:
        return (_RIGHT - self.left - 2 * _INSET) / self.columns


def _root_attributes(chart: Sequence[ChartDay]) -> dict[str, str]:
    named = {"class": "breach-chart", "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": chart_text(chart)}
    return {**named, **_FONT, "fill": "currentColor"}


def _draw(root: ElementTree.Element, chart: Sequence[ChartDay]) -> None:
    totals = [day.counted.achieved + day.counted.breaches if day.counted else 0 for day in chart]
    steps = axis_steps(max(totals))
    scale = _Scale(_DIGIT_WIDTH * len(f"{steps[-1]:,}") + 17, len(chart), steps[-1])
    _draw_axes(root, chart, steps, scale)
    series = _series(chart, steps[-1])
    for bars in series:
        _draw_bars(root, bars, chart, scale)
    for column, day in enumerate(chart):
        if _is_open(day):
            place = _place(x=scale.middle(column), y=max(scale.y(totals[column]) - 4, _MARK_SIZE - 1))
            _add(root, "text", **place, **{"text-anchor": "middle", "font-size": str(_MARK_SIZE)}).text = "open"
    _draw_legend(root, series, scale)


def _draw_axes(root: ElementTree.Element, chart: Sequence[ChartDay], steps: Sequence[int], scale: _Scale) -> None:
    lines = _add(root, "g", **_LINES)
    numbers = _add(root, "g", **{"text-anchor": "end"})
    for step in steps:
        y = scale.y(step)
        _add(lines, "path", d=f"M{_number(scale.left)} {_number(y)} H{_RIGHT}")
        _add(numbers, "text", **_place(x=scale.left - 5, y=y + 4.5)).text = f"{step:,}"
    names = _add(root, "g", **{"text-anchor": "middle"})
    for column in sorted(range(len(chart) - 1, -1, -_WEEK)):
        name = short_date_text(chart[column].day.date).partition(" ")[2]
        _add(names, "text", **_place(x=scale.middle(column), y=_COLUMN_NAMES_AT)).text = name


def _series(chart: Sequence[ChartDay], greatest: int) -> list[_Bars]:
    breached = tuple(day.counted.breaches if day.counted else 0 for day in chart)
    achieved = tuple(day.counted.achieved if day.counted else 0 for day in chart)
    missing = tuple(0 if day.counted else greatest for day in chart)
    nothing = (0,) * len(chart)
    series = [
        _Bars("Breached", breached, nothing, {"class": "breached", "fill": BREACHED_COLOUR}),
        _Bars("Achieved", achieved, breached, {"class": "achieved", "fill": ACHIEVED_COLOUR}),
    ]
    if any(missing):
        series.append(_Bars("No summary", missing, nothing, {"class": "missing", "fill": "currentColor", **_DASHED}))
    return series


def _draw_bars(root: ElementTree.Element, bars: _Bars, chart: Sequence[ChartDay], scale: _Scale) -> None:
    group = _add(root, "g", **bars.look)
    width = scale.column_width * _BAR_SHARE
    for column, (day, value, below) in enumerate(zip(chart, bars.values, bars.below, strict=True)):
        if not value:
            continue
        top, bottom = scale.y(below + value), scale.y(below)
        place = _place(x=scale.middle(column) - width / 2, y=top, width=width, height=bottom - top)
        _add(group, "rect", **place, **(_OPEN if _is_open(day) else {}))


def _draw_legend(root: ElementTree.Element, series: Sequence[_Bars], scale: _Scale) -> None:
    left = scale.left + 10
    for number, bars in enumerate(series):
        x = left + number * (_RIGHT - left) / len(series)
        _add(root, "rect", **_place(x=x, y=_LEGEND_AT, width=12, height=12), **bars.look)
        _add(root, "text", **_place(x=x + 17, y=_LEGEND_AT + 10)).text = bars.legend


def _is_open(day: ChartDay) -> bool:
    return day.counted is not None and not day.is_complete


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _place(**numbers: float) -> dict[str, str]:
    return {name: _number(number) for name, number in numbers.items()}


def _number(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
