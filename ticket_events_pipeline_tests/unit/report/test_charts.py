"""The chart: bars proportional to their numbers, missing and open days marked, only shapes and texts."""

from __future__ import annotations

import base64
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from ticket_events_pipeline.report.charts import (
    ACHIEVED_COLOUR,
    BREACHED_COLOUR,
    axis_steps,
    breach_chart_image,
    chart_text,
)
from ticket_events_pipeline.report.model import CHART_DAYS
from ticket_events_pipeline_tests.support.chart_days import MONTH, chart_of
from ticket_events_pipeline_tests.support.checkout import CHECKOUT

TAGS = {"svg", "g", "rect", "path", "text"}
SVG = "{http://www.w3.org/2000/svg}"


def drawing_of(chart) -> ElementTree.Element:
    root = ElementTree.fromstring(decoded(chart))  # noqa: S314 - our own
    for node in root.iter():
        node.tag = node.tag.removeprefix(SVG)
    return root


def bars(chart, name: str) -> list[ElementTree.Element]:
    """The bars of one kind; the legend's square is no bar."""
    (group,) = [node for node in drawing_of(chart).iter("g") if node.get("class") == name]
    return list(group.iter("rect"))


DAY_COUNTS = st.one_of(st.none(), st.tuples(st.integers(0, 2000), st.integers(0, 2000)))


@given(st.lists(DAY_COUNTS, min_size=1, max_size=CHART_DAYS))
@drawing(max_examples=25)
def test_each_bar_is_as_long_as_its_number(counts):
    chart = chart_of(*counts)
    greatest = axis_steps(max((sum(figures) for figures in counts if figures), default=0))[-1]
    unit = 200 / greatest  # the plot's height is 200 of the view box's units
    for place, name in enumerate(("breached", "achieved")):
        numbers = [figures[place] for figures in counts if figures is not None and figures[place]]
        heights = [float(bar.get("height")) for bar in bars(chart, name)]
        assert heights == pytest.approx([number * unit for number in numbers], abs=0.11)


def test_achieved_is_stacked_on_breached():
    (lower,), (upper,) = (bars(chart_of((10, 30)), name) for name in ("breached", "achieved"))
    top = float(upper.get("y")) + float(upper.get("height"))
    assert top == pytest.approx(float(lower.get("y")), abs=0.11)
    assert lower.get("x") == upper.get("x")


def test_bars_are_in_the_order_of_the_days():
    chart = chart_of((1, 2), (0, 1), None, (3, 0))
    assert [len(bars(chart, name)) for name in ("achieved", "breached", "missing")] == [2, 2, 1]
    left = [float(bar.get("x")) for bar in (*bars(chart, "achieved"), *bars(chart, "missing"), bars(chart, "breached")[-1])]
    assert left == sorted(left)


def test_missing_day_is_a_column_of_its_own_kind_and_in_the_legend():
    chart = chart_of((1, 2), None, (0, 0))
    (column,) = bars(chart, "missing")
    assert float(column.get("height")) == pytest.approx(200, abs=0.11)
    assert [text.text for text in drawing_of(chart).iter("text")][-3:] == ["Breached", "Achieved", "No summary"]


def test_a_day_of_zeros_is_not_a_missing_day():
    texts = {text.text for text in drawing_of(chart_of((1, 2), (0, 0))).iter("text")}
    assert "No summary" not in texts
    assert {"Breached", "Achieved"} <= texts


def test_an_open_day_is_pale_and_labelled():
    chart = chart_of((1, 2), (3, 4), open_days=(1,))
    assert [bar.get("class") for bar in bars(chart, "achieved")] == [None, "open"]
    assert [bar.get("class") for bar in bars(chart, "breached")] == [None, "open"]
    marks = [text for text in drawing_of(chart).iter("text") if text.text == "open"]
    assert len(marks) == 1
    assert [float(mark.get("y")) < float(bars(chart, "achieved")[1].get("y")) for mark in marks] == [True]


