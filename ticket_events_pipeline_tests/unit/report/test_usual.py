"""What counts as more or fewer than usual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.quality.traffic import DEVIATION_OF_MAD
from ticket_events_pipeline.report.model import Change, Counted, Spread, Usual
from ticket_events_pipeline.report.usual import breaches_change, rate_change, usual_of


def days(*breaches, achieved=90):
    return [Counted(breaches=count, achieved=achieved, completed_breached=0) for count in breaches]


def of_breaches(count, usual_days, *, is_complete=True):
    return breaches_change(count, usual_of(usual_days), is_complete=is_complete)


def of_rate(breaches, achieved, usual_days, *, is_complete=True):
    return rate_change(Counted(breaches, achieved, 0), usual_of(usual_days), is_complete=is_complete)


def test_with_fewer_than_three_days_nothing_is_usual_and_no_change_is_known():
    assert usual_of(days(1, 2)) is None
    assert of_breaches(99, days(1, 2)) is Change.UNKNOWN
    assert of_rate(99, 1, days(1, 2)) is Change.UNKNOWN


def test_a_holiday_moves_the_range_but_not_the_median():
    assert usual_of(days(10, 12, 0, 11, 10)).breaches == Spread(10, 0, 12, DEVIATION_OF_MAD)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(30, Change.USUAL), (25, Change.USUAL), (40, Change.USUAL), (41, Change.MORE), (10, Change.USUAL), (9, Change.FEWER)],
)
def test_a_count_is_a_change_beyond_the_range_and_three_deviations(count, expected):
    """The median is 25, its square root 5."""
    assert of_breaches(count, days(20, 25, 25, 25, 30)) is expected


def test_where_days_differ_by_more_than_chance_a_change_is_beyond_their_own_differences():
    """Of 400 breaches, chance explains 60; three deviations of these days are 148, and of both together 160."""
    history = days(350, 350, 400, 433, 433.3)
    assert usual_of(history).breaches.deviation == pytest.approx(DEVIATION_OF_MAD * 33.3)
    assert of_breaches(239, history) is Change.FEWER
    assert [of_breaches(count, history) for count in (241, 559, 561)] == [Change.USUAL, Change.USUAL, Change.MORE]


def test_within_the_range_nothing_is_a_change_however_far_from_the_median():
    assert of_breaches(90, days(1, 1, 90)) is Change.USUAL


@pytest.mark.parametrize(("count", "expected"), [(0, Change.USUAL), (3, Change.USUAL), (4, Change.MORE)])
def test_after_days_without_breaches_a_few_are_chance(count, expected):
    assert of_breaches(count, days(0, 0, 0, 0)) is expected


def test_a_day_that_is_open_may_have_more_already_and_never_fewer():
    assert of_breaches(41, days(20, 25, 25, 25, 30), is_complete=False) is Change.MORE
    assert of_breaches(25, days(20, 25, 25, 25, 30), is_complete=False) is Change.UNKNOWN
    assert of_breaches(0, days(20, 25, 25, 25, 30), is_complete=False) is Change.UNKNOWN
    assert of_rate(0, 100, days(50, 50, 50, achieved=50), is_complete=False) is Change.UNKNOWN


@pytest.mark.parametrize(
    ("breaches", "expected"), [(0, Change.MORE), (1, Change.USUAL), (10, Change.USUAL), (19, Change.USUAL), (20, Change.FEWER)]
)
def test_a_rate_is_a_change_beyond_the_range_and_three_deviations(breaches, expected):
    """Usually 90 %; of 100 targets, three deviations are 9 points."""
    assert of_rate(breaches, 100 - breaches, days(9, 10, 10, 10, 11)) is expected


@pytest.mark.parametrize(("breaches", "expected"), [(2, Change.USUAL), (3, Change.FEWER)])
def test_where_all_targets_are_usually_met_few_missed_ones_are_chance(breaches, expected):
    assert of_rate(breaches, 200 - breaches, days(0, 0, 0)) is expected
    assert of_rate(200 - breaches, breaches, days(9, 9, 9, achieved=0)) is {Change.FEWER: Change.MORE}.get(expected, expected)


def test_the_rate_of_a_day_with_hardly_any_decided_target_is_not_compared():
    assert of_rate(9, 0, days(0, 0, 0)) is Change.UNKNOWN
    assert of_rate(10, 0, days(0, 0, 0)) is Change.FEWER
    assert of_rate(0, 0, days(0, 0, 0)) is Change.UNKNOWN


def test_days_on_which_nothing_was_decided_have_no_rate():
    assert usual_of(days(0, 0, 0, achieved=0)).achievement_rate is None
    assert usual_of([*days(1, 1), *days(0, achieved=0)]).achievement_rate is None
    assert of_rate(9, 1, [*days(1, 1), *days(0, achieved=0)]) is Change.UNKNOWN


COUNTS = st.integers(0, 60)
COUNTED = st.builds(Counted, COUNTS, COUNTS, st.just(0))


def plain_usual(history) -> Usual | None:
    if len(history) < 3:
        return None
    spreads = []
    for figures in (
        [day.breaches for day in history],
        [day.achieved for day in history],
        [day.achieved / (day.achieved + day.breaches) for day in history if day.achieved + day.breaches],
    ):
        ordered, count = sorted(figures), len(figures)
        middle = ordered[(count - 1) // 2 : count // 2 + 1]
        if count < 3:
            spreads.append(None)
            continue
        median = sum(middle) / len(middle)
        apart = sorted(abs(figure - median) for figure in figures)
        apart_median = (apart[(count - 1) // 2] + apart[count // 2]) / 2
        spreads.append(Spread(median, ordered[0], ordered[-1], 1.4826 * apart_median))
    return Usual(len(history), *spreads)


def plain_change(figure, usual, variance):
    beyond = (figure - usual.median) ** 2 > 9 * (variance + usual.deviation**2)
    if figure > usual.greatest and beyond:
        return Change.MORE
    return Change.FEWER if figure < usual.least and beyond else Change.USUAL


@given(st.lists(COUNTED, max_size=8), COUNTED, st.booleans())
def test_usual_and_change_equal_a_plain_second_implementation(history, today, is_complete):
    usual = plain_usual(history)
    assert usual_of(history) == usual
    expected = Change.UNKNOWN if usual is None else plain_change(today.breaches, usual.breaches, max(usual.breaches.median, 1))
    if not is_complete and expected is not Change.MORE:
        expected = Change.UNKNOWN
    assert breaches_change(today.breaches, usual_of(history), is_complete=is_complete) is expected
    decided = today.achieved + today.breaches
    expected = Change.UNKNOWN
    if is_complete and usual is not None and usual.achievement_rate is not None and decided >= 10:
        share = max(1 / decided, min(1 - 1 / decided, usual.achievement_rate.median))
        expected = plain_change(today.achieved / decided, usual.achievement_rate, share * (1 - share) / decided)
    assert rate_change(today, usual_of(history), is_complete=is_complete) is expected
