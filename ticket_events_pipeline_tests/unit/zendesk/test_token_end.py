"""The end of a fixed token: how it is read from a response, and how it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.credentials import ClientCredentials
from ticket_events_pipeline.zendesk.token_end import TokenEnd, token_end
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET, bench
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer, cut, garbage, reset

UNKNOWN = TokenEnd(is_known=False)
PATH = "/api/v2/oauth/tokens/current.json"


def answered(content: Any, status: int = 200) -> TokenEnd:
    return token_end(status, json.dumps(content).encode())


@pytest.mark.parametrize(
    ("expires_at", "expected"),
    [
        ("2027-01-15T08:00:00Z", TokenEnd(is_known=True, expires_at=NOW)),
        ("2027-01-15T09:00:00+01:00", TokenEnd(is_known=True, expires_at=NOW)),
        ("2027-01-15T08:00:00", TokenEnd(is_known=True, expires_at=NOW)),
        (None, TokenEnd(is_known=True)),
        ("soon", UNKNOWN),
        ("0001-01-01T00:00:00Z", UNKNOWN),
        (True, UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_the_end_is_read_from_the_token_or_from_the_object_itself(expires_at: Any, expected: TokenEnd) -> None:
    assert answered({"token": {"expires_at": expires_at, "scopes": ["read"]}}) == expected
    assert answered({"expires_at": expires_at}) == expected


def test_any_other_response_leaves_the_end_unknown() -> None:
    for status in (204, 302, 401, 403, 404, 500):
        assert answered({"token": {"expires_at": None}}, status) == UNKNOWN
    assert [answered(content) for content in ({}, [], "x", {"token": []}, {"token": {"scopes": []}})] == [UNKNOWN] * 5


@given(st.binary(max_size=60))
def test_any_bytes_are_a_valid_response(body: bytes) -> None:
    assert token_end(200, body).sentence(NOW)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (TokenEnd(True, NOW + 3 * 3600 + 5), "ends at 2027-01-15T11:00:05Z, in 3 hours."),
        (TokenEnd(True, NOW + 86_400), "ends at 2027-01-16T08:00:00Z, in 1 day."),
        (TokenEnd(True, NOW + 59), "in 59 seconds."),
        (TokenEnd(True, NOW - 120), "ended at 2027-01-15T07:58:00Z, 2 minutes ago."),
        (TokenEnd(True), "has no end yet"),
        (UNKNOWN, "the token's end is unknown"),
    ],
)
def test_the_warning_names_credentials_that_suit_a_schedule(end: TokenEnd, words: str) -> None:
    sentence = end.sentence(NOW)
    assert words in sentence
    assert sentence.startswith("ZENDESK_OAUTH_TOKEN")
    assert "is for a trial; for a schedule set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET" in sentence


def test_soon_is_within_a_week() -> None:
    week = 7 * 86_400
    ends = [TokenEnd(True, NOW - 1), TokenEnd(True, NOW + week), TokenEnd(True, NOW + week + 1), TokenEnd(True), UNKNOWN]
    assert [end.is_soon(NOW) for end in ends] == [True, True, False, False, False]


def test_the_end_is_requested_once_from_the_own_host_and_outside_the_quota() -> None:
    with bench((200, {}, {"token": {"expires_at": "2027-01-15T08:00:00Z", "token": SECRET}})) as b:
        assert b.client.token_end() == TokenEnd(is_known=True, expires_at=NOW)
        (request,) = b.server.requests
        assert (request.method, request.path, request.headers["authorization"]) == ("GET", PATH, f"Bearer {SECRET}")
        assert b.log == []


@pytest.mark.parametrize(
    "trouble",
    [(404, {}, ""), (403, {}, "no"), (500, {}, "no"), (200, {}, "<html>"), cut(b"{}", 1), garbage(b"x"), reset()],
    ids=str,
)
def test_a_failed_request_for_the_end_is_no_error_and_not_retried(trouble: Item) -> None:
    with bench(trouble) as b:
        assert b.client.token_end() == UNKNOWN
        assert (len(b.server.requests), b.time.waits, b.log) == (1, [], [])


def test_a_redirect_is_not_followed_and_a_large_body_is_not_read() -> None:
    with ScriptedServer() as other, bench((302, {"Location": f"{other.url}/x"}, ""), (200, {}, b" " * 2**21)) as b:
        assert [b.client.token_end(), b.client.token_end()] == [UNKNOWN, UNKNOWN]
        assert other.requests == []


def test_a_refused_grant_leaves_the_end_unknown() -> None:
    with bench((401, {}, {"error": "invalid_client"}), credentials=ClientCredentials("id", SECRET)) as b:
        assert b.client.token_end() == UNKNOWN
