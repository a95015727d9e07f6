"""A real HTTP server that answers from a script, and records what it was asked. Listens on 127.0.0.1 only.

A script's item is `(status, headers, body)`, or a callable that gets the request and returns such a tuple. `cut` and `hang`
make items that misbehave below HTTP. When the script is over, answers are 418, which nobody retries.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Recorded:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Misbehaviour:
    """Promise `body` in full, send its first `sent` bytes after `delay_seconds`, hang up. Raw: not even a status line."""

    body: bytes = b""
    sent: int = 0
    delay_seconds: float = 0.0
    is_raw: bool = False


Answer = tuple[int, Mapping[str, str | None], bytes | str | dict[str, Any] | list[Any]]
Item = Answer | Misbehaviour | Callable[[Recorded], "Answer | Misbehaviour"]

OVER: Answer = (418, {}, "the script is over")


def cut(body: bytes, sent: int) -> Misbehaviour:
    """Announces `body`, sends `sent` bytes of it, closes the connection."""
    return Misbehaviour(body, sent)


def garbage(body: bytes) -> Misbehaviour:
    """Sends `body` where the status line should be."""
    return Misbehaviour(body, len(body), is_raw=True)


def hang(seconds: float) -> Misbehaviour:
    """Sends nothing for `seconds`, then closes the connection."""
    return Misbehaviour(delay_seconds=seconds, is_raw=True)


@dataclass
class ScriptedServer:
    """Serves `script` in order, one item a request, in threads of its own. Use it in a `with`."""

    script: Iterable[Item] = ()
    requests: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._items = iter(self.script)
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: Recorded) -> Answer | Misbehaviour:
        with self._lock:
            self.requests.append(request)
            item = next(self._items, OVER)
        return item(request) if callable(item) else item

    def pause(self, seconds: float) -> None:
        self._released.wait(seconds)


def _handler_of(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Recorded(self.command, url.path, dict(parse_qsl(url.query)), headers, body)
            answer = server.answer(request)
            if isinstance(answer, Misbehaviour):
                self._misbehave(answer)
            else:
                self._send(*answer)

        do_POST = do_GET  # noqa: N815 - http.server's name

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

        def _misbehave(self, how: Misbehaviour) -> None:
            server.pause(how.delay_seconds)
            if not how.is_raw:
                self.send_response_only(200)
                self.send_header("Content-Length", str(len(how.body)))
                self.end_headers()
            self.wfile.write(how.body[: how.sent])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler
