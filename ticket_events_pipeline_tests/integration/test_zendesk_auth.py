"""What each kind of credentials sends and to which host, and the messages when it is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ticket_events_pipeline.credentials import ApiToken, BearerToken, ClientCredentials, Credentials, Password
from ticket_events_pipeline.errors import AuthenticationError, ForbiddenError, RequestRefusedError, TransientError
from ticket_events_pipeline.sandbox.credentials import TokenWorld
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET, T, bench, last_page, page
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer, cut
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        (BearerToken("t0"), "Bearer t0"),
        (ApiToken("a@b.c", "t1"), "Basic " + base64.b64encode(b"a@b.c/token:t1").decode()),
        (Password("a@b.c", "pä"), "Basic " + base64.b64encode("a@b.c:pä".encode()).decode()),
    ],
)
def test_credentials_travel_in_the_authorization_header(credentials: Credentials, header: str) -> None:
    """Each fixed kind has its own form, and a User-Agent names the client."""
    with bench(last_page(), credentials=credentials) as b:
        b.walk()
        assert b.server.requests[0].headers["authorization"] == header
        assert b.server.requests[0].headers["user-agent"].startswith("ticket_events_pipeline/")
        assert "gzip" in b.server.requests[0].headers["accept-encoding"]


def test_a_netrc_file_is_ignored(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials come from the settings alone."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login wrong password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with bench((200, {}, {"access_token": "t"}), last_page(), credentials=ClientCredentials("id", SECRET)) as b:
        b.walk()
        assert [r.headers.get("authorization") for r in b.server.requests] == [None, "Bearer t"]


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (BearerToken(SECRET), r"Check ZENDESK_OAUTH_TOKEN\. A fixed token ends, often after 30 minutes"),
        (ApiToken("a@b.c", SECRET), r"Check ZENDESK_EMAIL and ZENDESK_API_TOKEN\. .*unused for 30 days.*2027-04-30"),
        (Password("a@b.c", SECRET), r"Check ZENDESK_EMAIL and ZENDESK_PASSWORD\. .*for all accounts at the end of 2025"),
    ],
)
def test_a_401_explains_how_such_credentials_expire_and_what_to_set(credentials: Credentials, words: str) -> None:
    """It need not be a typo: all kinds but one expire by themselves."""
    instead = ".*set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET instead"
    with (
        bench((401, {}, {"error": "Couldn't authenticate you"}), credentials=credentials) as b,
        pytest.raises(AuthenticationError, match=r"Couldn't authenticate you.*" + words + instead),
    ):
        b.walk()


def test_an_echoed_secret_is_hidden() -> None:
    """No message, log or traceback holds a credential, even if the server repeats it."""
    echo = base64.b64encode(f"a@b.c:{SECRET}".encode()).decode()
    with bench(
        (500, {}, f"you sent {SECRET} {echo}"), (401, {}, f"{SECRET} {echo}"), credentials=Password("a@b.c", SECRET)
    ) as b:
        with pytest.raises(AuthenticationError) as caught:
            b.walk()
        output = str(caught.value) + "".join(b.log) + repr(b.client.__dict__)
        assert "[hidden]" in output
        assert SECRET not in output
        assert echo not in output


def test_a_redirect_is_an_error_that_names_the_host() -> None:
    """Credentials are sent to no other host."""
    with ScriptedServer([last_page()]) as other, bench((302, {"Location": f"{other.url}/x"}, "")) as b:
        with pytest.raises(RequestRefusedError, match=r"redirect to 127\.0\.0\.1"):
            b.walk()
        assert other.requests == []


def test_an_oauth_client_fetches_a_token_and_renews_it_before_it_expires() -> None:
    """One grant serves many requests; a minute before the end another is fetched."""
    grants: list[Item] = [(200, {}, {"access_token": f"t{n}", "token_type": "bearer", "expires_in": 3600}) for n in (1, 2)]

    with bench(
        grants[0], page(1, end_time=T + 1), last_page(), grants[1], last_page(), credentials=ClientCredentials("id", SECRET)
    ) as b:
        b.walk()
        b.time.now += 3541
        b.walk()
        assert [r.headers.get("authorization") for r in b.server.requests] == [
            None,
            "Bearer t1",
            "Bearer t1",
            None,
            "Bearer t2",
        ]
        grant = b.server.requests[0]
        assert (grant.method, grant.path) == ("POST", "/oauth/tokens")
        assert grant.headers["content-type"] == "application/json"
        assert json.loads(grant.body) == {
            "grant_type": "client_credentials",
            "client_id": "id",
            "client_secret": SECRET,
            "scope": "read",
            "expires_in": 1800,
        }


@pytest.mark.parametrize(
    "lifetime", [{}, {"expires_in": None}, {"expires_in": "soon"}, {"expires_in": -1}, {"expires_in": 1e999}]
)
def test_a_token_of_unknown_lifetime_is_renewed_before_the_requested_lifetime_ends(lifetime: dict[str, Any]) -> None:
    """The response to a grant need not state when its token expires."""
    grants: list[Item] = [(200, {}, {"access_token": f"t{n}", **lifetime}) for n in (1, 2)]
    with bench(grants[0], last_page(), last_page(), grants[1], last_page(), credentials=ClientCredentials("id", SECRET)) as b:
        b.walk()
        b.time.now += 1739
        b.walk()
        b.time.now += 2
        b.walk()
        sent = [request.headers.get("authorization") for request in b.server.requests]
        assert sent == [None, "Bearer t1", "Bearer t1", None, "Bearer t2"]


def test_the_lifetime_in_the_response_overrides_the_requested_one() -> None:
    """It may be a number or a text."""
    grants: list[Item] = [(200, {}, {"access_token": f"t{n}", "expires_in": "400"}) for n in (1, 2)]
    with bench(grants[0], last_page(), grants[1], last_page(), credentials=ClientCredentials("id", SECRET)) as b:
        b.walk()
        b.time.now += 341
        b.walk()
        assert b.server.requests[3].headers["authorization"] == "Bearer t2"


def test_two_clients_that_revoke_each_others_tokens_finish_with_bounded_renewals() -> None:
    """Whether a grant revokes earlier tokens is undocumented: it costs a bounded number of renewals."""
    clock = Moment(NOW)
    rows = [{"id": n, "ticket_id": 1, "timestamp": T + n, "child_events": []} for n in range(30)]
    world = TokenWorld(keeps_older=False)
    with SandboxServer(RecordedAccount({"ticket_events": rows}), clock=clock, page_limit=1, tokens=world) as server:
        clients = [
            ZendeskClient(server.base_url, ClientCredentials("sandbox", "sandbox"), quota=Quota(10_000), clock=clock)
            for _ in range(2)
        ]
        walks = [client.pages(TICKET_EVENTS, T) for client in clients]

        def rows_of_each() -> list[int]:
            return [len(next(walk).page.rows) for walk in walks]

        assert [rows_of_each() for _ in range(10)] == [[1, 1]] * 10
        with pytest.raises(AuthenticationError, match=r"11 access tokens within 0 s.*give this pipeline a client of its own"):
            list(iter(rows_of_each, []))
        assert sum(seen.path == "/oauth/tokens" for seen in server.requests) <= 22
        clock.now += 1800
        fresh = clients[0].pages(TICKET_EVENTS, T)
        assert len(next(fresh).page.rows) == 1
        for client in clients:
            client.close()


def test_a_token_refused_midway_is_renewed_once() -> None:
    """A 401 costs one new grant; a second 401 is an error."""
    grant: Item = (200, {}, {"access_token": "t", "expires_in": 3600})
    no: Item = (401, {}, {"error": "invalid_token"})
    with bench(grant, page(1, end_time=T + 1), no, grant, last_page(), credentials=ClientCredentials("id", SECRET)) as b:
        assert [p.requests for p in b.walk()] == [1, 2]
    with bench(grant, no, grant, no, last_page(), credentials=ClientCredentials("id", SECRET)) as b:
        with pytest.raises(AuthenticationError, match="ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"):
            b.walk()
        assert len(b.server.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_grant_names_its_variables(status: int) -> None:
    """The message does not hold the secret."""
    answer: Item = (status, {}, {"error": "invalid_client", "error_description": f"not {SECRET}"})
    with bench(answer, credentials=ClientCredentials("id", SECRET)) as b:
        with pytest.raises(
            AuthenticationError, match=r"invalid_client.*ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"
        ) as caught:
            b.walk()
        assert SECRET not in str(caught.value)
        assert len(b.server.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "invalid_client", "copy the client's identifier"),
        (400, "unauthorized_client", "its client kind must be Confidential"),
        (400, "unsupported_grant_type", "its client kind must be Confidential"),
        (400, "invalid_scope", "doesn't allow the requested scope read"),
        (403, "access_denied", "is confidential and allowed the client-credentials grant"),
        (400, {"title": "Bad"}, "is confidential and allowed the client-credentials grant"),
    ],
)
def test_a_refused_grant_names_a_remedy(status: int, code: Any, words: str) -> None:
    """A wrong client, a client without permission, or a scope that it can't grant."""
    with bench((status, {}, {"error": code}), credentials=ClientCredentials("id", SECRET)) as b:
        with pytest.raises(AuthenticationError, match="refused to give a token") as caught:
            b.walk()
        assert words in str(caught.value)
        assert "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET" in str(caught.value)


