"""A client on a bench: against a scripted server, on a clock that only its waits move, with its log kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

from ticket_events_pipeline.credentials import BearerToken, Credentials
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.client import WalkedPage, ZendeskClient
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS

NOW = 1_800_000_000.0
T = 1_700_000_000
SECRET = "hush-hush"


class FakeTime:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = NOW
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Bench:
    """A client against a scripted server, its time and its log."""

    def __init__(self, server: ScriptedServer, credentials: Credentials, **options: Any) -> None:
        self.server = server
        self.time = FakeTime()
        self.log: list[str] = []
        quota = options.pop("quota", None) or Quota(1000, clock=self.time.clock)
        self.client = ZendeskClient(
            options.pop("base_url", server.url),
            credentials,
            quota=quota,
            **{"timeout_seconds": 5, **options},
            sleep=self.time.sleep,
            clock=self.time.clock,
            log=self.log.append,
        )

    def walk(self, stream: Stream = TICKET_EVENTS, start_time: int = T) -> list[WalkedPage]:
        return list(self.client.pages(stream, start_time))

    def asked(self, name: str) -> list[str | None]:
        return [request.query.get(name) for request in self.server.requests]


@contextmanager
def bench(*script: Item, credentials: Credentials | None = None, **options: Any) -> Iterator[Bench]:
    with ScriptedServer(script) as server:
        made = Bench(server, credentials or BearerToken(SECRET), **options)
        with made.client:
            yield made


def page(*ids: int, key: str = "ticket_events", headers: dict[str, str | None] | None = None, **envelope: Any) -> Any:
    rows = [{"id": id_, "child_events": [], "timestamp": envelope.get("end_time", T)} for id_ in ids]
    body = {key: rows, "count": len(ids), **envelope}
    return 200, {"Date": formatdate(NOW, usegmt=True), **(headers or {})}, body


def last_page(*ids: int, **options: Any) -> Any:
    return page(*ids, **{"end_time": T + 5, "end_of_stream": True, **options})


def ids_of(pages: list[WalkedPage]) -> list[list[int]]:
    return [[row["id"] for row in walked.page.rows] for walked in pages]
