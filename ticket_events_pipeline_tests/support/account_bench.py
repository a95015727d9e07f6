"""The account's API on a bench: against a scripted server, on a clock that only its waits move, with its log kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

from ticket_events_pipeline.credentials import BearerToken, Credentials
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET, FakeTime
from ticket_events_pipeline_tests.support.scripted_server import Answer, Item, Recorded, ScriptedServer


class AccountBench:
    """An API against a scripted server, its time and its log."""

    def __init__(self, server: ScriptedServer, credentials: Credentials, **options: Any) -> None:
        self.server = server
        self.time = FakeTime()
        self.log: list[str] = []
        self.api = AccountApi(
            options.pop("base_url", server.url),
            credentials,
            pace=options.pop("pace", None) or AccountPace(),
            **{"total_seconds": 300, "timeout_seconds": 5, **options},
            sleep=self.time.sleep,
            timer=self.time.clock,
            clock=self.time.clock,
            log=self.log.append,
        )

    @property
    def asked(self) -> list[tuple[str, dict[str, str]]]:
        return [(request.path, request.query) for request in self.server.requests]


@contextmanager
def account_bench(*script: Item, credentials: Credentials | None = None, **options: Any) -> Iterator[AccountBench]:
    with ScriptedServer(script) as server:
        made = AccountBench(server, credentials or BearerToken(SECRET), **options)
        with made.api:
            yield made


PLENTY = {"x-rate-limit": "700", "x-rate-limit-remaining": "650"}


def answer(headers: dict[str, str | None] | None = None, **body: Any) -> Answer:
    """A 200 with that JSON, of an account that has used little of its rate limit."""
    return 200, {"Date": formatdate(NOW, usegmt=True), **PLENTY, **(headers or {})}, body


def whole_account(
    known: dict[int, dict[str, Any]] | None = None, lists: dict[str, Any] | None = None, /, **answers: Item
) -> Callable[[Recorded], Any]:
    """Answers any request of an account, without a Date: `known` tickets by id, `lists` by path below /api/v2/.

    `answers` are given instead, by the member that the answer would have.
    """

    def serve(request: Recorded) -> Any:
        path = request.path.removeprefix("/api/v2/")
        member = _member(path)
        if member in answers:
            item = answers[member]
            return item(request) if callable(item) else item
        records = (lists or {}).get(path, [])
        if path.endswith("show_many"):
            source = known or {} if member == "tickets" else {row["id"]: row for row in records}
            wanted = [int(text) for text in request.query["ids"].split(",")]
            records = [source[id_] for id_ in wanted if id_ in source]
        return answer({"Date": None}, **{member: records})

    return serve


def _member(path: str) -> str:
    """The member of an answer that holds its list."""
    first, last = path.partition("/")[0], path.rpartition("/")[2]
    return {"slas": "sla_policies", "group_slas": "group_sla_policies"}.get(first, first if last == "show_many" else last)
