"""The metric events of one ticket: the marks of its clocks, the breaches that follow, and the quirks of their delivery.

A clock breaches if it ran longer than its target, in the hours of the policy. Some breaches are announced ahead and withdrawn
when they do not happen; a few are withdrawn days later, after the target was relaxed. Rows arrive seconds to minutes late.
https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ticket_events_pipeline.sandbox.clocks import METRICS, LifeClock, Mark, clocks_of
from ticket_events_pipeline.sandbox.policies import Target
from ticket_events_pipeline.sandbox.schedule import DAY_SECONDS, WEEKDAY_HOURS, Hours
from ticket_events_pipeline.sandbox.stored_row import StoredRow, compact_json, iso_text
from ticket_events_pipeline.sandbox.ticket_life import Update

PLAN_HORIZON_DAYS = 3
"""Breaches are announced at most that far ahead; bounds how far into the future rows may be dated."""

_PLANNED_SHARE = 0.03
_RESTATED_SHARE = 0.25
"""Of the breaches whose target is relaxed afterwards; that is about one in fifty of all."""

_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class _Event:
    """A future row: `visible_at` and `withdrawn_at` are epoch seconds; `rest` is the JSON text of its last fields."""

    metric: str
    instance_id: int
    type: str
    time: int
    visible_at: float
    withdrawn_at: float = _NEVER
    rest: str = ""


def metric_rows(
    rng: random.Random, updates: Sequence[Update], *, ticket_id: int, first_id: int, hours: Hours = WEEKDAY_HOURS
) -> list[StoredRow]:
    """The ticket's metric events; their ids count up from `first_id`, in the order in which they were made."""
    created = updates[0].time
    events = [_Event(metric, 0, "measure", created, created + _delay(rng)) for metric in METRICS[:-1]]
    for clock in clocks_of(updates):
        events.extend(_Walk(rng, clock, hours).events())
    events.sort(key=lambda event: min(event.time, event.visible_at))
    return [_stored(event, ticket_id, first_id + number) for number, event in enumerate(events)]


def _delay(rng: random.Random) -> float:
    """Seconds after its own time until a row is visible: mostly none, sometimes up to four minutes."""
    chance = rng.random()
    if chance < 0.75:
        return 0.0
    return rng.uniform(1, 30) if chance < 0.96 else rng.uniform(30, 240)


