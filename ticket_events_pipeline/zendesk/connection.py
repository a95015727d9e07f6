"""The connection: HTTP exchanges with bounds on time and size, without redirects, and the meaning of network failures.

https://requests.readthedocs.io/en/latest/user/advanced/
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from ticket_events_pipeline.credentials import is_loopback
from ticket_events_pipeline.errors import RequestRefusedError
from ticket_events_pipeline.zendesk.answers import (
    Busy,
    Overtaxed,
    Retryable,
    TooLarge,
    Unreadable,
    proxy_wants_authentication,
    quotable,
)
from ticket_events_pipeline.zendesk.deadline import Deadline, WatchedAdapter, within

# urllib3's own come from the reading of bodies.
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError)
"""What a request may raise. Messages don't repeat their texts as a rule: some quote a header."""

EXCHANGE_TIMEOUTS = 10
"""A whole exchange may take that many read timeouts; a single one restarts with every byte."""

_CONNECT_SECONDS = 10.0

# The library's message for a proxy that answered CONNECT with anything but 200.
_TUNNEL_FAILED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b(.*)", re.DOTALL)
_PROXY_STATUSES_THAT_PASS = (408, 425, 429)

_CHUNK_BYTES = 256 * 1024  # of an error's body, the first is far more than a message quotes


