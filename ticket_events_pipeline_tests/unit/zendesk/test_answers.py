"""Answers that are no page: each message names the cause and what to do, of the exports and of the token endpoint alike."""

import json
import socket
from email.utils import formatdate

import pytest

from ticket_events_pipeline.credentials import BearerToken, ClientCredentials
from ticket_events_pipeline.errors import AuthenticationError, BlockedError, ForbiddenError, RequestRefusedError, TransientError
from ticket_events_pipeline.zendesk.answers import Asked, RateLimited, Unreadable
from ticket_events_pipeline.zendesk.page import PageRequest, decode_page
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET, T, bench, last_page
from ticket_events_pipeline_tests.support.real_host import PROXY_PASSWORD, at_a_real_host, shown
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS, TICKET_METRIC_EVENTS

CASES = SAMPLES / "cases"
BLOCKED = json.loads((CASES / "cloudflare-challenge-is-blamed-on-the-credentials.json").read_text())["raw_answer"]
SUSPENDED = json.loads((CASES / "reason-of-a-json-error-with-200-is-withheld.json").read_text())["answers"]["*"]
KINDS = {"export": BearerToken(SECRET), "grant": ClientCredentials("id", SECRET)}
VARIABLES = {"export": "ZENDESK_OAUTH_TOKEN", "grant": "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"}
DATED = {"Date": formatdate(NOW, usegmt=True)}
HTML, TEXT = {"Content-Type": "text/html; charset=UTF-8"}, {"Content-Type": "text/plain"}
CLOUDFLARE = {"Server": "cloudflare"}


def refusal_of(what, *answer, kind, match=None):
    """The message of the first answer, which is not asked for again."""
    with bench(answer, last_page(), credentials=KINDS[what]) as made:
        with pytest.raises(kind, match=match) as caught:
            made.walk()
        assert (len(made.server.requests), made.time.waits) == (1, [])
    assert SECRET not in shown(caught.value) + "".join(made.log)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    return message


BLOCKS = {
    "the case": (BLOCKED["status"], BLOCKED["headers"], BLOCKED["body"]),
    "challenge of another status": (429, {**HTML, "Cf-Mitigated": "challenge"}, "<title>Just a moment...</title>"),
    "challenge of a gateway": (503, {**HTML, "cf-mitigated": "challenge"}, "<title>Just a moment...</title>"),
    "1020 as text": (403, {**TEXT, **CLOUDFLARE}, "error code: 1020"),
    "1010 as text, without a server": (403, TEXT, "error code: 1010"),
    "1006 as a page": (403, {**HTML, **CLOUDFLARE}, "<html><title>Access denied</title>Error code: 1006</html>"),
    "Cloudflare's JSON": (403, CLOUDFLARE, {"title": "Error 1020: Access denied", "cloudflare_error": True}),
    "nothing but the server": (403, CLOUDFLARE, ""),
    "IP restriction as a page": (403, HTML, "<html><title>Access restricted</title>Your IP address is not allowed</html>"),
    "IP restriction as text": (403, TEXT, "Access from your IP is restricted by the account"),
    "a firewall's page": (403, HTML, "\ufeff <html><head><title>Blocked</title></head></html>"),
}
NOT_CLOUDFLARES = {"IP restriction as a page", "IP restriction as text", "a firewall's page"}


@pytest.mark.parametrize("block", list(BLOCKS))
@pytest.mark.parametrize("what", list(KINDS))
def test_a_block_is_not_blamed_on_the_credentials(what, block):
    status, headers, body = BLOCKS[block]
    told = refusal_of(what, status, headers, body, kind=BlockedError, match=f"answered {status} ")
    assert "blocks this machine's address or this program. The credentials were not checked" in told
    assert "Admin Center > Account > Security > Advanced" in told
    assert "ZENDESK_OAUTH" not in told
    assert ("Cloudflare" in told) == (block not in NOT_CLOUDFLARES)


@pytest.mark.parametrize("what", list(KINDS))
def test_a_403_in_json_is_about_the_user(what):
    """Also one that came through Cloudflare, as all of Zendesk's do."""
    body = {"error": "Forbidden", "description": "You do not have access: IP 10.0.0.1, error code: 1020"}
    kind = {"export": ForbiddenError, "grant": AuthenticationError}[what]
    told = refusal_of(what, 403, CLOUDFLARE, body, kind=kind, match="Forbidden: You do not have access")
    assert VARIABLES[what] in told
    assert "credentials were not checked" not in told


