"""The paging rules: each one separately, then all of them against a model of a paging server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.errors import DataError, OverfullSecondError
from ticket_events_pipeline.zendesk.answers import Busy, Overtaxed, TooLarge
from ticket_events_pipeline.zendesk.client import PageSize
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, EventPage, PageRequest
from ticket_events_pipeline.zendesk.walk import MAX_EMPTY_PAGES, MAX_REPEATS, Continue, End, Walk, decide, row_key
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS

T = 1_700_000_000


def page(rows: int = 1, **fields: Any) -> EventPage:
    given_fields = {"end_time": None, "end_of_stream": None, "next_start_time": None, "server_time": None, **fields}
    return EventPage(TICKET_EVENTS, T, [{"id": n} for n in range(rows)], rows, **given_fields)


@pytest.mark.parametrize(
    ("fields", "new_ids", "expected"),
    [
        ({"end_time": T + 9}, 1, Continue(T + 9)),
        ({"end_time": T + 9}, 0, Continue(T + 9)),
        ({"end_time": T + 9, "rows": 0}, 0, Continue(T + 9)),
        ({"end_time": T + 9, "next_start_time": T + 5}, 1, Continue(T + 5)),
        ({"end_time": T + 9, "next_start_time": T}, 1, Continue(T + 9)),
        ({"end_time": T + 9, "next_start_time": T + 99}, 1, Continue(T + 9)),
        ({"next_start_time": T + 5}, 1, Continue(T + 5)),
        ({"end_time": T, "next_start_time": T + 5}, 1, Continue(T)),
        ({"end_time": T + 9, "end_of_stream": True}, 1, End(T + 9)),
        ({"end_time": T - 9, "end_of_stream": True}, 1, End(T)),
        ({"end_of_stream": True}, 1, End(T)),
        ({"next_start_time": T + 5, "end_of_stream": True}, 1, End(T + 5)),
        ({"end_time": T, "end_of_stream": True, "rows": PAGE_LIMIT}, 0, End(T)),
        ({"end_time": T}, 0, End(T)),
        ({"end_time": None, "rows": 0}, 0, End(T)),
        ({"end_time": T - 9}, 0, End(T)),
        ({"end_time": T}, 1, Continue(T)),
        ({"end_time": T, "end_of_stream": False}, 0, Continue(T, wait_seconds=15)),
        ({"end_time": T, "end_of_stream": False}, 1, Continue(T)),
        ({"end_time": T + 9, "server_time": T + 68}, 1, End(T + 9)),
        ({"end_time": T + 9, "server_time": T + 69}, 1, Continue(T + 9)),
        ({"end_time": T, "rows": 5, "page_limit": 5}, 0, Continue(T, wants_full_page=True)),
    ],
)
def test_the_step_after_one_page(fields: dict[str, Any], new_ids: int, expected: Continue | End) -> None:
    """The page was requested for the first time."""
    assert decide(page(**fields), new_ids=new_ids, repeats=0) == expected


def timed(*offsets: int, **fields: Any) -> EventPage:
    """A page whose rows are that many seconds after its start."""
    given_fields = {"end_time": None, "end_of_stream": None, "next_start_time": None, "server_time": T + 10**6, **fields}
    rows = [{"id": n, "timestamp": T + offset} for n, offset in enumerate(offsets)]
    return EventPage(TICKET_EVENTS, T, rows, len(rows), **given_fields)


HOURS = 3 * 3600
AHEAD = 10**6 + 9


@pytest.mark.parametrize(
    ("given_page", "expected"),
    [
        (timed(1, 5, end_time=T + HOURS), Continue(T + 5)),
        (timed(1, 5, end_time=T + 6), Continue(T + 5)),
        (timed(1, 5, end_time=T + 3), Continue(T + 3)),
        # Rows out of order: those after a row in the far future must not be skipped.
        (timed(5, 1, 3, end_time=T + HOURS), Continue(T + 3)),
        (timed(1, 9_000, 3, 4), Continue(T + 4)),
        (timed(5, 3, 0, end_time=T + HOURS), Continue(T + 5)),
        (timed(1, 5), Continue(T + 5)),
        (timed(1, 5, end_time=T - 9), Continue(T + 5)),
        (timed(1, 5, end_time=4_102_444_800), Continue(T + 5)),
        (timed(1, 5, end_time=4_102_444_800, end_of_stream=False), Continue(T + 5)),
        # A whole second: the next second is trusted if the page was enlarged, otherwise this one is requested again.
        (timed(5, 5, end_time=T + 6), Continue(T + 6)),
        (timed(5, 5, end_time=T + HOURS), Continue(T + 5)),
        (timed(5, 5, 5, end_time=T + HOURS, page_limit=2), Continue(T + 6)),
        (timed(0, 0, end_time=T + 1), Continue(T + 1)),
        (timed(*[5] * (PAGE_LIMIT + 1), end_of_stream=False), Continue(T + 6)),
        (timed(*[0] * (PAGE_LIMIT + 1), end_time=T - 9, end_of_stream=False), Continue(T + 1)),
        (timed(0, 0, end_time=T + HOURS, end_of_stream=False), Continue(T + 1)),
        (timed(0, 0, end_time=T + HOURS, page_limit=2), Continue(T, wants_full_page=True)),
        # Rows in the future don't move the start past the newest other row; after all others they are the end.
        (timed(1, 5, AHEAD, end_time=T + AHEAD), Continue(T + 5)),
        (timed(1, AHEAD, 5, end_time=T + AHEAD), Continue(T + 5)),
        (timed(0, AHEAD, end_time=T + AHEAD, end_of_stream=False), End(T)),
        (timed(AHEAD, AHEAD + 1, end_time=T + AHEAD, end_of_stream=False), End(T)),
        (timed(0, AHEAD, end_time=T + 7, page_limit=2), Continue(T + 7)),
        (timed(0, AHEAD, 0, end_time=T + AHEAD, end_of_stream=False), Continue(T, wait_seconds=15)),
        (timed(1, 5, AHEAD, end_time=T + AHEAD, end_of_stream=True), End(T + 5)),
        # The end of the stream.
        (timed(1, 5, end_time=T + HOURS, end_of_stream=True), End(T + 5)),
        (timed(1, 5, end_time=T + 3, end_of_stream=True), End(T + 3)),
        (timed(1, 5, end_of_stream=True), End(T + 5)),
        (timed(1, 5, end_time=T - 9, end_of_stream=True), End(T)),
        (timed(end_time=T + HOURS, end_of_stream=True), End(T + HOURS)),
        # No rows that prove anything.
        (timed(-5, -1, end_time=T + 9), Continue(T + 9)),
        (timed(end_time=T + 9, end_of_stream=False), Continue(T, wait_seconds=15)),
        (timed(end_of_stream=False), Continue(T, wait_seconds=15)),
        (timed(end_time=4_102_444_800), End(T)),
        (timed(end_time=T + 9), Continue(T + 9)),
    ],
)
def test_a_page_leads_no_further_than_its_rows_prove(given_page: EventPage, expected: Continue | End) -> None:
    """Regardless of its end_time."""
    assert decide(given_page, new_ids=0, repeats=0) == expected


def test_an_empty_page_that_claims_more_rows_is_trusted_only_near_now() -> None:
    """Only if it claims so twice."""
    near = timed(end_time=T + 9, end_of_stream=False, server_time=T + 129)
    assert decide(near, new_ids=0, repeats=0) == Continue(T, wait_seconds=15)
    assert decide(near, new_ids=0, repeats=1) == End(T + 9)
    leap = timed(end_time=T + 9, end_of_stream=False, server_time=T + 130)
    assert decide(leap, new_ids=0, repeats=8) == Continue(T, wait_seconds=15)
    with pytest.raises(DataError, match="answered 2 times with no rows"):
        decide(timed(end_of_stream=False), new_ids=0, repeats=1)


@pytest.mark.parametrize("end_of_stream", [None, False])
def test_ten_empty_pages_in_a_row_fail_though_they_advance(end_of_stream: bool | None) -> None:
    """Ten, not nine; a page with a row resets the count."""
    walk = Walk(T)
    for round_ in range(2):
        for _ in range(9):
            walk.take(replace(timed(end_of_stream=end_of_stream), start_time=walk.start_time, end_time=walk.start_time + 1))
        if not round_:
            walk.take(replace(timed(1, 100), start_time=walk.start_time, end_time=walk.start_time + 50))
    with pytest.raises(DataError, match="10 pages in a row without rows"):
        walk.take(replace(timed(end_of_stream=end_of_stream), start_time=walk.start_time, end_time=walk.start_time + 1))


def test_a_slow_server_time_does_not_end_a_walk() -> None:
    """By the wall clock, the rows are in the past."""
    behind = timed(1, 50, end_time=T + 50, server_time=float(T))
    assert Walk(T, clock=lambda: T + 10**6).take(behind) == Continue(T + 50)
    assert Walk(T, clock=lambda: 0.0).take(behind) == End(T)


def test_an_empty_page_that_lacks_a_known_row_is_retried_before_the_walk_ends() -> None:
    """The start is inclusive, and the page before has delivered the row of that second."""
    walk = Walk(T)
    assert walk.take(timed(1, 5)) == Continue(T + 5)
    empty = replace(timed(), start_time=T + 5)
    assert walk.take(empty) == Continue(T + 5, wait_seconds=15)
    assert walk.take(empty) == End(T + 5)
    walk = Walk(T)
    assert walk.take(timed(5, 5, end_time=T + 6)) == Continue(T + 6)
    assert walk.take(replace(timed(), start_time=T + 6)) == End(T + 6)  # no row of that second is known
    assert Walk(T).take(timed()) == End(T)


@pytest.mark.parametrize("end_of_stream", [None, False])
@pytest.mark.parametrize("offsets", [(), (-9, -8)])
def test_a_walk_does_not_move_ahead_on_pages_that_lack_their_first_row(
    offsets: tuple[int, ...], end_of_stream: bool | None
) -> None:
    walk = Walk(T)
    walk.take(timed(1, 5))
    lost = replace(timed(*offsets, end_of_stream=end_of_stream), start_time=T + 5, end_time=T + HOURS)
    assert walk.take(lost) == Continue(T + 5, wait_seconds=15)
    with pytest.raises(DataError, match=r"without any event from that second|10 pages in a row without rows"):
        take_often(walk, lost)


def take_often(walk: Walk, given_page: EventPage) -> None:
    for _ in range(9):
        walk.take(given_page)


def test_a_pinned_page_means_an_overfull_second() -> None:
    """A full page of known ids that doesn't advance is an error that names the second and the row count."""
    with pytest.raises(OverfullSecondError, match=r"2023-11-14T22:13:20Z.*1,000 rows"):
        decide(page(PAGE_LIMIT, end_time=T), new_ids=0, repeats=0)


