"""Drawn lives of tickets: what was true of each at every moment, and the audits, metric events and snapshots that tell of it.

What is drawn is consistent: whatever an audit or a snapshot says was true then. So no value that is marked known may differ.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA
from ticket_events_pipeline_tests.support.raw_files import put_raw_table
from ticket_events_pipeline_tests.support.sla_cases import raw_row
from ticket_events_pipeline_tests.support.ticket_oracle import CHANNELS

FIRST = Day(dt.date(2026, 3, 7))
DAYS = 5
CUSTOM = "custom_field:77"
TRACKED = tracked_fields([CUSTOM])
MOMENTS = [0, 1, 3600, 7200, 7201, 40_000, 86_399]
"""Seconds of a day: so few that audits and metric events share them."""

NOW = FIRST.plus(DAYS).start + 1800
"""When the test runs ask for snapshots."""

VALUES = {
    "status": ["new", "open", "pending", "solved", "deleted"],
    "priority": [None, "low", "high"],
    "type": [None, "question", "incident"],
    "group_id": [None, 1, 2, 3, "no id"],
    "assignee_id": [None, 11, 12],
    "organization_id": [None, 21],
    "brand_id": [31, 32],
    "ticket_form_id": [None, 41, 42],
    "schedule_id": [None, 51, 52],
    CUSTOM: [None, "a", "b", ""],
}
TAGS = ["billing", 'quo"ted', "vip", "ünïcode"]
VIAS = ["Web form", "Mail", "Unheard of", None]


class Life:
    """One ticket: its values over time, its audits and its metric events."""

    def __init__(self, rng, number, days):
        self.number, self.rng = number, rng
        self.times = sorted(day.start + moment for day in days for moment in MOMENTS)
        self.via = rng.choice(VIAS)
        self.values = {field: rng.choice(choices) for field, choices in VALUES.items()}
        self.values |= {"status": "new", "schedule_id": None, "tags": self.some_tags()}
        self.timeline = {field: [] for field in self.values}
        self.initial = dict(self.values)
        self.audits, self.events = [], []
        self.is_created = rng.random() < 0.6
        at = rng.choice(self.times[: len(self.times) // 2])
        if self.is_created:
            self.audits.append({"time": at, "via": self.via, "child_events": self.create()})
        self.change_at(at if self.is_created else self.times[0])
        self.measure(at)

    def some_tags(self):
        return sorted(tag for tag in TAGS if self.rng.random() < 0.4)

    def create(self):
        """The child events of the Create: all that is set, one by one or together."""
        fields = {**self.as_sent(), "tags": self.values["tags"]}
        said = {name: value for name, value in fields.items() if value not in (None, []) or self.rng.random() < 0.2}
        if self.rng.random() < 0.5:
            return [{"id": 1, "event_type": "Create", **said}]
        return [{"id": place, "event_type": "Create", name: value} for place, (name, value) in enumerate(said.items())]

    def as_sent(self):
        custom = {"custom_ticket_fields": {"77": self.values[CUSTOM], "78": "other"}}
        return {name: value for name, value in self.values.items() if name not in ("tags", "schedule_id", CUSTOM)} | custom

    def change_at(self, first):
        for at in sorted(self.rng.choices([time for time in self.times if time >= first], k=self.rng.choice([0, 1, 3, 6]))):
            fields = self.rng.sample(list(self.values), k=self.rng.choice([1, 1, 2]))
            children = [self.change(at, field) for field in fields]
            self.audits.append({"time": at, "via": self.rng.choice(VIAS), "child_events": children})

    def change(self, at, field):
        rng, before = self.rng, self.values[field]
        value = self.some_tags() if field == "tags" else rng.choice(VALUES[field])
        if field == "status" and before == "deleted":
            value = "open"
        self.values[field] = value
        self.timeline[field].append((at, value))
        if field == "schedule_id":
            return {"id": 1, "event_type": "ScheduleAssignment", "previous_schedule_id": before, "new_schedule_id": value}
        if field == "tags":
            return self.tag_change(before, value)
        said = {} if rng.random() < 0.5 else {"previous_value": before}
        if field != CUSTOM:
            return {"id": 1, field: value, "event_type": "Change", **said}
        if said and rng.random() < 0.5:
            said = {"previous_value": {"77": before}}
        return {"id": 1, "event_type": "Change", "custom_ticket_fields": {"77": value}, **said}

    def tag_change(self, before, value):
        changed = {"added_tags": sorted({*value} - {*before}), "removed_tags": sorted({*before} - {*value})}
        kind = self.rng.choice(["list", "both", "both", "changes"])
        child = {"id": 1, "event_type": "Change"}
        return child | ({} if kind == "changes" else {"tags": value}) | ({} if kind == "list" else changed)

    def measure(self, first):
        """The metric events of one or two clocks; some begin before the ticket's first stored audit."""
        rng = self.rng
        for metric in rng.sample(["reply_time", "resolution_time", "agent_work_time"], k=rng.choice([1, 2])):
            clock = {"ticket_id": self.number, "metric": metric, "instance_id": 1}
            times = sorted(rng.choices([time for time in self.times if time >= first], k=7))
            sla = {"target": 60, "business_hours": rng.choice([False, True, None]), "policy": {"id": 1, "title": "P"}}
            self.events += [{**clock, "type": "activate", "time": times[0]}]
            self.events += [{**clock, "type": "apply_sla", "time": times[1], "sla": sla}]
            for kind, at in zip(["breach", "fulfill", "activate", "fulfill", "apply_sla"], times[2:], strict=True):
                if rng.random() < 0.5:
                    self.events.append({**clock, "type": kind, "time": at, **({"sla": None} if kind == "apply_sla" else {})})

    def truth(self, field, at, *, includes_at):
        """The value at a moment."""
        if field == "channel":
            return CHANNELS.get(self.via, self.via)
        value = self.initial[field]
        for changed_at, after in self.timeline[field]:
            if changed_at < at or (includes_at and changed_at == at):
                value = after
        return value

    def snapshot(self, at):
        """(seen_at, updated_at, values) as an account answers at that time."""
        told = [field for field in TRACKED if field != "schedule_id" and not (field == "channel" and self.via is None)]
        updated_at = max((audit["time"] for audit in self.audits if audit["time"] <= at), default=FIRST.start - 86_400)
        return at, updated_at, {field: self.truth(field, at, includes_at=True) for field in told}


