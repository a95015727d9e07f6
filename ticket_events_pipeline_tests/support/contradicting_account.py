"""A recorded account whose answers contradict themselves: single ones, or every one, as a test says.

Pages and paging are the sandbox's; what is changed about an answer is decided here, per answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from ticket_events_pipeline.sandbox.credentials import DEMO, DEMO_CREDENTIALS, Doorkeeper
from ticket_events_pipeline.sandbox.exports import Exports, World
from ticket_events_pipeline.sandbox.quota import Quota
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.scripted_server import Recorded, ScriptedServer

HOUR = 3600
YEAR_2100 = 4_102_444_800


@dataclass
class Answered:
    """A good answer, to be changed: the envelope, the stream it holds rows of, and the headers."""

    stream: str
    start_time: int
    now: float
    envelope: dict[str, Any]
    headers: dict[str, str | None]

    @property
    def rows(self) -> list[Any]:
        return self.envelope[self.stream]

    def end_at(self, end_time: Any) -> None:
        """End the page there, as `end_time` and `next_page` both say; the last page of a stream stays the last."""
        self.envelope["end_time"] = end_time
        self.envelope["next_page"] = f"https://x.invalid/?start_time={end_time}"

    def date(self, time: float | None) -> None:
        self.headers["Date"] = None if time is None else formatdate(time, usegmt=True)

    def empty(self, end_time: Any) -> None:
        """No rows, though more follows."""
        self.envelope[self.stream] = []
        self.envelope |= {"count": 0, "end_of_stream": False}
        self.end_at(end_time)


Change = Callable[[Answered], None]

END_TIMES: dict[str, Change] = {
    "three hours ahead": lambda a: a.end_at(a.envelope["end_time"] + 3 * HOUR),
    "in 2100": lambda a: a.end_at(YEAR_2100),
    "in milliseconds": lambda a: a.end_at(a.envelope["end_time"] * 1000),
    "as text": lambda a: a.end_at("the end of the page"),
    "as an ISO date": lambda a: a.end_at("2026-03-09T00:00:00Z"),
    "null": lambda a: a.end_at(None),
    "before the rows": lambda a: a.end_at(a.start_time - 86_400),
}

OTHERS: dict[str, Change] = {
    "a count that is too large": lambda a: a.envelope.update(count=len(a.rows) + 7),
    "a count that is too small": lambda a: a.envelope.update(count=len(a.rows) - 1),
    "a Date three hours ahead": lambda a: a.date(a.now + 3 * HOUR),
    "a Date three hours behind": lambda a: a.date(a.now - 3 * HOUR),
    "a Date of last year": lambda a: a.date(a.now - 365 * 86_400),
    "no Date": lambda a: a.date(None),
    "no rows, and no way ahead": lambda a: a.empty(a.start_time),
    "no rows, and no end": lambda a: a.empty(None),
    "no rows, and three hours ahead": lambda a: a.empty(a.start_time + 3 * HOUR),
    "no rows, and 2100": lambda a: a.empty(YEAR_2100),
    "rows in any order": lambda a: a.rows.sort(key=lambda row: row["id"] * 7919 % 101),
}

CHANGES = END_TIMES | OTHERS


@dataclass
class ContradictingAccount:
    """Answers as a script's item. `changes` are made to the answers of those numbers, from 0; `always` to all others."""

    rows: Mapping[str, list[dict[str, Any]]]
    clock: Moment
    page_limit: int = 1000
    end_of_stream: str = "present"
    changes: dict[int, Change] = field(default_factory=dict)
    always: Change | None = None
    answered: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._exports = Exports(
            RecordedAccount(self.rows),
            world=World(quota_headers=False, page_limit=self.page_limit, end_of_stream=self.end_of_stream),  # type: ignore[arg-type]
            doorkeeper=Doorkeeper(DEMO_CREDENTIALS),
            quota=Quota(10**9),
            clock=self.clock,
        )

    def __call__(self, request: Recorded) -> Any:
        stream = request.path.rpartition("/")[2]
        answer = self._exports.answer(stream, request.query, authorization=f"Bearer {DEMO}", url="https://x.invalid/")
        headers: dict[str, str | None] = {"Date": formatdate(self.clock(), usegmt=True), **answer.headers}
        if answer.status != 200:
            return answer.status, headers, answer.body
        answered = Answered(stream, int(request.query["start_time"]), self.clock(), json.loads(answer.body), headers)
        change = self.changes.get(self.answered, self.always)
        if change is not None:
            change(answered)
        self.answered += 1
        return 200, answered.headers, answered.envelope

    def behave(self) -> None:
        """Contradict nothing any more."""
        self.changes, self.always = {}, None

    @contextmanager
    def serving(self) -> Iterator[ScriptedServer]:
        def script() -> Iterator[Any]:
            while True:
                yield self

        with ScriptedServer(script()) as server:
            yield server
