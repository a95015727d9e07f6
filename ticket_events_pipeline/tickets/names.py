"""Names: what the account's ids are called, as they were last fetched.

`<root>/zendesk_names/<kind>.parquet` holds one kind. A thing that was renamed has a row for each name; one that no longer
exists keeps its rows, marked as deleted. The other tables hold ids; names are joined when something is shown.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from ticket_events_pipeline.decoding.json_values import as_int64
from ticket_events_pipeline.errors import DamagedFileError, TicketEventsError
from ticket_events_pipeline.settings import NAME_KINDS
from ticket_events_pipeline.storage.partition_file import Layout, opened_parquet
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.table import BOOL, INT64, STRING, TIMESTAMP
from ticket_events_pipeline.tickets.rules.business_hours import Schedule

ZENDESK_NAMES = "zendesk_names"
"""The folder of the names, and the asset that makes them."""

SCHEDULES = "schedules"

USERS = "agents"
"""The kind whose ids are those of users."""

TEXT_ID_KINDS = ("sla_policies", "group_sla_policies")
"""Kinds whose ids are text, as in the SLA tables."""

FETCHED_AT = "fetched_at"
"""Footer key: epoch seconds of the newest fetch of the kind."""

Log = Callable[[str], None]

MINUTES_A_WEEK = 7 * 24 * 60

UNKNOWN_ZONE = ""
"""The zone of a schedule that can't be read."""

_ADVICE = "Materialize zendesk_names to make it again."


def names_path(kind: str) -> str:
    """The path of a kind's file below the root."""
    return f"{ZENDESK_NAMES}/{kind}.parquet"


def names_schema(kind: str) -> pa.Schema:
    """The columns of a kind's file.

    `seen_from` and `seen_to` are the first and the last fetch that saw the thing under that name, UTC. Schedules also have
    Zendesk's name of their zone, and as JSON `intervals`, [[from, to], …] in minutes since Sunday 00:00, and `holidays`,
    [[name, first day, last day], …].
    """
    extra = [("time_zone", STRING), ("intervals", STRING), ("holidays", STRING)] if kind == SCHEDULES else []
    return pa.schema(
        [
            ("id", STRING if kind in TEXT_ID_KINDS else INT64),
            ("name", STRING),
            *extra,
            ("is_deleted", BOOL),
            ("seen_from", TIMESTAMP),
            ("seen_to", TIMESTAMP),
        ]
    )


@dataclass(frozen=True)
class _Name:
    text: str
    is_deleted: bool


@dataclass(frozen=True)
class Names:
    """The newest name of everything, by kind and id. An id may be a number or its text."""

    _by_kind: Mapping[str, Mapping[str, _Name]] = field(default_factory=dict)

    def of(self, kind: str, id_: int | str | None) -> str | None:
        """The newest name; None if none is known. `kind` is one of NAME_KINDS."""
        found = self._by_kind.get(kind, {}).get(str(id_))
        return None if found is None else found.text

    def all_of(self, kind: str) -> Mapping[str, str]:
        """The newest name of each of the kind, by id as text, without deleted ones."""
        return {id_: name.text for id_, name in self._by_kind.get(kind, {}).items() if not name.is_deleted}

    def is_deleted(self, kind: str, id_: int | str | None) -> bool:
        """Whether it has a name, and Zendesk no longer lists it."""
        found = self._by_kind.get(kind, {}).get(str(id_))
        return found is not None and found.is_deleted

    def __bool__(self) -> bool:
        return any(self._by_kind.values())


def read_names(store: Store, *, kinds: Iterable[str] = NAME_KINDS, log: Log = lambda _: None) -> Names:
    """The stored names. A kind that was never fetched has none, nor has one whose file can't be read, which is logged."""
    return Names({kind: _newest(_read_or_none(store, kind, log)) for kind in kinds})


def read_schedules(store: Store, *, log: Log = lambda _: None) -> Mapping[int, Schedule]:
    """The stored schedules by id, without deleted ones; none if they were never fetched or can't be read, which is logged.

    A single one that can't be read has no known zone, so that nothing is measured by it.
    """
    table = _read_or_none(store, SCHEDULES, log)
    if table is None:
        return {}
    rows = table.sort_by([("seen_to", "ascending"), ("seen_from", "ascending")]).to_pylist()
    newest = {row["id"]: row for row in rows}
    found = {}
    for row in newest.values():
        if row["is_deleted"]:
            continue
        try:
            found[row["id"]] = _schedule(row)
        except (ValueError, TypeError, OverflowError) as error:
            log(f"The schedule {row['id']} can't be read ({error}). {_ADVICE}")
            # Left out, the account might seem to have one schedule only, whose hours hold for every ticket then.
            found[row["id"]] = Schedule(row["id"] or 0, str(row["name"]), UNKNOWN_ZONE, ())
    return found


def fetched_at(store: Store, kind: str) -> int | None:
    """When the kind was last fetched, epoch seconds; None if it never was, or its file can't be read."""
    try:
        with opened_parquet(store, names_path(kind), advice=_ADVICE) as file:
            text = (file.metadata.metadata or {}).get(FETCHED_AT.encode(), b"").decode()
            return int(text) if text.isascii() and text.isdigit() else None
    except (FileNotFoundError, TicketEventsError):
        return None


def read_kind(store: Store, kind: str) -> pa.Table | None:
    """The rows of a kind; None if it was never fetched.

    Raises:
        DamagedFileError: the file can't be read.
    """
    try:
        with opened_parquet(store, names_path(kind), advice=_ADVICE) as file:
            if not file.schema_arrow.remove_metadata().equals(names_schema(kind)):
                raise DamagedFileError(f"{store.url(names_path(kind))} doesn't have the columns of names. {_ADVICE}")
            return file.read().replace_schema_metadata(None)
    except FileNotFoundError:
        return None


def write_kind(store: Store, kind: str, rows: pa.Table, *, fetched_at: int) -> None:
    """Replace the file of a kind."""
    with store.writer(names_path(kind)) as sink, Layout().writer(sink, rows.schema) as parquet:
        parquet.write_table(rows, row_group_size=Layout().rows_per_group)
        parquet.finish({"kind": kind, FETCHED_AT: str(fetched_at)})


def _read_or_none(store: Store, kind: str, log: Log) -> pa.Table | None:
    try:
        return read_kind(store, kind)
    except TicketEventsError as error:
        log(f"Names of {kind} are not shown. {error}")
        return None


def _newest(table: pa.Table | None) -> dict[str, _Name]:
    if table is None:
        return {}
    ordered = table.sort_by([("seen_to", "ascending"), ("seen_from", "ascending")])
    columns = (ordered[name].to_pylist() for name in ("id", "name", "is_deleted"))
    return {str(id_): _Name(name, is_deleted) for id_, name, is_deleted in zip(*columns, strict=True)}


def _schedule(row: Mapping[str, object]) -> Schedule:
    id_, intervals, holidays = as_int64(row["id"]), json.loads(str(row["intervals"])), json.loads(str(row["holidays"]))
    return Schedule(
        id_ or 0,
        str(row["name"]),
        str(row["time_zone"]),
        tuple((_minute(start), _minute(end)) for start, end in intervals),
        tuple((dt.date.fromisoformat(first), dt.date.fromisoformat(last)) for _, first, last in holidays),
    )


def _minute(value: object) -> int:
    found = int(str(value))
    if not 0 <= found <= MINUTES_A_WEEK:
        raise ValueError(f"{found} is no minute of a week")
    return found
