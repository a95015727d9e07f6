"""Error messages for responses other than a page, of the exports and the token endpoint: each names a cause and a remedy."""

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
    """The error message for a response that is not retried."""
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
    message = refusal_of(what, status, headers, body, kind=BlockedError, match=f"answered {status} ")
    assert "blocks this machine's address or this program. The credentials were not checked" in message
    assert "Admin Center > Account > Security > Advanced" in message
    assert "ZENDESK_OAUTH" not in message
    assert ("Cloudflare" in message) == (block not in NOT_CLOUDFLARES)


@pytest.mark.parametrize("what", list(KINDS))
def test_a_403_in_json_is_about_the_user(what):
    """This holds behind Cloudflare too, as all of Zendesk's responses are."""
    body = {"error": "Forbidden", "description": "You do not have access: IP 10.0.0.1, error code: 1020"}
    kind = {"export": ForbiddenError, "grant": AuthenticationError}[what]
    message = refusal_of(what, 403, CLOUDFLARE, body, kind=kind, match="Forbidden: You do not have access")
    assert VARIABLES[what] in message
    assert "credentials were not checked" not in message


@pytest.mark.parametrize("body", ["Forbidden", "You are not authorized", ""])
def test_a_403_in_text_without_a_block_names_both_possible_causes(body):
    message = refusal_of("export", 403, TEXT, body, kind=ForbiddenError, match="may come from a firewall or a proxy")
    assert "admin's credentials" in message


@pytest.mark.parametrize(("body", "hint"), [("Couldn't authenticate you", ""), ("<title>Sign in</title>", "proxy on the way")])
def test_a_401_without_json_is_about_the_credentials(body, hint):
    message = refusal_of("export", 401, HTML if hint else TEXT, body, kind=AuthenticationError, match="wrong or expired")
    assert "Check ZENDESK_OAUTH_TOKEN." in message
    assert hint in message
    assert bool(hint) == ("proxy" in message)


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
def test_a_redirect_to_a_sign_in_page_means_not_authenticated(what, location, status):
    kind = AuthenticationError
    message = refusal_of(what, status, {"Location": f"{location}#{SECRET}"}, "moved", kind=kind, match=f"answered {status}")
    path = location.partition("?")[0]
    assert f"a redirect to the sign-in page {path}. It is not followed. The request was not authenticated" in message
    assert f"Check {VARIABLES[what]}" in message
    assert "return_to" not in message


@pytest.mark.parametrize("what", list(KINDS))
def test_a_redirect_to_a_foreign_sign_in_page_shows_only_its_host(what):
    location = f"https://user:{SECRET}@sso.example.com/app/login/{SECRET}?SAMLRequest={SECRET}"
    message = refusal_of(what, 302, {"Location": location}, "", kind=AuthenticationError)
    assert "a sign-in page of sso.example.com. It is not followed" in message
    assert "/app" not in message


def test_a_secret_in_the_path_of_a_sign_in_page_is_hidden():
    message = refusal_of("export", 302, {"Location": f"/access/login/{SECRET}"}, "", kind=AuthenticationError)
    assert "the sign-in page /access/login/[hidden]." in message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("what", list(KINDS))
def test_a_redirect_to_the_accounts_new_host_names_the_settings_to_change(what, status):
    location = "https://acme-new.zendesk.com/api/v2/incremental/ticket_events?start_time=1"
    message = refusal_of(what, status, {"Location": location}, "moved", kind=RequestRefusedError)
    assert "a redirect to acme-new.zendesk.com. It is not followed, so that credentials go to no other host" in message
    assert "set ZENDESK_SUBDOMAIN=acme-new, and add its former name to ZENDESK_FORMER_SUBDOMAINS" in message


REQUEST = PageRequest(TICKET_EVENTS, T)


def decoded(status, headers, body, *, host="acme.zendesk.com", request=REQUEST):
    asked = Asked(str(request), host, "ZENDESK_OAUTH_TOKEN")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller checks its type
        decode_page(request, status, headers, body, asked=asked)
    return caught.value


@pytest.mark.parametrize("path", ["/api/v2/incremental/ticket_events", "/access/unauthenticated"])
def test_the_former_name_is_that_of_the_requested_host(path):
    message = str(decoded(302, {"location": f"https://acme-new.zendesk.com{path}"}, b""))
    assert "set ZENDESK_SUBDOMAIN=acme-new, and add acme to ZENDESK_FORMER_SUBDOMAINS" in message
    assert ("not authenticated" in message) == (path == "/access/unauthenticated")


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
def test_a_hostile_redirect_is_shown_in_visible_ascii(location, words):
    message = str(decoded(302, {"Location": location}, b""))
    assert words in message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 1000


def test_a_404_mentions_a_renamed_account():
    assert "add the former one to ZENDESK_FORMER_SUBDOMAINS" in str(decoded(404, {}, b'{"error": "RecordNotFound"}'))


