"""Requests and responses without a socket: envelopes, recorded errors, and bodies that are neither."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.errors import (
    AccountError,
    AccountNotFoundError,
    AuthenticationError,
    ForbiddenError,
    RequestRefusedError,
)
from ticket_events_pipeline.zendesk.answers import Busy, Overtaxed, RateLimited, Retryable, TooRecent, Unreadable
from ticket_events_pipeline.zendesk.headers import QuotaHeader
from ticket_events_pipeline.zendesk.page import EventPage, PageRequest, decode_page
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS, TICKET_METRIC_EVENTS

T = 1_700_000_000


REQUEST = PageRequest(TICKET_EVENTS, T)


BAD_ANSWERS = json.loads((SAMPLES / "error_bodies.json").read_text())


def decoded(content: Any, headers: dict[str, str] | None = None, request: PageRequest = REQUEST) -> EventPage:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return decode_page(request, 200, headers or {}, body)


def refused(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller checks its type
        decode_page(REQUEST, status, headers or {}, body)
    return caught.value


def test_the_documented_ticket_events_page() -> None:
    """Rows are kept as sent, although they look like metric events; end_time may be before its row."""
    body = (SAMPLES / "docs_ticket_events_example.json").read_bytes()
    headers = {
        "date": "Mon, 26 Oct 2020 13:00:00 GMT",
        "Zendesk-RateLimit-Incremental-Exports": "total=10; remaining=9; resets=2",
    }
    assert decode_page(PageRequest(TICKET_EVENTS, 5, per_page=7), 200, headers, body) == EventPage(
        stream=TICKET_EVENTS,
        start_time=5,
        rows=json.loads(body)["ticket_events"],
        count=1,
        end_time=1601357503,
        end_of_stream=True,
        next_start_time=1601357503,
        server_time=1603717200.0,
        quota=QuotaHeader(remaining=9, total=10, resets_seconds=2),
        page_limit=7,
    )


def test_the_documented_metric_events_page() -> None:
    """end_of_stream is absent there, which is not the same as false."""
    body = (SAMPLES / "docs_ticket_metric_events_example.json").read_bytes()
    page = decode_page(PageRequest(TICKET_METRIC_EVENTS, 5, per_page=7), 200, {}, body)
    assert (len(page.rows), page.count, page.end_time, page.end_of_stream, page.server_time, page.page_limit) == (
        3,
        3,
        1603716792,
        None,
        None,
        1000,
    )


def test_requests_have_only_the_documented_parameters() -> None:
    """Path and query of both streams."""
    assert (TICKET_EVENTS.lag_seconds, TICKET_METRIC_EVENTS.lag_seconds) == (120, 300)
    asked = PageRequest(TICKET_EVENTS, T, per_page=50, include_comments=True)
    assert asked.path == "/api/v2/incremental/ticket_events"
    assert asked.params == {"start_time": str(T), "per_page": "50", "support_type_scope": "agent", "include": "comment_events"}
    assert PageRequest(TICKET_EVENTS, T, support_type_scope="all").params["support_type_scope"] == "all"
    assert PageRequest(TICKET_METRIC_EVENTS, T, per_page=50, include_comments=True, support_type_scope="all").params == {
        "start_time": str(T)
    }


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        ({"end_time": str(T), "count": "2"}, (T, None, None, 2)),
        ({"end_time": float(T), "count": None}, (T, None, None, 1)),
        ({"end_time": None, "next_page": f"https://x/y?start_time={T}&a=b"}, (None, None, T, 1)),
        ({"end_time": True, "count": [], "next_page": 7}, (None, None, None, 1)),
        ({"end_time": T * 1000, "next_page": "https://[bad?start_time=1"}, (None, None, None, 1)),
        ({"end_time": -5, "next_page": "?start_time=x"}, (None, None, None, 1)),
        ({"end_of_stream": "false", "next_page": None}, (None, False, None, 1)),
        ({"end_of_stream": "true"}, (None, True, None, 1)),
        ({"end_of_stream": None}, (None, None, None, 1)),
        ({"end_of_stream": {}}, (None, None, None, 1)),
        ({"end_of_stream": 1}, (None, True, None, 1)),
    ],
)
def test_odd_envelopes_are_read_or_count_as_missing(envelope: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Numbers as text are read, nonsense counts as missing, and milliseconds are not seconds."""
    page = decoded({"ticket_events": [{"id": 1}], **envelope})
    assert (page.end_time, page.end_of_stream, page.next_start_time, page.count) == expected


