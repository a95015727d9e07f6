"""A stacked bar chart as SVG: the charting library computes scales, axes, legend and bars, and its shapes are taken over.

The library's own output has a script, a style sheet, a date and a random id. Of its tree only the shapes and texts named
here are taken: nothing else can get in, equal figures make equal bytes, and the size is a third. What the chart is about is
`charts`'.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

WIDTH, HEIGHT = 760, 270
"""Units of the view box; on the page the chart is as wide as its place."""

FONT = "system-ui, sans-serif"
_LABEL_SIZE, _LEGEND_SIZE = 13, 13

_LOOKS = {
    "missing": {"fill-opacity": "0.06", "stroke": "currentColor", "stroke-opacity": "0.5", "stroke-dasharray": "3 3"},
}
_OPEN = {"class": "open", "fill-opacity": "0.5"}
_LINE = {"stroke": "currentColor", "stroke-opacity": "0.2", "fill": "none"}

_NUMBER = re.compile(r"-?\d+\.\d+")


@dataclass(frozen=True)
class Bars:
    """One kind of bar: its class, what the legend calls it, a number per column, its colour."""

    name: str
    legend: str
    values: tuple[int, ...]
    colour: str


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn.

    Attributes:
        label: what the whole chart says, for those who don't see it.
        columns: their names, each another one.
        named_columns: places of those whose name is shown.
        column_texts: what is shown where a pointer rests on a column's bars.
        open_columns: places of those drawn as not finished.
        steps: the numbers at the vertical axis, ascending from 0.
        series: from the bottom up.
    """

    label: str
    columns: tuple[str, ...]
    named_columns: frozenset[int]
    column_texts: tuple[str, ...]
    open_columns: frozenset[int]
    steps: tuple[int, ...]
    series: tuple[Bars, ...]


@dataclass(frozen=True)
class Panel:
    """Where the chart stands alone: its own background and the colour of texts and lines."""

    background: str
    ink: str


def drawn(drawing: Drawing, *, panel: Panel | None = None) -> str:
    """The drawing as an `<svg>` element; with a `panel` as a file of its own, without texts for a pointer."""
    attributes = {
        "class": "breach-chart",
        "viewBox": f"0 0 {WIDTH} {HEIGHT}",
        "role": "img",
        "aria-label": drawing.label,
        "font-family": FONT,
        "font-size": str(_LABEL_SIZE),
        "fill": "currentColor",
    }
    if panel is not None:
        size = {"xmlns": "http://www.w3.org/2000/svg", "width": str(WIDTH), "height": str(HEIGHT)}
        attributes = {**size, **attributes, "color": panel.ink}
    root = ElementTree.Element("svg", attributes)
    if panel is not None:
        _add(root, "rect", width=str(WIDTH), height=str(HEIGHT), fill=panel.background)
    if drawing.columns:
        _Copy(root, drawing, with_texts=panel is None).take(_library_tree(drawing))
    return ElementTree.tostring(root, encoding="unicode")


def _library_tree(drawing: Drawing) -> Any:
    from pygal import StackedBar
    from pygal.style import Style

    # It leaves a finder of Python 2's kind behind, for plug-ins that draw maps; any import that finds nothing then warns.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("pygal")]
    chart = StackedBar(
        style=Style(label_font_size=_LABEL_SIZE, major_label_font_size=_LABEL_SIZE, legend_font_size=_LEGEND_SIZE),
        width=WIDTH,
        height=HEIGHT,
        margin=8,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(drawing.series),
        legend_box_size=12,
        range=(0, drawing.steps[-1]),
        y_labels=list(drawing.steps),
        value_formatter=lambda value: f"{value:,.0f}",
        x_labels=list(drawing.columns),
        x_labels_major=[drawing.columns[place] for place in sorted(drawing.named_columns)],
        show_minor_x_labels=False,
        truncate_label=-1,
        js=[],
    )
    for bars in drawing.series:
        chart.add(bars.legend, list(bars.values))
    return chart.render_tree()


