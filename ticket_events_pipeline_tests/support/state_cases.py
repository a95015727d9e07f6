"""Audits of drawn tickets, with the tracked changes that they make; and the rows of `ticket_states` as plain values."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.states_oracle import Change

CUSTOM = "custom_field:77"

FIELDS = ("status", "group_id", "assignee_id", "priority", "channel", "tags", CUSTOM)
"""Those that are tracked; the audits change others, too."""

VALUES: dict[str, list[Any]] = {
    "status": ["open", "pending", "solved"],
    "group_id": [11, 12, 13, None],
    "assignee_id": [21, 22, None],
    "priority": ["low", "urgent"],
    "requester_id": [31, 32],
    CUSTOM: ["a", "b", None],
}

TAGS = ["vip", "bug", "eu"]


def states_table(changes: list[Change]) -> pa.Table:
    """The changes in the schema of the table, in their order."""
    rows = [{**change, "changed_at": change["changed_at"] * 1000} for change in changes]
    return pa.Table.from_pylist(rows, schema=TICKET_STATES_TABLE.schema)


def states_rows(table: pa.Table) -> list[Change]:
    """The rows of the table, times as epoch seconds."""
    rows: list[Change] = table.to_pylist()
    return [{**row, "changed_at": int(row["changed_at"].timestamp())} for row in rows]


class Ticket:
    """Writes the audits of one ticket, and the changes that they make; times are epoch seconds."""

    def __init__(self, ticket_id: int) -> None:
        self.id = ticket_id
        self.audits: list[dict[str, Any]] = []
        self.changes: list[Change] = []

    def audit(self, time: int, children: list[dict[str, Any]], *, via: str = "Mail") -> Ticket:
        audit_id = self.id * 1000 + len(self.audits)
        self.audits.append({"id": audit_id, "ticket_id": self.id, "time": time, "child_events": children, "via": via})
        found = [change for place, child in enumerate(children) for change in self._changes(child, time, audit_id, place)]
        created = [change for change in found if change["is_create"]]
        if created:
            found.append({**created[0], "field": "channel", "value": "email", "tags_added": None, "tags_removed": None})
        self.changes += [change for change in found if change["field"] in FIELDS]
        return self

    def _changes(self, child: dict[str, Any], time: int, audit_id: int, position: int) -> list[Change]:
        kind = child["event_type"]
        if kind not in ("Create", "Change"):
            return []
        fields = [name for name in child if name in VALUES or name in ("tags", "custom_ticket_fields")]
        return [
            {
                "ticket_id": self.id,
                "field": CUSTOM if name == "custom_ticket_fields" else name,
                "value": text_of(child[name]["77"] if name == "custom_ticket_fields" else child[name]),
                "had_previous": "previous_value" in child,
                "previous_value": text_of(child.get("previous_value")),
                "tags_added": child.get("added_tags"),
                "tags_removed": child.get("removed_tags"),
                "changed_at": time,
                "audit_id": audit_id,
                "position": position,
                "is_create": kind == "Create",
            }
            for name in fields
        ]


def text_of(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(sorted(value), separators=(",", ":")) if isinstance(value, list) else str(value)


def child(rng: Random, kind: str) -> dict[str, Any]:
    """A child event that sets one field, or none."""
    name = rng.choice([*VALUES, "tags", "tags", "group_id", "group_id", "assignee_id", "comment"])
    if name == "comment":
        return {"event_type": "Comment"}
    if name == "tags":
        return {"event_type": kind, **tags(rng, kind)}
    value, previous = rng.choice(VALUES[name]), rng.choice(VALUES[name])
    said = {"previous_value": previous} if kind == "Change" and rng.random() < 0.7 else {}
    if name == CUSTOM:
        return {"event_type": kind, "custom_ticket_fields": {"77": value}, **said}
    return {"event_type": kind, name: value, **said}


def tags(rng: Random, kind: str) -> dict[str, Any]:
    """A list, a list and what was added, or only what was added and removed."""
    listed = rng.sample(TAGS, rng.randrange(3))
    if kind == "Create" or rng.random() < 0.3:
        return {"tags": sorted(listed)}
    difference = {"added_tags": rng.sample(TAGS, 1), "removed_tags": rng.sample(TAGS, rng.randrange(2))}
    return {"tags": None if rng.random() < 0.7 else sorted(listed), **difference}


def drawn_ticket(rng: Random, ticket_id: int, *, days: int) -> Ticket:
    """A Create may be missing or come late; audits may come after more than a month, in one second, or at midnight."""
    ticket, time = Ticket(ticket_id), Clock.DAY.start + rng.randrange(days * 86_400)
    created_at = rng.choice([0, 0, 0, 0, 1, None])
    for number in range(rng.randrange(10)):
        kind = "Create" if number == created_at else "Change"
        ticket.audit(time, [child(rng, kind) for _ in range(rng.randrange(1, 5))])
        to_midnight = 86_400 - time % 86_400
        time += rng.choice([0, 60, 7200, to_midnight, to_midnight, 86_400, 86_400, 5 * 86_400, 30 * 86_400, 32 * 86_400])
    return ticket
