"""Authentication: puts each kind of credentials on a request, and fetches tokens for an OAuth client.

Every object hides its secrets in its repr, and no local variable holds one while an error is raised, since some loggers show
them.
https://developer.zendesk.com/documentation/api-basics/authentication/creating-and-using-oauth-tokens-with-the-api/
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import requests
from requests.auth import AuthBase

from ticket_events_pipeline.credentials import (
    API_TOKENS_END,
    CLIENT_CREDENTIALS,
    SANDBOX_TOKEN,
    ApiToken,
    BearerToken,
    ClientCredentials,
    Credentials,
    Password,
    SandboxToken,
    is_loopback,
)
from ticket_events_pipeline.day import Clock
from ticket_events_pipeline.errors import AuthenticationError, BlockedError, TicketEventsError, UsageError
from ticket_events_pipeline.zendesk.answers import (
    WEB_PAGE,
    Asked,
    Busy,
    Retryable,
    TooLarge,
    Unreadable,
    error_with_200,
    is_web_page,
    refusal,
    short_reason,
)
from ticket_events_pipeline.zendesk.connection import NETWORK_ERRORS, OneHostSession, network_failure, read_body
from ticket_events_pipeline.zendesk.json_body import UnreadableJsonError, parse_json

_SCOPE = "read"  # the narrowest that opens the exports; a misspelt one yields a token that gets 403 everywhere
_TOKEN_PATH = "/oauth/tokens"  # noqa: S105 - a path

ASKED_LIFETIME_SECONDS = 1800
"""Asked for with every grant: unless `expires_in` is sent, the answer may not say when the token ends.

Zendesk takes more than 300 and less than 172,800. Half an hour is the default of newer OAuth clients. A leaked token
soon becomes useless, and a long backfill pays one request in half an hour for it, outside the export quota.
"""

EARLY_RENEWALS = 10
"""Tokens that may be refused before their end within one lifetime.

It isn't documented whether a grant revokes the client's earlier tokens. If it does, two processes that share a client revoke
each other's: both continue at the price of renewals, within this bound.
"""

# Renewed a little early, so that a token doesn't run out between our clock and the server's.
_RENEWAL_MARGIN_SECONDS = 60.0
_VISIBLE_ASCII = re.compile(r"[!-~]+")  # all that a header carries
_MOST_TOKEN_BYTES = 2**20


def variables_of(credentials: Credentials) -> str:
    """The variables of these credentials, for messages."""
    if isinstance(credentials, SandboxToken):
        return SANDBOX_TOKEN
    if isinstance(credentials, BearerToken):
        return "ZENDESK_OAUTH_TOKEN"
    if isinstance(credentials, ClientCredentials):
        return CLIENT_CREDENTIALS
    return "ZENDESK_EMAIL and ZENDESK_API_TOKEN" if isinstance(credentials, ApiToken) else "ZENDESK_EMAIL and ZENDESK_PASSWORD"


def expiry_hint(credentials: Credentials) -> str:
    """How these credentials expire, and what to set instead, for messages; empty for an OAuth client."""
    if isinstance(credentials, BearerToken):
        return f"A fixed token ends, often after 30 minutes: for a schedule set {CLIENT_CREDENTIALS} instead."
    if isinstance(credentials, ApiToken):
        return (
            f"Zendesk deactivates API tokens that are unused for 30 days, gives no new ones and ends all of them on "
            f"{API_TOKENS_END}: set {CLIENT_CREDENTIALS} instead."
        )
    if isinstance(credentials, Password):
        return f"Zendesk ended password access for all accounts at the end of 2025: set {CLIENT_CREDENTIALS} instead."
    return ""


class HeaderAuth(AuthBase):
    """Sends a fixed `Authorization` header; `secrets` are hidden if a server or a proxy echoes them."""

    def __init__(self, header: str, *secrets: str) -> None:
        self._header = header
        self._secrets = _spellings(*secrets, header.partition(" ")[2])

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the header on `request`."""
        request.headers["Authorization"] = self._header
        return request

    def renew(self) -> bool:
        """Nothing to renew."""
        return False

    def hide(self, body: bytes) -> bytes:
        """`body` without the secrets."""
        return _without(self._secrets, body)


@dataclass
class AccessToken:
    """The access token of an OAuth client, which connections that follow each other share.

    Attributes:
        text: None before the first one, and once it was refused.
        renew_at: epoch seconds.
        refused_at: when the last ones were refused before their end.
    """

    text: str | None = field(default=None, repr=False)
    renew_at: float = 0.0
    refused_at: deque[float] = field(default_factory=lambda: deque(maxlen=EARLY_RENEWALS))