def test_odd_values_of_rows_survive() -> None:
    """A value that JSON or Python can't hold stays text; a row that is not an object is wrapped, and rejected later."""
    digits = "9" * 5000
    row = f'{{"a": NaN, "b": -Infinity, "c": 1e999, "d": {digits}, "e": "\\ud800", "f": 1, "f": 2}}'
    assert decoded(f'\ufeff{{"ticket_events": [{row}, 7]}}'.encode()).rows == [
        {"a": "NaN", "b": "-Infinity", "c": "1e999", "d": digits, "e": "\ud800", "f": 2, "repeated_fields": [["f", 1]]},
        {"not_an_object": 7},
    ]


def test_the_last_value_of_a_repeated_name_counts_and_the_others_are_kept() -> None:
    """In a field whose name the row does not have yet; the list of rows itself must not be repeated."""
    rows = decoded(b'{"ticket_events": [{"id": 1, "id": 2, "repeated_fields": 0, "x": {"y": [1], "y": null, "y": null}}]}').rows
    assert rows == [
        {
            "id": 2,
            "repeated_fields": 0,
            "repeated_fields_": [["id", 1]],
            "x": {"y": None, "repeated_fields": [["y", [1]], ["y", None]]},
        }
    ]
    assert "more than once" in str(refused(200, b'{"ticket_events": [{"id": 1}], "ticket_events": []}'))


def test_a_response_that_calls_an_old_start_too_recent_is_not_trusted() -> None:
    """If it counted as the end of the stream, the rest of a backfill would stay unread."""
    body = b"Too recent start_time. Use a start_time older than 5 minutes"
    for age, kind in ((300 + 3600, TooRecent), (300 + 3601, Unreadable)):
        assert type(refused(422, body, {"Date": formatdate(T + age, usegmt=True)})) is kind
    assert isinstance(refused(422, body), TooRecent)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"ticket_events": null}',
        b'{"ticket_metric_events": []}',
        b"<html>sign in</html>",
        b"\xff\xfe\xff",
        b'{"ticket_events": [{"a": "\xff"}]}',
        b"[" * 200_000,
        b'{"ticket_events": []} trailing',
    ],
)
def test_a_body_that_is_no_page_is_retryable(body: bytes) -> None:
    """Truncated, HTML, or without the stream's key."""
    assert isinstance(refused(200, body), Unreadable)


@pytest.mark.parametrize(
    ("sample", "kind", "words"),
    [
        (BAD_ANSWERS[0], RateLimited, "APIRateLimitExceeded: Number of allowed incremental export API requests"),
        (BAD_ANSWERS[1], TooRecent, "younger than 300 seconds"),
        (BAD_ANSWERS[2], ForbiddenError, "Forbidden: You do not have access to this page."),
        (BAD_ANSWERS[3], AuthenticationError, "Couldn't authenticate you"),
        (BAD_ANSWERS[4], AccountNotFoundError, "RecordNotFound: Not found"),
        (BAD_ANSWERS[5], RequestRefusedError, "InvalidPaginationDepth: ..."),
    ],
)
def test_each_recorded_error_becomes_its_kind(sample: dict[str, Any], kind: type[Exception], words: str) -> None:
    """The message quotes the body's own words."""
    error = refused(sample["status"], json.dumps(sample["body"]).encode())
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait_seconds"),
    [
        (408, {}, Overtaxed, None),
        (409, {}, Busy, None),
        (429, {}, RateLimited, 60),
        (429, {"retry-after": "5", "zendesk-ratelimit-incremental-exports": "remaining=0; resets=9"}, RateLimited, 5),
        (429, {"zendesk-ratelimit-incremental-exports": "total=10; remaining=0; resets=9"}, RateLimited, 9),
        (500, {}, Overtaxed, None),
        (500, {"Retry-After": "3"}, Busy, 3),
        (503, {"Retry-After": "3"}, Busy, 3),
        (599, {}, Busy, None),
        (206, {}, Unreadable, None),
    ],
)
def test_temporary_errors_are_retryable(
    status: int, headers: dict[str, str], kind: type[Retryable], wait_seconds: float | None
) -> None:
    """Retryable errors carry the wait that the server requests."""
    error = refused(status, headers=headers)
    assert type(error) is kind
    assert isinstance(error, Retryable)
    assert error.wait_seconds == wait_seconds


