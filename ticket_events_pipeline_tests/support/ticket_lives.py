"""Drawn lives of tickets: metric events of their clocks and audits of what happened to them, and who really held them.

Everything is drawn from a seed. Rows are dicts as in `sla_cases`; times are epoch seconds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ticket_events_pipeline.day import Day

GROUPS, AGENTS, SCHEDULES = [10, 20, 30, None], [1, 2, 3, None, None], [7, 8]
HOUR = 3600


@dataclass
class Life:
    """One ticket.

    Attributes:
        truth: by field, when it had which value from, in order; the first entry holds from the beginning.
    """

    ticket_id: int
    events: list = field(default_factory=list)
    audits: list = field(default_factory=list)
    truth: dict = field(default_factory=dict)

    def true_value(self, name, second):
        """The value of a field from that second on."""
        return [value for since, value in self.truth[name] if since <= second][-1]

    def holders(self, start, end):
        """Every (group, agent) that held the ticket at some moment of [start, end)."""
        changes = {since for name in ("group_id", "assignee_id") for since, _ in self.truth[name]}
        moments = {start, *(second for second in changes if start < second < end)}
        return {(self.true_value("group_id", second), self.true_value("assignee_id", second)) for second in moments}


class _Writer:
    """Writes the events and audits of one ticket, with ids that no other ticket has."""

    def __init__(self, rng, ticket_id, start, end):
        self.rng, self.life = rng, Life(ticket_id)
        self.start, self.end = start, end
        self.ids = iter(range(ticket_id * 1000, ticket_id * 1000 + 1000))
        self.moments = sorted(self._moment() for _ in range(8))  # few, so that several things share a second
        for name, values in (("group_id", GROUPS), ("assignee_id", AGENTS), ("schedule_id", [None])):
            self.life.truth[name] = [(0, rng.choice(values))]
        self.is_deleted = False

    def _moment(self):
        second = self.rng.randrange(self.start, self.end)
        return second if self.rng.random() < 0.7 else max(self.start, second // 86_400 * 86_400)

    def audit(self, second, *children):
        self.life.audits.append(
            {"id": next(self.ids), "ticket_id": self.life.ticket_id, "time": second, "child_events": list(children)}
        )

    def event(self, second, kind, metric, instance, **more):
        key = {"ticket_id": self.life.ticket_id, "metric": metric, "instance_id": instance}
        self.life.events.append({"id": next(self.ids), **key, "type": kind, "time": second, **more})

    def change(self, second):
        """A change of some fields in one audit, at the earliest when the last one was."""
        children = []
        for name, values in (("group_id", GROUPS), ("assignee_id", AGENTS)):
            if self.rng.random() < 0.6:
                before, value = self.life.true_value(name, second), self.rng.choice(values)
                self.life.truth[name].append((second, value))
                said = {"previous_value": before} if self.rng.random() < 0.8 else {}
                children.append({"event_type": "Change", name: value, **said})
        if self.rng.random() < 0.15:
            self.is_deleted = not self.is_deleted
            children.append({"event_type": "Change", "status": "deleted" if self.is_deleted else "open"})
        if self.rng.random() < 0.15:
            schedule = self.rng.choice(SCHEDULES)
            before = self.life.true_value("schedule_id", second)
            self.life.truth["schedule_id"].append((second, schedule))
            children.append({"event_type": "ScheduleAssignment", "previous_schedule_id": before, "new_schedule_id": schedule})
        self.audit(second, *children, {"event_type": "Comment", "body": "hello"})

    def create(self, second):
        values = {name: entries[0][1] for name, entries in self.life.truth.items() if entries[0][1] is not None}
        self.audit(second, *({"event_type": "Create", name: value} for name, value in values.items()))

    def clock(self, metric, instance):
        """The events of one clock, most often as a clock would send them."""
        rng = self.rng
        moments = sorted(rng.choices(self.moments, k=rng.randint(2, 9)))
        self.event(moments[0], "activate", metric, instance)
        policy = {"target": rng.choice([30, 600]), "business_hours": rng.random() < 0.5, "policy": {"id": 11, "title": "A"}}
        applied_at = moments[0] if rng.random() < 0.7 else rng.choice(moments)
        if rng.random() < 0.9:
            self.event(applied_at, "apply_sla", metric, instance, sla=policy)
        for second in moments[1:]:
            kind = rng.choice(["pause", "activate", "activate", "breach", "fulfill", "fulfill", "update_status", "apply_sla"])
            more = {}
            if kind == "apply_sla":
                more["sla"] = rng.choice([policy, None, {**policy, "target": 60_000}])
            if kind == "breach":
                more["deleted"] = rng.random() < 0.2
            if kind == "update_status":
                more["status"] = rng.choice([None, self.minutes(), self.minutes()])
            self.event(second, kind, metric, instance, **more)
            if kind == "fulfill" and rng.random() < 0.7:
                self.event(second, "update_status", metric, instance, status=self.minutes())

    def minutes(self):
        return {hours: self.rng.choice([0, 7, 30, 90, 600, -1, None]) for hours in ("calendar", "business")}


def lives(seed, first: Day, days: int, *, tickets: int) -> list[Life]:
    """As many tickets, whose lives happen on these days."""
    rng, found = random.Random(seed), []  # noqa: S311 - the same lives every time
    for ticket_id in range(1, tickets + 1):
        writer = _Writer(rng, ticket_id, first.start, first.plus(days).start)
        if rng.random() < 0.6:  # else it was created before the first day
            writer.create(writer.moments[0])
        for second in sorted(rng.choices(writer.moments, k=rng.randint(0, 6))):
            writer.change(second)
        for metric, instance in (("reply_time", 1), ("resolution_time", 1), ("reply_time", 2)):
            if rng.random() < 0.6:
                writer.clock(metric, instance)
        found.append(writer.life)
    return found


def events_of(found: list[Life]) -> list[dict]:
    """The metric events of all of them."""
    return [event for life in found for event in life.events]


def audits_of(found: list[Life]) -> list[dict]:
    """Their audits."""
    return [audit for life in found for audit in life.audits]
