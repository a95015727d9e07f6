"""The account's ordinary API over real HTTP: its pages, its pace, its bounds, and what a refusal says."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from ticket_events_pipeline.credentials import BearerToken, ClientCredentials
from ticket_events_pipeline.errors import (
    AccountNotFoundError,
    AuthenticationError,
    DataError,
    ForbiddenError,
    RequestRefusedError,
    TransientError,
)
from ticket_events_pipeline.zendesk.account_endpoints import AGENTS, GROUPS, SLA_POLICIES, TICKET_FORMS
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline.zendesk.auth import AccessToken
from ticket_events_pipeline_tests.support.account_bench import account_bench, answer
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET
from ticket_events_pipeline_tests.support.scripted_server import Item, cut, garbage, hang, trickle


def page(*ids: int, after: str | None = None, member: str = "groups", **more: Any) -> Any:
    return answer(**{member: [{"id": id_} for id_ in ids]}, meta={"has_more": after is not None, "after_cursor": after}, **more)


def test_pages_are_connected_by_their_cursor() -> None:
    """Each request names the cursor of the page before."""
    with account_bench(page(1, 2, after="abc=="), page(3)) as b:
        assert [record["id"] for record in b.api.all(GROUPS)] == [1, 2, 3]
        assert b.asked == [
            ("/api/v2/groups", {"page[size]": "100"}),
            ("/api/v2/groups", {"page[size]": "100", "page[after]": "abc=="}),
        ]


def test_agents_and_admins_are_asked_for_together() -> None:
    """Both roles stand in one request."""
    with account_bench(page(1, member="users")) as b:
        assert [record["id"] for record in b.api.all(AGENTS)] == [1]
        assert dict(AGENTS.params[:1]) == {"role[]": "agent"}
        assert b.server.requests[0].query == {"role[]": "admin", "page[size]": "100"}  # the script keeps the last of a name


def test_a_list_without_pages_is_one_request() -> None:
    """What comes whole has no cursor."""
    with account_bench(answer(ticket_forms=[{"id": 7}, "odd"])) as b:
        assert list(b.api.all(TICKET_FORMS)) == [{"id": 7}]
        assert b.asked == [("/api/v2/ticket_forms", {})]


def test_numbered_pages_are_followed_by_their_number_alone() -> None:
    """The host of an address in an answer is never asked, and gets no credentials."""
    elsewhere = "https://elsewhere.test/api/v2/slas/policies.json?page=2&per_page=100"
    with account_bench(
        answer(sla_policies=[{"id": 1}], next_page=elsewhere), answer(sla_policies=[{"id": 2}], next_page=None)
    ) as b:
        assert [record["id"] for record in b.api.all(SLA_POLICIES)] == [1, 2]
        assert b.asked[1] == ("/api/v2/slas/policies", {"page": "2"})


@pytest.mark.parametrize(
    "script",
    [
        [page(1, after="a"), page(2, after="b"), page(3, after="a")],
        [answer(groups=[], next_page="/api/v2/groups?page=1")] * 2,
    ],
)
def test_a_cursor_that_repeats_is_an_error(script: list[Item]) -> None:
    """No loop for ever, and no list that looks whole."""
    with account_bench(*script) as b, pytest.raises(DataError, match="the pages don't end"):
        list(b.api.all(GROUPS))


def test_more_pages_without_a_cursor_are_an_error() -> None:
    """A list that is cut off must not look whole."""
    with account_bench(answer(groups=[], meta={"has_more": True})) as b, pytest.raises(DataError, match="has no cursor"):
        list(b.api.all(GROUPS))


def test_the_time_of_an_answer_is_the_servers() -> None:
    """The clock of this machine counts only where there is no Date."""
    with account_bench(
        answer({"Date": formatdate(NOW - 77, usegmt=True)}, tickets=[]), answer({"Date": None}, tickets=[])
    ) as b:
        assert b.api.tickets([4, 5]).answered_at == NOW - 77
        assert b.api.tickets([4, 5]).answered_at == NOW
        assert b.asked[0] == ("/api/v2/tickets/show_many", {"ids": "4,5"})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-rate-limit": "700", "x-rate-limit-remaining": "141"}, 0),
        ({"x-rate-limit": "700", "x-rate-limit-remaining": "140"}, 60),
        ({"ratelimit-limit": "200", "ratelimit-remaining": "12", "ratelimit-reset": "9"}, 10),
        ({"ratelimit-limit": "200", "ratelimit-remaining": "0", "ratelimit-reset": "86400"}, 60),
        ({"x-rate-limit": None, "x-rate-limit-remaining": None, "ratelimit-remaining": "41"}, 0),
        ({"x-rate-limit": None, "x-rate-limit-remaining": "40", "ratelimit-reset": "5"}, 6),
        ({"x-rate-limit": None, "x-rate-limit-remaining": None}, 1),
        ({"x-rate-limit-remaining": "many"}, 1),
        ({"Zendesk-RateLimit-Tickets-Show-Many": "total=100; remaining=20; resets=30"}, 31),
        ({"zendesk-ratelimit-incremental-exports": "total=10; remaining=0; resets=30"}, 0),
    ],
)
def test_the_last_part_of_the_accounts_limit_is_left_to_others(headers: dict[str, str | None], seconds: float) -> None:
    """By the answer's own headers; the exports' bucket is another one."""
    with account_bench(answer(headers, tickets=[]), answer(tickets=[])) as b:
        b.api.tickets([1])
        b.api.tickets([2])
        assert sum(b.time.waits) == seconds
        assert len(b.log) == (1 if seconds else 0)


def test_the_wait_is_logged_with_its_reason() -> None:
    """Who reads the log knows that others use the account."""
    with account_bench(answer({"x-rate-limit-remaining": "3"}, tickets=[]), answer(tickets=[])) as b:
        b.api.tickets([1])
        b.api.tickets([2])
    assert b.log == [
        "GET /api/v2/tickets/show_many: the rest of the account's rate limit is left to others (3 requests of 700 left of "
        "this minute); waiting 60 s"
    ]


def test_two_connections_of_a_run_share_a_pace() -> None:
    """A second one doesn't begin anew."""
    pace = AccountPace()
    with account_bench(answer({"x-rate-limit-remaining": "0", "ratelimit-reset": "19"}, tickets=[]), pace=pace) as b:
        b.api.tickets([1])
    with account_bench(answer(tickets=[]), pace=pace) as b:
        b.api.tickets([1])
        assert b.time.waits == [20]


