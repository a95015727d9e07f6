"""The audits of `sla_account`'s tickets, written as the pipeline's own raw files: what the ticket benchmarks read.

Every ticket is created, assigned, replied to, waits for its requester and is solved when its clocks are fulfilled; four days
later a rule closes it. One in four moves to another group in between, one in three gets a tag, all get a note. An audit
has the child events of a live one without comments' texts: ten or twelve at birth, one to four afterwards.

The same numbers always give the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from sla_account import Bools, Events, Ints, by_day, drawn_lives, footer_of, tickets_per_day

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE

AUDITS = "ticket_events"
CLOSED_AFTER_SECONDS = 4 * 86_400

CHANNELS = ["Web form", "Mail", "Web service", "Chat", "Messaging"]
PRIORITIES = ["low", "normal", "high", "urgent"]
TYPES = ["question", "incident", "problem", "task"]
GROUPS, AGENTS, ORGANIZATIONS, BRANDS, FORMS = 24, 150, 4000, 3, 5
CREATED, ASSIGNED, REPLIED, ANSWERED, MOVED, TAGGED, NOTED, SOLVED, REOPENED, CLOSED = range(10)


def write_audits(root: Path, days: list[Day], *, events_per_day: int) -> int:
    """Write the audits of the tickets that `sla_account.write_account` writes with the same numbers; how many there are."""
    rows = 0
    for day, table in audits(days, events_per_day=events_per_day):
        write_partition(FolderStore(root), AUDITS, day, table, footer_of(AUDITS, day, table).to_metadata())
        rows += table.num_rows
    return rows


def audits(days: list[Day], *, events_per_day: int) -> Iterator[tuple[Day, pa.Table]]:
    """The rows of the raw files of contiguous days; see `write_audits`."""
    size = tickets_per_day(events_per_day)
    for day, made in by_day(days, lambda day, number: _audits(day, number, size)):
        yield day, _table(made)


def _audits(day: Day, number: int, size: int) -> Events:
    """Of the tickets that come on a day."""
    rng = np.random.default_rng(number)
    lives = drawn_lives(rng, day, size)
    created, solved = lives.created, lives.created + lives.lasts
    replied = created + lives.replies
    everybody = np.ones(size, bool)
    between = [replied + (solved - replied) * share // 8 for share in range(1, 8)]
    updates: list[tuple[int, Ints, Bools]] = [
        (CREATED, created, everybody),
        (ASSIGNED, created + lives.replies // 2, everybody),
        (REPLIED, replied, everybody),
        (ANSWERED, between[0], everybody),
        (NOTED, between[1], everybody),
        (MOVED, between[2], rng.random(size) < 1 / 4),
        (TAGGED, between[3], rng.random(size) < 1 / 3),
        (SOLVED, solved, everybody),
        (REOPENED, lives.reopened, lives.reopened > 0),
        (CLOSED, solved + CLOSED_AFTER_SECONDS, lives.reopened == 0),
    ]
    tickets = [np.flatnonzero(of) for _, _, of in updates]
    seconds = np.concatenate([at[of] for _, at, of in updates])
    return {
        "kind": np.concatenate([np.full(len(of), kind) for (kind, _, _), of in zip(updates, tickets, strict=True)]),
        "seconds": seconds,
        "ticket": np.concatenate(tickets) + number * size + 1,
        "id": (seconds << 26) | (number % 64 << 20) | np.arange(len(seconds)),
    }


class _Ticket(NamedTuple):
    """What a ticket is, from its number alone."""

    id: int
    drawn: int

    @classmethod
    def of(cls, ticket: int) -> _Ticket:
        return cls(ticket, ticket * 0x9E3779B97F4A7C15 % 2**64 >> 16)

    def one_of(self, number: int, salt: int) -> int:
        """A number below `number`."""
        return (self.drawn >> salt) % number

    @property
    def groups(self) -> tuple[int, int]:
        """Before and after it is moved."""
        return 360_000_100 + self.one_of(GROUPS, 3), 360_000_100 + self.one_of(GROUPS, 8)

    @property
    def agents(self) -> tuple[int, int]:
        """The same."""
        return 380_123_000_000 + self.one_of(AGENTS, 5), 380_123_000_000 + self.one_of(AGENTS, 11)


def _created(ticket: _Ticket) -> list[str]:
    fields = [
        f'"subject":"A question about order {ticket.drawn % 100_000}"',
        '"status":"new"',
        f'"priority":"{PRIORITIES[ticket.one_of(4, 2)]}"',
        f'"type":"{TYPES[ticket.one_of(4, 4)]}"',
        f'"requester_id":{381_000_000_000 + ticket.one_of(90_000, 1)}',
        f'"group_id":{ticket.groups[0]}',
        f'"brand_id":{360_000_700 + ticket.one_of(BRANDS, 6)}',
        f'"ticket_form_id":{360_000_800 + ticket.one_of(FORMS, 7)}',
        f'"tags":["shop","order_{ticket.one_of(40, 9)}","{CHANNELS[ticket.one_of(5, 1)].lower()}"]',
        f'"custom_ticket_fields":{{"360041597112":"kind_{ticket.one_of(9, 10)}"}}',
    ]
    if ticket.one_of(5, 12):
        fields.append(f'"organization_id":{390_000_000_000 + ticket.one_of(ORGANIZATIONS, 13)}')
    children = [f'{field},"event_type":"Create"' for field in fields]
    if ticket.one_of(2, 14):
        schedule = f'"previous_schedule_id":null,"new_schedule_id":{360_000_900 + ticket.one_of(2, 15)}'
        children.append(f'{schedule},"event_type":"ScheduleAssignment"')
    return [*children, _comment(is_public=True)]


def _change(field: str, value: str, previous: str) -> str:
    return f'"{field}":{value},"event_type":"Change","previous_value":{previous}'


def _status(value: str, previous: str) -> str:
    return _change("status", f'"{value}"', f'"{previous}"')


def _comment(*, is_public: bool) -> str:
    return f'"comment_present":true,"comment_public":{str(is_public).lower()},"event_type":"Comment"'


def _notice(ticket: _Ticket) -> str:
    return (
        f'"event_type":"Notification","recipients":[{381_000_000_000 + ticket.one_of(90_000, 1)}],"subject":"Re: your request"'
    )


def _moved(ticket: _Ticket) -> list[str]:
    groups, agents = ticket.groups, ticket.agents
    moved = _change("group_id", str(groups[1]), str(groups[0])), _change("assignee_id", str(agents[1]), str(agents[0]))
    return [*moved, _comment(is_public=False)]


_CHILDREN: list[Callable[[_Ticket], list[str]]] = [
    _created,
    lambda ticket: [_change("assignee_id", str(ticket.agents[0]), "null"), _status("open", "new")],
    lambda ticket: [_status("pending", "open"), _comment(is_public=True), _notice(ticket)],
    lambda _: [_status("open", "pending"), _comment(is_public=True)],
    _moved,
    lambda _: ['"tags":["shop","vip"],"added_tags":["vip"],"removed_tags":[],"event_type":"Change"'],
    lambda _: [_comment(is_public=False)],
    lambda ticket: [_status("solved", "open"), _comment(is_public=True), _notice(ticket)],
    lambda _: [_status("open", "solved"), _comment(is_public=True)],
    lambda _: [_status("closed", "solved")],
]
"""By kind, what the child events say."""


def _text(kind: int, ticket: _Ticket, audit: int, via: str) -> tuple[str, int]:
    """The JSON of the child events, as it is stored, and how many there are."""
    head = f'"via":"{via}","via_reference_id":null'
    children = [f'{{"id":{audit + 1 + place},{head},{child}}}' for place, child in enumerate(_CHILDREN[kind](ticket))]
    return f"[{','.join(children)}]", len(children)


def _table(audits: Events) -> pa.Table:
    kinds, size = audits["kind"].tolist(), len(audits["kind"])
    tickets = [_Ticket.of(ticket) for ticket in audits["ticket"].tolist()]
    by_requester = [kind in (CREATED, ANSWERED, REOPENED) for kind in kinds]
    via = [
        CHANNELS[ticket.one_of(5, 1)] if by else "Rule" if kind == CLOSED else "Web form"
        for kind, ticket, by in zip(kinds, tickets, by_requester, strict=True)
    ]
    texts = list(map(_text, kinds, tickets, audits["id"].tolist(), via))
    has_comment = ~np.isin(audits["kind"], [ASSIGNED, TAGGED, CLOSED])
    is_public = ~np.isin(audits["kind"], [MOVED, NOTED])
    updaters = [
        -1 if kind == CLOSED else 381_000_000_000 + ticket.one_of(90_000, 1) if by else ticket.agents[0]
        for kind, ticket, by in zip(kinds, tickets, by_requester, strict=True)
    ]
    columns = {
        "id": pa.array(audits["id"]),
        "ticket_id": pa.array(audits["ticket"]),
        "time": pa.array(audits["seconds"] * 1000),
        "created_at": pa.array(audits["seconds"] * 1000),
        "updater_id": pa.array(updaters),
        "via": pa.array(via),
        "event_type": pa.repeat("Audit", size),
        "child_events": pa.array([text for text, _ in texts]),
        "system": pa.repeat('{"client":"Mozilla/5.0","ip_address":"203.0.113.7","location":"Copenhagen, 84, Denmark"}', size),
        "metadata": pa.repeat("{}", size),
        "merged_ticket_ids": pa.repeat("[]", size),
        "child_event_count": pa.array([count for _, count in texts]),
        "comment_present": pa.array(has_comment),
        "comment_public": pa.array(is_public, mask=~has_comment),
    }
    schema = TICKET_EVENTS_TABLE.schema
    arrays = [columns[item.name].cast(item.type) if item.name in columns else pa.nulls(size, item.type) for item in schema]
    return pa.table(arrays, schema=schema)
