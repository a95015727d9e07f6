"""The pages of the sandbox follow Zendesk's documented rules, in examples and in every walk."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.sandbox.paging import Page, cut_page, envelope
from ticket_events_pipeline.sandbox.rows import RecordedAccount, Row

METRIC_EVENTS = "ticket_metric_events"


def rows_at(*times: int) -> list[Row]:
    return [Row(time, b'{"id":%d}' % number) for number, time in enumerate(times)]


def times_of(page: Page) -> list[int]:
    return [row.time for row in page.rows]


def test_page_of_several_seconds_ends_with_its_last_second():
    """The next page repeats that second."""
    page = cut_page(rows_at(10, 11, 12, 13), 10, limit=3)
    assert (times_of(page), page.end_time, page.end_of_stream) == ([10, 11, 12], 12, False)


def test_second_that_overfills_its_page_enlarges_it():
    """The page holds the whole second, and the next page starts one second later."""
    page = cut_page(rows_at(10, 10, 10, 10, 11), 10, limit=2)
    assert (times_of(page), page.end_time, page.end_of_stream) == ([10, 10, 10, 10], 11, False)


def test_a_page_filled_exactly_by_one_second_continues_one_second_later():
    page = cut_page(rows_at(10, 10, 15), 8, limit=2)
    assert (times_of(page), page.end_time, page.end_of_stream) == ([10, 10], 11, False)


def test_a_pinned_sandbox_never_leaves_the_overfull_second():
    page = cut_page(rows_at(10, 10, 10, 11), 10, limit=2, pinned=True)
    assert (times_of(page), page.end_time, page.end_of_stream) == ([10, 10], 10, False)


def test_last_page_ends_with_its_last_row():
    page = cut_page(rows_at(10, 12), 10, limit=2)
    assert (times_of(page), page.end_time, page.end_of_stream) == ([10, 12], 12, True)


def test_an_empty_page_ends_at_its_start_time():
    assert cut_page([], 10) == Page((), 10, end_of_stream=True)


def test_envelope_of_the_last_page_still_names_a_next_page():
    """next_page repeats the request's other parameters and is never null."""
    page = Page((Row(12, b'{"id":7}'),), 12, end_of_stream=True)
    text = envelope(page, METRIC_EVENTS, url="http://127.0.0.1:1/x.json", parameters={"include_changes": "true"})
    assert json.loads(text) == {
        "ticket_metric_events": [{"id": 7}],
        "count": 1,
        "end_time": 12,
        "next_page": "http://127.0.0.1:1/x.json?include_changes=true&start_time=12",
        "end_of_stream": True,
    }


@pytest.mark.parametrize(("stream", "expected"), [(METRIC_EVENTS, False), ("ticket_events", True)])
def test_end_of_stream_can_be_absent_from_metric_events_alone(stream, expected):
    text = envelope(Page((), 5, end_of_stream=True), stream, url="u", parameters={}, end_of_stream="absent")
    assert ("end_of_stream" in json.loads(text)) is expected


# Few distinct seconds against small pages: bursts, exact fits and overfull seconds all occur.
streams = st.lists(st.integers(min_value=0, max_value=8), max_size=40).map(sorted)
limits = st.integers(min_value=1, max_value=7)


@dataclass(frozen=True)
class Step:
    start_time: int
    page: Page


def walk(account: RecordedAccount, limit: int) -> list[Step]:
    """Follows end_time to the end of the stream; every step must advance or be the last."""
    steps = []
    start_time = 0
    while True:
        page = cut_page(account.rows(METRIC_EVENTS, start_time, now=0), start_time, limit=limit)
        steps.append(Step(start_time, page))
        if page.end_of_stream:
            return steps
        assert page.end_time > start_time or (start_time == 0 and page.end_time == 0)
        assert len(steps) < 100
        start_time = max(page.end_time, start_time)


def recorded(times: list[int]) -> RecordedAccount:
    return RecordedAccount({METRIC_EVENTS: [{"id": number, "time": time} for number, time in enumerate(times)]})


@given(times=streams, limit=limits)
def test_walk_in_pages_of_any_size_yields_every_row(times, limit):
    seen = {json.loads(row.json)["id"] for step in walk(recorded(times), limit) for row in step.page.rows}
    assert seen == set(range(len(times)))


@given(times=streams, limit=limits)
def test_every_page_obeys_the_rules(times, limit):
    """Ascending from start_time, limited unless it is one second, and never cut off within a second before its end_time."""
    for step in walk(recorded(times), limit):
        page_times = times_of(step.page)
        assert page_times == sorted(time for time in times if time >= step.start_time)[: len(page_times)]
        assert len(page_times) <= limit or len(set(page_times)) == 1
        past = [time for time in times if step.start_time <= time < step.page.end_time]
        assert page_times[: len(past)] == past


@given(times=streams, limit=limits)
def test_a_pinned_sandbox_differs_only_in_overfull_seconds(times, limit):
    rows = rows_at(*times)
    usual, pinned = cut_page(rows, 0, limit=limit), cut_page(rows, 0, limit=limit, pinned=True)
    if pinned != usual:
        assert len(times_of(pinned)) == limit
        assert set(times_of(usual)) == {pinned.end_time}
        assert usual.end_time == pinned.end_time + 1
