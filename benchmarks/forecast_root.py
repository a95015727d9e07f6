"""A root that follows an account moment by moment, as the hourly or frequent fetch does, on a clock that is set.

Everything goes through the product: pages over real HTTP, the open day fetched as of each moment, and its tables made again up
to `sla_target_dimensions`. Every night at 03:00 the last three closed days are fetched again, and the names are refreshed.
No snapshots of tickets are asked for: they don't tell schedules, and a due time needs nothing else of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import TARGETS, make_clocks, make_targets
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, make_dimensions
from ticket_events_pipeline.tickets.fetched_names import refresh_names
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.names import read_schedules
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota

RESTATED_DAYS = 3
NIGHTLY_SECONDS = 3 * 3600
"""When names and the last closed days are fetched again, after midnight."""

TARGET_COLUMNS = ["ticket_id", "metric", "instance_id", "business_hours", "outcome", "is_paused", "as_of"]


class Clock:
    """Stands until it is set; a sleep takes no time of it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Epoch seconds."""
        return self.now


@dataclass(frozen=True)
class Foretold:
    """What a target's row says at a moment; times are epoch seconds.

    Attributes:
        due_at: None where no due time is given.
        due_by: calendar or business_hours.
    """

    outcome: str
    is_paused: bool
    business_hours: bool | None
    due_at: int | None
    due_by: str | None


Key = tuple[int, str, int]
"""Ticket, metric and instance."""


@dataclass(frozen=True)
class Forecast:
    """All targets of the open day, as far as the events were read: up to `as_of`."""

    as_of: int
    targets: dict[Key, Foretold]


class FollowedRoot:
    """A root on disk, and the clock that its server and its fetches share."""

    def __init__(self, folder: Path, server: SandboxServer, clock: Clock, first: Day) -> None:
        self._store = FolderStore(folder)
        self._server, self._clock = server, clock
        self._open = first
        self._first = first
        self._nightly: Day | None = None

    def forecast(self, now: int) -> Forecast:
        """Fetch what is there at `now`, make the tables of the days that changed, and read today's targets."""
        self._clock.now = now
        today = Day.containing(now)
        first = self._open
        is_night_over = self._nightly != today and now >= today.start + NIGHTLY_SECONDS
        if self._nightly is None or is_night_over:
            self._nightly = today
            self._refresh_names()
            first = max(self._first, min(first, today.plus(-RESTATED_DAYS)))
        days = days_between(first, today)
        for stream in STREAMS:
            self._fetch(stream, days)
        self._make(days)
        return self._read(today)

    def _fetch(self, name: str, days: list[Day]) -> None:
        ownership = Ownership("recorded", "UTC", sideload=False)
        written = fetch_days(
            self._client,
            self._store,
            stream=STREAMS[name],
            days=days,
            ownership=ownership,
            clock=self._clock,
            log=lambda _: None,
        )
        is_complete = {day.day: day.footer.complete for day in written}
        self._open = min([day for day in days if not is_complete[day]], default=days[-1])

    def _make(self, days: list[Day]) -> None:
        store = self._store
        _exhaust(make_changes(store, days))
        _exhaust(make_clocks(store, days))
        _exhaust(make_targets(store, days))
        _exhaust(make_states(store, days, fields=tracked_fields()))
        schedules = read_schedules(store, log=lambda _: None)
        _exhaust(make_dimensions(store, days, snapshots=Snapshots(store, "UTC"), schedules=schedules))

    def _refresh_names(self) -> None:
        api = AccountApi(
            self._server.base_url, BearerToken("sandbox"), pace=AccountPace(), total_seconds=600, clock=self._clock
        )
        with api:
            refresh_names(self._store, api, ["schedules"], timezone="UTC", clock=self._clock)

    def _read(self, day: Day) -> Forecast:
        targets, dimensions = self._table(TARGETS, day, TARGET_COLUMNS), self._table(DIMENSIONS, day, None)
        due = {
            key: (at, by) for key, at, by in zip(_keys(dimensions), *_columns(dimensions, ["due_at", "due_by"]), strict=True)
        }
        columns = _columns(targets, ["outcome", "is_paused", "business_hours"])
        found = {
            key: Foretold(*values, due_at=_seconds(due[key][0]), due_by=due[key][1])
            for key, values in zip(_keys(targets), zip(*columns, strict=True), strict=True)
        }
        as_of = targets["as_of"][0].as_py() if targets.num_rows else None
        return Forecast(_seconds(as_of) or int(self._clock()), found)

    def _table(self, asset: str, day: Day, columns: list[str] | None) -> pa.Table:
        table = read_partition(self._store, asset, day, columns)
        if table is None:
            raise RuntimeError(f"{asset} of {day} was not made")
        return table

    @cached_property
    def _client(self) -> ZendeskClient:
        quota = Quota(1_000_000, clock=self._clock)
        return ZendeskClient(
            self._server.base_url, BearerToken("sandbox"), quota=quota, clock=self._clock, sleep=lambda _: None
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _exhaust(days: Iterator[Any]) -> None:
    for _ in days:
        pass


def _keys(table: pa.Table) -> list[Key]:
    return list(zip(*_columns(table, ["ticket_id", "metric", "instance_id"]), strict=True))


def _columns(table: pa.Table, names: list[str]) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def _seconds(moment: Any) -> int | None:
    return None if moment is None else int(moment.timestamp())
