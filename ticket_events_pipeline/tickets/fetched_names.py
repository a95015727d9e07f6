"""The fetching of names: each kind from its endpoint, into the rows that are stored of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.decoding.json_values import as_id, as_int64
from ticket_events_pipeline.errors import AuthenticationError, DamagedFileError, TicketEventsError
from ticket_events_pipeline.forgotten.blanking import blanking_of
from ticket_events_pipeline.storage.partition_file import read_partition, stored_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import SLA_TARGET_DIMENSIONS_TABLE, SLA_TARGET_HOLDERS_TABLE
from ticket_events_pipeline.text import valid_unicode
from ticket_events_pipeline.tickets.names import SCHEDULES, TEXT_ID_KINDS, USERS, Log, names_schema, read_kind, write_kind
from ticket_events_pipeline.zendesk.account_endpoints import (
    AGENTS,
    BRANDS,
    GROUP_SLA_POLICIES,
    GROUPS,
    PAGE_LIMIT,
    SLA_POLICIES,
    SOME_ORGANIZATIONS,
    SOME_USERS,
    TICKET_FORMS,
    Endpoint,
    Record,
    holidays_of,
)
from ticket_events_pipeline.zendesk.account_endpoints import SCHEDULES as SCHEDULE_LIST

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.account_api import AccountApi

APPEARING_DAYS = 31
"""Newest stored days whose organizations and assignees get a name: the report shows 30."""

MOST_APPEARING = 10_000
"""Organizations, or assignees who are no agents any more, that are asked for: 100 requests."""

LISTS: Mapping[str, Endpoint] = {
    "groups": GROUPS,
    "agents": AGENTS,
    "brands": BRANDS,
    "ticket_forms": TICKET_FORMS,
    "sla_policies": SLA_POLICIES,
    "group_sla_policies": GROUP_SLA_POLICIES,
    SCHEDULES: SCHEDULE_LIST,
}
"""The endpoint of each kind that has a whole list. Organizations may be millions: those that appear are asked for by id."""

_ID_COLUMNS = {
    "organizations": {SLA_TARGET_DIMENSIONS_TABLE.name: ["organization_id"]},
    "agents": {
        SLA_TARGET_DIMENSIONS_TABLE.name: ["assignee_id", "assignee_id_eod"],
        SLA_TARGET_HOLDERS_TABLE.name: ["assignee_id"],
    },
}


@dataclass(frozen=True)
class RefreshedNames:
    """What a refresh made.

    Attributes:
        counts: by kind, how many things have a name now, deleted ones left out.
        problems: by kind, why it wasn't fetched; its file stays as it was.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    """What a fetch saw of a kind: `rows` without times, and `asked`, the ids that would have come back if they existed.

    `asked` is None where the whole list was fetched.
    """

    rows: list[Record]
    asked: frozenset[int] | None = None


def refresh_names(
    store: Store,
    api: AccountApi,
    kinds: Sequence[str],
    *,
    timezone: str,
    clock: Clock = wall_clock,
    log: Log = lambda _: None,
) -> RefreshedNames:
    """Fetch the names of these kinds and store them. A kind that Zendesk refuses is logged, and the others are made.

    Raises:
        AuthenticationError: the credentials are refused.
        TicketEventsError: not a single request was answered; the error of the first one.
    """
    counts: dict[str, int] = {}
    failed: dict[str, TicketEventsError] = {}
    is_answered = False
    for kind in kinds:
        requests_before = api.requests_made
        try:
            counts[kind] = _refresh(store, api, kind, timezone=timezone, now=int(clock()), log=log)
            is_answered |= api.requests_made > requests_before
        except AuthenticationError:
            raise
        except TicketEventsError as error:
            failed[kind] = error
            log(f"Names of {kind} were not fetched; those that are stored stay. {error}")
    if failed and not is_answered:
        raise next(iter(failed.values()))
    return RefreshedNames(counts, {kind: str(error) for kind, error in failed.items()})


def appearing_ids(store: Store, kind: str, timezone: str) -> list[int]:
    """The ids of a kind in the ticket tables of the newest APPEARING_DAYS, ascending; MOST_APPEARING at most, the newest ids.

    Tables that are not there, or are damaged, have none.
    """
    found: set[int] = set()
    for asset, columns in _ID_COLUMNS[kind].items():
        for day in stored_days(store, asset, timezone)[-APPEARING_DAYS:]:
            with suppress(DamagedFileError):  # its own check reports it
                rows = read_partition(store, asset, day, columns)
                for column in () if rows is None else rows.columns:
                    found.update(pc.unique(column).drop_null().to_pylist())
    return sorted(found)[-MOST_APPEARING:]


def merged(stored: pa.Table | None, seen: Sequence[Record], *, kind: str, now: int, asked: frozenset[int] | None) -> pa.Table:
    """The rows of a kind after a fetch at `now` (epoch seconds) that saw `seen`.

    A thing with the same name and content as in its newest row prolongs that row; else it gets a new one. What is missing
    although it was asked for (None: everything was) is marked as deleted.
    """
    schema = names_schema(kind)
    content = [name for name in schema.names if name not in ("is_deleted", "seen_from", "seen_to")]
    rows: list[Record] = [] if stored is None else stored.to_pylist()
    newest = {row["id"]: row for row in sorted(rows, key=lambda row: (row["seen_to"], row["seen_from"]))}
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    for record in seen:
        known = newest.get(record["id"])
        if known is not None and all(known[name] == record[name] for name in content):
            known["seen_to"] = max(at, known["seen_to"])
        else:
            rows.append({**record, "seen_from": at, "seen_to": at})
    present = {record["id"]: record["is_deleted"] for record in seen}
    for row in rows:
        is_missing = row["id"] not in present and (asked is None or row["id"] in asked)
        row["is_deleted"] = True if is_missing else present.get(row["id"], row["is_deleted"])
    return pa.Table.from_pylist(rows, schema).sort_by([("id", "ascending"), ("seen_from", "ascending")])


def _refresh(store: Store, api: AccountApi, kind: str, *, timezone: str, now: int, log: Log) -> int:
    seen = _fetched(store, api, kind, timezone)
    try:
        stored = read_kind(store, kind)
    except DamagedFileError as error:
        log(f"{error} It is made again now; earlier names in it are lost.")
        stored = None
    table = merged(stored, seen.rows, kind=kind, now=now, asked=seen.asked)
    if kind == USERS and (blanking := blanking_of(store)):
        table = blanking.names(table)
    write_kind(store, kind, table, fetched_at=now)
    return len(pc.unique(table.filter(pc.invert(table["is_deleted"]))["id"]))


def _fetched(store: Store, api: AccountApi, kind: str, timezone: str) -> _Seen:
    if kind == "organizations":
        ids = appearing_ids(store, kind, timezone)
        return _Seen([row for row, _ in _named(_by_id(api, SOME_ORGANIZATIONS, ids), kind)], frozenset(ids))
    listed = _named(api.all(LISTS[kind]), kind)
    rows = [row | _hours(api, record) if kind == SCHEDULES else row for row, record in listed]
    if kind == USERS:
        known = {row["id"] for row in rows}
        former = [id_ for id_ in appearing_ids(store, kind, timezone) if id_ not in known]
        rows += [row | {"is_deleted": True} for row, _ in _named(_by_id(api, SOME_USERS, former), kind)]
    return _Seen(rows)


def _by_id(api: AccountApi, endpoint: Endpoint, ids: Sequence[int]) -> Iterator[Record]:
    for start in range(0, len(ids), PAGE_LIMIT):
        yield from api.some(endpoint, ids[start : start + PAGE_LIMIT]).records


def _named(records: Iterable[Record], kind: str) -> list[tuple[Record, Record]]:
    """Every object with an id and a name, each id once: what is stored of it, and as it was sent."""
    read_id: Callable[[Any], int | str | None] = as_id if kind in TEXT_ID_KINDS else as_int64
    found: dict[int | str, tuple[Record, Record]] = {}
    for record in records:
        id_, name = read_id(record.get("id")), record.get("title" if kind in TEXT_ID_KINDS else "name")
        if id_ is not None and isinstance(name, str):
            is_deleted = True in (record.get("deleted"), record.get("is_deleted"))
            found[id_] = {"id": id_, "name": valid_unicode(name), "is_deleted": is_deleted}, record
    return list(found.values())


def _hours(api: AccountApi, schedule: Record) -> Record:
    """Zone, intervals and holidays of a schedule, as they are stored."""
    zone, intervals = schedule.get("time_zone"), schedule.get("intervals")
    spans = [
        [start, end]
        for interval in (intervals if isinstance(intervals, list) else [])
        if isinstance(interval, dict)
        and (start := as_int64(interval.get("start_time"))) is not None
        and (end := as_int64(interval.get("end_time"))) is not None
    ]
    holidays = [
        [str(holiday.get("name") or ""), first, last]
        for holiday in api.all(holidays_of(schedule["id"]))
        if isinstance(first := holiday.get("start_date"), str) and isinstance(last := holiday.get("end_date"), str)
    ]
    return {
        "time_zone": valid_unicode(zone) if isinstance(zone, str) else "",
        "intervals": json.dumps(sorted(spans)),
        "holidays": json.dumps(sorted(holidays)),
    }
