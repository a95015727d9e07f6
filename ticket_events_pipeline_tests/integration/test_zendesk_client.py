"""The walk over real HTTP: its requests, its pages, its end, and its pace."""

from __future__ import annotations

import gzip
import json
from email.utils import formatdate
from typing import Any

import pytest

from ticket_events_pipeline.errors import (
    AccountNotFoundError,
    AuthenticationError,
    DataError,
    ForbiddenError,
    OverfullSecondError,
    RequestRefusedError,
)
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.shared_rate_limit import Turn
from ticket_events_pipeline_tests.support.client_bench import NOW, T, bench, ids_of, last_page, page
from ticket_events_pipeline_tests.support.scripted_server import Recorded
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS, TICKET_METRIC_EVENTS


def test_a_walk_follows_end_time_and_ends_with_the_stream() -> None:
    """Pages come in order, with the watermark and the requests they took."""
    with bench(page(1, 2, end_time=T + 5, end_of_stream=False), last_page(2, 3)) as b:
        pages = b.walk()
        assert ids_of(pages) == [[1, 2], [2, 3]]
        assert [(p.watermark, p.at_end, p.requests) for p in pages] == [(T + 5, False, 1), (T + 5, True, 1)]
        assert [(r.method, r.path, r.query) for r in b.server.requests] == [
            (
                "GET",
                "/api/v2/incremental/ticket_events",
                {"start_time": str(T), "per_page": "1000", "support_type_scope": "agent"},
            ),
            (
                "GET",
                "/api/v2/incremental/ticket_events",
                {"start_time": str(T + 5), "per_page": "1000", "support_type_scope": "agent"},
            ),
        ]
        assert b.time.waits == []


def test_metric_events_are_requested_with_start_time_alone() -> None:
    """Their endpoint has no per_page, no sideload and no support type scope."""
    with bench(last_page(key="ticket_metric_events"), include_comments=True, support_type_scope="all") as b:
        b.walk(TICKET_METRIC_EVENTS)
        assert b.server.requests[0].query == {"start_time": str(T)}
        assert b.server.requests[0].path == "/api/v2/incremental/ticket_metric_events"


def test_comments_are_requested_only_if_configured() -> None:
    """The sideload is sent only if it is set."""
    with bench(last_page(), include_comments=True) as b:
        b.walk()
        assert b.server.requests[0].query["include"] == "comment_events"


def test_the_support_type_scope_is_sent_with_every_request_for_ticket_events() -> None:
    """This includes the request that checks credentials."""
    with bench(last_page(), last_page(), support_type_scope="ai_agent") as b:
        b.walk()
        b.client.check()
        assert b.asked("support_type_scope") == ["ai_agent", "ai_agent"]


def test_the_checkpoint_stays_the_lag_behind_the_servers_time() -> None:
    """A row in the future does not move the watermark past now; without a Date the page's start is the limit."""
    with bench(last_page(end_time=int(NOW) + 9999), last_page(end_time=T + 9), last_page(headers={"Date": None})) as b:
        assert [b.walk()[0].checkpoint for _ in range(3)] == [int(NOW) - 120, T + 9, T]


def test_stopping_early_makes_no_further_request() -> None:
    """The consumer stops iterating."""
    with bench(page(1, end_time=T + 5), last_page()) as b:
        assert next(b.client.pages(TICKET_EVENTS, T)).watermark == T + 5
        assert len(b.server.requests) == 1


def test_gzip_pages_are_decompressed() -> None:
    """Pages are sent compressed."""
    body = gzip.compress(json.dumps({"ticket_events": [{"id": 1}], "end_of_stream": True}).encode())
    with bench((200, {"Content-Encoding": "gzip"}, body)) as b:
        assert ids_of(b.walk()) == [[1]]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, AuthenticationError, "ZENDESK_OAUTH_TOKEN"),
        (403, ForbiddenError, "scope"),
        (404, AccountNotFoundError, "ZENDESK_SUBDOMAIN"),
        (400, RequestRefusedError, "Bad"),
        (410, RequestRefusedError, "retrying cannot clear this"),
    ],
)
def test_a_refusal_fails_at_the_first_request(status: int, kind: type[Exception], words: str) -> None:
    """Permanent errors are not retried."""
    with bench((status, {}, {"error": "Bad", "description": "because"})) as b:
        with pytest.raises(kind, match=words) as caught:
            b.walk()
        assert "Bad: because" in str(caught.value)
        assert len(b.server.requests) == 1
        assert b.time.waits == []


