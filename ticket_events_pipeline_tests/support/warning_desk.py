"""Ticks of the warnings without Dagster: tables as a test writes them, a cursor, and destinations that a test turns off."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.warning_rules import outlook
from ticket_events_pipeline.alerts.warning_settings import WarningSettings
from ticket_events_pipeline.alerts.warning_state import WarningNews, WarningState
from ticket_events_pipeline.alerts.warning_tick import tick
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tickets.due_targets import DUE_TARGET_COLUMNS, DueTargets

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
MINUTE, HOUR = 60, 3600
INTERVAL = 10 * MINUTE

ACCEPTED = Answer(is_accepted=True)
DOWN = Answer(is_accepted=False, reason="503")

_TYPES = {
    **dict.fromkeys(DUE_TARGET_COLUMNS, pa.string()),
    **dict.fromkeys(
        ["ticket_id", "instance_id", "target_seconds", "breached_at", "due_at", "group_id", "assignee_id"], pa.int64()
    ),
    **dict.fromkeys(["business_hours", "is_paused", "group_is_known", "assignee_is_known"], pa.bool_()),
}


def due(ticket, due_at, **more):
    """An open target that is due then."""
    return {
        "ticket_id": ticket,
        "metric": "reply_time",
        "instance_id": 1,
        "sla_metric": "first_reply_time",
        "policy_id": "7",
        "policy_title": "Premium",
        "business_hours": False,
        "outcome": "active",
        "is_paused": False,
        "due_at": due_at,
        "due_by": "calendar",
        "group_is_known": True,
        "assignee_is_known": True,
        **more,
    }


def late(ticket, breached_at, **more):
    """An open target that breached then."""
    return due(ticket, None, **{"outcome": "breached_open", "breached_at": breached_at, "due_by": None, **more})


def found(*rows, as_of, schedules_fetched_at=None, read_at=None):
    """What the tables hold as of then."""
    schema = pa.schema([(name, _TYPES[name]) for name in DUE_TARGET_COLUMNS])
    targets = pa.Table.from_pylist(list(rows), schema)
    day = Day.containing(as_of)
    return DueTargets(day, as_of, False, as_of if read_at is None else read_at, schedules_fetched_at, targets)


@dataclass
class Desk:
    """Ticks as Dagster makes them, with the cursor as text.

    Attributes:
        answers: of each destination, by its name.
        sent: of every attempt the name, the news and whether it was accepted.
        summary: of the last tick.
    """

    answers: dict[str, Answer] = field(default_factory=lambda: {"chat": ACCEPTED})
    settings: WarningSettings = field(default_factory=WarningSettings)
    interval_seconds: int = INTERVAL
    cursor: str | None = None
    sent: list[tuple[str, WarningNews, bool]] = field(default_factory=list)
    summary: str = ""

    def tick(self, now, tables, *, keep=True):
        """What was accepted at this tick: by destination, its news."""
        seen = outlook(tables, self.settings, now=now, today=Day.containing(now), interval_seconds=self.interval_seconds)
        before = len(self.sent)
        ticked = tick(self.state, seen, list(self._destinations.values()), send=self._send)
        self.summary = ticked.summary
        if keep:
            self.cursor = ticked.state.to_cursor()
        return {name: news for name, news, is_accepted in self.sent[before:] if is_accepted}

    @property
    def state(self):
        """What the cursor says."""
        return WarningState.parse(self.cursor, [destination.mark for destination in self._destinations.values()])

    def recipient(self, name="chat"):
        """The state of a destination."""
        return self.state.recipients[self._destinations[name].mark]

    @property
    def _destinations(self):
        names = enumerate(self.answers, 1)
        return {name: Destination(Kind.WEBHOOK, f"https://hooks.example/{name}", number) for number, name in names}

    def told(self, now, *rows, as_of=None, **more):
        """The tickets that the only destination is told: due ones as they are, breached ones with a minus."""
        tables = found(*rows, as_of=now if as_of is None else as_of, **more)
        news = self.tick(now, tables).get("chat", WarningNews())
        return [*(target.ticket_id for target in news.due), *(-target.ticket_id for target in news.breached)]

    def _send(self, news):
        names = {destination: name for name, destination in self._destinations.items()}
        self.sent += [(names[to], item, self.answers[names[to]].is_accepted) for to, item in news.items()]
        return {to.mark: self.answers[names[to]] for to in news}


def ticking_desk(**more):
    """One that has ticked a moment before noon, and told nothing."""
    desk = Desk(**more)
    assert desk.tick(NOON - MINUTE, found(as_of=NOON - MINUTE)) == {}
    return desk