def test_open_day_without_a_summary_is_missing():
    assert "open" not in {text.text for text in drawing_of(chart_of((1, 2), None, open_days=(1,))).iter("text")}


def test_report_day_and_each_week_before_it_are_named():
    texts = [text.text for text in drawing_of(MONTH).iter("text")]
    assert [text for text in texts if text.endswith(("Nov", "Oct"))] == ["27 Oct", "3 Nov", "10 Nov", "17 Nov", "24 Nov"]


def test_the_label_summarizes_the_chart():
    chart = chart_of((10, 1000), None, None, (1, 2), open_days=(3,))
    assert drawing_of(chart).attrib["aria-label"] == chart_text(chart)
    assert chart_text(chart) == (
        "Targets achieved and breached per day, Sat 21 Nov to Tue 24 Nov: 1,002 achieved, 11 breached. "
        "Without a summary: 22 to 23 Nov. Not yet read to the end: 24 Nov."
    )
    assert drawing_of(chart).attrib["role"] == "img"


@pytest.mark.parametrize("chart", [MONTH, (), chart_of(None, None), chart_of((0, 0)), chart_of((1, 0))])
def test_the_chart_has_only_shapes_and_texts(chart):
    """No script, style, id, link or comment: nothing that the page's policy would block."""
    text = decoded(chart)
    nodes = list(ElementTree.fromstring(text).iter())  # noqa: S314 - our own
    assert {node.tag.removeprefix(SVG) for node in nodes} <= TAGS
    names = {name for node in nodes for name in node.attrib}
    assert not {name for name in names if name in ("id", "style", "href") or name.startswith(("on", "{"))}
    assert "<!--" not in text
    assert "url(" not in text
    assert text.count("http") == 1  # the namespace


def decoded(chart) -> str:
    kind, _, content = breach_chart_image(chart).partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(content, validate=True).decode()


def test_image_is_a_small_file_with_its_own_background():
    root = ElementTree.fromstring(decoded(MONTH))  # noqa: S314 - our own
    ground = root[0]
    assert (root.tag, ground.tag) == (f"{SVG}svg", f"{SVG}rect")
    assert (ground.get("width"), ground.get("height")) == (root.get("width"), root.get("height"))
    assert contrast(ground.get("fill"), root.get("color")) >= 7
    huge = chart_of(*[(123_456, 1_234_567)] * CHART_DAYS, open_days=tuple(range(CHART_DAYS)))
    assert len(breach_chart_image(MONTH)) < len(breach_chart_image(huge)) < 15_000


def contrast(one: str, other: str) -> float:
    """As WCAG defines it."""

    def luminance(colour: str) -> float:
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    darker, lighter = sorted(luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def test_colours_differ_in_lightness_and_show_on_white():
    assert contrast(ACHIEVED_COLOUR, BREACHED_COLOUR) > 2.5
    assert contrast(ACHIEVED_COLOUR, "#ffffff") > 3
    assert contrast(BREACHED_COLOUR, "#ffffff") > 3


def test_equal_figures_make_equal_bytes_in_every_process():
    program = (
        "from ticket_events_pipeline.report.charts import breach_chart_image\n"
        "from ticket_events_pipeline_tests.support.chart_days import MONTH\n"
        "print(breach_chart_image(MONTH), end='')"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=CHECKOUT, env={"PYTHONHASHSEED": "7"})
    assert printed == breach_chart_image(MONTH)


@given(st.integers(0, 10**7))
def test_axis_has_few_round_steps_and_reaches_the_greatest(greatest):
    steps = axis_steps(greatest)
    widths = {after - before for before, after in pairwise(steps)}
    assert steps[0] == 0
    assert steps[-1] >= greatest > steps[-2] or greatest == 0
    assert len(steps) <= 6
    assert [str(width).rstrip("0") for width in widths] in (["1"], ["2"], ["5"])
