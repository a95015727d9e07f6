"""The audits of one ticket, in the shape of the live ticket event export: an update and its child events.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/#incremental-ticket-event-export
"""

from __future__ import annotations

import html
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

from ticket_events_pipeline.sandbox.catalog import AREA_FIELD, ESCALATION_FIELD
from ticket_events_pipeline.sandbox.history import History, Step, Values
from ticket_events_pipeline.sandbox.stored_row import StoredRow, compact_json, iso_text
from ticket_events_pipeline.sandbox.texts import (
    AGENT_LINES,
    NOTES,
    REQUESTER_LINES,
    VIA_CHANNEL,
    Cast,
    draw_system,
)
from ticket_events_pipeline.sandbox.ticket_life import Update

_CLOSING_RULE_ID = 360_126_900_411
_NOTIFYING_RULE_ID = 360_126_900_398
_PLAIN_FIELDS = (
    *("status", "priority", "type", "group_id", "assignee_id", "organization_id"),
    *("brand_id", "ticket_form_id"),
)

Json = dict[str, Any]


def audit_rows(
    rng: random.Random, cast: Cast, history: History, *, ticket_id: int, first_id: int, comments: bool
) -> list[StoredRow]:
    """One audit per step; ids of audits and child events count up from `first_id`. `comments`: with their full text."""
    scribe = _Scribe(rng, cast, ticket_id=ticket_id, first_id=first_id, comments=comments)
    before: tuple[Step | None, ...] = (None, *history.steps)
    audits = [scribe.audit(step, previous) for previous, step in zip(before, history.steps, strict=False)]
    if not history.has_ai:
        return audits
    # Of a ticket that an AI agent held, agents see what was done since they have it.
    scopes = [("all", "ai_agent") if step.is_ai else ("agent", "all", "ai_agent") for step in history.steps]
    return [replace(audit, scopes=seen_with) for audit, seen_with in zip(audits, scopes, strict=True)]


class _Scribe:
    """Writes the audits of one ticket in order. The random draws are the same with and without comments."""

    def __init__(self, rng: random.Random, cast: Cast, *, ticket_id: int, first_id: int, comments: bool) -> None:
        self._rng = rng
        self._cast = cast
        self._ticket_id = ticket_id
        self._ids = itertools.count(first_id)
        self._comments = comments

    def audit(self, step: Step, previous: Step | None) -> StoredRow:
        update = step.update
        via = self._via(step)
        audit_id = next(self._ids)
        changes = self._created(step.values) if previous is None else self._changed(step.values, previous.values)
        children = [self._child(via, **change) for change in changes]
        if update.comment is not None:
            children.append(self._comment(update, via, author_id=step.updater_id, audit_id=audit_id))
        if update.comment == "public" and update.actor == "agent":
            notice = {"event_type": "Notification", "recipients": [self._cast.requester_id], "subject": "Re: your request"}
            children.append(self._child("Rule", **notice))
        row = {
            "id": audit_id,
            "ticket_id": self._ticket_id,
            "timestamp": update.time,
            "created_at": iso_text(update.time),
            "updater_id": step.updater_id,
            "via": via,
            "via_reference_id": _CLOSING_RULE_ID if via == "Rule" else None,
            "system": draw_system(self._rng, via),
            "metadata": {"custom": {"time_spent_seconds": self._rng.randrange(30, 900)}} if self._rng.random() < 0.05 else {},
            "merged_ticket_ids": self._merged(update),
            "event_type": "Audit",
            "child_events": children,
        }
        return StoredRow(update.time, audit_id, update.time, math.inf, compact_json(row).encode())

    def _via(self, step: Step) -> str:
        if step.update.actor == "requester" or step.is_ai:
            return self._cast.channel
        if step.update.actor == "rule":
            return "Rule"
        return "Web form" if self._rng.random() < 0.9 else "Web service"

    def _created(self, values: Values) -> Iterator[Json]:
        """A Create for each field that was set, and an assignment of the schedule, which a rule makes in the same audit."""
        fields: Json = {"subject": self._cast.subject, "requester_id": self._cast.requester_id, "tags": list(values.tags)}
        fields |= {name: getattr(values, name) for name in _PLAIN_FIELDS}
        if values.area is not None:
            fields["custom_ticket_fields"] = {str(AREA_FIELD): values.area}
        for name, value in fields.items():
            if value is not None:
                yield {name: value, "event_type": "Create"}
        if values.schedule_id is not None:
            yield _schedule_assignment(None, values.schedule_id)

    def _changed(self, values: Values, before: Values) -> Iterator[Json]:
        for name in _PLAIN_FIELDS:
            value, previous_value = getattr(values, name), getattr(before, name)
            if value != previous_value:
                yield {name: value, "event_type": "Change", **self._previous(previous_value)}
        if values.tags != before.tags:
            added, removed = (sorted({*one} - {*other}) for one, other in permutations((values.tags, before.tags)))
            told = self._previous(list(before.tags), share=0.4)
            yield {"tags": list(values.tags), "added_tags": added, "removed_tags": removed, "event_type": "Change", **told}
        for field_id, name in ((AREA_FIELD, "area"), (ESCALATION_FIELD, "escalation")):
            value, previous_value = getattr(values, name), getattr(before, name)
            if value != previous_value:
                # Seen in both forms: the value itself, or by the field's id like the new one.
                told = previous_value if self._rng.random() < 0.5 else {str(field_id): previous_value}
                yield {"custom_ticket_fields": {str(field_id): value}, "event_type": "Change", "previous_value": told}
        if values.schedule_id != before.schedule_id:
            yield _schedule_assignment(before.schedule_id, values.schedule_id)

    def _previous(self, value: object, *, share: float = 0.95) -> Json:
        """That many of the changes say what was there before."""
        return {"previous_value": value} if self._rng.random() < share else {}

    def _child(self, via: str, **fields: Any) -> Json:
        reference = _NOTIFYING_RULE_ID if via == "Rule" else None
        return {"id": next(self._ids), "via": via, "via_reference_id": reference, **fields}

    def _comment(self, update: Update, via: str, *, author_id: int, audit_id: int) -> Json:
        is_public = update.comment == "public"
        lines = REQUESTER_LINES if update.actor == "requester" else AGENT_LINES if is_public else NOTES
        body = self._rng.choice(lines)
        child = self._child(via, comment_present=True, comment_public=is_public, event_type="Comment")
        if not self._comments:
            return child
        return {
            **child,
            "via": {"channel": VIA_CHANNEL[via], "source": {"from": {}, "to": {}, "rel": None}},
            "type": "Comment",
            "author_id": author_id,
            "body": body,
            "html_body": f'<div class="zd-comment" dir="auto"><p dir="auto">{html.escape(body)}</p></div>',
            "plain_body": body,
            "public": is_public,
            "attachments": [],
            "audit_id": audit_id,
            "created_at": iso_text(update.time),
        }

    def _merged(self, update: Update) -> list[int]:
        return [self._ticket_id - 1] if update.status == "solved" and self._rng.random() < 0.01 else []


def _schedule_assignment(before: int | None, after: int | None) -> Json:
    return {"event_type": "ScheduleAssignment", "previous_schedule_id": before, "new_schedule_id": after}