def test_a_429_is_waited_for_as_long_as_it_asks() -> None:
    """Then the same request is sent again."""
    with account_bench((429, {"Retry-After": "31"}, "Too many"), answer(tickets=[{"id": 1}])) as b:
        assert b.api.tickets([1]).records == [{"id": 1}]
        assert b.time.waits == [31]
        assert "429 Too many; waiting 31 s" in b.log[0]


@pytest.mark.parametrize("retry_after", ["301", "86400"])
def test_a_429_beyond_the_time_that_is_left_is_an_error_at_once(retry_after: str) -> None:
    """A day's tables don't wait for an hour."""
    with account_bench((429, {"Retry-After": retry_after}, "Too many")) as b:
        with pytest.raises(TransientError, match=f"asks to wait {retry_after} s. Nothing stored was changed"):
            b.api.tickets([1])
        assert b.time.waits == []


def test_all_waits_together_are_bounded() -> None:
    """Others use up the account's limit for as long as this program wants to wait."""
    busy = answer({"x-rate-limit-remaining": "0", "ratelimit-reset": "49"}, tickets=[])
    with account_bench(*[busy] * 20, total_seconds=180) as b:
        for _ in range(4):
            b.api.tickets([1])
        with pytest.raises(TransientError, match=r"left to others \(0 requests of 700 left of this minute\).* 180 s"):
            b.api.tickets([1])
        assert b.time.waits == [50, 50, 50]


@pytest.mark.parametrize(
    "item",
    [
        (503, {}, "no"),
        cut(b'{"tickets": []}', 5),
        garbage(b"\x00\x01\x02\r\n\r\n"),
        (200, {}, "<html>login</html>"),
        (200, {}, '{"tickets": ['),
        (200, {}, {"users": []}),
        (200, {}, {"tickets": {}}),
        (200, {}, "[]"),
    ],
)
def test_what_may_clear_by_itself_is_tried_four_times(item: Item) -> None:
    """Fewer times than an export: nothing is lost without it."""
    with account_bench(*[item] * 9) as b:
        with pytest.raises(TransientError, match="GET /api/v2/tickets/show_many: failed after 4 attempts"):
            b.api.tickets([1])
        assert len(b.server.requests) == b.api.requests_made == 4


