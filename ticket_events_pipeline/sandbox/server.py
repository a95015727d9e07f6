"""The HTTP server of a sandbox account, by default on the loopback interface: in its own thread, or in the foreground."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.sandbox.answers import NOT_FOUND, Answer, json_answer
from ticket_events_pipeline.sandbox.credentials import (
    DEMO_CREDENTIALS,
    TOKEN_LIFETIME_SECONDS,
    Credentials,
    Doorkeeper,
    TokenWorld,
)
from ticket_events_pipeline.sandbox.exports import Exports, World
from ticket_events_pipeline.sandbox.lookups import ROUTES, SHOW_TICKETS, AccountLookups, LookupWorld
from ticket_events_pipeline.sandbox.paging import PAGE_LIMIT, EndOfStream
from ticket_events_pipeline.sandbox.quota import WINDOW_SECONDS, Quota
from ticket_events_pipeline.sandbox.rows import STREAMS, Account

HOST = "127.0.0.1"

_API = "/api/v2/"
_CURRENT_TOKEN = "/api/v2/oauth/tokens/current.json"  # noqa: S105 - a path

START_SECONDS = 10
"""A server that isn't up by then won't be."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that was answered; `at` is epoch seconds by the server's clock."""

    at: float
    method: str
    path: str
    query: dict[str, str]
    status: int


