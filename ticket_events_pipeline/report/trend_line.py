"""The rate of one metric over the days before as a small line, an SVG inside the page.

It holds no script, style or id, and no text of the account; equal figures make equal bytes. The page colours its parts by their
classes: `line`, `goal` and `last`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from ticket_events_pipeline.report.model import ChartDay
from ticket_events_pipeline.report.statements import reaches
from ticket_events_pipeline.text import percent_text, rate_text, short_date_text

# Units of the view box; the line is as wide as its place.
_WIDTH, _HEIGHT = 260, 62
_LEFT, _RIGHT, _TOP, _BOTTOM = 32, 255, 7, 54
_HIGHEST_FLOOR = 90  # percent: a line between 99 and 100 must not look like a fall

_Point = tuple[float, float]


def trend_line_svg(trend: Sequence[ChartDay], *, goal_percent: float) -> str:
    """The line as an `<svg>` element; a day without a rate is a gap. Empty where no day has one."""
    rates = [_rate(day) for day in trend]
    known = [rate for rate in rates if rate is not None]
    if not known:
        return ""
    floor = min(int(min(*known, goal_percent / 100) * 10) * 10, _HIGHEST_FLOOR)
    named = {"class": "trend", "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img"}
    root = ElementTree.Element("svg", {**named, "aria-label": trend_text(trend, goal_percent=goal_percent)})
    _add(root, "title").text = root.attrib["aria-label"]
    for percent in (100, floor):
        _add(root, "text", x=str(_LEFT - 6), y=_number(_y(percent, floor) + 3)).text = f"{percent}%"
    _add(root, "path", **{"class": "goal", "d": f"M{_LEFT} {_number(_y(goal_percent, floor))} H{_RIGHT}"})
    step = (_RIGHT - _LEFT) / max(len(rates) - 1, 1)
    points = [None if rate is None else (_LEFT + place * step, _y(rate * 100, floor)) for place, rate in enumerate(rates)]
    _add(root, "path", **{"class": "line", "d": " ".join(_path(part) for part in _parts(points))})
    last = points[-1]
    if last is not None and rates[-1] is not None:
        tone = "good" if reaches(rates[-1], goal_percent) else "bad"
        _add(root, "circle", **{"class": f"last {tone}", "cx": _number(last[0]), "cy": _number(last[1]), "r": "3.5"})
    return ElementTree.tostring(root, encoding="unicode")


def trend_text(trend: Sequence[ChartDay], *, goal_percent: float) -> str:
    """What the line shows, for those who don't see it."""
    rated = [(rate, day) for day in trend if (rate := _rate(day)) is not None]
    if not rated:
        return "No rate to show."
    (least, worst), (greatest, _) = min(rated, key=lambda found: found[0]), max(rated, key=lambda found: found[0])
    gaps = len(trend) - len(rated)
    return (
        f"Rate of the last {len(trend)} days: {rate_text(least)} at the lowest, on {short_date_text(worst.day.date)}; "
        f"{rate_text(greatest)} at the highest; goal {percent_text(goal_percent)}"
        + (f"; {gaps} without a rate." if gaps else ".")
    )


def _rate(day: ChartDay) -> float | None:
    return None if day.counted is None else day.counted.achievement_rate


def _parts(points: Sequence[_Point | None]) -> Iterator[list[_Point]]:
    """The stretches between the gaps."""
    part: list[_Point] = []
    for point in (*points, None):
        if point is not None:
            part.append(point)
        elif part:
            yield part
            part = []


def _path(part: list[_Point]) -> str:
    """A line through the points; a dot where there is only one, by a line of no length with round ends."""
    return "M" + " L".join(f"{_number(x)} {_number(y)}" for x, y in (part if len(part) > 1 else part * 2))


def _y(percent: float, floor: int) -> float:
    return _BOTTOM - (percent - floor) * (_BOTTOM - _TOP) / (100 - floor)


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _number(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
