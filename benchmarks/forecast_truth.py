"""What really happened to an account's targets: plain Python over the rows as they are delivered in the end.

Shares nothing with the pipeline: it reads the pages itself, and follows one clock at a time. A target breaches once, at the
first breach that isn't withdrawn and whose clock was open.
"""

from __future__ import annotations

import datetime as dt
import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

RANKS = {"activate": 0, "apply_sla": 1, "apply_group_sla": 1, "breach": 2, "pause": 3, "fulfill": 4, "update_status": 5}
"""The order of events in one second."""

Key = tuple[int, str, int]
"""Ticket, metric and instance."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One event of a clock; `target` is (seconds, business_hours) of an apply, None where it takes the policy away."""

    time: int
    kind: str
    target: tuple[int, bool] | None = None


@dataclass(frozen=True)
class State:
    """A clock just before a moment."""

    is_open: bool
    is_paused: bool
    is_known: bool
    target: tuple[int, bool] | None


@dataclass
class TrueClock:
    """A clock with all its events in order, and its breaches that were withdrawn in the end."""

    events: list[Event] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)

    @property
    def changes(self) -> list[Event]:
        """All events but breaches and durations."""
        return [event for event in self.events if event.kind in ("activate", "apply", "pause", "fulfill")]

    def state(self, moment: int, *, before: bool = True) -> State:
        """After all events before `moment`, or at it."""
        runs, is_paused, is_fulfilled, is_known, target = False, False, True, False, None
        for event in self.changes:
            if event.time > moment or (before and event.time == moment):
                break
            if event.kind == "apply":
                target = event.target
            else:
                runs, is_paused = event.kind == "activate", event.kind == "pause" and not is_fulfilled
                is_fulfilled = event.kind == "fulfill" or (is_fulfilled and event.kind == "pause")
            is_known = True
        return State((runs or is_paused) and target is not None, is_paused, is_known, target)


@dataclass
class TrueTicket:
    """What the audits say of a ticket, ascending: when it was deleted or restored, and when it got a schedule."""

    deletions: list[int] = field(default_factory=list)
    restorations: list[int] = field(default_factory=list)
    schedules: list[tuple[int, int | None]] = field(default_factory=list)
    created_at: int | None = None

    def is_deleted(self, moment: int) -> bool:
        """Whether it is deleted just before the moment."""
        return bisect_left(self.deletions, moment) > bisect_left(self.restorations, moment)

    def is_deleted_between(self, start: int, end: int) -> bool:
        """Whether it is deleted in [start, end]."""
        return bisect_left(self.deletions, start) < bisect_right(self.deletions, end)

    def schedule_changes(self, start: int, end: int) -> int:
        """How often its schedule changes in [start, end], its first one left out."""
        return sum(start <= time <= end for time, _ in self.schedules[1:])

    def schedule(self, moment: int) -> int | None:
        """The schedule just before the moment; None for none."""
        known = [value for time, value in self.schedules if time < moment]
        return known[-1] if known else None


@dataclass
class Truth:
    """All clocks and tickets of an account, from the first row that was read on."""

    clocks: dict[Key, TrueClock]
    tickets: dict[int, TrueTicket]
    breaches: list[tuple[int, Key]]
    """The first breach of each clock that counts, ascending: when, and whose."""

    def breached_at(self, key: Key) -> int | None:
        """When the target breached."""
        return self._by_key.get(key)

    def __post_init__(self) -> None:
        self._by_key = {key: time for time, key in self.breaches}


def read_truth(base_url: str, start: int, end: int) -> Truth:
    """Read both streams from `start` to `end` or somewhat later (epoch seconds), as they are delivered now."""
    clocks: dict[Key, TrueClock] = defaultdict(TrueClock)
    for row in _rows(base_url, "ticket_metric_events", start, end):
        clock, kind, time = clocks[row["ticket_id"], row["metric"], row["instance_id"]], row["type"], _epoch(row["time"])
        if row["deleted"]:
            clock.withdrawn += [time] if kind == "breach" else []
        elif row["instance_id"] and kind in RANKS:
            clock.events.append(_event(row, time))
    for clock in clocks.values():
        clock.events.sort(key=lambda event: (event.time, RANKS.get(event.kind, 1)))
    tickets: dict[int, TrueTicket] = defaultdict(TrueTicket)
    for row in _rows(base_url, "ticket_events", start, end):
        _read_audit(tickets[row["ticket_id"]], row)
    breaches = [(time, key) for key, clock in clocks.items() if (time := _breach(clock, tickets[key[0]])) is not None]
    return Truth(clocks, tickets, sorted(breaches))


def _event(row: Json, time: int) -> Event:
    if not row["type"].startswith("apply"):
        return Event(time, row["type"])
    sla = row.get("sla") or row.get("group_sla")
    if not sla:
        return Event(time, "apply")
    seconds = sla.get("target_in_seconds", sla["target"] * 60)
    return Event(time, "apply", (seconds, sla["business_hours"]))


def _breach(clock: TrueClock, ticket: TrueTicket) -> int | None:
    """The first breach at which the clock is open and the ticket isn't deleted."""
    for event in clock.events:
        if event.kind == "breach":
            # An apply or activate of that second comes before the breach, a fulfil or a pause after it.
            is_open = clock.state(event.time).is_open or clock.state(event.time, before=False).is_open
            if is_open and not ticket.is_deleted(event.time):
                return event.time
    return None


def _read_audit(ticket: TrueTicket, row: Json) -> None:
    time = row["timestamp"]
    for child in row["child_events"]:
        if child["event_type"] == "ScheduleAssignment":
            ticket.schedules.append((time, child["new_schedule_id"]))
        elif child["event_type"] == "Create":
            ticket.created_at = time
        if child["event_type"] == "Change" and "status" in child:
            is_deleted = len(ticket.deletions) > len(ticket.restorations)
            if child["status"] == "deleted" and not is_deleted:
                ticket.deletions.append(time)
            elif child["status"] != "deleted" and is_deleted:
                ticket.restorations.append(time)


def _rows(base_url: str, stream: str, start: int, end: int) -> Iterator[Json]:
    """Every row once, page by page."""
    seen: set[int] = set()
    while start < end:
        url = f"{base_url}/api/v2/incremental/{stream}.json?start_time={start}"
        with urlopen(Request(url, headers={"Authorization": "Bearer sandbox"})) as answer:  # noqa: S310 - on this machine
            page = json.load(answer)
        new = [row for row in page[stream] if row["id"] not in seen]
        seen.update(row["id"] for row in new)
        yield from new
        if page["end_of_stream"] or not new:
            return
        start = page["end_time"]


def _epoch(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())