def test_an_html_page_is_not_a_response_of_the_token_endpoint() -> None:
    """Something in between refused the request, so the OAuth client is not blamed."""
    with bench((403, {}, "<title>Access denied</title>"), credentials=ClientCredentials("id", SECRET)) as b:
        with pytest.raises(ForbiddenError, match=r"POST /oauth/tokens.*Access denied") as caught:
            b.walk()
        assert "refused to give a token" not in str(caught.value)


@pytest.mark.parametrize(
    "trouble",
    [
        (503, {}, "no"),
        (429, {}, "no"),
        (200, {}, "<html>"),
        (200, {}, {}),
        (200, {}, []),
        (200, {}, {"access_token": "line\nend"}),
        (200, {}, {"access_token": 7}),
        cut(b"{}", 1),
    ],
    ids=str,
)
def test_a_temporary_failure_of_a_grant_is_retried(trouble: Item) -> None:
    """The token endpoint may fail for a moment too."""
    grant: Item = (200, {}, {"access_token": "t", "token_type": "bearer", "scope": "read write", "expires_in": None})
    with bench(trouble, grant, last_page(), credentials=ClientCredentials("id", SECRET)) as b:
        assert len(b.walk()) == 1


def test_the_credentials_check_makes_one_request() -> None:
    """Valid credentials are accepted, invalid ones are named, and a server error isn't retried."""
    with bench(last_page(), (401, {}, ""), (503, {}, "no"), (400, {}, "Too recent start_time")) as b:
        b.client.check()
        assert b.server.requests[0].query == {
            "start_time": str(int(NOW) - 3600),
            "per_page": "1",
            "support_type_scope": "agent",
        }
        with pytest.raises(AuthenticationError):
            b.client.check()
        with pytest.raises(TransientError, match="503 no"):
            b.client.check()
        b.client.check()
        assert len(b.server.requests) == 4