class SandboxServer:
    """Serves `account` like Zendesk. Use it as a context manager, by `start` and `stop`, or by `run` in the foreground.

    Attributes:
        requests: every request answered so far, in order, but for those in `lookups` and `account_requests`.
        lookups: requests for the token in use: a run makes one for its warning.
        account_requests: requests for names, settings and tickets, which have a quota of their own.
    """

    def __init__(
        self,
        account: Account,
        *,
        host: str = HOST,
        port: int = 0,
        requests_per_minute: int = 100_000,
        clock: Clock = wall_clock,
        end_of_stream: EndOfStream = "present",
        pinned: bool = False,
        quota_headers: bool = True,
        quota_window_seconds: float = WINDOW_SECONDS,
        page_limit: int = PAGE_LIMIT,
        credentials: Credentials = DEMO_CREDENTIALS,
        token_lifetime_seconds: int = TOKEN_LIFETIME_SECONDS,
        tokens: TokenWorld | None = None,
        lookup_world: LookupWorld | None = None,
    ) -> None:
        """`host` is an IPv4 address of this machine; `port` 0 takes a free one.

        The quota holds per `quota_window_seconds`: a minute, or less in tests.

        `end_of_stream` to `page_limit` (without the window) are explained at `exports.World`, the behaviour of tokens at
        `credentials.TokenWorld`, that of names, settings and tickets at `lookups.LookupWorld`.
        """
        world = World(end_of_stream=end_of_stream, pinned=pinned, quota_headers=quota_headers, page_limit=page_limit)
        self.requests: list[SeenRequest] = []
        self.lookups: list[SeenRequest] = []
        self.account_requests: list[SeenRequest] = []
        self._clock = clock
        self._doorkeeper = Doorkeeper(credentials, token_lifetime_seconds=token_lifetime_seconds, world=tokens)
        quota = Quota(requests_per_minute, window_seconds=quota_window_seconds)
        self._exports = Exports(account, world=world, doorkeeper=self._doorkeeper, quota=quota, clock=clock)
        self._lookup_world = lookup_world or LookupWorld()
        account_quota = Quota(self._lookup_world.requests_per_minute, window_seconds=quota_window_seconds)
        self._account_lookups = AccountLookups(
            account, world=self._lookup_world, doorkeeper=self._doorkeeper, quota=account_quota, clock=clock
        )
        self._scripted: deque[Answer | None] = deque()
        self._host = host
        self._port = port
        self._uvicorn: _SignallingServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """`http://HOST:PORT`; with a port of 0 known once started."""
        return f"http://{self._host}:{self._port}"

    def script(self, *answers: Answer | None) -> None:
        """Answer the next requests for an export with these, one each; None lets one through."""
        self._scripted.extend(answers)

    def unscript(self) -> list[Answer | None]:
        """Remove and return the scripted answers that were not requested."""
        left = list(self._scripted)
        self._scripted.clear()
        return left

    def start(self) -> Self:
        """Serve in a daemon thread; return as soon as requests are accepted.

        Raises:
            OSError: the port is taken.
            RuntimeError: it is running already, or did not come up.
        """
        if self._thread is not None:
            raise RuntimeError(f"the sandbox server is running already, at {self.base_url}")
        listener = _listener(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._uvicorn = _SignallingServer(_quiet_config(self._application()))
        self._thread = threading.Thread(target=self._uvicorn.run, args=([listener],), name="sandbox-server", daemon=True)
        self._thread.start()
        if not self._uvicorn.is_up.wait(START_SECONDS):
            raise RuntimeError(f"the sandbox server did not come up within {START_SECONDS} s")
        return self

    def stop(self) -> None:
        """Stop serving, if it does. `requests` stays as it is."""
        if self._uvicorn is not None and self._thread is not None:
            self._uvicorn.exit_soon()
            self._thread.join()
        self._uvicorn = self._thread = None

    def run(self, announce: Callable[[str], None] | None = None) -> None:
        """Serve in the foreground until Ctrl-C; `announce` is called with the base URL once requests are accepted.

        Raises:
            OSError: the port is taken.
        """
        try:
            self.start()
            if announce is not None:
                announce(self.base_url)
            while self._thread is not None and self._thread.is_alive():
                self._thread.join(timeout=1)
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _application(self) -> Starlette:
        exports = [
            Route(f"/api/v2/incremental/{stream}{suffix}", self._export, name=stream)
            for stream in STREAMS
            for suffix in ("", ".json")
        ]
        lookups = [Route(f"{_API}{path}{suffix}", self._lookup) for path in ROUTES for suffix in ("", ".json")]
        return Starlette(
            routes=[
                *exports,
                *lookups,
                Route("/oauth/tokens", self._token, methods=["POST"]),
                Route(_CURRENT_TOKEN, self._current_token),
            ],
            # The fastest level: the loopback's bytes are cheap, the CPU is shared with the client under test.
            middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)],
            exception_handlers={404: self._not_found, 405: self._not_allowed, 500: self._broken},
        )

    async def _export(self, request: Request) -> Response:
        scripted = self._scripted.popleft() if self._scripted else None
        if scripted is not None:
            return self._respond(request, scripted)
        answer = self._exports.answer(
            request.url.path.rpartition("/")[2].removesuffix(".json"),
            dict(request.query_params),
            authorization=request.headers.get("authorization", ""),
            url=_url(request),
        )
        return self._respond(request, answer)

    async def _lookup(self, request: Request) -> Response:
        path = request.url.path.removeprefix(_API).removesuffix(".json")
        if path == SHOW_TICKETS and self._lookup_world.delay_seconds:
            await asyncio.sleep(self._lookup_world.delay_seconds)
        answer = self._account_lookups.answer(
            path,
            request.query_params.multi_items(),
            authorization=request.headers.get("authorization", ""),
            url=_url(request),
        )
        return self._respond(request, answer, into=self.account_requests)

    async def _token(self, request: Request) -> Response:
        asked = _fields(await request.body(), request.headers.get("content-type", ""))
        status, body = self._doorkeeper.grant(asked, self._clock())
        return self._respond(request, json_answer(status, body))

    async def _current_token(self, request: Request) -> Response:
        status, body = self._doorkeeper.current_token(request.headers.get("authorization", ""), self._clock())
        return self._respond(request, json_answer(status, body))

    async def _not_found(self, request: Request, error: Exception) -> Response:
        return self._respond(request, NOT_FOUND)

    async def _not_allowed(self, request: Request, error: Exception) -> Response:
        return self._respond(request, json_answer(405, {"error": "MethodNotAllowed", "description": "Method not allowed"}))

    async def _broken(self, request: Request, error: Exception) -> Response:
        return self._respond(request, json_answer(500, {"error": "InternalError", "description": repr(error)}))

    def _respond(self, request: Request, answer: Answer, *, into: list[SeenRequest] | None = None) -> Response:
        now = self._clock()
        seen = SeenRequest(now, request.method, request.url.path, dict(request.query_params), answer.status)
        if into is None:
            into = self.lookups if seen.path == _CURRENT_TOKEN else self.requests
        into.append(seen)
        headers = {"Date": formatdate(now, usegmt=True), "Content-Type": answer.content_type, **answer.headers}
        return Response(answer.body, answer.status, headers)


class _SignallingServer(uvicorn.Server):
    """uvicorn's server, which need not be polled and polls nothing: it starts and ends without sleeping."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    def exit_soon(self) -> None:
        """Let it end, from any thread."""
        self.should_exit = True  # uvicorn looks at it after its start
        if self.is_up.is_set():
            self._loop.call_soon_threadsafe(self._end.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # idle connections close
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)


def _url(request: Request) -> str:
    """The URL without its query, by the name under which the client reached this server."""
    return f"http://{request.headers.get('host', '')}{request.url.path}"


def _listener(host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; otherwise small answers wait 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _quiet_config(application: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        log_config=None,
        log_level="warning",  # quiet also where the embedding program logs everything
        access_log=False,
        http="h11",
        ws="none",  # the implementations of websockets warn of their deprecations
        loop="asyncio",
        lifespan="off",
        date_header=False,  # the simulated clock's comes instead
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def _fields(body: bytes, content_type: str) -> dict[str, object]:
    """The fields of a form or a JSON object; none, if it is neither."""
    try:
        if "json" in content_type:
            parsed = json.loads(body)
            return parsed if isinstance(parsed, dict) else {}
        return dict(parse_qsl(body.decode()))
    except ValueError:
        return {}