@pytest.mark.parametrize(("rows", "end_of_stream"), [(PAGE_LIMIT, None), (PAGE_LIMIT, False), (3, False)])
def test_endless_repeats_of_a_page_are_an_error(rows: int, end_of_stream: bool | None) -> None:
    """Either with new ids each time, or with a claim that more rows follow."""
    with pytest.raises(DataError):
        decide(page(rows, end_time=T, end_of_stream=end_of_stream), new_ids=1, repeats=MAX_REPEATS)
    assert decide(page(3, end_time=T), new_ids=1, repeats=MAX_REPEATS) == End(T)


def test_rows_are_the_same_if_their_keys_are_equal() -> None:
    """The key is the id, per shape; a row without an id equals only its like."""
    assert row_key({"id": 1, "x": 2}) == row_key({"id": 1, "x": 3})
    assert row_key({"id": 1}) != row_key({"id": 1, "child_events": []})
    assert row_key({"id": [1]}) == row_key({"id": [1]})
    assert row_key({"x": 1}) != row_key({"x": 2})


def test_the_page_size_halves_and_grows_back_slowly() -> None:
    """A failed growth doubles the pages before the next one; a mere outage doesn't halve the size."""
    size, request = PageSize(TICKET_EVENTS), PageRequest(TICKET_EVENTS, T)
    assert [size.reduce(request, Busy("503")) for _ in range(3)] == [False] * 3
    assert (size.reduce(request, TooLarge("x")), size.rows) == (True, 500)
    sizes = []
    for _ in range(4):
        size.note_good_page()
        sizes.append(size.rows)
    assert sizes == [500, 500, 1000, 1000]
    assert [size.reduce(request, Overtaxed("504")) for _ in range(2)] == [False, True]
    for _ in range(5):
        size.note_good_page()
    assert size.rows == 500
    size.note_good_page()
    assert size.rows == 1000


