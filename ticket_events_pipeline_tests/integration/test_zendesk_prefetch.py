"""Requests that are sent ahead, over real HTTP: what they cost, and what becomes of them when the pages prove another start."""

from __future__ import annotations

import json
import threading
from email.utils import formatdate
from typing import Any

from ticket_events_pipeline_tests.support.client_bench import NOW, Bench, T, bench, ids_of
from ticket_events_pipeline_tests.support.scripted_server import Recorded
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS

DATE = {"Date": formatdate(NOW, usegmt=True)}


def rows(start: int) -> list[dict[str, Any]]:
    """Two rows: of the page's first second, and of the tenth after it."""
    return [{"id": second - T, "timestamp": second, "child_events": []} for second in (start, start + 10)]


def answer(start: int, *, stated: int | None = None, is_last: bool = False) -> Any:
    """The page from a start; it states the next one behind its rows."""
    page = {"ticket_events": rows(start), "count": 2, "end_of_stream": is_last, "end_time": stated or start + 10}
    return 200, DATE, page


def account(*, pages: int = 6, lies: dict[int, int] | None = None) -> Any:
    """An account of so many pages, which states wrong next starts after some of them, in seconds from T."""

    def item(request: Recorded) -> Any:
        start = int(request.query["start_time"])
        return answer(start, stated=T + (lies or {}).get(start - T, start - T + 10), is_last=start >= T + 10 * (pages - 1))

    return item


def walked(b: Bench, wanted: Any = lambda _: True) -> Any:
    return b.client.pages(TICKET_EVENTS, T, wanted=wanted)


def test_a_page_is_requested_before_the_last_one_is_yielded() -> None:
    """Not before the first statement has proved right, and not after the last page."""
    with bench(*[account()] * 6) as b:
        seen = [(page.requests, b.client.requests_made) for page in walked(b)]
        assert seen == [(1, 1), (1, 3), (1, 4), (1, 5), (1, 6), (1, 6)]
        assert b.asked("start_time") == [str(T + 10 * number) for number in range(6)]


def test_only_a_wanted_page_is_requested_ahead() -> None:
    with bench(*[account()] * 6) as b:
        made = [b.client.requests_made for _ in walked(b, lambda start: start < T + 30)]
        assert made == [1, 3, 3, 4, 5, 6]


def test_without_a_reader_that_wants_it_nothing_is_requested_ahead() -> None:
    with bench(*[account()] * 6) as b:
        assert [b.client.requests_made for _ in b.client.pages(TICKET_EVENTS, T)] == [1, 2, 3, 4, 5, 6]


def test_a_page_that_waited_for_its_reader_proves_what_it_did_when_it_came() -> None:
    """A row that was dated ahead then proves nothing, though its time has come while the reader stood still."""
    ahead = {"id": 1, "timestamp": int(NOW) + 500, "child_events": []}

    def item(request: Recorded) -> Any:
        status, headers, page = account(pages=5)(request)
        if int(request.query["start_time"]) == T + 20:
            page = {**page, "ticket_events": [*page["ticket_events"], ahead], "end_time": int(NOW) + 500}
        return status, headers, page

    with bench(*[item] * 6) as b:
        for page in walked(b):
            if page.page.start_time == T + 10:  # the one with that row has been requested
                assert b.client.requests_made == 3
                b.time.now += 900
    assert b.asked("start_time") == [str(T + 10 * number) for number in range(5)]


def test_a_server_that_states_a_wrong_start_costs_one_request_and_no_row() -> None:
    """The rows prove an earlier start: the answer from the stated one is discarded, and no other request is sent ahead."""
    with bench(*[account(lies={20: 40, 40: 50})] * 8) as b:
        pages = list(walked(b))
        assert ids_of(pages) == [[start, start + 10] for start in range(0, 60, 10)]
        assert [page.requests for page in pages] == [1, 1, 2, 1, 1, 1]
        assert len(b.server.requests) <= 7  # it may be broken off before it arrives


def test_a_page_that_cannot_be_read_is_requested_again() -> None:
    """Its members were read, and the next page was requested; that answer is discarded."""
    broken = json.dumps(answer(T + 20)[2]).replace('"timestamp"', '"time""stamp"', 1)
    served: list[int] = []

    def item(request: Recorded) -> Any:
        served.append(int(request.query["start_time"]) - T)
        return (200, DATE, broken) if served.count(20) == 1 and served[-1] == 20 else account()(request)

    with bench(*[item] * 9) as b:
        pages = list(walked(b))
        assert ids_of(pages) == [[start, start + 10] for start in range(0, 60, 10)]
        assert [page.requests for page in pages] == [1, 1, 3, 1, 1, 1]


def test_a_refusal_of_a_request_sent_ahead_is_waited_out() -> None:
    """Retry-After rules, as for any other request."""
    served: list[int] = []

    def item(request: Recorded) -> Any:
        served.append(int(request.query["start_time"]) - T)
        refused = served[-1] == 30 and served.count(30) == 1
        return (429, {**DATE, "Retry-After": "7"}, {"error": "APIRateLimitExceeded"}) if refused else account()(request)

    with bench(*[item] * 8) as b:
        pages = list(walked(b))
        assert ids_of(pages) == [[start, start + 10] for start in range(0, 60, 10)]
        assert [page.requests for page in pages] == [1, 1, 1, 2, 1, 1]
        assert 7 <= sum(b.time.waits) < 9


def test_a_reader_that_stops_does_not_wait_for_a_request_sent_ahead() -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def item(request: Recorded) -> Any:
        if request.query["start_time"] == str(T + 20):
            is_asked.set()
            assert may_answer.wait(30)
        return account()(request)

    with bench(*[item] * 6, timeout_seconds=60) as b:
        pages = walked(b)
        next(pages), next(pages)
        assert is_asked.wait(10)
        pages.close()
        assert not may_answer.is_set()
        may_answer.set()
