"""A slow, plain second implementation of TICKETS part 2 and of the two tables made of it, straight from raw audits.

An audit is a dict as Zendesk sends it, except that its `time` is epoch seconds. A row of a table is a dict, times as epoch
seconds.
"""

from __future__ import annotations

import json

from ticket_events_pipeline_tests.support.sla_oracle import percentile

DAY_SECONDS = 86_400
IDS = ("group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id", "schedule_id")
CHANNELS = {"Web form": "web", "Mail": "email", "Chat": "chat"}
FIELDS = ("status", "priority", "type", *IDS[:5], "channel", "tags", "schedule_id")
DIMENSIONS = {
    "group": "group_id",
    "assignee": "assignee_id",
    "priority": "priority",
    "type": "type",
    "brand": "brand_id",
    "form": "ticket_form_id",
    "organization": "organization_id",
    "channel": "channel",
    "tag": "tags",
}
UNKNOWN = (None, None)


class Change:
    """One child event's word on one field; `since` is when the oldest audit was that its value depends on."""

    def __init__(self, audit, position, value, *, previous=(), is_create=False):
        self.at, self.order = audit["time"], (audit["time"], audit["id"], position)
        self.value, self.previous, self.is_create = value, previous, is_create
        self.since, self.has_value = self.at, True


def changes_of(audits, field):
    """The changes of a field of one ticket, those of its Create first, whenever it was."""
    found = []
    for audit in audits:
        if field == "channel" and creates(audit) and isinstance(audit.get("via"), str):
            found.append(Change(audit, 0, CHANNELS.get(audit["via"], audit["via"]), is_create=True))
        for position, child in enumerate(audit["child_events"]):
            change = change_in(audit, position, child, field)
            if change is not None:
                found.append(change)
    found.sort(key=lambda change: (not change.is_create, change.order))
    return found if field != "tags" else with_lists(found, audits)


def creates(audit):
    return any(child.get("event_type") == "Create" for child in audit["child_events"])


def change_in(audit, position, child, field):
    kind = child.get("event_type")
    if field == "schedule_id" and kind == "ScheduleAssignment":
        return Change(audit, position, child["new_schedule_id"], previous=(child["previous_schedule_id"],))
    if kind not in ("Create", "Change"):
        return None
    previous = (child["previous_value"],) if "previous_value" in child else ()
    if field.startswith("custom_field:"):
        number, custom = field.split(":")[1], child.get("custom_ticket_fields", {})
        if number not in custom:
            return None
        if previous and isinstance(previous[0], dict):
            previous = (previous[0][number],)
        return Change(audit, position, custom[number], previous=previous, is_create=kind == "Create")
    if field == "tags" and "tags" not in child and not (child.get("added_tags") or child.get("removed_tags")):
        return None  # it added and removed nothing
    if field == "tags" and ("added_tags" in child or "removed_tags" in child):
        added, removed = set(child.get("added_tags", [])), set(child.get("removed_tags", []))
        if "tags" in child:
            return Change(audit, position, child["tags"], previous=(sorted({*child["tags"], *removed} - added),))
        change = Change(audit, position, (added, removed))
        change.has_value = False
        return change
    if field not in child or field == "channel":
        return None
    return Change(audit, position, child[field], previous=previous, is_create=kind == "Create")


def with_lists(changes, audits):
    """Tags: those added and removed, applied to the list before."""
    created = [audit["time"] for audit in audits if creates(audit)]
    before = None
    for change in changes:
        if not change.has_value:
            added, removed = change.value
            if before is not None and before.has_value:
                base, since = before.value or [], before.since
            elif before is None and created:
                base, since = [], min(created)
            else:
                base, since = None, change.at
            change.since = min(since, change.at)
            change.has_value = base is not None
            change.value = sorted({*(base or []), *added} - removed)
        before = change
    return changes


class Ticket:
    """The stored audits of a ticket, and what they say of each field."""

    def __init__(self, audits):
        self.audits, self.read = audits, {}
        self.created = [audit["time"] for audit in audits if creates(audit)]

    def changes(self, field):
        if field not in self.read:
            self.read[field] = changes_of(self.audits, field)
        return self.read[field]


def value_at(ticket, field, at, *, includes_at, is_known_between, snapshots=(), days_ahead=30):
    """The value of a field of one ticket and how it is known; the value is None for empty and unknown.

    Args:
        ticket: with all its stored audits.
        field: its name.
        at: epoch seconds.
        includes_at: whether a change at that very second counts as before.
        is_known_between: says of two epoch seconds whether every audit from the first up to the second is stored.
        snapshots: of the ticket, each (seen_at, updated_at, {field: value}).
        days_ahead: of the changes that a previous value is taken from.
    """
    changes = ticket.changes(field)
    end = at + includes_at
    before = [change for change in changes if change.is_create or change.at < end]
    after = [change for change in changes if change not in before]
    found = []
    if before and before[-1].has_value:
        since = before[-1].since
        found.append((before[-1].value, "audit", since >= end or is_known_between(since, end)))
    if not before and ticket.created and field != "channel":
        created = min(ticket.created)
        found.append((None, "audit", created >= end or is_known_between(created, end)))
    if after and after[0].previous and after[0].at <= at + days_ahead * DAY_SECONDS:
        found.append((after[0].previous[0], "previous_value", is_known_between(end, after[0].at)))
    for seen_at, updated_at, values in sorted(snapshots, key=lambda snapshot: (snapshot[0] < end, abs(snapshot[0] - end))):
        if field not in values:
            continue
        first, last = (end, seen_at) if seen_at >= end else (seen_at, end - 1)
        if not any(first <= change.at <= last and not change.is_create for change in changes):
            is_untouched = seen_at >= end and updated_at < end
            audits_end = min(last, updated_at) if seen_at >= end else last  # each audit of a ticket updates it
            found.append((values[field], "snapshot", is_untouched or is_known_between(first, audits_end + 1)))
    for value, known_by, holds in found:
        if holds or field == "channel":
            return value, known_by
    return (found[0][0], "assumed") if found else UNKNOWN