@dataclass(frozen=True)
class ModelServer:
    """Zendesk's paging in a few lines.

    Attributes:
        times: the second of each row, ascending; its id is its position.
        limit: rows of a page.
        states_end: whether `end_of_stream` is sent.
        enlarges: a page within one second grows to hold it whole and ends one second later; otherwise it stays cut off.
        has_end_time: whether `end_time` is sent, or `next_page` alone.
        leap: seconds by which the end_time of every page is too late.
    """

    times: list[int]
    limit: int
    states_end: bool
    enlarges: bool
    has_end_time: bool
    leap: int = 0

    def answer(self, start_time: int) -> EventPage:
        tail = [n for n, time in enumerate(self.times) if time >= start_time]
        shown = tail[: self.limit]
        end_time = self.times[shown[-1]] if shown else start_time
        if self.enlarges and len(tail) > len(shown) and self.times[shown[0]] == end_time:
            shown = [n for n in tail if self.times[n] == end_time]
            end_time += 1
        end_time += self.leap
        is_end = len(shown) == len(tail)
        return EventPage(
            stream=TICKET_EVENTS,
            start_time=start_time,
            rows=[{"id": n, "timestamp": self.times[n]} for n in shown],
            count=len(shown),
            end_time=end_time if self.has_end_time else None,
            end_of_stream=is_end if self.states_end else None,
            next_start_time=end_time,
            server_time=float(T + 10**6),
            page_limit=self.limit,
        )

    @property
    def overfull(self) -> set[int]:
        """Seconds that fill a cut-off page, and a last second that can't be distinguished from them."""
        is_hidden = not self.enlarges or self.leap > 0  # a wrong end_time hides whether a page was enlarged
        crowded = {time for time in self.times if self.times.count(time) >= self.limit and is_hidden}
        last_is_full = bool(self.times) and self.times.count(self.times[-1]) >= self.limit and not self.states_end
        return crowded | ({self.times[-1]} if last_is_full else set())