class _Walk:
    """Follows the marks of one clock, and counts the time it ran."""

    def __init__(self, rng: random.Random, clock: LifeClock, hours: Hours) -> None:
        self._rng = rng
        self._clock = clock
        self._hours = hours
        self._calendar_seconds = 0
        self._business_seconds = 0
        self._running_since: int | None = None
        self._deleted_at: int | None = None
        self._is_fulfilled = False
        self._target: Target | None = None
        self._is_over = False
        self._breached: _Event | None = None
        self._taken_back: dict[_Event, float] = {}

    def events(self) -> list[_Event]:
        """All of them, in the order of the marks."""
        return [
            replace(event, withdrawn_at=self._taken_back[event]) if event in self._taken_back else event
            for event in list(self._walk())  # to the end, before the first is used
        ]

    def _walk(self) -> Iterator[_Event]:
        for mark in self._clock.marks:
            yield from self._run_until(mark.time)
            if mark.kind == "apply":
                yield from self._apply(mark)
                continue
            if mark.kind in ("delete", "restore"):
                self._follow_deletion(mark)
                continue
            yield self._event(mark.kind, mark.time)
            self._running_since = mark.time if mark.kind == "activate" else None
            self._is_fulfilled = mark.kind == "fulfill"
            if self._is_fulfilled:
                calendar, business = self._calendar_seconds // 60, self._business_seconds // 60
                rest = f',"status":{{"calendar":{calendar},"business":{business}}}'
                yield self._event("update_status", mark.time, rest=rest)

    def _run_until(self, end: int) -> Iterator[_Event]:
        """Count the time up to `end`, and find the breach in it, or the one that was only announced."""
        start = self._running_since
        if start is None:
            return
        if self._target is not None and not self._is_over:
            # One second at least: a clock that was stopped with nothing left is over its target when it runs again.
            due = self._target.policy.later(start, max(1, self._target.seconds - self._elapsed(self._target)), self._hours)
            is_planned = self._rng.random() < _PLANNED_SHARE and due - start <= PLAN_HORIZON_DAYS * DAY_SECONDS
            if due < end:
                self._is_over = True
                yield self._breach(due, visible_at=(start if is_planned else due) + _delay(self._rng))
            elif is_planned:
                withdrawn_at = end + _delay(self._rng)
                yield self._event("breach", due, visible_at=start + _delay(self._rng), withdrawn_at=withdrawn_at)
        self._calendar_seconds += end - start
        self._business_seconds += self._hours.seconds(start, end)
        self._running_since = end

    def _follow_deletion(self, mark: Mark) -> None:
        """A deleted ticket sends nothing; its clocks keep running. A breach due meanwhile is sent when it is restored."""
        if self._deleted_at is None:
            self._deleted_at, self._running_since = mark.time, None
            return
        self._calendar_seconds += mark.time - self._deleted_at
        self._business_seconds += self._hours.seconds(self._deleted_at, mark.time)
        self._deleted_at, self._running_since = None, mark.time

    def _apply(self, mark: Mark) -> Iterator[_Event]:
        is_relaxed = self._is_over and mark.target is not None and self._elapsed(mark.target) < mark.target.seconds
        if is_relaxed and self._breached is not None and self._rng.random() < _RESTATED_SHARE:
            self._taken_back[self._breached] = mark.time + self._rng.uniform(1, 2) * DAY_SECONDS
        self._target = mark.target
        kind, key = ("apply_group_sla", "group_sla") if self._clock.metric == "group_ownership_time" else ("apply_sla", "sla")
        yield self._event(kind, mark.time, rest=_target_field(key, mark.target))
        # A new target starts fresh: a clock that is over it already breaches at once, another one may breach once more.
        self._is_over = mark.target is not None and self._elapsed(mark.target) >= mark.target.seconds
        if self._is_over and not self._is_fulfilled:
            yield self._breach(mark.time, visible_at=mark.time + _delay(self._rng))

    def _elapsed(self, target: Target) -> int:
        return self._business_seconds if target.policy.business_hours else self._calendar_seconds

    def _breach(self, time: int, *, visible_at: float) -> _Event:
        self._breached = self._event("breach", time, visible_at=visible_at)
        return self._breached

    def _event(
        self, kind: str, time: int, *, visible_at: float | None = None, withdrawn_at: float = _NEVER, rest: str = ""
    ) -> _Event:
        seen = time + _delay(self._rng) if visible_at is None else visible_at
        return _Event(self._clock.metric, self._clock.instance_id, kind, time, seen, withdrawn_at, rest)


def _field(name: str, value: object) -> str:
    return f',"{name}":{compact_json(value)}'


@lru_cache(maxsize=1024)
def _target_field(name: str, target: Target | None) -> str:
    if target is None:
        return _field(name, None)
    policy = target.policy
    sla: dict[str, object] = {"target": target.seconds // 60, "business_hours": policy.business_hours}
    if policy.in_seconds:
        sla["target_in_seconds"] = target.seconds
    return _field(name, {**sla, "policy": {"id": policy.id, "title": policy.title, "description": policy.description}})


def _stored(event: _Event, ticket_id: int, row_id: int) -> StoredRow:
    text = (
        f'{{"id":{row_id},"ticket_id":{ticket_id},"metric":"{event.metric}","instance_id":{event.instance_id},'
        f'"type":"{event.type}","time":"{iso_text(event.time)}","deleted":false{event.rest}}}'
    )
    return StoredRow(event.time, row_id, event.visible_at, event.withdrawn_at, text.encode())