def test_a_pinned_page_fails_after_its_rows_were_yielded() -> None:
    """The message names the overfull second and its row count; nothing is skipped."""
    pinned = page(*range(1000), end_time=T)
    with bench(pinned, pinned, pinned) as b:
        seen: list[WalkedPage] = []
        with pytest.raises(OverfullSecondError, match=r"2023-11-14T22:13:20Z.*1,000 rows"):
            seen.extend(b.client.pages(TICKET_EVENTS, T))
        assert len(b.server.requests) == 2
        assert {row["id"] for walked in seen for row in walked.page.rows} == set(range(1000))


def test_a_stalled_stream_is_retried_a_few_times_with_waits() -> None:
    """end_of_stream=false without progress: a clear DataError, after the minute that the server withholds."""
    with bench(*[page(1, end_time=T, end_of_stream=False)] * 20) as b:
        with pytest.raises(DataError, match="there is more"):
            b.walk()
        assert len(b.server.requests) == 6
        assert 60 <= sum(b.time.waits) <= 120


@pytest.mark.parametrize(
    "answer",
    [
        (422, {}, {"error": "InvalidValue", "description": "Too recent start_time. Use a start_time older than 5 minutes"}),
        (400, {"Content-Type": "text/plain"}, "Too recent start_time. Use a start_time older than 60 seconds"),
    ],
)
def test_a_too_recent_start_time_means_caught_up(answer: Any) -> None:
    """The walk ends with an empty page, whose server time is not later than what was read."""
    status, headers, body = answer
    start_time = int(NOW) - 50
    with bench((status, {"Date": formatdate(NOW + 100, usegmt=True), **headers}, body)) as b:
        [walked] = b.walk(start_time=start_time)
        assert (walked.at_end, walked.watermark, walked.page.rows) == (True, start_time, [])
        assert walked.checkpoint == start_time + 60 - 120
        assert walked.page.server_time == start_time + 60


def test_a_start_time_in_the_last_minute_is_not_requested() -> None:
    """By the server time, the walk has caught up."""
    with bench(page(1, end_time=int(NOW) - 59)) as b:
        assert [(p.at_end, p.watermark) for p in b.walk()] == [(True, int(NOW) - 59)]


def test_the_quota_header_sets_the_pace() -> None:
    """While requests remain there is no wait; at zero the client waits for the reset, plus a second for rounding."""
    left = {"zendesk-ratelimit-incremental-exports": "total=10; remaining=1; resets=40"}
    none = {"zendesk-ratelimit-incremental-exports": "total=10; remaining=0; resets=40"}
    with bench(page(1, end_time=T + 1, headers=left), page(2, end_time=T + 2, headers=none), last_page()) as b:
        b.walk()
        assert b.time.waits == [41]
        assert b.log == ["ticket_events: the export quota is used up (0 of 10 requests left); waiting 41 s"]


def test_without_a_header_the_configured_pace_applies() -> None:
    """At two requests a minute, the third waits until the first has left the window."""
    with bench(page(1, end_time=T + 1), page(2, end_time=T + 2), last_page()) as b:
        b.client._quota.requests_per_minute = 2
        b.walk()
        assert sum(b.time.waits) == pytest.approx(60.1)
        assert b.log == ["ticket_events: limited to 2 requests a minute (ZENDESK_REQUESTS_PER_MINUTE); waiting 60 s"]


def test_many_short_waits_are_logged_too() -> None:
    """Another process has sent the request that will show what is left, and doesn't answer for ten seconds."""
    with bench(page(1, end_time=T + 1), last_page()) as b:
        assert isinstance(b.client._quota.claim(), Turn)
        b.walk()
        assert max(b.time.waits) < 1
        assert b.log == [
            "ticket_events: another request is in flight, and its answer will show what is left of the export quota; waiting "
            "since 10 s"
        ]


def test_a_paging_model_is_walked_over_http() -> None:
    """End to end: all rows of the server arrive, each once after dedupe."""
    rows = [{"id": n, "child_events": [], "timestamp": T + n // 3} for n in range(2500)]

    def serve(request: Recorded) -> Any:
        start, limit = int(request.query["start_time"]), int(request.query["per_page"])
        tail = [row for row in rows if row["timestamp"] >= start]
        body = {"ticket_events": tail[:limit], "end_time": tail[:limit][-1]["timestamp"], "end_of_stream": len(tail) <= limit}
        return 200, {"Date": formatdate(NOW, usegmt=True)}, body

    with bench(*[serve] * 10) as b:
        pages = b.walk()
        assert {id_ for ids in ids_of(pages) for id_ in ids} == set(range(2500))
        assert len(pages) == 3
