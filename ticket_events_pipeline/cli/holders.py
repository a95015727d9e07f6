"""The words of `ticket-events ticket` for who held a ticket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from ticket_events_pipeline.text import duration_text, terminal_text
from ticket_events_pipeline.tickets.fields import ASSUMED, AUDIT, PREVIOUS_VALUE, SNAPSHOT
from ticket_events_pipeline.tickets.names import Names
from ticket_events_pipeline.tickets.story import FieldChange, Held, Stretch

KIND_OF_FIELD = {"group_id": "groups", "assignee_id": "agents", "schedule_id": "schedules"}

FIELD_WORDS = {"group_id": "group", "assignee_id": "agent", "schedule_id": "schedule"}

_HOW_KNOWN = {
    PREVIOUS_VALUE: "as the next change says",
    SNAPSHOT: "as looked up later",
    ASSUMED: "assumed: audits in between aren't stored, or weren't read yet",
}

_MOMENT = {
    "breach": "at the breach",
    "fulfilment": "when it was fulfilled",
    "closing": "when it was closed",
    "as_of": "at the end",
}


def held_lines(held: Held, names: Names, *, business_hours: bool | None) -> Iterator[str]:
    """Who held the ticket at a target's moment, who has it at the day's end, and who used the time up."""
    then = holder(names, held.group_id, held.assignee_id, known_by=held.known_by)
    yield f"{_MOMENT.get(held.at_kind, held.at_kind)} with {then}{_how_known(held.known_by)}"
    moved = (held.group_id, held.assignee_id) != (held.group_id_eod, held.assignee_id_eod)
    if moved and held.at_kind != "as_of":
        at_the_end = {field: held.known_by.get(f"{field}_eod", AUDIT) for field in ("group_id", "assignee_id")}
        yield f"at the end with {holder(names, held.group_id_eod, held.assignee_id_eod, known_by=at_the_end)}"
    if len(held.stretches) > 1:
        is_other_kind = business_hours is True and any(stretch.business_seconds is None for stretch in held.stretches)
        hours = ", in calendar hours: its business hours aren't known" if is_other_kind else ""
        yield f"time used: {', '.join(_shares(held.stretches, names, business_hours=business_hours))}{hours}"


def holder(
    names: Names, group_id: int | None, assignee_id: int | None, *, known_by: Mapping[str, str | None] = MappingProxyType({})
) -> str:
    """A group and an agent by name; an id without a name is shown as it is."""
    parts = (("group_id", group_id, "no group"), ("assignee_id", assignee_id, "nobody"))
    texts = []
    for field, value, empty in parts:
        is_unknown = field in known_by and known_by[field] is None
        text = f"unknown {FIELD_WORDS[field]}" if is_unknown else named(names, field, value) or empty
        texts.append(text)
    return ", ".join(texts)


def named(names: Names, field: str, value: int | str | None) -> str | None:
    """A field's value for people: its name, else the value itself; None for an empty one."""
    if value is None:
        return None
    kind, is_id = KIND_OF_FIELD.get(field), str(value).isdecimal()
    name = names.of(kind, int(value)) if kind and is_id else None
    return terminal_text(name or str(value))


def change_text(change: FieldChange, names: Names) -> str:
    """What a change did: the value before, if it says so, and after."""
    after = named(names, change.field, change.value) or "empty"
    if not change.had_previous:
        return after
    return f"{named(names, change.field, change.previous_value) or 'empty'} → {after}"


def _how_known(known_by: Mapping[str, str | None]) -> str:
    hows = {known_by[field] for field in ("group_id", "assignee_id") if known_by.get(field)}
    told = [_HOW_KNOWN.get(how or "", str(how)) for how in sorted(filter(None, hows))]
    return f" ({'; '.join(told)})" if told else ""


def _shares(stretches: Sequence[Stretch], names: Names, *, business_hours: bool | None) -> Iterator[str]:
    """Each stretch with its time and share, in the target's own kind of hours if those are known of all."""
    business = [stretch.business_seconds for stretch in stretches]
    is_business = business_hours is True and None not in business
    seconds = [(stretch.business_seconds or 0) if is_business else stretch.calendar_seconds for stretch in stretches]
    whole = sum(seconds)
    for stretch, one in zip(stretches, seconds, strict=True):
        who = holder(names, stretch.group_id, stretch.assignee_id) if stretch.is_known else "unknown"
        share = f" ({round(100 * one / whole)}%)" if whole else ""
        yield f"{who} {duration_text(one)}{share}"
