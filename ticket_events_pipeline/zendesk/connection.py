"""The connection: exchanges within bounds, by a session that follows nobody, and what failures below HTTP mean.

Which requests are sent, and when, is `client`'s and `auth`'s; what answers say is `page`'s and `refusals`'.
https://requests.readthedocs.io/en/latest/user/advanced/
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3

from ticket_events_pipeline.errors import RequestRefusedError
from ticket_events_pipeline.zendesk.answers import (
    Busy,
    Overtaxed,
    Retryable,
    TooLarge,
    Unreadable,
    one_line,
    proxy_wants_authentication,
)
from ticket_events_pipeline.zendesk.deadline import WatchedAdapter, within

# urllib3's own come from the reading of bodies.
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError)
"""What a request may raise. Their texts are not repeated as a rule: some quote a header."""

EXCHANGE_TIMEOUTS = 10
"""A whole exchange may take that many read timeouts: each of these starts anew with every byte that comes."""

# The library's words for a proxy that answered CONNECT with anything but 200.
_TUNNEL_FAILED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b(.*)", re.DOTALL)
_PROXY_STATUSES_THAT_PASS = (408, 425, 429)

_CHUNK_BYTES = 256 * 1024  # of an error's body, the first is far more than a message quotes


class OneHostSession(requests.Session):
    """ConditionalPuts one request for one answer, in bounded time. Takes redirects for answers like others, and no cookies.

    The library looks at a redirect's target even where it is told not to follow: it reads the whole body, however large, and
    stumbles over an address that is none.

    `exchange_seconds` is by default EXCHANGE_TIMEOUTS times `read_seconds`.
    """

    def __init__(self, *, connect_seconds: float, read_seconds: float, exchange_seconds: float | None = None) -> None:
        super().__init__()
        self.read_seconds = read_seconds
        self._timeout = (connect_seconds, read_seconds)
        self._exchange_seconds = EXCHANGE_TIMEOUTS * read_seconds if exchange_seconds is None else exchange_seconds
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, WatchedAdapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: nothing is ever followed."""

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
        **what: Any,
    ) -> Iterator[requests.Response]:
        """The answer to one request, closed at the end; its body is to be read in here. `what` goes into the request.

        Raises:
            Overtaxed: it isn't complete after `exchange_seconds`, from the connection to the body's last byte.
            requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError: NETWORK_ERRORS.
        """
        # Without any, the library would take a password from a .netrc.
        asked = requests.Request(method, url, auth=auth or _no_credentials, **what)
        request = self.prepare_request(asked)  # may fetch a token: an exchange of its own
        settings = self.merge_environment_settings(request.url, {}, True, None, None)  # streamed: read by `read_body`
        with (
            within(self._exchange_seconds),
            self.send(request, timeout=self._timeout, allow_redirects=False, **settings) as response,
        ):
            yield response


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def read_body(response: requests.Response, *, most_bytes: int) -> bytes:
    """The body, unpacked; of an error's, the beginning.

    Raises:
        TooLarge: it has more than `most_bytes`.
        Unreadable: it is packed more than once.
    """
    if "," in response.headers.get("Content-Encoding", ""):
        # A few bytes of the outer layer may unpack to hours of an inner one that holds nothing, with no byte read meanwhile.
        raise Unreadable("an answer that is packed more than once")
    body = bytearray()
    # What has come, at once: the library's usual reading waits for a whole chunk, a byte at a time if need be.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if response.status_code >= 300:
            break
        if len(body) > most_bytes:
            raise TooLarge(f"a page of more than {most_bytes} bytes")
    return bytes(body)


def network_failure(what: str, error: BaseException, *, read_seconds: float) -> Retryable | RequestRefusedError:
    """What one of NETWORK_ERRORS stands for; returned, not raised. `what` was asked."""
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
        return Overtaxed("the answer broke off or can't be unpacked")
    if isinstance(error, requests.exceptions.ProxyError):
        return _proxy_failure(what, cause)
    if isinstance(error, requests.ConnectionError):
        return Busy(f"no connection ({type(cause).__name__}: {one_line(str(cause)[:100])})")
    if isinstance(error, requests.exceptions.InvalidHeader):  # ours are checked before they are sent: it is the answer's
        return Unreadable("an answer with headers that contradict themselves")
    if isinstance(error, urllib3.exceptions.HTTPError):
        return Busy(f"no usable answer ({type(error).__name__})")
    # What is wrong with the request itself. The library's text is not repeated: it may quote a header.
    return RequestRefusedError(
        f"{what}: the request can't be sent ({type(error).__name__}); check ZENDESK_BASE_URL, and HTTPS_PROXY if a proxy is set"
    )


def _proxy_failure(what: str, cause: BaseException) -> Retryable | RequestRefusedError:
    """What `cause` says of the proxy on the way. Its address isn't quoted: it may hold a password."""
    found = _TUNNEL_FAILED.search(str(cause))
    if found is None:
        told = f"{type(cause).__name__}: {one_line(str(cause)[:100])}"
        return Busy(f"no connection through the proxy that HTTPS_PROXY names ({told})")
    status, told = int(found[1]), one_line(f"{found[1]}{found[2][:100]}")
    if status == 407:
        return proxy_wants_authentication(what, told)
    if status < 200 or status >= 500 or status in _PROXY_STATUSES_THAT_PASS:
        return Busy(f"no connection through the proxy that HTTPS_PROXY names ({told})")
    return RequestRefusedError(
        f"{what}: the proxy that HTTPS_PROXY names refuses to connect to that host ({told}). Zendesk was not reached, and "
        f"retrying cannot clear this. Have the host allowed there, or name it in NO_PROXY if it can be reached directly."
    )


def innermost(error: BaseException) -> BaseException:
    """What the library's error wraps: what really went wrong."""
    while inner := error.__cause__ or error.__context__ or _wrapped(error):
        error = inner
    return error


def _wrapped(error: BaseException) -> BaseException | None:
    """The library hands on some exceptions as arguments of its own."""
    return next((argument for argument in error.args if isinstance(argument, BaseException)), None)
