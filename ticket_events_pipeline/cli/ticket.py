"""`ticket-events ticket`: tells a ticket's SLA story, for people or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

from ticket_events_pipeline.cli.dates import parse_day
from ticket_events_pipeline.cli.holders import FIELD_WORDS, change_text, held_lines
from ticket_events_pipeline.cli.sandbox_hint import sandbox_hint
from ticket_events_pipeline.day import Day, day_ranges, wall_clock
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.ticket_story import StoryEvent, StoryTarget, TicketStory, newest_targets_day, read_story
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS
from ticket_events_pipeline.text import (
    duration_text,
    hours_name,
    hours_text,
    local_time,
    metric_name,
    plural,
    policy_name,
    ranges_text,
    terminal_text,
    utc_text,
)
from ticket_events_pipeline.tickets.names import Names, read_names, read_schedules
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.rules.due_times import assumed_schedules
from ticket_events_pipeline.tickets.story import FieldChange, Held, HolderStory, read_holders
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts, TicketFactsReader

_INDENT = " " * 21


@dataclass(frozen=True)
class _Known:
    """What the ids in a story are called, and the account's schedules by id."""

    names: Names
    schedules: Mapping[int, Schedule]


def run_ticket(ticket_id: int, date: str | None, *, is_json: bool) -> bool:
    """Print the ticket's story through the end of `date` (None: of the newest day with targets); whether there is one.

    Raises:
        click.UsageError: `date` is no day.
        UsageError: the root can't be read.
        ForeignRootError: the stored days are of another timezone.
    """
    pipeline = pipeline_of(os.environ)
    store, settings = pipeline.store, pipeline.root_settings
    today = Day.containing(wall_clock(), settings.timezone)
    day = (newest_targets_day(store, settings.timezone) or today) if date is None else parse_day(date, today)
    story = read_story(store, ticket_id, day)
    holders = read_holders(store, story)
    for sentence in dict.fromkeys((*story.unreadable, *holders.unreadable)):
        click.echo(sentence, err=True)
    if story.is_empty:
        click.echo(_not_found(story, store), err=True)
        return False
    facts = _facts(store, story)
    if is_json:
        document = _document(story, holders, facts, settings)
        click.echo(json.dumps(document, indent=1))  # ASCII: nothing in it acts on a terminal
    else:
        known = _Known(read_names(store, log=_say), read_schedules(store))
        click.echo("\n".join(_lines(story, holders, facts, settings, known=known)))
    return True


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _facts(store: Store, story: TicketStory) -> TicketFacts:
    """Subject, priority and group, as far as audits are stored: as of the story's end, else as of its last event."""
    reader = TicketFactsReader(store)
    facts = reader.facts(story.day, [story.ticket_id])[story.ticket_id]
    if facts == TicketFacts() and story.events:
        facts = reader.facts(story.events[-1].day, [story.ticket_id])[story.ticket_id]
    return facts


def _not_found(story: TicketStory, store: Store) -> str:
    if not story.searched:
        hint = sandbox_hint(store, METRIC_EVENTS)
        return f"No metric events of {story.day} or before are stored below {store.location}.{hint}"
    return f"Nothing is known of ticket {story.ticket_id}. {_searched(story)} A ticket without an SLA has metric events, too."


def _searched(story: TicketStory) -> str:
    days = len(story.searched)
    return f"Searched: {plural(days, 'stored day')}, {ranges_text(day_ranges(story.searched))}."


def _lines(
    story: TicketStory, holders: HolderStory, facts: TicketFacts, settings: RootSettings, *, known: _Known
) -> Iterator[str]:
    yield click.style(f"Ticket {story.ticket_id} of {settings.account or 'an unknown account'}", bold=True)
    if settings.tickets_url:
        yield f"{settings.tickets_url}{story.ticket_id}"
    for name, value in (("Subject", facts.subject), ("Priority", facts.priority)):
        if value:
            yield f"{name}: {terminal_text(value)}"
    yield f"{_searched(story)} Times are {story.day.timezone}."
    yield ""
    yield click.style("Targets", bold=True)
    if not story.targets:
        yield f"No SLA target of it is stored up to {story.day}."
    for target in story.targets:
        yield from _target_lines(target, holders.held.get((target.metric, target.instance_id)), known)
    yield ""
    yield click.style("Metric events and changes" if holders.changes else "Metric events", bold=True)
    if not story.events:
        yield "None is stored: the raw files of its days are gone, or were never fetched."
    for step in _in_order(story, holders):
        yield from _change_lines(step, known.names) if isinstance(step, FieldChange) else _event_lines(step)


def _in_order(story: TicketStory, holders: HolderStory) -> list[StoryEvent | FieldChange]:
    """A change in the second of an event comes after it, as for the rules."""
    return sorted((*story.events, *holders.changes), key=lambda step: (step.time, isinstance(step, FieldChange)))


def _change_lines(change: FieldChange, names: Names) -> Iterator[str]:
    kind = "created with" if change.is_create else "change"
    field = FIELD_WORDS.get(change.field, terminal_text(change.field))
    yield f"{_moment(change.time, change.day.timezone)}  {kind:<15} {field:<24} {change.audit_id}"
    yield f"{_INDENT}{change_text(change, names)}"


