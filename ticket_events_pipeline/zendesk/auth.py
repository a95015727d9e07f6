"""Authentication: puts each kind of credentials on a request, and fetches tokens for an OAuth client.

Every object here hides its secrets in its repr, and no local variable holds one while an error is raised: some loggers show
them. Which credentials are used is settled in `account`.
https://developer.zendesk.com/documentation/api-basics/authentication/creating-and-using-oauth-tokens-with-the-api/
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import requests
from requests.auth import AuthBase

from ticket_events_pipeline.account import API_TOKENS_END, ApiToken, BearerToken, ClientCredentials, Credentials, is_loopback
from ticket_events_pipeline.day import Clock
from ticket_events_pipeline.errors import AuthenticationError, BlockedError, TicketEventsError, UsageError
from ticket_events_pipeline.zendesk.bodies import WEB_PAGE, UnreadableJsonError, is_web_page, parse_json, short_reason
from ticket_events_pipeline.zendesk.connection import BODY_TIMEOUTS, NETWORK_ERRORS, network_failure, read_body
from ticket_events_pipeline.zendesk.refusals import Asked, Busy, Retryable, TooLarge, Unreadable, error_with_200, refusal

_SCOPE = "read"  # the narrowest that opens the exports; a misspelt one yields a token that gets 403 everywhere
_TOKEN_PATH = "/oauth/tokens"  # noqa: S105 - a path
# Renewed a little early, so that a token doesn't run out between our clock and the server's.
_RENEWAL_MARGIN_SECONDS = 60.0
_VISIBLE_ASCII = re.compile(r"[!-~]+")  # all that a header carries
_UNKNOWN_LIFETIME_SECONDS = float("inf")  # no expires_in: used until a 401
_MOST_TOKEN_BYTES = 2**20

Post = Callable[..., requests.Response]


def variables_of(credentials: Credentials) -> str:
    """Where these credentials were set and what is known to go wrong with their kind, for messages."""
    if isinstance(credentials, BearerToken):
        return "ZENDESK_OAUTH_TOKEN"
    if isinstance(credentials, ClientCredentials):
        return "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"
    if isinstance(credentials, ApiToken):
        return f"ZENDESK_EMAIL and ZENDESK_API_TOKEN (API tokens stop working on {API_TOKENS_END})"
    return (
        "ZENDESK_EMAIL and ZENDESK_PASSWORD; most accounts refuse passwords by now: set ZENDESK_OAUTH_TOKEN, or "
        "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET, instead"
    )


class HeaderAuth(AuthBase):
    """Sends a fixed `Authorization` header; `secrets` are hidden where a server or a proxy echoes them."""

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


class ClientCredentialsAuth(AuthBase):
    """Fetches an access token, keeps it until shortly before it expires, and sends it."""

    def __init__(
        self, base_url: str, credentials: ClientCredentials, *, post: Post, clock: Clock, timeout: tuple[float, float]
    ) -> None:
        self._url = base_url + _TOKEN_PATH
        self._credentials = credentials
        self._post = post
        self._clock = clock
        self._timeout = timeout
        self._token: str | None = None
        self._renew_at = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on `request`, fetching one if there is none or it is about to expire.

        Raises:
            AuthenticationError: the grant is refused.
            Retryable: the token can't be fetched just now.
        """
        if self._token is None or self._clock() >= self._renew_at:
            self._fetch_token()
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def renew(self) -> bool:
        """Forget the token: the next request fetches another."""
        self._token = None
        return True

    def hide(self, body: bytes) -> bytes:
        """`body` without the secret and the token."""
        return _without(_spellings(self._credentials.client_secret, self._token or ""), body)

    def _fetch_token(self) -> None:
        asked_at = self._clock()
        content = self._granted(*self._posted())
        lifetime_seconds = _lifetime_seconds(content.get("expires_in"))
        self._token = _token_in(content)
        if self._token is None:
            del content
            raise Unreadable(f"an answer from {_TOKEN_PATH} that holds no usable access_token")
        self._renew_at = asked_at + lifetime_seconds - min(_RENEWAL_MARGIN_SECONDS, lifetime_seconds / 2)

    def _posted(self) -> tuple[int, Mapping[str, str], bytes]:
        """The answer to a request for a token: status, headers, body."""
        read_seconds = self._timeout[1]
        try:
            with self._post(
                self._url,
                data=self._form(),
                headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
                auth=lambda request: request,  # or requests would take a password from a .netrc
            ) as answer:
                seconds = BODY_TIMEOUTS * read_seconds
                body = read_body(answer, most_bytes=_MOST_TOKEN_BYTES, seconds=seconds, clock=self._clock)
                return answer.status_code, answer.headers, body
        except NETWORK_ERRORS as error:
            failure = network_failure(f"POST {_TOKEN_PATH}", error, read_seconds=read_seconds)
        except TooLarge:
            failure = Unreadable("an answer that is no token")
        except Retryable as slow:
            failure = slow
        raise _told_apart(failure)

    def _form(self) -> str:
        from oauthlib.oauth2 import BackendApplicationClient  # large, and other credentials don't need it

        client = BackendApplicationClient(client_id=self._credentials.client_id)
        secret = self._credentials.client_secret
        return str(client.prepare_request_body(scope=_SCOPE, include_client_id=True, client_secret=secret))

    def _granted(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        if status in (200, 201):
            content = _object_in(body)
            if content is None:
                page = f" but a web page: {WEB_PAGE}" if is_web_page(body) else ""
                del body
                raise Unreadable(f"{status} from {_TOKEN_PATH} that is no JSON object{page}")
            error = error_with_200(self._what_was_asked, headers, content) if "access_token" not in content else None
            if error is None:
                return content
            del body, content
            raise _told_apart(error)
        headers, body = hide_in_location(self.hide, headers), self.hide(body)
        failure = refusal(self._what_was_asked, status, headers, body)
        # Only JSON is the token endpoint's own word: anything else comes from what stands before it.
        is_own = _object_in(body) is not None and not isinstance(failure, BlockedError)
        if status in (400, 401, 403) and is_own:
            host = self._what_was_asked.host
            raise AuthenticationError(
                f"POST {_TOKEN_PATH}: {host} refused to give a token ({status}, {short_reason(body)}). Retrying cannot clear "
                f"this. Check ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET, and that the OAuth client is allowed "
                f"the client-credentials grant with the scope {_SCOPE}."
            )
        raise _told_apart(failure)

    @property
    def _what_was_asked(self) -> Asked:
        host = urlsplit(self._url).hostname or ""
        return Asked(f"POST {_TOKEN_PATH}", host, variables_of(self._credentials), hide=self.hide)


Auth = HeaderAuth | ClientCredentialsAuth


def auth_for(base_url: str, credentials: Credentials, *, post: Post, clock: Clock, timeout: tuple[float, float]) -> Auth:
    """The requests auth for these credentials; `post` sends the token requests of an OAuth client.

    Raises:
        UsageError: the credentials would travel in the open, or can't travel at all.
    """
    url = urlsplit(base_url)
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise UsageError("ZENDESK_BASE_URL must begin with https://, or credentials would travel in the open")
    if isinstance(credentials, ClientCredentials):
        return ClientCredentialsAuth(base_url, credentials, post=post, clock=clock, timeout=timeout)
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


def _told_apart(failure: TicketEventsError) -> TicketEventsError:
    """What fails in passing at the token endpoint is not what a page is halved for."""
    if not isinstance(failure, Retryable):
        return failure
    return Busy(f"{failure.reason}, from {_TOKEN_PATH}", wait_seconds=failure.wait_seconds)


def _object_in(body: bytes) -> dict[str, Any] | None:
    try:
        content = parse_json(body)
    except UnreadableJsonError:
        return None
    return content if isinstance(content, dict) else None


def _token_in(content: dict[str, Any]) -> str | None:
    from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error

    # Its texts only: by oauthlib, an unreadable lifetime would make the token unreadable. That is read by us.
    texts = {name: value for name, value in content.items() if isinstance(value, str) and not name.startswith("expires")}
    try:
        token = BackendApplicationClient(client_id="").parse_request_body_response(json.dumps(texts)).get("access_token")
    except (OAuth2Error, ValueError, TypeError, AttributeError):  # its message may quote the answer
        return None
    return token if isinstance(token, str) and _VISIBLE_ASCII.fullmatch(token) else None


def _spellings(*secrets: str) -> tuple[str, ...]:
    """The secrets as they are, and as JSON, HTML and forms write them: the longest first, lest a part be hidden of it."""
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
    try:
        seconds = float(expires_in) if isinstance(expires_in, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return _UNKNOWN_LIFETIME_SECONDS
    return seconds if seconds > 0 else _UNKNOWN_LIFETIME_SECONDS
