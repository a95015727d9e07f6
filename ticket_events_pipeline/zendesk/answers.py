"""Answers that are not a page: what each means, what to do about it, and the short reason that a message quotes of it.

`Retryable` and `TooRecent` stay inside this package, where they are waited out. Every other error is for the caller, in full
sentences that name the variables to check. No redirect is followed.
https://developer.zendesk.com/api-reference/introduction/requests/#response-format
https://developer.zendesk.com/documentation/api-basics/working-with-data/understanding-the-api-error-messages/
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ticket_events_pipeline.credentials import FORMER_SUBDOMAINS, zendesk_subdomain
from ticket_events_pipeline.errors import (
    AccountNotFoundError,
    AuthenticationError,
    BlockedError,
    ForbiddenError,
    RequestRefusedError,
    TicketEventsError,
    TransientError,
)
from ticket_events_pipeline.text import one_line
from ticket_events_pipeline.zendesk.headers import rate_limit_wait_seconds, retry_after_seconds, server_time
from ticket_events_pipeline.zendesk.json_body import UnreadableJsonError, parse_json

REASON_LENGTH = 200
"""Characters of an answer that a message may quote: enough to act on, too few to spill a customer's records."""

_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>?")
# Only the start of a body is searched: the patterns above are quadratic on hostile text.
_EXAMINED_CHARACTERS = 4000

WEB_PAGE = "a captive portal, a proxy or a sign-in page answered, not Zendesk's API"
"""The explanation of a web page with status 200."""

# Bytes that may precede the first character of a body, in UTF-8 and UTF-16.
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"

MINIMUM_AGE_SECONDS = 60
"""The server refuses a start_time younger than this; older servers said five minutes."""

# Between the machine that judges a start_time and the one that dates the answer, generously.
_CLOCKS_DIFFER_SECONDS = 3600

_ALL_VARIABLES = (
    "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET, or ZENDESK_OAUTH_TOKEN, or ZENDESK_EMAIL and ZENDESK_API_TOKEN. "
    "Zendesk ended ZENDESK_PASSWORD at the end of 2025"
)
_TOO_RECENT = re.compile(r"too recent.{0,200}", re.IGNORECASE | re.DOTALL)
_AGE = re.compile(r"([0-9]{1,6})\s*(second|sec|minute|min|hour)", re.IGNORECASE)
_UNIT_SECONDS = {"sec": 1, "min": 60, "hou": 3600}
_CLOUDFLARE_TEXT = re.compile(r"error code: 1[0-9]{3}\b", re.IGNORECASE)
_CLOUDFLARE_JSON = re.compile(r'"cloudflare_error"\s*:\s*true')  # Cloudflare sends its errors as JSON to clients that accept it
_ADDRESS_WORDS = re.compile(r"\bIPs?\b|restricted|blocked|firewall", re.IGNORECASE)
_ADDRESS = re.compile(r"\bIP[- ]?(address|restriction)", re.IGNORECASE)
_SIGN_IN_SEGMENTS = frozenset(
    ("access", "adfs", "auth", "login", "saml", "saml2", "sign-in", "sign_in", "signin", "sso", "unauthenticated")
)
_USER_OF_URL = re.compile("//[^/?#]*@")
_SUSPENDED = re.compile("suspend", re.IGNORECASE)
_UNAUTHENTICATED = re.compile("authenticat|unauthori|invalid_(token|client|grant)", re.IGNORECASE)
_RATE_LIMITED = re.compile("rate.?limit|too.?many", re.IGNORECASE)
_NOT_PASSING = re.compile(
    "suspend|authenticat|unauthori|forbidden|denied|not.?found|unsupported|cancell?ed|expired|payment|subscription"
    "|invalid.?(endpoint|token|client|grant|scope|credential)",
    re.IGNORECASE,
)
"""Codes of errors about the account, the credentials or the address, which a retry can't change."""


@dataclass(frozen=True)
class Asked:
    """What messages say about a request: `what` was requested of which `host`, and the `variables` of its credentials.

    `expiry_hint` is a sentence about how credentials of that kind expire; `hide` removes the secrets from what may be quoted.
    `is_export` is false for the account's other endpoints, which need less.
    """

    what: str
    host: str = "Zendesk"
    variables: str = _ALL_VARIABLES
    expiry_hint: str = ""
    hide: Callable[[bytes], bytes] = field(default=bytes, repr=False)
    is_export: bool = True


