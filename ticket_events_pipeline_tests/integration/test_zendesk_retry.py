"""Retries over real HTTP on a simulated clock: their waits, and the message after the last one."""

from __future__ import annotations

import gzip
from email.utils import formatdate

import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.errors import OverfullSecondError, TransientError
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET, Bench, T, bench, last_page, page
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer, cut, garbage, hang
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520])
def test_a_temporary_error_is_retried(status: int) -> None:
    """One failure costs one more request of the same size, and is logged."""
    with bench((status, {}, "sorry"), last_page(1)) as b:
        pages = b.walk()
        assert [(p.requests, p.at_end) for p in pages] == [(2, True)]
        assert b.asked("per_page") == ["1000", "1000"]
        assert len(b.time.waits) == 1
        assert f"{status} sorry; waiting" in b.log[0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": formatdate(NOW + 23, usegmt=True), "Date": formatdate(NOW, usegmt=True)}, 23),
        ({"Zendesk-RateLimit-Incremental-Exports": "total=10; remaining=0; resets=7"}, 8),  # it may be 7.9
        ({"x-rate-limit-remaining": "0", "ratelimit-reset": "50"}, 60),
        ({"Retry-After": "soon"}, 60),
    ],
)
def test_after_a_429_the_client_waits_as_the_server_requests(headers: dict[str, str], seconds: float) -> None:
    """Retry-After first, then the quota's reset, then a minute."""
    with bench((429, headers, {"error": "APIRateLimitExceeded", "description": "Number exceeded"}), last_page()) as b:
        b.walk()
        assert sum(b.time.waits) == seconds


def test_a_503_with_retry_after_is_waited_for() -> None:
    """Maintenance states when it ends."""
    with bench((503, {"Retry-After": "120"}, "<html><title>Down for maintenance</title>"), last_page()) as b:
        b.walk()
        assert b.time.waits == [120]
        assert "503 Down for maintenance; waiting 120 s" in b.log[0]


def test_a_wait_beyond_the_limit_is_an_error_at_once() -> None:
    """A wait of hours is refused, and the message says so."""
    with bench((503, {"Retry-After": "86400"}, "")) as b:
        with pytest.raises(TransientError, match="asks to wait 86400 s"):
            b.walk()
        assert b.time.waits == []


def test_retries_are_limited_and_the_error_summarizes_them() -> None:
    """The request, the number of attempts, the responses, and a remedy."""
    with bench(*[(503, {}, "no")] * 30) as b:
        with pytest.raises(TransientError) as caught:
            b.walk()
        assert len(b.server.requests) == 12
        assert "ticket_events from 2023-11-14T22:13:20Z: failed after 12 attempts" in str(caught.value)
        assert "12 times 503 no" in str(caught.value)
        assert sum(b.time.waits) < 15 * 60


@pytest.mark.parametrize(
    "item",
    [
        cut(b'{"ticket_events": []}', 5),
        garbage(b"\x00\x01\x02\r\n\r\n"),
        garbage(b""),
        (200, {}, "<html>login</html>"),
        (200, {}, '{"ticket_events": ['),
        (200, {}, {"users": []}),
        (200, {}, {"ticket_events": {}}),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        (200, {}, b""),
        (204, {}, b""),
    ],
    ids=str,
)
def test_an_unreadable_response_is_retried(item: Item) -> None:
    """Truncated, garbled, or no page at all: one retry succeeds."""
    with bench(item, last_page(1)) as b:
        assert [(p.requests, p.at_end) for p in b.walk()] == [(2, True)]


def test_a_page_cut_short_is_not_quoted() -> None:
    """Customer records are not logged."""
    with bench((200, {}, '{"ticket_events": [{"subject": "private'), last_page()) as b:
        b.walk()
        assert "private" not in "".join(b.log)


def test_a_silent_server_times_out() -> None:
    """Both timeouts are set, and the retry succeeds."""
    with bench(hang(3), last_page(1), timeout_seconds=0.2) as b:
        assert b.walk()[0].requests == 2
        assert "no answer within" in b.log[0]


def test_a_repeated_retry_after_of_zero_is_not_trusted() -> None:
    """Twelve attempts last longer than the quota's minute."""
    with bench(*[(429, {"Retry-After": "0"}, "no")] * 20) as b:
        with pytest.raises(TransientError, match="failed after 12 attempts"):
            b.walk()
        assert sum(b.time.waits) > 60


def test_an_unreachable_server_is_a_temporary_error() -> None:
    """The message quotes the network's error."""
    with ScriptedServer() as gone:
        pass
    made = Bench(gone, BearerToken(SECRET))
    with made.client, pytest.raises(TransientError, match=r"failed after 12 attempts.*refused"):
        made.walk()


def test_a_large_page_that_fails_is_halved_and_grows_back() -> None:
    """From the second failure on; after three good pages it doubles."""
    bad: Item = (504, {}, "gateway")
    good = [page(n, end_time=T + n) for n in range(1, 5)]
    with bench(bad, bad, bad, *good, last_page()) as b:
        b.walk()
        assert b.asked("per_page") == ["1000", "1000", "500", "250", "250", "250", "500", "500"]
        assert any("requesting 500 rows a page" in line for line in b.log)


def test_a_page_of_metric_events_is_never_halved() -> None:
    """That endpoint has no page size."""
    bad: Item = (504, {}, "gateway")
    with bench(bad, bad, bad, last_page(key="ticket_metric_events")) as b:
        b.walk(TICKET_METRIC_EVENTS)
        assert b.asked("per_page") == [None] * 4


def test_a_page_beyond_the_size_limit_is_requested_smaller() -> None:
    """Without a retry, down to one row; then the error names the second."""
    big = page(*range(100), end_time=T + 1)
    with bench(big, big, last_page(1), max_page_bytes=500) as b:
        b.walk()
        assert b.asked("per_page") == ["1000", "500", "250"]
        assert b.time.waits == [0, 0]
    with bench(*[big] * 20, max_page_bytes=500) as b:
        with pytest.raises(OverfullSecondError, match="2023-11-14T22:13:20Z"):
            b.walk()
        assert b.asked("per_page")[-1] == "1"


def test_a_decompression_bomb_is_stopped() -> None:
    """The limit counts decompressed bytes."""
    bomb = gzip.compress(b" " * 5_000_000)
    with (
        bench((200, {"Content-Encoding": "gzip"}, bomb), max_page_bytes=1_000_000) as b,
        pytest.raises(OverfullSecondError, match="more than 1000000 bytes"),
    ):
        b.walk(TICKET_METRIC_EVENTS)