@pytest.mark.parametrize("body", ["Forbidden", "You are not authorized", ""])
def test_a_403_in_text_that_names_no_block_leaves_both_open(body):
    told = refusal_of("export", 403, TEXT, body, kind=ForbiddenError, match="may come from a firewall or a proxy")
    assert "admin's credentials" in told


@pytest.mark.parametrize(("body", "hint"), [("Couldn't authenticate you", ""), ("<title>Sign in</title>", "proxy on the way")])
def test_a_401_without_json_is_about_the_credentials_all_the_same(body, hint):
    told = refusal_of("export", 401, HTML if hint else TEXT, body, kind=AuthenticationError, match="wrong or expired")
    assert "Check ZENDESK_OAUTH_TOKEN." in told
    assert hint in told
    assert bool(hint) == ("proxy" in told)


SIGN_INS = [
    "/access/unauthenticated",
    "/access/login?return_to=https%3A%2F%2Facme.zendesk.com%2Fapi",
    "/auth/v2/login/signin",
    "/hc/en-us/signin",
    "/access/saml",
]


@pytest.mark.parametrize("status", [302, 303, 307])
@pytest.mark.parametrize("location", SIGN_INS)
@pytest.mark.parametrize("what", list(KINDS))
def test_a_redirect_to_a_sign_in_page_says_that_nobody_was_authenticated(what, location, status):
    kind = AuthenticationError
    told = refusal_of(what, status, {"Location": f"{location}#{SECRET}"}, "moved", kind=kind, match=f"answered {status}")
    path = location.partition("?")[0]
    assert f"a redirect to the sign-in page {path}. It is not followed. The request was not authenticated" in told
    assert f"Check {VARIABLES[what]}" in told
    assert "return_to" not in told


@pytest.mark.parametrize("what", list(KINDS))
def test_a_redirect_to_somebody_elses_sign_in_page_names_its_host_alone(what):
    location = f"https://user:{SECRET}@sso.example.com/app/login/{SECRET}?SAMLRequest={SECRET}"
    told = refusal_of(what, 302, {"Location": location}, "", kind=AuthenticationError)
    assert "a sign-in page of sso.example.com. It is not followed" in told
    assert "/app" not in told


def test_a_secret_in_the_path_of_a_sign_in_page_is_hidden():
    told = refusal_of("export", 302, {"Location": f"/access/login/{SECRET}"}, "", kind=AuthenticationError)
    assert "the sign-in page /access/login/[hidden]." in told


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("what", list(KINDS))
def test_a_redirect_to_the_accounts_new_host_says_how_to_rename_it(what, status):
    location = "https://acme-new.zendesk.com/api/v2/incremental/ticket_events?start_time=1"
    told = refusal_of(what, status, {"Location": location}, "moved", kind=RequestRefusedError)
    assert "a redirect to acme-new.zendesk.com. It is not followed, so that credentials go to no other host" in told
    assert "set ZENDESK_SUBDOMAIN=acme-new, and add its former name to ZENDESK_FORMER_SUBDOMAINS" in told


REQUEST = PageRequest(TICKET_EVENTS, T)


def decoded(status, headers, body, *, host="acme.zendesk.com", request=REQUEST):
    asked = Asked(str(request), host, "ZENDESK_OAUTH_TOKEN")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its type is what is looked at
        decode_page(request, status, headers, body, asked=asked)
    return caught.value


@pytest.mark.parametrize("path", ["/api/v2/incremental/ticket_events", "/access/unauthenticated"])
def test_the_former_name_is_the_one_of_the_host_that_was_asked(path):
    told = str(decoded(302, {"location": f"https://acme-new.zendesk.com{path}"}, b""))
    assert "set ZENDESK_SUBDOMAIN=acme-new, and add acme to ZENDESK_FORMER_SUBDOMAINS" in told
    assert ("not authenticated" in told) == (path == "/access/unauthenticated")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://b\u00fccher.example/<b>\x1b[31m", "redirect to b\\xfccher.example. "),
        ("https://evil\x1b31m.example/", "redirect to evil 31m.example. "),
        ("https://evil\x1b[31m.example/", "redirect to an unreadable address. "),
        (f"https://{'a' * 900}.example/", "…".encode("ascii", "backslashreplace").decode()),
        ("https://a.b.zendesk.com/", "set ZENDESK_SUBDOMAIN or ZENDESK_BASE_URL to it"),
        ("/api/v2/incremental/ticket_events/", "redirect to the same host. "),
        ("", "redirect to the same host. "),
    ],
)
def test_a_hostile_redirect_is_told_in_visible_ascii(location, words):
    told = str(decoded(302, {"Location": location}, b""))
    assert words in told
    assert told.isascii()
    assert told.isprintable()
    assert len(told) < 1000