@pytest.mark.slow
def test_a_silent_server_costs_its_timeout_per_attempt() -> None:
    """Each attempt ends at the read timeout."""
    with (
        account_bench(*[hang(60)] * 4, timeout_seconds=0.5) as b,
        pytest.raises(TransientError, match=r"no answer within 0\.5 s"),
    ):
        b.api.tickets([1])


@pytest.mark.slow
def test_an_answer_that_trickles_ends_in_time() -> None:
    """Byte by byte, each read is in time; the exchange has a deadline of two timeouts."""
    slow = trickle(b'{"tickets": []}' * 20, lambda: time.sleep(0.2))
    with (
        account_bench(*[slow] * 4, total_seconds=1, timeout_seconds=0.5) as b,
        pytest.raises(TransientError, match="that was not complete after 1 s"),
    ):
        b.api.tickets([1])


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, {"error": "Couldn't authenticate you"}, AuthenticationError, "ZENDESK_OAUTH_TOKEN"),
        (403, {"error": "Forbidden"}, ForbiddenError, "may need an admin's credentials"),
        (404, {"error": "RecordNotFound"}, AccountNotFoundError, "The account, its plan or these credentials have no such"),
        (400, {"error": "bad"}, RequestRefusedError, "The request itself is refused"),
    ],
)
def test_a_refusal_is_not_retried(status: int, body: Any, error: type[Exception], words: str) -> None:
    """It names the endpoint, the answer and what to check."""
    with account_bench((status, {}, body)) as b:
        with pytest.raises(error, match=words) as caught:
            b.api.tickets([1])
        assert "GET /api/v2/tickets/show_many" in str(caught.value)
        assert "exports" not in str(caught.value)
        assert len(b.server.requests) == 1


def test_no_redirect_is_followed() -> None:
    """Credentials go to no other host."""
    with account_bench((302, {"Location": "https://elsewhere.test/groups"}, "")) as b:
        with pytest.raises(RequestRefusedError, match=r"a redirect to elsewhere\.test"):
            list(b.api.all(GROUPS))
        assert len(b.server.requests) == 1


def test_a_refused_token_of_an_oauth_client_is_renewed_once() -> None:
    """As for the exports."""
    token = (200, {}, {"access_token": "first", "expires_in": 1800})
    again = (200, {}, {"access_token": "second", "expires_in": 1800})
    with account_bench(
        token, (401, {}, {"error": "invalid_token"}), again, page(1), credentials=ClientCredentials("me", SECRET)
    ) as b:
        assert [record["id"] for record in b.api.all(GROUPS)] == [1]
        assert [request.headers.get("authorization") for request in b.server.requests[1::2]] == [
            "Bearer first",
            "Bearer second",
        ]


def test_connections_of_a_run_share_an_oauth_clients_token() -> None:
    """Each that is fetched may end another's, such as that of a backfill that is in progress."""
    token, credentials = AccessToken(), ClientCredentials("me", SECRET)
    granted = (200, {}, {"access_token": "first", "expires_in": 1800})
    with account_bench(granted, page(1), credentials=credentials, token=token) as b:
        list(b.api.all(GROUPS))
        assert len(b.server.requests) == 2
    with account_bench(page(1), credentials=credentials, token=token) as b:
        list(b.api.all(GROUPS))
        assert [request.headers["authorization"] for request in b.server.requests] == ["Bearer first"]
    assert "first" not in repr(token)


def test_no_message_repeats_a_secret() -> None:
    """A server that echoes the request is not quoted with it."""
    with account_bench((403, {}, f"no: {SECRET}"), credentials=BearerToken(SECRET)) as b:
        with pytest.raises(ForbiddenError) as caught:
            b.api.tickets([1])
        assert SECRET not in str(caught.value)
        assert "[hidden]" in str(caught.value)
