"""The line of a metric's rate: a point per day, gaps where there is none, the goal, and words for those who don't see it."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.report.model import CHART_DAYS
from ticket_events_pipeline.report.trend_line import trend_line_svg, trend_text
from ticket_events_pipeline_tests.support.chart_days import chart_of


def drawing_of(trend, goal_percent: float = 95) -> ElementTree.Element:
    return ElementTree.fromstring(trend_line_svg(trend, goal_percent=goal_percent))  # noqa: S314 - our own


def of_class(root, name: str) -> ElementTree.Element:
    (found,) = [node for node in root if node.get("class", "").split()[:1] == [name]]
    return found


def parts(root) -> list[list[tuple[float, float]]]:
    """The points of each unbroken stretch of the line."""
    stretches = of_class(root, "line").get("d").split("M")[1:]
    return [[tuple(map(float, point.split())) for point in stretch.split("L")] for stretch in stretches]


def scale_of(root) -> list[str]:
    return [text.text for text in root.iter("text")]


DAYS = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 50), st.integers(0, 50))), min_size=1, max_size=CHART_DAYS)


@given(DAYS, st.sampled_from([50, 80, 95, 99.5, 100]))
@settings(max_examples=50)
def test_each_day_with_a_rate_is_a_point_at_its_height(counts, goal_percent):
    trend = chart_of(*counts)
    rates = [day.counted.achievement_rate for day in trend if day.counted and day.counted.achievement_rate is not None]
    if not rates:
        assert trend_line_svg(trend, goal_percent=goal_percent) == ""
        return
    root = drawing_of(trend, goal_percent)
    points = [point for part in parts(root) for point in (part if part[0] != part[-1] else part[:1])]
    floor = float(scale_of(root)[1].rstrip("%"))
    assert floor <= min(*rates, goal_percent / 100) * 100
    assert [y for _, y in points] == pytest.approx([54 - (rate * 100 - floor) * 47 / (100 - floor) for rate in rates], abs=0.06)
    assert all(before < after for (before, _), (after, _) in pairwise(points))


def test_days_without_a_summary_or_a_rate_are_gaps():
    root = drawing_of(chart_of((0, 5), (1, 4), None, (1, 5), (0, 0), (0, 3), (0, 2)))
    assert [len(part) for part in parts(root)] == [2, 2, 2]
    lone = parts(root)[1]
    assert lone[0] == lone[1]


def test_the_last_day_is_marked_as_good_or_bad():
    assert of_class(drawing_of(chart_of((0, 5), (1, 4))), "last").get("class") == "last bad"
    assert of_class(drawing_of(chart_of((1, 4), (0, 5))), "last").get("class") == "last good"
    assert 'class="last' not in trend_line_svg(chart_of((1, 4), None), goal_percent=95)


def test_the_scale_ends_at_100_percent_and_shows_small_differences_small():
    assert scale_of(drawing_of(chart_of((0, 5), (1, 99)))) == ["100%", "90%"]
    assert scale_of(drawing_of(chart_of((0, 5), (0, 9)), goal_percent=100)) == ["100%", "90%"]
    assert scale_of(drawing_of(chart_of((3, 5), (0, 9)))) == ["100%", "60%"]


def test_the_line_is_told_in_words():
    trend = chart_of((1, 3), None, (0, 0), (2, 6), (0, 9))
    root = drawing_of(trend, 97.5)
    told = "Rate of the last 5 days: 75.0% at the lowest, on Fri 20 Nov; 100% at the highest; goal 97.5%; 2 without a rate."
    assert root.get("aria-label") == root.findtext("title") == trend_text(trend, goal_percent=97.5) == told
    assert root.get("role") == "img"


def test_without_a_rate_there_is_no_line():
    assert trend_line_svg(chart_of(None, (0, 0)), goal_percent=95) == ""
    assert trend_line_svg((), goal_percent=95) == ""
    assert trend_text((), goal_percent=95) == "No rate to show."