def moment_of(target):
    """When a target's values are of, and what happened then."""
    if target["breached_at"] is not None and not target["superseded"]:
        return target["breached_at"], "breach"
    if target["fulfilled_at"] is not None:
        return target["fulfilled_at"], "fulfilment"
    if target["closed_at"] is not None:
        return target["closed_at"], "closing"
    return target["as_of"], "as_of"


def as_stored(field, value, known_by):
    """The value as the table holds it; unknown if it is none of the column's."""
    if known_by is None:
        return UNKNOWN
    if field == "tags":
        return sorted(value or []), known_by
    if field in IDS:
        text = "" if value is None else str(value)
        if not all(letter in "0123456789" for letter in text):
            return UNKNOWN
        return (int(text) if text else None), known_by
    return (None if value in (None, "") else str(value)), known_by


def dimensions(targets, audits_by_ticket, *, fields=FIELDS, is_known_between, snapshots_by_ticket):
    """`sla_target_dimensions` as dicts; `known_by` is a dict of every field."""
    rows, tickets = [], {number: Ticket(audits) for number, audits in audits_by_ticket.items()}
    for target in targets:
        at, kind = moment_of(target)
        row = {name: target[name] for name in ("ticket_id", "metric", "instance_id", "sla_metric")}
        row |= {"at": at, "at_kind": kind, "known_by": {}}
        ticket = tickets.get(target["ticket_id"]) or Ticket([])
        snapshots = snapshots_by_ticket.get(target["ticket_id"], [])
        wanted = [(field, field, at, kind in ("fulfilment", "closing")) for field in fields]
        wanted += [(f"{field}_eod", field, target["as_of"], False) for field in ("group_id", "assignee_id")]
        for column, field, moment, includes_at in wanted:
            found = value_at(
                ticket, field, moment, includes_at=includes_at, is_known_between=is_known_between, snapshots=snapshots
            )
            row[column], row["known_by"][column] = as_stored(field, *found)
        rows.append(row)
    return rows


def stored_known_by(row, columns):
    """How each column of a stored row is known."""
    said = json.loads(row["known_by"])
    return {column: said.get(column, "audit") for column in columns}


COUNTED = ("breaches", "achieved", "completed_breached", "active_eod", "breached_open_eod")


def by_dimension(targets, dimension_rows, *, start, custom=()):
    """`daily_sla_breaches_by_dimension` as dicts.

    Args:
        targets: `sla_targets` of the day.
        dimension_rows: rows like those of `dimensions`, of the same targets.
        start: of the day, epoch seconds.
        custom: fields that are dimensions too.
    """
    books = {}
    for dimension, field in [*DIMENSIONS.items(), *((name, name) for name in custom)]:
        for target, row in zip(targets, dimension_rows, strict=True):
            is_known = row["known_by"][field] not in (None, "assumed")
            values = [row[field]] if field != "tags" else (row[field] or [None])
            for value in values:
                book(books, (dimension, None if value is None else str(value), is_known), target, start)
    return [figures(key, found) for key, found in books.items() if any(found[name] for name in COUNTED)]


def book(books, key, target, start):
    """Add what one target counts under one value."""

    def under(prefix):
        whole = (*key, target["sla_metric"], target[prefix + "business_hours"])
        return books.setdefault(whole, dict.fromkeys(COUNTED, 0) | {"tickets": set(), "overdue": []})

    if target["breached_at"] is not None and target["breached_at"] >= start and not target["superseded"]:
        under("breach_")["breaches"] += 1
        under("breach_")["tickets"].add(target["ticket_id"])
    own, outcome = under(""), target["outcome"]
    own["achieved"] += outcome == "achieved"
    own["active_eod"] += outcome in ("active", "breached_open")
    own["breached_open_eod"] += outcome == "breached_open"
    if outcome == "breached":
        own["completed_breached"] += 1
        own["overdue"].append(target["overdue_seconds"])


def figures(key, found):
    dimension, value, is_known, sla_metric, business_hours = key
    decided, overdue = found["achieved"] + found["breaches"], found["overdue"]
    return {
        "dimension": dimension,
        "value": value,
        "is_known": is_known,
        "sla_metric": sla_metric,
        "business_hours": business_hours,
        "breaches": found["breaches"],
        "breached_tickets": len(found["tickets"]),
        "achieved": found["achieved"],
        "completed_breached": found["completed_breached"],
        "active_eod": found["active_eod"],
        "breached_open_eod": found["breached_open_eod"],
        "achievement_rate": found["achieved"] / decided if decided else None,
        "overdue_p50_seconds": percentile(overdue, 0.5) if overdue else None,
        "overdue_p90_seconds": percentile(overdue, 0.9) if overdue else None,
        "overdue_max_seconds": max(overdue, default=None),
    }