def _target_lines(target: StoryTarget, held: Held | None, known: _Known) -> Iterator[str]:
    instance = f" no. {target.instance_id}" if target.instance_id > 1 else ""
    outcome = _outcome(target)
    colour = "red" if target.outcome.startswith("breached") else "green" if target.outcome == "achieved" else None
    yield f"{metric_name(terminal_text(target.sla_metric))}{instance}: {click.style(outcome, fg=colour)} as of {target.day}"
    policy = terminal_text(policy_name(target.policy_id, target.policy_title))
    allowed = "" if target.target_seconds is None else f": {hours_text(target.target_seconds)}"
    yield f"  {policy}{allowed}, {hours_name(target.business_hours)}"
    zone = target.day.timezone
    if target.breached_at is not None:
        late = "late for" if target.closed_at is None else "was late for"
        overdue = "" if target.overdue_seconds is None else f", {late} {duration_text(target.overdue_seconds)}"
        by = _by(target.breached_by) or ", by an event that isn't stored"
        yield f"  breached {_moment(target.breached_at, zone)}{by}{overdue}"
    due = _due(target, held, known)
    if due is not None:
        yield f"  due {due}"
    if target.closed_at is not None:
        yield f"  closed {_moment(target.closed_at, zone)}{_by(target.closed_by)}"
    if held is not None:
        yield from (f"  {line}" for line in held_lines(held, known.names, business_hours=target.business_hours))


def _due(target: StoryTarget, held: Held | None, known: _Known) -> str | None:
    """When the target will breach: in calendar hours as `sla_targets` has it, in business hours as the ticket tables do."""
    if target.due_at is not None:
        return f"{_moment(target.due_at, target.day.timezone)} (an estimate)"
    if held is not None and held.due_at is not None:
        return f"{_moment(held.due_at, target.day.timezone)} (an estimate, business hours{_of_schedule(held, known)})"
    return None


def _of_schedule(held: Held, known: _Known) -> str:
    """Of which schedule the business hours are, as the estimate assumes; empty if its name isn't known."""
    of_none, of_unknown = assumed_schedules(known.schedules)
    is_unknown = "schedule_id" in held.known_by and held.known_by["schedule_id"] is None
    schedule = known.schedules.get(held.schedule_id or (of_unknown if is_unknown else of_none) or 0)
    return "" if schedule is None else f" of {terminal_text(schedule.name)}"


def _outcome(target: StoryTarget) -> str:
    told = {
        "achieved": "achieved",
        "breached": "breached, fulfilled late",
        "breached_open": "breached, still open",
        "active": "open, in time",
        "cancelled": "cancelled: its policy was taken away",
        "deleted": "closed: the ticket was deleted",
    }
    text = told.get(target.outcome, terminal_text(target.outcome))
    return f"{text}{' after its target was changed' if target.superseded else ''}{', paused' if target.is_paused else ''}"


def _by(ids: tuple[int, ...]) -> str:
    return f" by event{'' if len(ids) == 1 else 's'} {', '.join(map(str, ids))}" if ids else ""


def _event_lines(event: StoryEvent) -> Iterator[str]:
    clock = f"{terminal_text(event.metric)} {event.instance_id}"
    yield f"{_moment(event.time, event.day.timezone)}  {terminal_text(event.type):<15} {clock:<24} {event.id}"
    details = ", ".join(_details(event))
    if details:
        yield f"{_INDENT}{details}"


def _details(event: StoryEvent) -> Iterator[str]:
    if event.deleted is not False:
        yield "taken back by Zendesk" if event.deleted else "its `deleted` can't be read: it doesn't count"
    if event.type.startswith("apply"):
        if event.is_group is None:
            yield "takes the policy away"
            return
        yield terminal_text(policy_name(event.policy_id, event.policy_title))
        if event.target_seconds is not None:
            yield f"target {hours_text(event.target_seconds)}"
        yield hours_name(event.business_hours)
    ran = [
        f"{plural(minutes, 'minute')} {hours}"
        for minutes, hours in ((event.calendar_minutes, "calendar"), (event.business_minutes, "business"))
        if minutes is not None
    ]
    if ran:
        yield f"ran {', '.join(ran)}"


def _moment(epoch_seconds: int, timezone: str) -> str:
    return local_time(epoch_seconds, timezone).strftime("%Y-%m-%d %H:%M:%S")


def _document(story: TicketStory, holders: HolderStory, facts: TicketFacts, settings: RootSettings) -> dict[str, Any]:
    """The story for scripts, ids without names, times as UTC in ISO form. A contract: keys may be added, and none changes."""
    return {
        "ticket_id": story.ticket_id,
        "account": settings.account,
        "timezone": story.day.timezone,
        "subject": facts.subject,
        "priority": facts.priority,
        "group_id": facts.group_id,
        "through": str(story.day),
        "searched": [{"first": str(first), "last": str(last)} for first, last in day_ranges(story.searched)],
        "unreadable": list(dict.fromkeys((*story.unreadable, *holders.unreadable))),
        "targets": [_plain(asdict(target)) | {"held": _held(target, holders)} for target in story.targets],
        "events": [_plain(asdict(event)) for event in story.events],
        "changes": [_plain(asdict(change)) for change in holders.changes],
    }


def _held(target: StoryTarget, holders: HolderStory) -> dict[str, Any] | None:
    held = holders.held.get((target.metric, target.instance_id))
    if held is None:
        return None
    return {**_plain(asdict(held)), "stretches": [_plain(asdict(stretch)) for stretch in held.stretches]}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    times = {name for name in values if name.endswith("_at") or name in ("time", "as_of", "held_from", "held_to")}
    plain = {name: utc_text(value) if name in times and value is not None else value for name, value in values.items()}
    return plain | ({"day": values["day"]["date"].isoformat()} if "day" in values else {})
