"""Deadlines: an exchange with a server ends in time, whatever the server sends.

A socket's timeout restarts with every byte. So a header or a chunk size that arrives byte by byte never ends, nor does what
the library skips in loops: answers of 100 Continue, trailers, empty compressed blocks. So the deadline is kept by another
thread: it shuts down the exchange's sockets when the time is over, and reads from them fail.

It uses monotonic time: a simulated clock, or a wall clock that is set back, might never reach the deadline.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.zendesk.answers import Overtaxed

_SHORTEST_SECONDS = 0.001  # zero would mean not to wait at all


class Deadline:
    """Shuts down the sockets that it watches when `seconds` have passed since it was made. Must be ended in any case."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._is_ended = False
        _watchdog.add(self)

    @property
    def remaining_seconds(self) -> float:
        """How long it lasts; zero once it has passed."""
        return max(0.0, self.ends_at - time.monotonic())

    @property
    def has_passed(self) -> bool:
        """Whether the time is over."""
        return self.remaining_seconds == 0.0

    def watch(self, sock: Any) -> None:
        """Shut `sock` down when the time is over, or now if it is.

        With a duplicate descriptor: TLS takes over the socket's own, and the number of a closed one may belong to another file.
        """
        with self._lock:
            if not self._is_ended:
                # The family doesn't matter: this socket is never connected or read.
                self._sockets.append(socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM))
        if self.has_passed:
            self.shut_down()

    def shut_down(self) -> None:
        """Shut down the watched sockets: reads end as if the server had closed the connection."""
        with self._lock:
            for watched in self._sockets:
                with suppress(OSError):  # the other side may have been faster
                    watched.shutdown(socket.SHUT_RDWR)

    def expire(self) -> None:
        """End it now, as if the time were over."""
        self.ends_at = -math.inf
        self.shut_down()

    def end(self) -> None:
        """Stop watching."""
        _watchdog.remove(self)
        with self._lock:
            self._is_ended = True
            while self._sockets:
                self._sockets.pop().close()


class _Watchdog:
    """One thread for all deadlines, while there are any: a thread for each would make an exchange wait for its start."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None or not self._thread.is_alive():  # a forked process has no threads of its parent
                self._wakes_at = deadline.ends_at
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif deadline.ends_at < self._wakes_at:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.discard(deadline)

    def _run(self) -> None:
        with self._changed:
            while self._deadlines:
                self._wakes_at = min(deadline.ends_at for deadline in self._deadlines)
                self._changed.wait(self._wakes_at - time.monotonic())
                for deadline in [deadline for deadline in self._deadlines if deadline.has_passed]:
                    self._deadlines.remove(deadline)
                    deadline.shut_down()
            self._thread = None


_watchdog = _Watchdog()
_current: ContextVar[Deadline] = ContextVar("deadline of this thread's exchange")


@contextmanager
def within(seconds: float) -> Iterator[Deadline]:
    """What this thread exchanges in here, by a WatchedAdapter, ends after `seconds`, or when the deadline is expired.

    One thing can't be interrupted: the system looks up a host's name in its own time, half a minute at most as a rule.

    Raises:
        Overtaxed: the time was over first, whatever the exchange raised or returned then.
    """
    deadline = Deadline(seconds)
    token = _current.set(deadline)
    try:
        yield deadline
        if deadline.has_passed:  # an answer without a length looks complete where it was cut off
            raise _late(seconds)
    except TicketEventsError:
        raise
    except Exception:
        if deadline.has_passed:
            raise _late(seconds) from None
        raise
    finally:
        _current.reset(token)
        deadline.end()


class WatchedAdapter(HTTPAdapter):
    """Makes connections that end by the deadline of the exchange, through proxies, too. Takes no request without one."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """The library's pool for a request, with connections of our own kind."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _watched(pool.ConnectionCls)
        return pool


class _Watched(HTTPConnection):
    """Puts its socket under the deadline: a new one before the handshake, one that was kept alive at its next request."""

    looks_up = True
    """Whether the host's name is looked up here; with a SOCKS proxy, the proxy may do that."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _current.get().watch(self.sock)
        super().request(*args, **kwargs)

    def _new_conn(self) -> socket.socket:
        deadline = _current.get()
        sock = self._connected(deadline) if self.looks_up else super()._new_conn()
        deadline.watch(sock)
        return sock

    def _tunnel(self) -> None:
        super()._tunnel()
        if _current.get().has_passed:  # a proxy's answer that was cut off looks whole; TLS over that socket would lose it
            raise ConnectionError("the tunnel was shut down")

    def _connected(self, deadline: Deadline) -> socket.socket:
        """A connection to the first of the host's addresses that answers. None is waited for beyond the deadline."""
        host, longest = self._dns_host, float(self.timeout or deadline.seconds)
        addresses = _addresses(host, self.port)
        try:
            while True:
                self._dns_host = addresses.pop(0)
                self.timeout = max(_SHORTEST_SECONDS, min(longest, deadline.remaining_seconds))
                try:
                    return super()._new_conn()
                except (ConnectTimeoutError, NewConnectionError):
                    if not addresses or deadline.has_passed:
                        raise
        finally:
            self._dns_host, self.timeout = host, longest


@cache
def _watched(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """The library's class of connections (of http, https or a SOCKS proxy), watched."""
    if issubclass(kind, _Watched):
        return kind
    looks_up = kind._new_conn is HTTPConnection._new_conn
    return type(f"Watched{kind.__name__}", (_Watched, kind), {"looks_up": looks_up})


def _addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`; itself where it has none, which fails in the library's own words."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, allowed_gai_family(), socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [host]
    return [str(address[0]) for *_, address in found] or [host]


def _late(seconds: float) -> Overtaxed:
    return Overtaxed(f"an answer that was not complete after {seconds:g} s")