SERVERS = st.builds(
    ModelServer,
    times=st.lists(st.integers(0, 8).map(lambda second: T + second), max_size=40).map(sorted),
    limit=st.integers(1, 12),
    states_end=st.booleans(),
    enlarges=st.booleans(),
    has_end_time=st.booleans(),
    leap=st.sampled_from([0, 0, 2, 10_800, 4 * 10**9]),
)


def walked(server: ModelServer, start_time: int) -> tuple[list[int], int, int]:
    """The ids in the order of delivery, the watermark, and the number of requests, which is bounded."""
    walk, seen = Walk(start_time), []
    for requests in range(1, len(server.times) + 9 * (MAX_REPEATS + 1) + 3):
        answer = server.answer(walk.start_time)
        seen += [row["id"] for row in answer.rows]
        step = walk.take(answer)
        if isinstance(step, End):
            return seen, step.watermark, requests
    raise AssertionError("the walk loops")


@settings(max_examples=400, deadline=None)
@given(SERVERS, st.integers(T - 2, T + 9))
def test_a_walk_sees_every_row_or_names_the_overfull_second(server: ModelServer, start_time: int) -> None:
    """Bursts, duplicates, absent flags, enlarged and pinned pages, all page sizes: bounded requests and no loop."""
    wanted = {n for n, time in enumerate(server.times) if time >= start_time}
    stuck = {time for time in server.overfull if time >= start_time}
    try:
        seen, watermark, requests = walked(server, start_time)
    except OverfullSecondError as error:
        named = any(f"start_time={time}" in str(error) for time in stuck)
    except DataError:
        named = server.leap > 0 and not server.states_end  # it always claims that more rows follow
    else:
        named = None
        assert set(seen) == wanted
        assert watermark >= max([start_time, *(server.times[n] for n in wanted)])
        assert requests <= (len(wanted) + 2) * (2 if server.leap else 1) + MAX_REPEATS + MAX_EMPTY_PAGES * (server.leap > 0)
    assert named is not False


@settings(deadline=None)
@given(SERVERS, st.integers(1, 12))
def test_any_page_size_sees_the_same_rows(server: ModelServer, limit: int) -> None:
    """Splitting the stream into pages differently changes nothing."""
    sizes = (server.limit, limit, 1000)
    seen = [set(walked(replace(server, limit=size, states_end=True, enlarges=True, leap=0), T)[0]) for size in sizes]
    assert seen == [set(range(len(server.times)))] * 3