class OneHostSession(requests.Session):
    """Exchanges one request for one answer, in bounded time. Follows no redirects and stores no cookies.

    Even without following a redirect, the library examines its target: it reads the whole body, however large, and fails on an
    invalid address.

    `exchange_seconds` is by default EXCHANGE_TIMEOUTS times `read_seconds`.
    """

    def __init__(self, *, connect_seconds: float, read_seconds: float, exchange_seconds: float | None = None) -> None:
        super().__init__()
        self.read_seconds = read_seconds
        self._timeout = (connect_seconds, read_seconds)
        self._exchange_seconds = EXCHANGE_TIMEOUTS * read_seconds if exchange_seconds is None else exchange_seconds
        self._deadlines: set[Deadline] = set()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, WatchedAdapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: no redirect is followed."""

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
        **what: Any,
    ) -> Iterator[requests.Response]:
        """The answer to one request, closed at the end; its body must be read inside. `what` are arguments of the request.

        Raises:
            Overtaxed: the answer isn't complete after `exchange_seconds`, from the connection to the body's last byte.
            requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError: NETWORK_ERRORS.
        """
        # Without an auth, the library would take a password from a .netrc.
        asked = requests.Request(method, url, auth=auth or _no_credentials, **what)
        request = self.prepare_request(asked)  # may fetch a token in another exchange
        settings = self.merge_environment_settings(request.url, {}, True, None, None)  # streamed: read by `read_body`
        with within(self._exchange_seconds) as deadline:
            self._deadlines.add(deadline)
            try:
                with self.send(request, timeout=self._timeout, allow_redirects=False, **settings) as response:
                    yield response
            finally:
                self._deadlines.discard(deadline)

    def interrupt(self) -> None:
        """Break off the exchanges that other threads are in: each raises Overtaxed."""
        for deadline in list(self._deadlines):
            deadline.expire()


def account_session(base_url: str, *, read_seconds: float, exchange_seconds: float | None = None) -> OneHostSession:
    """A session for requests to the account at `base_url`, without credentials yet."""
    session = OneHostSession(
        connect_seconds=min(_CONNECT_SECONDS, read_seconds), read_seconds=read_seconds, exchange_seconds=exchange_seconds
    )
    session.trust_env = not is_loopback(urlsplit(base_url).hostname or "")  # no proxy for the loopback
    session.headers.update({"User-Agent": _user_agent(), "Accept": "application/json"})
    return session


def _user_agent() -> str:
    try:
        return f"ticket_events_pipeline/{version('ticket_events_pipeline')}"
    except PackageNotFoundError:  # run from a folder that was never installed
        return "ticket_events_pipeline"


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def read_body(response: requests.Response, *, limit_bytes: int) -> bytes:
    """The body, decompressed; of an error's body, the beginning.

    Raises:
        TooLarge: it has more than `limit_bytes`.
        Unreadable: it is compressed more than once.
    """
    if "," in response.headers.get("Content-Encoding", ""):
        # A few bytes of the outer layer may expand to hours of an empty inner layer, while no byte is read.
        raise Unreadable("an answer that is compressed more than once")
    body = bytearray()
    # Returns what has arrived: the library's usual read waits for a whole chunk.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if response.status_code >= 300:
            break
        if len(body) > limit_bytes:
            raise TooLarge(f"a page of more than {limit_bytes} bytes")
    return bytes(body)


def network_failure(what: str, error: BaseException, *, read_seconds: float) -> Retryable | RequestRefusedError:
    """The exception for one of NETWORK_ERRORS; returned, not raised. `what` was requested."""
    cause = innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RequestRefusedError(
            f"{what}: the server's certificate is not trusted ({cause.verify_message}). Nothing was sent, and retrying cannot "
            f"clear this. If a proxy of yours opens TLS, set REQUESTS_CA_BUNDLE to the file with its certificates; else check "
            f"ZENDESK_SUBDOMAIN or ZENDESK_BASE_URL, and this machine's clock."
        )
    if isinstance(error, requests.ConnectTimeout):
        return Busy("no connection in time")
    if isinstance(error, requests.Timeout | urllib3.exceptions.ReadTimeoutError):
        return Overtaxed(f"no answer within {read_seconds:g} s")
    if isinstance(error, urllib3.exceptions.ProtocolError | urllib3.exceptions.DecodeError):
        return Overtaxed("the answer broke off or can't be decompressed")
    if isinstance(error, requests.exceptions.ProxyError):
        return _proxy_failure(what, cause)
    if isinstance(error, requests.ConnectionError):
        return Busy(f"no connection ({type(cause).__name__}: {quotable(str(cause)[:100])})")
    if isinstance(error, requests.exceptions.InvalidHeader):  # the request's headers are checked before: it is the answer's
        return Unreadable("an answer with headers that contradict themselves")
    if isinstance(error, urllib3.exceptions.HTTPError):
        return Busy(f"no usable answer ({type(error).__name__})")
    # The request itself is invalid. The library's text is not repeated: it may quote a header.
    return RequestRefusedError(
        f"{what}: the request can't be sent ({type(error).__name__}); check ZENDESK_BASE_URL, and HTTPS_PROXY if a proxy is set"
    )


def _proxy_failure(what: str, cause: BaseException) -> Retryable | RequestRefusedError:
    """The exception for a failure of the proxy. Its address isn't quoted: it may hold a password."""
    found = _TUNNEL_FAILED.search(str(cause))
    if found is None:
        detail = f"{type(cause).__name__}: {quotable(str(cause)[:100])}"
        return Busy(f"no connection through the proxy that HTTPS_PROXY names ({detail})")
    status, detail = int(found[1]), quotable(f"{found[1]}{found[2][:100]}")
    if status == 407:
        return proxy_wants_authentication(what, detail)
    if status < 200 or status >= 500 or status in _PROXY_STATUSES_THAT_PASS:
        return Busy(f"no connection through the proxy that HTTPS_PROXY names ({detail})")
    return RequestRefusedError(
        f"{what}: the proxy that HTTPS_PROXY names refuses to connect to that host ({detail}). Zendesk was not reached, and "
        f"retrying cannot clear this. Have the host allowed there, or name it in NO_PROXY if it can be reached directly."
    )


def innermost(error: BaseException) -> BaseException:
    """The original cause of the library's error."""
    while inner := error.__cause__ or error.__context__ or _wrapped(error):
        error = inner
    return error


def _wrapped(error: BaseException) -> BaseException | None:
    """The library wraps some exceptions as arguments of its own."""
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)