class _Copy:
    """Takes over what is shown of the library's tree."""

    def __init__(self, root: ElementTree.Element, drawing: Drawing, *, with_texts: bool) -> None:
        self._root = root
        self._drawing = drawing
        self._with_texts = with_texts

    def take(self, tree: Any) -> None:
        plot = _first(tree, "plot")
        ours = _add(self._root, "g", transform=plot.attrib["transform"])
        self._take_axis(ours, _first(plot, "axis y"), anchor="end", with_lines=True)
        self._take_axis(ours, _first(plot, "axis x"), anchor="middle", with_lines=False)
        for number, bars in enumerate(self._drawing.series):
            self._take_bars(ours, _first(plot, f"series serie-{number} "), bars)
        self._mark_open_columns(ours, _first(plot, f"series serie-{len(self._drawing.series) - 1} "))
        self._take_legend(_first(tree, "legends"))

    def _take_axis(self, ours: ElementTree.Element, axis: Any, *, anchor: str, with_lines: bool) -> None:
        lines = _add(ours, "g", **_LINE) if with_lines else None
        texts = _add(ours, "g", **{"text-anchor": anchor})
        for node in _shown(axis):
            if _tag(node) == "text":
                _add(texts, "text", **_place(node)).text = node.text
            elif lines is not None and _tag(node) == "path":
                _add(lines, "path", d=_rounded(node.attrib["d"]))

    def _take_bars(self, ours: ElementTree.Element, series: Any, bars: Bars) -> None:
        group = _add(ours, "g", **_look(bars))
        rects = [node for node in _shown(series) if _tag(node) == "rect"]
        for column, (rect, value) in enumerate(zip(rects, bars.values, strict=True)):
            if not value:
                continue
            bar = _add(group, "rect", **_place(rect), **(_OPEN if column in self._drawing.open_columns else {}))
            if self._with_texts:
                _add(bar, "title").text = self._drawing.column_texts[column]

    def _mark_open_columns(self, ours: ElementTree.Element, topmost: Any) -> None:
        """The word above the bars of a day that is still open."""
        rects = [node for node in _shown(topmost) if _tag(node) == "rect"]
        for column in sorted(self._drawing.open_columns):
            x, y, width = (float(rects[column].attrib[name]) for name in ("x", "y", "width"))
            place = {"x": f"{x + width / 2:.1f}", "y": f"{max(y - 4, _LABEL_SIZE):.1f}"}
            _add(ours, "text", **place, **{"text-anchor": "middle", "font-size": "11"}).text = "open"

    def _take_legend(self, legend: Any) -> None:
        ours = _add(self._root, "g", transform=legend.attrib["transform"])
        entries = [node for node in _shown(legend) if node.attrib.get("class", "").startswith("legend ")]
        for entry, bars in zip(entries, self._drawing.series, strict=True):
            for node in _shown(entry):
                if _tag(node) == "rect":
                    _add(ours, "rect", **_place(node), **_look(bars))
                elif _tag(node) == "text":
                    _add(ours, "text", **_place(node)).text = bars.legend


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


def _look(bars: Bars) -> dict[str, str]:
    return {"class": bars.name, "fill": bars.colour, **_LOOKS.get(bars.name, {})}


def _shown(tree: Any) -> Iterator[Any]:
    """Every element below, comments left out."""
    return (node for node in tree.iter() if isinstance(node.tag, str) and node is not tree)


def _tag(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]  # with lxml installed, the library's tags have a namespace


def _first(tree: Any, beginning: str) -> Any:
    """The first element below whose class begins so."""
    return next(node for node in _shown(tree) if f"{node.attrib.get('class', '')} ".startswith(beginning))


def _place(node: Any) -> dict[str, str]:
    return {name: _rounded(node.attrib[name]) for name in ("x", "y", "width", "height") if name in node.attrib}


def _rounded(text: str) -> str:
    return _NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), text)
