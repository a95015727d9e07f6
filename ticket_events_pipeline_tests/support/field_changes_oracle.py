"""A slow and plain second implementation of `ticket_field_changes`: audit by audit, child event by child event.

It reads the rows of raw `ticket_events` (dicts, `time` in epoch milliseconds) and shares no code with the package: where the
two differ, one of them has TICKETS.md wrong.
"""

from __future__ import annotations

import json

NO_FIELDS = {
    "id", "event_type", "type", "via", "via_reference_id", "previous_value", "added_tags", "removed_tags", "created_at"
}  # fmt: skip


def field_changes(audits):
    """(rows of `ticket_field_changes`, how many audits can't be read)."""
    rows, unreadable = [], 0
    for audit in audits:
        if audit["child_events"] is None or audit["ticket_id"] is None:
            continue
        try:
            children = json.loads(audit["child_events"])
        except (ValueError, RecursionError):
            children = None
        if not isinstance(children, list):
            unreadable += 1
            continue
        for position, child in enumerate(children):
            for field, change in changes_of(child).items():
                rows.append(
                    {
                        "ticket_id": audit["ticket_id"],
                        "field": field,
                        "changed_at": audit["time"],
                        "audit_id": audit["id"],
                        "position": position,
                        "updater_id": audit["updater_id"],
                        "via": audit["via"],
                        **change,
                    }
                )
    key = ("ticket_id", "changed_at", "audit_id", "position", "field")
    return sorted(rows, key=lambda row: tuple(row[name] for name in key)), unreadable


def changes_of(child):
    """By field, what a child event says of it."""
    if not isinstance(child, dict):
        return {}
    if child.get("event_type") == "ScheduleAssignment":
        child = dict(child, previous_value=child["previous_schedule_id"]) if "previous_schedule_id" in child else child
        return {"schedule_id": change(child, child.get("new_schedule_id"), child.get("previous_schedule_id"))}
    if child.get("event_type") != "Create" and child.get("event_type") != "Change":
        return {}
    if "tags" not in child and (names(child.get("added_tags")) or names(child.get("removed_tags"))):
        child = dict(child, tags=None)  # it says only what changed
    found = {}
    for name, value in child.items():
        if is_field(name, value):
            found.update(changes_of_field(name, value, child))
    return found


def is_field(name, value):
    """Ticket types are values of a field, kinds of events are not."""
    if name == "type":
        return value is None or value in ["question", "incident", "problem", "task", ""]
    return name not in NO_FIELDS


def changes_of_field(name, value, child):
    """The same of one key of it."""
    before = child.get("previous_value")
    if name == "custom_ticket_fields" and isinstance(value, dict):
        olds = {number: before.get(number) if isinstance(before, dict) else before for number in value}
        return {whole("custom_field:" + number): change(child, value[number], olds[number]) for number in value}
    if name == "tags":
        tags = {"tags_added": names(child.get("added_tags")), "tags_removed": names(child.get("removed_tags"))}
        return {"tags": {**change(child, in_order(value), in_order(before)), **tags}}
    return {whole(name): change(child, value, before)}


def change(child, value, before):
    """What is the same for every field. In a schedule's assignment, nothing is created."""
    return {
        "value": text(value),
        "had_previous": "previous_value" in child,
        "previous_value": text(before),
        "tags_added": None,
        "tags_removed": None,
        "is_create": child["event_type"] == "Create",
    }


def text(value):
    """A value as text."""
    if value is None:
        return None
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return decimal(repr(value))
    return json.dumps(value, separators=(",", ":"))


def decimal(shortest):
    """The digits of a float's shortest form, with its point moved where the exponent says; no zeros at the end."""
    mantissa, _, exponent = shortest.partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole_part, _, fraction = mantissa.partition(".")
    point = len(whole_part) + int(exponent or 0)
    digits = whole_part + fraction
    digits = "0" * (1 - point) + digits + "0" * (point - len(digits)) if point < 1 else digits.ljust(point, "0")
    point = max(point, 1)
    fraction = digits[point:].rstrip("0")
    return sign + digits[:point] + ("." + fraction if fraction else "")


def in_order(tags):
    """A list of tags by code point, as the columns of what was added and removed hold them; anything else as it is."""
    found = names(tags)
    return tags if found is None else sorted(found)


def names(tags):
    """A list of tags as a column holds it; None for anything else."""
    return [whole(tag) for tag in tags] if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else None


def whole(characters):
    """With U+FFFD in place of a lone surrogate; a pair of them is a character."""
    joined = characters.encode("utf-16-le", "surrogatepass")
    return joined.decode("utf-16-le", "replace")
