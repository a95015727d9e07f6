"""A chat's webhook for the tests: a real HTTP server on 127.0.0.1 that keeps every message and answers as a test chooses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer

SECRET = "B0nB0n-hush-4f1d9"
PATH = f"/services/T000/B000/{SECRET}"

OK: Item = (200, {"Content-Type": "text/plain"}, "ok")


@dataclass
class AlertReceiver:
    """The webhook; `answer` may be changed at any time.

    Attributes:
        server: behind it.
        answer: what it says to whatever is posted from now on.
    """

    server: ScriptedServer
    answer: Item = OK

    @property
    def url(self) -> str:
        return self.server.url + PATH

    @property
    def texts(self) -> list[str]:
        """What was posted to it."""
        assert {(request.method, request.path) for request in self.server.requests} <= {("POST", PATH)}
        bodies = [json.loads(request.body) for request in self.server.requests]
        assert all(list(body) == ["text"] for body in bodies)
        return [body["text"] for body in bodies]

    def come_back(self) -> None:
        """Accept connections from now on."""
        self.server.listen()


@contextmanager
def receiving(answer: Item = OK, *, is_deaf: bool = False) -> Iterator[AlertReceiver]:
    """A webhook; a deaf one refuses connections until it comes back."""

    def script() -> Iterator[Item]:
        while True:
            yield receiver.answer

    with ScriptedServer(script(), is_deaf=is_deaf) as server:
        receiver = AlertReceiver(server, answer)
        yield receiver