class Retryable(TransientError):  # noqa: N818 - a condition that the client waits out, not an error for callers
    """May clear by itself; `wait_seconds` is what the server asks for, None if it asks for nothing."""

    def __init__(self, reason: str, *, wait_seconds: float | None = None) -> None:
        self.reason = reason
        self.wait_seconds = wait_seconds
        super().__init__(reason)


class Busy(Retryable):
    """408, 409, 5xx, or no connection."""


class Overtaxed(Busy):
    """A page may be too large for the server or the network: a timeout, a gateway's error, a broken connection."""


class RateLimited(Retryable):
    """429: the export quota is used up."""


class Unreadable(Retryable):
    """An answer with status 200 that is not a page."""


class TooLarge(Retryable):
    """A page of more bytes than the client accepts."""


class TooRecent(TicketEventsError):  # noqa: N818 - an answer, not an error: the walk has caught up
    """The requested start_time is younger than `age_seconds` at the server's time."""

    def __init__(self, *, age_seconds: int, server_time: float | None) -> None:
        self.age_seconds = age_seconds
        self.server_time = server_time
        super().__init__(f"start_time is younger than {age_seconds} seconds")

    def contradicts(self, start_time: int) -> bool:
        """Whether the server's own time says that `start_time` (epoch seconds) is far from recent."""
        return self.server_time is not None and self.server_time - start_time > self.age_seconds + _CLOCKS_DIFFER_SECONDS


