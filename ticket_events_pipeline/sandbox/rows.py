"""What the server needs of an account: its rows in order of time; and an account made of given rows, for tests."""

from __future__ import annotations

import datetime as dt
import json
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

TICKET_EVENTS = "ticket_events"
TICKET_METRIC_EVENTS = "ticket_metric_events"
STREAMS = (TICKET_EVENTS, TICKET_METRIC_EVENTS)
"""The streams, by the name in the API's path, which is also the key in its envelope."""

DEFAULT_SCOPE = "agent"
"""Of `support_type_scope`: without the tickets that an AI agent holds alone."""

_FULL_COMMENT_FIELDS = (
    "type",
    "author_id",
    "body",
    "html_body",
    "plain_body",
    "public",
    "attachments",
    "audit_id",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the API sends it now: its time (epoch seconds) in the stream, and its JSON text."""

    time: int
    json: bytes


Json = dict[str, Any]


@runtime_checkable
class Lookups(Protocol):
    """What an account tells beside its exports: settings, names, and tickets as they are now."""

    def objects(self, kind: str) -> Sequence[Json]:
        """All objects of a kind (see `lookups.LISTS`), as the API shows them."""

    def holidays(self, schedule_id: int) -> Sequence[Json] | None:
        """The holidays of a schedule; None if there is no such schedule."""

    def tickets(self, ids: Iterable[int], *, now: float) -> Sequence[Json]:
        """The tickets with these ids as they are at `now`; without those that are unknown or deleted."""


class Account(Protocol):
    """An account that the server can serve. One that is a `Lookups` too is served with them, another as having none."""

    @property
    def name(self) -> str:
        """Its subdomain."""

    def rows(
        self, stream: str, start_time: int, *, now: float, comments: bool = False, scope: str = DEFAULT_SCOPE
    ) -> Iterator[Row]:
        """The rows of `stream` visible at `now` with a time of at least `start_time`, ascending by time; lazily.

        `comments` asks for the full comments in the audits (the `comment_events` sideload), `scope` is their
        `support_type_scope`.
        """


def row_time(row: Mapping[str, Any]) -> int | None:
    """The epoch second by which the API orders the row: `timestamp`, else `created_at`, else `time`; None if unreadable."""
    value = next((row[field] for field in ("timestamp", "created_at", "time") if row.get(field) is not None), None)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
        if isinstance(value, str):
            moment = dt.datetime.fromisoformat(value)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
    return None


def _without_comments(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row as the API sends it without the sideload: a full comment shrinks to the two flags."""
    children = row.get("child_events")
    if not isinstance(children, list) or not any(isinstance(child, dict) and "body" in child for child in children):
        return row
    return {**row, "child_events": [_flags_only(child) for child in children]}


def _flags_only(child: Any) -> Any:
    if not isinstance(child, dict) or "body" not in child:
        return child
    kept = {key: value for key, value in child.items() if key not in _FULL_COMMENT_FIELDS}
    return {**kept, "comment_present": True, "comment_public": bool(child.get("public", True))}


@dataclass(frozen=True, slots=True)
class _Recorded:
    time: int
    arrival: int
    with_comments: bytes
    without_comments: bytes


class RecordedAccount:
    """An account of given rows, all visible at once; `deliver` adds to them or replaces them while a server runs.

    Rows that a client has to reject are served as they are: one without a readable time has the time of the row before it in
    its delivery (0 if it is the first).

    Attributes:
        current_tickets: by id, what `tickets` answers.
        listed: by kind, what `objects` answers; empty for the others.
        listed_holidays: by schedule, what `holidays` answers.
    """

    def __init__(self, rows: Mapping[str, Iterable[Mapping[str, Any]]] | None = None, *, name: str = "recorded") -> None:
        self.name = name
        self.current_tickets: dict[int, Json] = {}
        self.listed: dict[str, list[Json]] = {}
        self.listed_holidays: dict[int, list[Json]] = {}
        self._lock = threading.Lock()
        self._by_key: dict[str, dict[object, _Recorded]] = {stream: {} for stream in STREAMS}
        self._sorted: dict[str, list[_Recorded]] = {stream: [] for stream in STREAMS}
        for stream, given in (rows or {}).items():
            self.deliver(stream, given)

    def deliver(self, stream: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows to `stream`; one with a known (shape, id) replaces the earlier one, at its own new time.

        Raises:
            KeyError: there is no such stream.
        """
        with self._lock:
            known = self._by_key[stream]
            time = 0
            for row in rows:
                readable = row_time(row)
                time = time if readable is None else readable
                known[self._key(row, known)] = self._record(row, time, len(known))
            self._sorted[stream] = sorted(known.values(), key=lambda recorded: (recorded.time, recorded.arrival))

    def clear(self, stream: str) -> None:
        """Remove every row of `stream`."""
        with self._lock:
            self._by_key[stream] = {}
            self._sorted[stream] = []

    def rows(
        self, stream: str, start_time: int, *, now: float, comments: bool = False, scope: str = DEFAULT_SCOPE
    ) -> Iterator[Row]:
        """See `Account.rows`; neither `now` nor `scope` changes anything here."""
        snapshot: Sequence[_Recorded] = self._sorted[stream]
        first = bisect_left(snapshot, start_time, key=lambda recorded: recorded.time)
        for index in range(first, len(snapshot)):
            recorded = snapshot[index]
            yield Row(recorded.time, recorded.with_comments if comments else recorded.without_comments)

    def objects(self, kind: str) -> Sequence[Json]:
        """See `Lookups`."""
        return self.listed.get(kind, [])

    def holidays(self, schedule_id: int) -> Sequence[Json] | None:
        """See `Lookups`."""
        return self.listed_holidays.get(schedule_id)

    def tickets(self, ids: Iterable[int], *, now: float) -> Sequence[Json]:
        """See `Lookups`; `now` changes nothing here."""
        return [self.current_tickets[ticket_id] for ticket_id in ids if ticket_id in self.current_tickets]

    @staticmethod
    def _key(row: Mapping[str, Any], known: Mapping[object, _Recorded]) -> object:
        row_id = row.get("id")
        shape = "audit" if "child_events" in row else "metric"
        # An id that is neither a number nor text identifies no row: all of those are kept.
        return (shape, row_id) if isinstance(row_id, int | str) else ("nameless", len(known))

    @staticmethod
    def _record(row: Mapping[str, Any], time: int, arrival: int) -> _Recorded:
        # ASCII-escaped, so that even a lone surrogate can be sent.
        full = json.dumps(row, separators=(",", ":")).encode()
        reduced = _without_comments(row)
        return _Recorded(time, arrival, full, full if reduced is row else json.dumps(reduced, separators=(",", ":")).encode())