def test_a_404_speaks_of_a_renamed_account():
    assert "add the former one to ZENDESK_FORMER_SUBDOMAINS" in str(decoded(404, {}, b'{"error": "RecordNotFound"}'))


@pytest.mark.parametrize("what", list(KINDS))
def test_a_407_of_the_server_itself_is_a_proxys(what):
    told = refusal_of(what, 407, HTML, "<title>Proxy login</title>", kind=RequestRefusedError)
    assert "the proxy wants authentication (407: Proxy login). Zendesk was not reached" in told
    assert "HTTPS_PROXY" in told


@pytest.mark.parametrize("kind", ["token", "client"])
@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("407 Proxy Authentication Required", "the proxy wants authentication (407 Proxy Authentication Required)"),
        ("407 \x1b[31mNo", "the proxy wants authentication (407 [31mNo)"),
        ("403 Forbidden", "the proxy that HTTPS_PROXY names refuses to connect to that host (403 Forbidden)"),
        ("405 Method Not Allowed", "refuses to connect to that host (405 Method Not Allowed)"),
    ],
)
def test_a_proxy_that_refuses_is_the_one_to_ask(tmp_path, monkeypatch, kind, refusal, words):
    """At once, without another try; its password and the credentials stand nowhere."""
    with at_a_real_host(tmp_path, monkeypatch, kind=kind, refuses=True, refusal=refusal) as (made, way):
        with pytest.raises(RequestRefusedError) as caught:
            made.walk()
        assert (len(way.heads), made.time.waits) == (1, [])
    told = shown(caught.value) + "".join(made.log)
    assert words in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert PROXY_PASSWORD not in told
    assert SECRET not in told


@pytest.mark.parametrize("refusal", ["502 Bad Gateway", "503 Busy", "429 Slow down"])
def test_a_proxy_in_trouble_is_asked_again_and_named(tmp_path, monkeypatch, refusal):
    with at_a_real_host(tmp_path, monkeypatch, refuses=True, refusal=refusal) as (made, way):
        with pytest.raises(TransientError, match="no connection through the proxy that HTTPS_PROXY names") as caught:
            made.walk()
        assert len(way.heads) == 12
    assert f"({refusal})" in str(caught.value)
    assert PROXY_PASSWORD not in shown(caught.value) + "".join(made.log)


def test_a_proxy_that_is_gone_is_named(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with at_a_real_host(tmp_path, monkeypatch) as (made, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PROXY_PASSWORD}@127.0.0.1:{port}")
        with pytest.raises(TransientError, match=r"proxy that HTTPS_PROXY names \(ConnectionRefusedError") as caught:
            made.client.check()
    assert PROXY_PASSWORD not in shown(caught.value)


SHAPES = [
    ({"error": "AccountSuspended", "description": "Account suspended"}, "AccountSuspended: Account suspended"),
    ({"error": {"title": "Suspended", "message": "Ask the owner"}}, "Suspended: Ask the owner"),
    ({"errors": [{"code": "AccountSuspended", "title": "No", "detail": "really"}]}, "AccountSuspended: No: really"),
    ({"error": "This account is suspended"}, "This account is suspended"),
]


@pytest.mark.parametrize(("body", "reason"), SHAPES)
@pytest.mark.parametrize("what", list(KINDS))
def test_an_error_in_a_200_is_quoted_and_a_suspended_account_asked_once(what, body, reason):
    told = refusal_of(what, 200, {}, body, kind=RequestRefusedError)
    assert f"answered 200, but with an error ({reason}). Retrying cannot clear this. Zendesk has suspended the account" in told


def test_the_case_of_a_suspended_account_is_told_by_the_doctors_check():
    with bench((200, {}, SUSPENDED)) as made, pytest.raises(RequestRefusedError, match="AccountSuspended: Account suspended"):
        made.client.check()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": "Couldn't authenticate you"}, AuthenticationError),
        ({"error": "invalid_token", "error_description": "The access token is revoked"}, AuthenticationError),
        ({"error": {"title": "Forbidden", "message": "No access"}}, RequestRefusedError),
        ({"error": "RecordNotFound", "description": "Not found"}, RequestRefusedError),
        ({"error": "InvalidEndpoint", "description": "Not found"}, RequestRefusedError),
    ],
)
@pytest.mark.parametrize("what", list(KINDS))
def test_an_error_in_a_200_that_no_retry_can_clear_ends_at_once(what, body, kind):
    assert VARIABLES[what] in refusal_of(what, 200, {}, body, kind=kind, match="answered 200, but with an error")