@pytest.mark.parametrize(
    ("text", "age_seconds"),
    [
        ("Too recent start_time. Use a start_time older than 60 seconds", 60),
        ("too recent START_TIME: must be older than 5 minutes", 300),
        ("Too recent start_time, 1 hour", 3600),
        ("Too recent start_time.", 60),
        ("<title>Bad Request</title><p>In 9 minutes:</p><p>Too recent start_time; older than 5 minutes</p>", 300),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_too_recent_refusal_is_recognized_in_text(status: int, text: str, age_seconds: int) -> None:
    """The age is read from the number and its unit."""
    error = refused(status, text.encode(), {"Date": formatdate(T, usegmt=True)})
    assert isinstance(error, TooRecent)
    assert (error.age_seconds, error.server_time) == (age_seconds, T)


def test_refusals_name_a_remedy() -> None:
    """Each message names its variables and says that a retry does not help."""
    assert "ZENDESK_OAUTH_TOKEN" in str(refused(401))
    assert str(refused(401)).index("ZENDESK_OAUTH_CLIENT_ID") < str(refused(401)).index("ZENDESK_OAUTH_TOKEN")
    assert "Zendesk ended ZENDESK_PASSWORD at the end of 2025" in str(refused(401))
    assert "admin" in str(refused(403))
    assert "ZENDESK_SUBDOMAIN" in str(refused(404))
    assert "redirect to other.example" in str(refused(301, headers={"location": "https://u:p@other.example/x?y=z"}))
    assert "an unreadable address" in str(refused(301, headers={"location": "https://["}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


ENVELOPES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("ticket_events", "count", "end_time", "next_page", "end_of_stream", "error", "errors", "description"), JSON_VALUES
    ),
)


BODIES = st.one_of(
    st.binary(max_size=60),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    ENVELOPES.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda value, cut: json.dumps(value).encode()[:cut], ENVELOPES, st.integers(0, 80)),
    st.text(alphabet="<>/ahtmlie &;", max_size=60).map(str.encode),
)


HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "Location", "zendesk-ratelimit-incremental-exports"]),
    st.text(max_size=30),
    max_size=4,
)


@settings(deadline=None)
@given(st.sampled_from([200, 200, 200, 400, 401, 403, 404, 409, 422, 429, 500, 301]) | st.integers(100, 599), HEADERS, BODIES)
@example(200, {}, b'{"ticket_events": [' + b"9" * 5000 + b"]}")
@example(200, {}, b'{"ticket_events": [], "end_time": 1e400, "next_page": "//[?start_time=1"}')
def test_any_answer_is_a_page_or_a_documented_error(status: int, headers: dict[str, str], body: bytes) -> None:
    """There is no other result, and messages are short."""
    try:
        page = decode_page(REQUEST, status, headers, body)
    except (AccountError, Retryable, TooRecent) as error:
        outcome = len(str(error)) < 1000
    else:
        outcome = status == 200 and all(isinstance(row, dict) for row in page.rows)
    assert outcome