def refusal(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> TicketEventsError:
    """The exception for an answer other than 200; returned, not raised."""
    reason = short_reason(body)
    if blocker := _blocker(status, headers, body):
        return _block(asked, f"{status} ({reason})", blocker)
    if status in (400, 422) and (found := _TOO_RECENT.search(beginning(body))):
        return TooRecent(age_seconds=_age_seconds(found.group()), server_time=server_time(headers))
    if status == 429:
        return RateLimited(f"429 {reason}", wait_seconds=rate_limit_wait_seconds(headers))
    if status in (408, 500, 502, 504) and retry_after_seconds(headers) is None:
        return Overtaxed(f"{status} {reason}")
    if status in (408, 409) or status >= 500:
        return Busy(f"{status} {reason}", wait_seconds=retry_after_seconds(headers))
    if 200 <= status < 300:
        return Unreadable(f"{status} instead of 200: {reason}")
    if 300 <= status < 400:
        return _redirect(asked, status, headers)
    if status == 407:
        return proxy_wants_authentication(asked.what, f"407: {reason}")
    return _final_refusal(asked, status, body, reason)


def error_with_200(asked: Asked, headers: Mapping[str, str], content: object) -> TicketEventsError | None:
    """The exception for the JSON of a 200 that is an error in one of Zendesk's shapes, else None.

    An unknown error is retried: it may be temporary, and an aborted backfill costs more than twelve requests. An error about
    the account, the credentials or the request is not.
    """
    reason = error_reason(content, hide=asked.hide)
    if reason is None:
        return None
    code = reason.partition(": ")[0]
    if _RATE_LIMITED.search(code):
        return RateLimited(f"200 with an error: {reason}", wait_seconds=rate_limit_wait_seconds(headers))
    if not _NOT_PASSING.search(code):
        return Unreadable(f"200 with an error: {reason}")
    answered = f"{asked.what}: {asked.host} answered 200, but with an error ({reason}). Retrying cannot clear this."
    if _SUSPENDED.search(code):
        return RequestRefusedError(
            f"{answered} Zendesk has suspended the account; its owner can settle that in Zendesk (Admin Center > Account > "
            f"Billing) or with Zendesk's support; nothing needs to be changed here."
        )
    if _UNAUTHENTICATED.search(code):
        return AuthenticationError(f"{answered} The credentials are wrong or expired. Check {asked.variables}.")
    return RequestRefusedError(
        f"{answered} Check that ZENDESK_SUBDOMAIN is right, and an admin's credentials: {asked.variables}."
    )


def proxy_wants_authentication(what: str, said: str) -> RequestRefusedError:
    """The exception for a 407; `said` is the proxy's message, without its address, which may hold a password."""
    return RequestRefusedError(
        f"{what}: the proxy wants authentication ({said}). Zendesk was not reached, and retrying cannot clear this. Put user "
        f"and password into HTTPS_PROXY (http://user:password@host:port, special characters percent-encoded), or name "
        f"Zendesk's host in NO_PROXY if it can be reached directly."
    )


def _blocker(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """Who refused a request before the API saw it; None where the answer may be the API's own."""
    is_json, text = is_json_like(body), beginning(body)
    is_challenge = status >= 400 and _header(headers, "cf-mitigated") != ""
    if is_challenge or (status == 403 and (_CLOUDFLARE_JSON if is_json else _CLOUDFLARE_TEXT).search(text)):
        return "Cloudflare, in front of Zendesk,"
    if status == 403 and is_json and _ADDRESS.search(text):
        return "an IP restriction of the account"
    if status != 403 or is_json:
        return None
    if "cloudflare" in _header(headers, "server").lower():
        return "Cloudflare, in front of Zendesk, or an IP restriction of the account,"
    # The API answers in JSON: a web page is not from it.
    if is_web_page(body) or _ADDRESS_WORDS.search(text):
        return "an IP restriction of the account, or a firewall or proxy on the way,"
    return None


def _block(asked: Asked, answer: str, blocker: str) -> BlockedError:
    return BlockedError(
        f"{asked.what}: {asked.host} answered {answer}. The API was not reached: {blocker} blocks this machine's "
        f"address or this program. The credentials were not checked: neither new ones nor retrying can clear this. If the "
        f"account has IP restrictions (Admin Center > Account > Security > Advanced), add this machine's address there. Else "
        f"run it from another network, or ask the administrator of this one (VPN, proxy, cloud) or Zendesk's support."
    )


def _redirect(asked: Asked, status: int, headers: Mapping[str, str]) -> TicketEventsError:
    """No redirect is followed. One to a sign-in page means that the request was not authenticated."""
    host, path = _target(headers)
    answered = f"{asked.what}: {asked.host} answered {status}, a redirect to"
    advice = _other_host_advice(asked.host, host)
    if _SIGN_IN_SEGMENTS.intersection(path.lower().split("/")):
        where = f"a sign-in page of {host}" if advice else f"the sign-in page {_shown(path)}"
        return AuthenticationError(
            f"{answered} {where}. It is not followed. The request was not authenticated: the credentials were not accepted, or "
            f"a single sign-on page is in front of the API; retrying cannot clear this. Check {asked.variables}, and that "
            f"ZENDESK_SUBDOMAIN (or ZENDESK_BASE_URL) is the account's own host.{advice}"
        )
    return RequestRefusedError(
        f"{answered} {host or 'the same host'}. It is not followed, so that credentials go to no other host."
        f"{advice or ' If ZENDESK_BASE_URL is set, check its scheme, host and path.'}"
    )


def _other_host_advice(asked_host: str, host: str) -> str:
    """What to set if the account has moved to `host`; empty if that is the requested host."""
    if host in ("", asked_host):
        return ""
    new, old = zendesk_subdomain(host), zendesk_subdomain(asked_host)
    if new is None:
        return " If that is your account's host, set ZENDESK_SUBDOMAIN or ZENDESK_BASE_URL to it."
    return (
        f" If the account was renamed, set ZENDESK_SUBDOMAIN={new}, and add {old or 'its former name'} to {FORMER_SUBDOMAINS} "
        f"so that the stored files stay its own. Unset ZENDESK_BASE_URL if it names the former host."
    )


def _final_refusal(asked: Asked, status: int, body: bytes, reason: str) -> TicketEventsError:
    answered = f"{asked.what}: {asked.host} answered {status} ({reason})."
    if status == 401:
        proxied = (
            " It answered with a web page: a proxy on the way may want credentials of its own." if is_web_page(body) else ""
        )
        return AuthenticationError(
            f"{answered} The credentials are wrong or expired; retrying cannot clear this. Check {asked.variables}.{proxied}"
            + (f" {asked.expiry_hint}" if asked.expiry_hint else "")
        )
    if status == 403:
        doubt = "" if is_json_like(body) else " It isn't JSON: it may come from a firewall or a proxy on the way. If not:"
        return ForbiddenError(f"{answered} Retrying cannot clear this.{doubt} {_needs(asked)} Check {asked.variables}.")
    if status == 404 and not asked.is_export:
        return AccountNotFoundError(f"{answered} The account, its plan or these credentials have no such endpoint.")
    if status == 404:
        return AccountNotFoundError(
            f"{answered} No such account, or no such export on it; retrying cannot clear this. Check ZENDESK_SUBDOMAIN, or "
            f"ZENDESK_BASE_URL if it is set. If the account was renamed, set its new name, and add the former one to "
            f"{FORMER_SUBDOMAINS}."
        )
    return RequestRefusedError(
        f"{answered} The request itself is refused; retrying cannot clear this. If the message doesn't say what to change, "
        f"report it with this text."
    )


def _needs(asked: Asked) -> str:
    scope = "an OAuth token needs the scope read (a misspelt scope gives a token that is refused everywhere)"
    if not asked.is_export:
        return f"The endpoint may need an admin's credentials; {scope}, not one of single endpoints."
    return f"The exports need an admin's credentials; {scope}; Zendesk also blocks exports for third-party integrations."


def _age_seconds(reason: str) -> int:
    found = _AGE.search(reason)
    return int(found.group(1)) * _UNIT_SECONDS[found.group(2)[:3].lower()] if found else MINIMUM_AGE_SECONDS


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((text for found, text in headers.items() if found.lower() == name), "")


def _target(headers: Mapping[str, str]) -> tuple[str, str]:
    """Host and path of a redirect; no host if it is the same one. Query and user are left out: they may be secret."""
    try:
        url = urlsplit(_USER_OF_URL.sub("//", _header(headers, "location")))
        return _shown(url.hostname or ""), url.path
    except ValueError:
        return "an unreadable address", ""


def _shown(text: str) -> str:
    """Text of a header, in visible ASCII on one line."""
    return quotable(text).encode("ascii", "backslashreplace").decode()


def short_reason(body: bytes) -> str:
    """What an error body says, in one line of at most REASON_LENGTH characters."""
    return quotable(_reason(body)) or "no message"


def error_reason(content: object, *, hide: Callable[[bytes], bytes]) -> str | None:
    """What a JSON value says if it is an error in one of Zendesk's shapes, else None; one line, as `short_reason` gives it.

    Anything else may be a customer's record and is never quoted. `hide` removes secrets.
    """
    if not isinstance(content, dict):
        return None
    error, errors = content.get("error"), content.get("errors")
    if not (isinstance(error, str | dict) and error) and not (isinstance(errors, list) and errors):
        return None
    return quotable(hide(_from_object(content).encode("utf-8", "replace")).decode("utf-8", "replace")) or "no message"


def instead_of_json(body: bytes, error: UnreadableJsonError) -> str:
    """What the body that `error` was raised for is. A web page's title or a text is quoted, JSON is not."""
    if is_web_page(body):
        return f"a web page ({short_reason(body)}) instead of JSON: {WEB_PAGE}"
    # The start of a page holds customers' records.
    return f"{error}" if is_json_like(body) or not body.strip() else f"{error} ({short_reason(body)})"


def is_web_page(body: bytes) -> bool:
    """Whether the body begins as HTML or XML does."""
    return _first_character(body) == b"<"


def is_json_like(body: bytes) -> bool:
    """Whether the body begins as a JSON object or list does, whole or cut."""
    return _first_character(body) in (b"{", b"[")


def quotable(text: str) -> str:
    """The text as a message may quote it: one line without tags, at most REASON_LENGTH characters."""
    return one_line(_TAG.sub(" ", text[:_EXAMINED_CHARACTERS]), limit=REASON_LENGTH)


def beginning(body: bytes) -> str:
    """The body's first characters as text, whatever it is."""
    return body[:_EXAMINED_CHARACTERS].decode("utf-8", "replace")


def _first_character(body: bytes) -> bytes:
    return body[:_EXAMINED_CHARACTERS].lstrip(_BEFORE_TEXT)[:1]


def _reason(body: bytes) -> str:
    text = beginning(body)
    try:
        content = parse_json(body)
    except UnreadableJsonError:
        content = None
    if isinstance(content, dict):
        return _from_object(content) or text
    if text.lstrip().startswith("<"):
        title = _TITLE.search(text)
        return html.unescape(title.group(2) if title else _HIDDEN.sub(" ", text))
    return text


def _from_object(content: dict[str, object]) -> str:
    errors = content.get("errors")
    nested = errors[0] if isinstance(errors, list) and errors else content.get("error")
    source = nested if isinstance(nested, dict) else content
    names = ("error", "code", "title", "message", "description", "detail", "details", "error_description")
    texts = [value for name in names if isinstance(value := source.get(name), str) and value]
    if isinstance(nested, str) and nested not in texts:
        texts.insert(0, nested)
    return ": ".join(dict.fromkeys(texts))