class ClientCredentialsAuth(AuthBase):
    """Fetches an access token, keeps it until shortly before it ends, and sends it.

    It serves one client, which serves one thread: no token is shared between threads or processes, so none waits for another's
    renewal.
    """

    def __init__(
        self,
        base_url: str,
        credentials: ClientCredentials,
        *,
        session: OneHostSession,
        clock: Clock,
        token: AccessToken | None = None,
    ) -> None:
        self._url = base_url + _TOKEN_PATH
        self._host = urlsplit(base_url).hostname or ""
        self._credentials = credentials
        self._session = session
        self._clock = clock
        self._token = token or AccessToken()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on `request`, fetching one if there is none or it is about to end.

        Raises:
            AuthenticationError: the grant is refused.
            Retryable: the token can't be fetched just now.
        """
        if self._token.text is None or self._clock() >= self._token.renew_at:
            self._fetch_token()
        request.headers["Authorization"] = f"Bearer {self._token.text}"
        return request

    def renew(self) -> bool:
        """Drop a refused token: the next request fetches another.

        Raises:
            AuthenticationError: EARLY_RENEWALS tokens were refused within one lifetime.
        """
        now = self._clock()
        refused_at = self._token.refused_at
        since = now - refused_at[0] if len(refused_at) == EARLY_RENEWALS else ASKED_LIFETIME_SECONDS
        if since < ASKED_LIFETIME_SECONDS:
            raise AuthenticationError(
                f"{self._host} refused {EARLY_RENEWALS + 1} access tokens within {since:.0f} s, each before its end. Retrying "
                f"cannot clear this. Check whether another program uses the same OAuth client, or its tokens are revoked; "
                f"give this pipeline a client of its own: {CLIENT_CREDENTIALS}."
            )
        refused_at.append(now)
        self._token.text = None
        return True

    def hide(self, body: bytes) -> bytes:
        """`body` without the secret and the token."""
        return _without(_spellings(self._credentials.client_secret, self._token.text or ""), body)

    def _fetch_token(self) -> None:
        asked_at = self._clock()
        content = self._granted(*self._posted())
        lifetime_seconds = _lifetime_seconds(content.get("expires_in"))
        self._token.text = _token_in(content)
        if self._token.text is None:
            del content
            raise Unreadable(f"an answer from {_TOKEN_PATH} that holds no usable access_token")
        self._token.renew_at = asked_at + lifetime_seconds - min(_RENEWAL_MARGIN_SECONDS, lifetime_seconds / 2)

    def _posted(self) -> tuple[int, Mapping[str, str], bytes]:
        """The answer to a request for a token: status, headers, body."""
        try:
            with self._session.exchange(
                "POST",
                self._url,
                data=self._token_request(),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
            ) as answer:
                return answer.status_code, answer.headers, read_body(answer, limit_bytes=_MOST_TOKEN_BYTES)
        except NETWORK_ERRORS as error:
            failure = network_failure(f"POST {_TOKEN_PATH}", error, read_seconds=self._session.read_seconds)
        except TooLarge:
            failure = Unreadable("an answer that is no token")
        except Retryable as slow:
            failure = slow
        raise _as_busy(failure)

    def _token_request(self) -> bytes:
        """The body of a request for a token; the reference wants JSON."""
        return json.dumps(
            {
                "grant_type": "client_credentials",
                "client_id": self._credentials.client_id,
                "client_secret": self._credentials.client_secret,
                "scope": _SCOPE,
                "expires_in": ASKED_LIFETIME_SECONDS,
            }
        ).encode()

    def _granted(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        if status in (200, 201):
            content = _object_in(body)
            if content is None:
                page = f" but a web page: {WEB_PAGE}" if is_web_page(body) else ""
                del body
                raise Unreadable(f"{status} from {_TOKEN_PATH} that is no JSON object{page}")
            error = error_with_200(self._request_words, headers, content) if "access_token" not in content else None
            if error is None:
                return content
            del body, content
            raise _as_busy(error)
        headers, body = hide_in_location(self.hide, headers), self.hide(body)
        failure = refusal(self._request_words, status, headers, body)
        # Only JSON comes from the token endpoint itself; anything else is from a system in front of it.
        answer = _object_in(body) if status in (400, 401, 403) else None
        if answer is not None and not isinstance(failure, BlockedError):
            raise AuthenticationError(
                f"POST {_TOKEN_PATH}: {self._host} refused to give a token ({status}, {short_reason(body)}). Retrying cannot "
                f"clear this. {_grant_remedy(answer.get('error'))}"
            )
        raise _as_busy(failure)

    @property
    def _request_words(self) -> Asked:
        return Asked(f"POST {_TOKEN_PATH}", self._host, variables_of(self._credentials), hide=self.hide)


Auth = HeaderAuth | ClientCredentialsAuth


def auth_for(
    base_url: str, credentials: Credentials, *, session: OneHostSession, clock: Clock, token: AccessToken | None = None
) -> Auth:
    """The requests auth for these credentials; `session` sends the token requests of an OAuth client, `token` keeps its token.

    Raises:
        UsageError: the credentials would travel in the open, or can't travel at all.
    """
    if isinstance(credentials, SandboxToken):  # the only one that may travel in the open
        return HeaderAuth(f"Bearer {credentials.token}")
    url = urlsplit(base_url)
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise UsageError("ZENDESK_BASE_URL must begin with https://, or credentials would travel in the open")
    if isinstance(credentials, ClientCredentials):
        return ClientCredentialsAuth(base_url, credentials, session=session, clock=clock, token=token)
    if isinstance(credentials, BearerToken):
        if not _VISIBLE_ASCII.fullmatch(credentials.token):  # the HTTP library's complaint would quote it
            raise UsageError("ZENDESK_OAUTH_TOKEN holds a character that no token has (a space, a line end, non-ASCII)")
        return HeaderAuth(f"Bearer {credentials.token}")
    if isinstance(credentials, ApiToken):
        return HeaderAuth(_basic(f"{credentials.email}/token", credentials.api_token), credentials.api_token)
    return HeaderAuth(_basic(credentials.email, credentials.password), credentials.password)


def hide_in_location(hide: Callable[[bytes], bytes], headers: Mapping[str, str]) -> dict[str, str]:
    """An answer's headers; of a redirect's address, without the secrets that `hide` takes out. No other header is quoted."""
    hidden = {
        name: hide(text.encode("utf-8", "replace")).decode("utf-8", "replace")
        for name, text in headers.items()
        if name.lower() == "location"
    }
    return {**headers, **hidden}


def _as_busy(failure: TicketEventsError) -> TicketEventsError:
    """Temporary failures of the token endpoint as Busy: a smaller page would not help."""
    if not isinstance(failure, Retryable):
        return failure
    return Busy(f"{failure.reason}, from {_TOKEN_PATH}", wait_seconds=failure.wait_seconds)


def _grant_remedy(error: object) -> str:
    """What to do about a refused grant, by the error code of OAuth 2.0."""
    if error == "invalid_client":
        return (
            f"{CLIENT_CREDENTIALS} don't belong together or to this account: copy the client's identifier (its unique name, "
            f"not its number) and its secret again; the secret is shown once, so generate a new one if it is lost."
        )
    if error in ("unauthorized_client", "unsupported_grant_type", "invalid_grant"):
        return (
            f"The OAuth client of {CLIENT_CREDENTIALS} may not use the client-credentials grant: in Admin Center, Apps and "
            f"integrations, APIs, OAuth clients, its client kind must be Confidential."
        )
    if error == "invalid_scope":
        return f"The OAuth client of {CLIENT_CREDENTIALS} doesn't allow the requested scope {_SCOPE}: allow it."
    return (
        f"Check {CLIENT_CREDENTIALS}, and that the OAuth client is confidential and allowed the client-credentials grant with "
        f"the scope {_SCOPE}."
    )


def _object_in(body: bytes) -> dict[str, Any] | None:
    try:
        content = parse_json(body)
    except UnreadableJsonError:
        return None
    return content if isinstance(content, dict) else None


def _token_in(content: dict[str, Any]) -> str | None:
    token = content.get("access_token")
    return token if isinstance(token, str) and _VISIBLE_ASCII.fullmatch(token) else None


def _spellings(*secrets: str) -> tuple[str, ...]:
    """The secrets as they are, and as JSON, HTML and forms write them; the longest first, or parts may stay visible."""
    written = {
        spelling
        for secret in filter(None, secrets)
        for spelling in (secret, json.dumps(secret)[1:-1], html.escape(secret), quote(secret, safe=""), quote_plus(secret))
    }
    return tuple(sorted(written, key=len, reverse=True))


def _without(secrets: Iterable[str], body: bytes) -> bytes:
    for secret in secrets:
        body = body.replace(secret.encode(), b"[hidden]")
    return body


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _lifetime_seconds(expires_in: object) -> float:
    """How long the token is valid: as the answer says, else as requested."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return ASKED_LIFETIME_SECONDS
    return seconds if math.isfinite(seconds) and seconds > 0 else ASKED_LIFETIME_SECONDS