class DrawnTickets:
    """Many lives, and the account that is asked for snapshots of them.

    Attributes:
        lives: by ticket.
        audits, events: of all, as dicts; `time` is epoch seconds.
    """

    def __init__(self, seed: int, tickets: int, days: int = DAYS) -> None:
        rng = random.Random(seed)  # noqa: S311  # the same every time
        self.days = [FIRST.plus(offset) for offset in range(days)]
        self.lives = {number: Life(rng, number, self.days) for number in range(1, tickets + 1)}
        audits = [{**audit, "ticket_id": life.number} for life in self.lives.values() for audit in life.audits]
        events = [event for life in self.lives.values() for event in life.events]
        self.audits = numbered(sorted(audits, key=lambda audit: audit["time"]), 1_000_000)
        self.events = numbered(events, 1)
        self.early = {
            number: life.snapshot(rng.choice(life.times) + rng.choice([0, 1800]))
            for number, life in self.lives.items()
            if rng.random() < 0.3
        }

    def put(self, root: Path, day: Day, *, with_audits: bool = True, read_to: float | None = None) -> None:
        """Land the day's raw files, read up to `read_to`."""
        end = min(day.end, read_to or day.end)
        rows = {"ticket_metric_events": [raw_row(event) for event in of_time(self.events, day.start, end)]}
        if with_audits:
            rows["ticket_events"] = [audit_row(audit) for audit in of_time(self.audits, day.start, end)]
        for stream, found in rows.items():
            found.sort(key=lambda row: (row["time"], row["id"]))
            put_raw_table(root, pa.Table.from_pylist(found, TABLES[stream].schema), stream, day, read_to=read_to)


def of_time(rows, start, end):
    return [row for row in rows if start <= row["time"] < end]


def numbered(rows, first):
    return [{"id": first + place, **row} for place, row in enumerate(rows)]


def audit_row(audit):
    row = {name: audit[name] for name in ("id", "ticket_id", "via")}
    return row | {"time": audit["time"] * 1000, "child_events": json.dumps(audit["child_events"], separators=(",", ":"))}


class DrawnSnapshots:
    """Snapshots of drawn tickets, some of them taken early, all others at NOW; as `tickets.snapshots.Snapshots`."""

    def __init__(self, drawn: DrawnTickets) -> None:
        self.drawn = drawn
        self.taken = {number: [snapshot] for number, snapshot in drawn.early.items()}
        self.asked: set[int] = set()

    def stored(self, tickets, *, since=None):
        rows = [
            {"ticket_id": number, "field": field, "value": as_text(value)} | milliseconds(seen_at, updated_at)
            for number in tickets
            for seen_at, updated_at, values in self.taken.get(number, [])
            for field, value in values.items()
        ]
        return pa.Table.from_pylist(rows, SNAPSHOTS_SCHEMA)

    def ask(self, tickets, fields):
        for number in set(tickets) - self.asked:
            self.taken.setdefault(number, []).append(self.drawn.lives[number].snapshot(NOW))
        self.asked |= set(tickets)


def milliseconds(seen_at, updated_at):
    return {"seen_at": seen_at * 1000, "updated_at": updated_at * 1000}


def as_text(value):
    if isinstance(value, list):
        return json.dumps(sorted(value), separators=(",", ":"))
    return None if value is None else str(value)