@pytest.mark.parametrize("what", list(KINDS))
def test_a_407_from_the_server_is_blamed_on_a_proxy(what):
    message = refusal_of(what, 407, HTML, "<title>Proxy login</title>", kind=RequestRefusedError)
    assert "the proxy wants authentication (407: Proxy login). Zendesk was not reached" in message
    assert "HTTPS_PROXY" in message


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
def test_a_refusal_by_a_proxy_is_blamed_on_the_proxy(tmp_path, monkeypatch, kind, refusal, words):
    """Without a retry; its password and the credentials are not shown."""
    with at_a_real_host(tmp_path, monkeypatch, kind=kind, refuses=True, refusal=refusal) as (made, way):
        with pytest.raises(RequestRefusedError) as caught:
            made.walk()
        assert (len(way.heads), made.time.waits) == (1, [])
    message = shown(caught.value) + "".join(made.log)
    assert words in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert PROXY_PASSWORD not in message
    assert SECRET not in message


@pytest.mark.parametrize("refusal", ["502 Bad Gateway", "503 Busy", "429 Slow down"])
def test_a_temporary_proxy_error_is_retried_and_names_the_proxy(tmp_path, monkeypatch, refusal):
    with at_a_real_host(tmp_path, monkeypatch, refuses=True, refusal=refusal) as (made, way):
        with pytest.raises(TransientError, match="no connection through the proxy that HTTPS_PROXY names") as caught:
            made.walk()
        assert len(way.heads) == 12
    assert f"({refusal})" in str(caught.value)
    assert PROXY_PASSWORD not in shown(caught.value) + "".join(made.log)


def test_an_unreachable_proxy_is_named(tmp_path, monkeypatch):
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
def test_an_error_in_a_200_is_quoted_and_not_retried_for_a_suspended_account(what, body, reason):
    message = refusal_of(what, 200, {}, body, kind=RequestRefusedError)
    assert (
        f"answered 200, but with an error ({reason}). Retrying cannot clear this. Zendesk has suspended the account" in message
    )


def test_doctor_reports_a_suspended_account():
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
def test_a_permanent_error_in_a_200_is_not_retried(what, body, kind):
    assert VARIABLES[what] in refusal_of(what, 200, {}, body, kind=kind, match="answered 200, but with an error")


@pytest.mark.parametrize("code", ["InternalError", "upstream_unavailable", "DatabaseConflict", "InvalidValue", "Oops"])
@pytest.mark.parametrize("what", list(KINDS))
def test_a_temporary_error_in_a_200_is_retried(what, code):
    """An unknown error is retried too: a backfill that stops for a brief gateway error costs more than twelve requests."""
    grant = [(200, {}, {"access_token": "t"})] if what == "grant" else []
    failed = (200, DATED, {"error": code, "description": "invalid, forbidden and not found"})
    with bench(failed, *grant, last_page(1), credentials=KINDS[what]) as made:
        assert len(made.walk()) == 1
        assert f"200 with an error: {code}: invalid, forbidden and not found" in made.log[0]


def test_a_rate_limit_in_a_200_causes_a_wait():
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
def test_customer_records_are_not_quoted_as_errors(body, stream):
    error = decoded(200, {}, json.dumps(body).encode(), request=PageRequest(stream, T))
    assert str(error) == f"200 with JSON that holds no list '{stream.name}'"


def test_a_hostile_reason_is_shortened_and_escaped_and_shows_no_secrets():
    body = {"error": "Oops", "description": f"<b>\x1b[31m{SECRET}\n\u2028</b>" + "x" * 5000}
    with bench((200, DATED, body), last_page()) as made:
        made.walk()
    message = made.log[0].partition("; waiting")[0]
    assert "Oops: [31m[hidden] xxx" in message
    assert len(message) < 300
    assert message.isprintable()


@pytest.mark.parametrize("stream", [TICKET_EVENTS, TICKET_METRIC_EVENTS])
def test_an_error_with_an_empty_list_is_not_the_end_of_the_stream(stream):
    body = json.dumps({stream.name: [], "error": "Forbidden", "description": "no", "end_of_stream": True}).encode()
    with pytest.raises(RequestRefusedError, match=r"answered 200, but with an error \(Forbidden: no\)"):
        decode_page(PageRequest(stream, T), 200, {}, body)


def test_a_json_403_of_an_ip_restriction_does_not_blame_the_credentials():
    body = json.dumps({"error": "Forbidden", "description": "Your IP address is restricted"}).encode()
    with pytest.raises(BlockedError, match=r"an IP restriction of the account blocks this machine's address"):
        decode_page(PageRequest(TICKET_EVENTS, T), 403, {}, body)


@pytest.mark.parametrize("stream", [TICKET_EVENTS, TICKET_METRIC_EVENTS])
def test_a_page_with_rows_is_a_page_regardless_of_other_members(stream):
    body = json.dumps({stream.name: [], "error": None, "errors": [], "end_of_stream": True}).encode()
    assert decode_page(PageRequest(stream, T), 200, {}, body).rows == []


@pytest.mark.parametrize("what", list(KINDS))
def test_a_captive_portals_page_is_recognized(what):
    """It may disappear, so the request is retried."""
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