@pytest.mark.parametrize("code", ["InternalError", "upstream_unavailable", "DatabaseConflict", "InvalidValue", "Oops"])
@pytest.mark.parametrize("what", list(KINDS))
def test_an_error_in_a_200_that_may_pass_is_asked_for_again(what, code):
    """Also one that is unknown: a backfill that ends for a gateway's bad moment costs more than twelve requests."""
    grant = [(200, {}, {"access_token": "t"})] if what == "grant" else []
    failed = (200, DATED, {"error": code, "description": "invalid, forbidden and not found"})
    with bench(failed, *grant, last_page(1), credentials=KINDS[what]) as made:
        assert len(made.walk()) == 1
        assert f"200 with an error: {code}: invalid, forbidden and not found" in made.log[0]


def test_a_rate_limit_in_a_200_is_waited_out():
    with bench((200, {"Retry-After": "17"}, {"error": "APIRateLimitExceeded"}), last_page(1)) as made:
        made.walk()
        assert made.time.waits == [17]


@pytest.mark.parametrize(
    "body",
    [
        {"subject": "private", "description": "private"},
        {"ticket": {"subject": "private", "error": "private"}},
        {"tickets": [{"subject": "private"}], "title": "private", "message": "private"},
        {"error": None, "errors": [], "description": "private"},
        {"error": 7, "detail": "private"},
        [{"error": "private"}],
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [TICKET_EVENTS, TICKET_METRIC_EVENTS])
def test_what_is_no_error_is_a_customers_record_and_not_quoted(body, stream):
    error = decoded(200, {}, json.dumps(body).encode(), request=PageRequest(stream, T))
    assert str(error) == f"200 with JSON that holds no list '{stream.name}'"


def test_a_long_and_hostile_reason_is_bounded_escaped_and_without_secrets():
    body = {"error": "Oops", "description": f"<b>\x1b[31m{SECRET}\n\u2028</b>" + "x" * 5000}
    with bench((200, DATED, body), last_page()) as made:
        made.walk()
    told = made.log[0].partition("; waiting")[0]
    assert "Oops: [31m[hidden] xxx" in told
    assert len(told) < 300
    assert told.isprintable()


@pytest.mark.parametrize("stream", [TICKET_EVENTS, TICKET_METRIC_EVENTS])
def test_an_error_beside_an_empty_list_is_an_error_and_no_end_of_the_stream(stream):
    body = json.dumps({stream.name: [], "error": "Forbidden", "description": "no", "end_of_stream": True}).encode()
    with pytest.raises(RequestRefusedError, match=r"answered 200, but with an error \(Forbidden: no\)"):
        decode_page(PageRequest(stream, T), 200, {}, body)


def test_a_json_403_of_an_ip_restriction_does_not_blame_the_credentials():
    body = json.dumps({"error": "Forbidden", "description": "Your IP address is restricted"}).encode()
    with pytest.raises(BlockedError, match=r"an IP restriction of the account blocks this machine's address"):
        decode_page(PageRequest(TICKET_EVENTS, T), 403, {}, body)


@pytest.mark.parametrize("stream", [TICKET_EVENTS, TICKET_METRIC_EVENTS])
def test_a_page_with_rows_is_a_page_whatever_else_it_says(stream):
    body = json.dumps({stream.name: [], "error": None, "errors": [], "end_of_stream": True}).encode()
    assert decode_page(PageRequest(stream, T), 200, {}, body).rows == []


@pytest.mark.parametrize("what", list(KINDS))
def test_a_captive_portals_page_is_told_as_one(what):
    """It may clear by itself: it is asked for again."""
    grant = [(200, {}, {"access_token": "t"})] if what == "grant" else []
    portal = (200, HTML | DATED, b"\xef\xbb\xbf<html><head><title>Hotel Wi-Fi</title></head></html>")
    with bench(portal, *grant, last_page(1), credentials=KINDS[what]) as made:
        made.walk()
    assert "web page" in made.log[0]
    assert "a captive portal, a proxy or a sign-in page answered" in made.log[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_page_cut_short_is_not_quoted_in_any_encoding(encoding):
    cut = '{"ticket_events": [{"subject": "private'.encode(encoding)
    error = decoded(200, {}, cut)
    assert isinstance(error, Unreadable)
    assert "p" not in str(error).partition("(")[2]


def test_a_rate_limit_in_a_200_keeps_the_servers_wait():
    error = decoded(200, {"Retry-After": "5"}, b'{"error": "TooManyRequests"}')
    assert (type(error), error.wait_seconds) == (RateLimited, 5)
