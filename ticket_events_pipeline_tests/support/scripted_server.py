"""A real HTTP server that answers from a script, and records its requests. Listens on 127.0.0.1 only.

A script's item is `(status, headers, body)`, or a callable that gets the request and returns such a tuple. `cut`, `hang` and
their like make items that misbehave below HTTP. When the script is over, answers are 418, which no client retries.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived, from which port of the client's; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    client_port: int


@dataclass(frozen=True)
class Misbehaviour:
    """Promise `body` in full, send its first `sent` bytes after `delay_seconds`, hang up; `is_raw`: without a status line.

    A reset hangs up without a FIN; `between` is called before every byte, which then go out one by one. `again` is sent
    after that, every other millisecond, for as long as the client and the test are there.
    """

    body: bytes = b""
    sent: int = 0
    delay_seconds: float = 0.0
    is_raw: bool = False
    is_reset: bool = False
    between: Callable[[], None] | None = None
    again: bytes = b""


Answer = tuple[int, Mapping[str, str | None], bytes | str | dict[str, Any] | list[Any]]
Item = Answer | Misbehaviour | Callable[[Recorded], "Answer | Misbehaviour"]

OVER: Answer = (418, {}, "the script is over")


def cut(body: bytes, sent: int) -> Misbehaviour:
    """Announces `body`, sends `sent` bytes of it, closes the connection."""
    return Misbehaviour(body, sent)


def garbage(body: bytes) -> Misbehaviour:
    """Sends `body` where the status line should be."""
    return Misbehaviour(body, len(body), is_raw=True)


def reset(body: bytes = b"", sent: int = 0) -> Misbehaviour:
    """Resets the connection: at once, or in the middle of `body`."""
    return Misbehaviour(body, sent, is_raw=not body, is_reset=True)


def trickle(body: bytes, between: Callable[[], None]) -> Misbehaviour:
    """Sends `body` byte by byte, and calls `between` before each."""
    return Misbehaviour(body, len(body), between=between)


def endless(beginning: bytes, again: bytes) -> Misbehaviour:
    """Sends `beginning` where the status line should be, then `again` without end."""
    return Misbehaviour(beginning, len(beginning), is_raw=True, again=again)


def hang(seconds: float) -> Misbehaviour:
    """Sends nothing for `seconds`, then closes the connection."""
    return Misbehaviour(delay_seconds=seconds, is_raw=True)


@dataclass
class ScriptedServer:
    """Serves `script` in order, one item a request, in threads of its own. Use it in a `with`.

    With `is_deaf` it takes no connection before `listen` is called: every connection is refused.
    """

    script: Iterable[Item] = ()
    requests: list[Recorded] = field(default_factory=list)
    is_deaf: bool = False

    def __post_init__(self) -> None:
        self._items = iter(self.script)
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), _handler_of(self), bind_and_activate=False)
        self._server.server_bind()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        if not self.is_deaf:
            self.listen()
        return self

    def listen(self) -> None:
        """Take connections from now on."""
        if not self._thread.is_alive():
            self._server.server_activate()
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._released.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def answer(self, request: Recorded) -> Answer | Misbehaviour:
        with self._lock:
            self.requests.append(request)
            item = next(self._items, OVER)
        return item(request) if callable(item) else item

    def pause(self, seconds: float) -> bool:
        """Wait so long; at once, and whether, the test is over."""
        return self._released.wait(seconds)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is expected; anything else is a fault of the test."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*_)


def _handler_of(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(url.query))
            request = Recorded(self.command, url.path, query, headers, body, self.client_address[1])
            answer = server.answer(request)
            if isinstance(answer, Misbehaviour):
                _misbehave(self, server, answer)
            else:
                self._send(*answer)

        do_POST = do_CONNECT = do_GET  # noqa: N815 - http.server's names

        def _send(
            self, status: int, headers: Mapping[str, str | None], content: bytes | str | dict[str, Any] | list[Any]
        ) -> None:
            body = json.dumps(content).encode() if isinstance(content, dict | list) else content
            body = body.encode() if isinstance(body, str) else body
            defaults = {"Date": self.date_time_string(), "Content-Length": str(len(body))}
            self.send_response_only(status)
            for name, value in {**defaults, **headers}.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _misbehave(handler: BaseHTTPRequestHandler, server: ScriptedServer, how: Misbehaviour) -> None:
    server.pause(how.delay_seconds)
    if not how.is_raw:
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(len(how.body)))
        handler.end_headers()
    for piece in [how.body[: how.sent]] if how.between is None else [bytes([byte]) for byte in how.body[: how.sent]]:
        if how.between is not None:
            how.between()
        handler.wfile.write(piece)
    while how.again and not server.pause(0.002):
        handler.wfile.write(how.again)
    if how.is_reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
    handler.close_connection = True
