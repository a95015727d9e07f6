"""A recorded account whose server has bad moments: between any two good pages comes the next of its faults.

Pages, paging and tokens are the sandbox's; the sockets are the scripted server's, which can misbehave below HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from ticket_events_pipeline.sandbox.credentials import DEMO, DEMO_CREDENTIALS, Doorkeeper
from ticket_events_pipeline.sandbox.exports import Exports, World
from ticket_events_pipeline.sandbox.quota import Quota
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline_tests.support.client_bench import SECRET, FakeTime
from ticket_events_pipeline_tests.support.events import iso
from ticket_events_pipeline_tests.support.scripted_server import Item, Misbehaviour, Recorded

TOKEN_PATH = "/oauth/tokens"


@dataclass(frozen=True)
class Fault:
    """What the server does instead of answering, and what the log says of it: a pattern per answer, the wait included."""

    answers: tuple[Item, ...]
    logged: tuple[str, ...]


@dataclass
class FaultyAccount:
    """Answers as a script's item: a good page, then a fault, and so on until there are none left.

    `elsewhere` is the host that every `next_page` names.
    """

    rows: dict[str, list[dict[str, Any]]]
    faults: list[Fault] = field(default_factory=list)
    time: FakeTime = field(default_factory=FakeTime)
    page_limit: int = 3
    elsewhere: str = "http://elsewhere.invalid"
    world: dict[str, Any] = field(default_factory=dict)
    happened: int = field(default=0, init=False)
    grants: int = field(default=0, init=False)
    granted: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._exports = Exports(
            RecordedAccount(self.rows),
            world=World(quota_headers=False, page_limit=self.page_limit, **self.world),
            doorkeeper=Doorkeeper(DEMO_CREDENTIALS),
            quota=Quota(1_000_000),
            clock=self.time.clock,
        )
        self._pending: Iterator[Item] = iter(())

    def script(self) -> Iterator[Item]:
        """Without end."""
        while True:
            yield self

    def __call__(self, request: Recorded) -> Any:
        if request.path == TOKEN_PATH:
            return self._grant()
        fault = next(self._pending, None)
        if fault is not None:
            return fault if isinstance(fault, tuple | Misbehaviour) else fault(request)
        if self.happened < len(self.faults):
            self._pending = iter(self.faults[self.happened].answers)
            self.happened += 1
        return self.good(request)

    def good(self, request: Recorded) -> Any:
        """The next page, for a client with the secret or the newest token."""
        dated = {"Date": formatdate(self.time.clock(), usegmt=True)}
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, dated, {"error": "invalid_token", "error_description": "The access token expired"}
        url = self.elsewhere + request.path
        stream = request.path.rpartition("/")[2]
        answer = self._exports.answer(stream, request.query, authorization=f"Bearer {DEMO}", url=url)
        return answer.status, {**dated, **answer.headers}, answer.body

    @property
    def token(self) -> str:
        """What opens the account just now."""
        return f"{SECRET}-{self.grants}" if self.grants else SECRET

    def end_token(self, request: Recorded) -> Any:
        """A fault: the token has ended before its time."""
        self.grants += 1
        return self.good(request)

    def _grant(self) -> Any:
        self.grants += 1
        self.granted.append(self.token)
        return 200, {}, {"access_token": self.token, "token_type": "bearer", "expires_in": 10**6}


def audit(number: int, time: int, **more: Any) -> dict[str, Any]:
    base = {"id": number, "ticket_id": number % 7, "timestamp": time, "created_at": iso(time), "event_type": "Audit"}
    return {**base, "via": "Web form", "child_events": [{"id": number, "event_type": "Change", "status": "open"}], **more}


def metric_event(number: int, time: int, **more: Any) -> dict[str, Any]:
    base = {"id": number, "ticket_id": number % 7, "metric": "reply_time", "instance_id": 1, "type": "activate"}
    return {**base, "time": iso(time), "deleted": False, **more}


ROW_OF = {"ticket_events": audit, "ticket_metric_events": metric_event}
