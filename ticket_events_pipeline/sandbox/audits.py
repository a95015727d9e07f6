"""The audits of one ticket, in the shape of the live ticket event export: an update and its child events.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/#incremental-ticket-event-export
"""

from __future__ import annotations

import html
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from ticket_events_pipeline.sandbox.stored_row import StoredRow, compact_json, iso_text
from ticket_events_pipeline.sandbox.texts import (
    AGENT_LINES,
    NOTES,
    REQUESTER_LINES,
    SECOND_LEVEL,
    VIA_CHANNEL,
    Cast,
    draw_agent,
    draw_system,
)
from ticket_events_pipeline.sandbox.ticket_life import Update

_CLOSING_RULE_ID = 360_126_900_411
_NOTIFYING_RULE_ID = 360_126_900_398
_CUSTOM_FIELD_ID = "360041597112"

Json = dict[str, Any]


def audit_rows(
    rng: random.Random, cast: Cast, updates: Sequence[Update], *, ticket_id: int, first_id: int, comments: bool
) -> list[StoredRow]:
    """One audit per update; ids of audits and child events count up from `first_id`. `comments`: with their full text."""
    scribe = _Scribe(rng, cast, ticket_id=ticket_id, first_id=first_id, comments=comments)
    before: tuple[Update | None, ...] = (None, *updates)
    return [scribe.audit(update, previous) for previous, update in zip(before, updates, strict=False)]


class _Scribe:
    """Writes the audits of one ticket in order. The random draws are the same with and without comments."""

    def __init__(self, rng: random.Random, cast: Cast, *, ticket_id: int, first_id: int, comments: bool) -> None:
        self._rng = rng
        self._cast = cast
        self._ticket_id = ticket_id
        self._ids = itertools.count(first_id)
        self._comments = comments
        self._assignee_id: int | None = None
        self._group_id: int | None = None

    def audit(self, update: Update, previous: Update | None) -> StoredRow:
        via = self._via(update)
        audit_id = next(self._ids)
        assignee_before = self._assignee_id
        updater_id = self._updater_id(update)
        changes = self._created(update) if previous is None else self._changed(update, previous, assignee_before)
        children = [self._child(via, **change) for change in changes]
        if update.comment is not None:
            children.append(self._comment(update, via, author_id=updater_id, audit_id=audit_id))
        if update.comment == "public" and update.actor == "agent":
            notice = {"event_type": "Notification", "recipients": [self._cast.requester_id], "subject": "Re: your request"}
            children.append(self._child("Rule", **notice))
        row = {
            "id": audit_id,
            "ticket_id": self._ticket_id,
            "timestamp": update.time,
            "created_at": iso_text(update.time),
            "updater_id": updater_id,
            "via": via,
            "via_reference_id": _CLOSING_RULE_ID if via == "Rule" else None,
            "system": draw_system(self._rng, via),
            "metadata": {"custom": {"time_spent_seconds": self._rng.randrange(30, 900)}} if self._rng.random() < 0.05 else {},
            "merged_ticket_ids": self._merged(update),
            "event_type": "Audit",
            "child_events": children,
        }
        return StoredRow(update.time, audit_id, update.time, math.inf, compact_json(row).encode())

    def _via(self, update: Update) -> str:
        if update.actor == "requester":
            return self._cast.channel
        if update.actor == "rule":
            return "Rule"
        return "Web form" if self._rng.random() < 0.9 else "Web service"

    def _updater_id(self, update: Update) -> int:
        if update.actor == "requester":
            return self._cast.requester_id
        if update.actor == "rule":
            return -1  # the system user, as Zendesk writes it
        if self._assignee_id is None or self._group_id != update.group_id:
            self._assignee_id = draw_agent(self._rng, update.group_id)
            self._group_id = update.group_id
        return self._assignee_id

    def _created(self, update: Update) -> Iterator[Json]:
        values: Json = {
            "subject": self._cast.subject,
            "status": update.status,
            "priority": update.priority,
            "type": self._rng.choice(("question", "incident", "problem")),
            "requester_id": self._cast.requester_id,
            "group_id": update.group_id,
            "tags": ["sandbox", *(["vip"] if update.policy and update.policy.title == "VIP" else [])],
        }
        if self._cast.organization_id is not None:
            values["organization_id"] = self._cast.organization_id
        for name, value in values.items():
            yield {name: value, "event_type": "Create"}

    def _changed(self, update: Update, previous: Update, assignee_before: int | None) -> Iterator[Json]:
        for name in ("status", "priority", "group_id"):
            value, previous_value = getattr(update, name), getattr(previous, name)
            if value != previous_value:
                yield {name: value, "event_type": "Change", "previous_value": previous_value}
        if self._assignee_id != assignee_before:
            yield {"assignee_id": self._assignee_id, "event_type": "Change", "previous_value": assignee_before}
        if update.policy is not previous.policy:
            added, removed = (["sla"], []) if update.policy else ([], ["sla"])
            yield {"tags": ["sandbox", *added], "added_tags": added, "removed_tags": removed, "event_type": "Change"}
        if update.group_id == SECOND_LEVEL != previous.group_id:
            yield {"custom_ticket_fields": {_CUSTOM_FIELD_ID: "escalated"}, "event_type": "Change", "previous_value": None}

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
