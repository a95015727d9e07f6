"""The newest materialisation of each day in Dagster's event log, cached from tick to tick.

It only decides which days to record, never what is stored. Reading a record takes half a millisecond, reading its id next to
nothing: so only the newest record of a day is read, once.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.shown_metadata import debug_key
from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW
from ticket_events_pipeline.tickets.provenance import MADE_FROM_STATES, MADE_FROM_TARGETS

RECORDS_PER_READ = 500
"""Databases limit the number of values in a query."""

READ_SECONDS = 10.0
"""Time for reading records in one tick: some 10,000 of them, the days of five years."""

KEPT_METADATA = (
    "content_hash",
    "complete",
    *MADE_FROM_RAW,
    "made_from_previous_clocks",
    MADE_FROM_TARGETS,
    MADE_FROM_STATES,
)

Record = Mapping[str, str]
"""The metadata that identifies the stored file; empty for a record made by hand."""


@dataclass(frozen=True)
class LogPosition:
    """The state of the log: writing, deleting or wiping anything changes one of its attributes.

    Attributes:
        newest_id: the greatest id of a record. Ids are used again once the newest records are deleted.
        runs: number of runs.
        assets: number of assets with a record: wiping an asset hides its records without deleting any.
    """

    newest_id: int
    runs: int
    assets: int

    def is_behind(self, earlier: LogPosition) -> bool:
        """Whether something was certainly deleted since `earlier`."""
        return self.newest_id < earlier.newest_id or self.runs < earlier.runs


def log_position(instance: dg.DagsterInstance) -> LogPosition | None:
    """The log's current position; None if the storage doesn't know it."""
    try:
        newest = instance.event_log_storage.get_maximum_record_id()
    except NotImplementedError:
        return None
    return LogPosition(newest or 0, instance.get_runs_count(), len(instance.get_asset_keys()))


@dataclass
class _Asset:
    """What is cached of an asset: the id of the newest record of each day, and those records that have been read."""

    newest_ids: dict[Day, int] = field(default_factory=dict)
    records: dict[Day, tuple[int, Record]] = field(default_factory=dict)


class EventLog:
    """The newest materialisations of an account's days."""

    def __init__(self, scope: AccountScope, *, seconds: float = READ_SECONDS) -> None:
        """`seconds` is how long one refresh may read records."""
        self._scope = scope
        self._seconds = seconds
        self._home = ""
        self._position: LogPosition | None = None
        self._assets: dict[str, _Asset] = {}
        self._days: dict[str, Day | None] = {}
        self._wanted: Mapping[str, Collection[Day]] = {}
        self._is_read = False

    def refresh(
        self, instance: dg.DagsterInstance, position: LogPosition | None, wanted: Mapping[str, Collection[Day]]
    ) -> bool:
        """Bring the cache up to date; True if anything may have changed.

        Args:
            instance: whose log.
            position: its position, taken before the files are compared.
            wanted: by asset, the days whose records are read as far as the time allows.
        """
        is_changed = position is None or position != self._position or self._wanted.keys() != wanted.keys()
        if not is_changed and self._is_read and wanted is self._wanted:
            return False
        if is_changed:
            self._find_newest(instance, position, wanted)
        deadline = time.monotonic() + self._seconds
        self._is_read = all(self._read(instance, asset, days, deadline) for asset, days in wanted.items())
        self._wanted = wanted
        return True

    def has_record(self, asset: str, day: Day) -> bool:
        """Whether the day has any record."""
        return day in self._assets[asset].newest_ids

    def days(self, asset: str) -> Collection[Day]:
        """The days with any record."""
        return self._assets[asset].newest_ids.keys()

    def record(self, asset: str, day: Day) -> Record | None:
        """The newest record of the day; None if there is none, or it has not been read yet."""
        known = self._assets[asset]
        record_id, record = known.records.get(day, (None, None))
        return record if record_id == known.newest_ids.get(day) else None

    def _find_newest(self, instance: dg.DagsterInstance, position: LogPosition | None, assets: Collection[str]) -> None:
        newest_ids = {asset: self._newest_ids(instance, asset) for asset in assets}
        # A freed id may belong to another record now, which makes everything cached by id worthless.
        is_other = (
            instance.root_directory != self._home
            or position is None
            or (self._position is not None and position.is_behind(self._position))
        )
        if is_other or any(
            _are_behind(newest_ids[asset], known.newest_ids) for asset, known in self._assets.items() if asset in newest_ids
        ):
            self._assets = {}
        for asset, newest in newest_ids.items():
            self._assets.setdefault(asset, _Asset()).newest_ids = newest
        self._home, self._position = instance.root_directory, position

    def _newest_ids(self, instance: dg.DagsterInstance, asset: str) -> dict[Day, int]:
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        newest = instance.get_latest_storage_id_by_partition(self._scope.key(asset), kind)
        return {day: record_id for partition, record_id in newest.items() if (day := self._day(partition)) is not None}

    def _day(self, partition: str) -> Day | None:
        """None for a key that is no date: an event reported by hand may have any key."""
        if partition not in self._days:
            self._days[partition] = None
            with suppress(ValueError):
                self._days[partition] = self._scope.day(partition)
        return self._days[partition]

    def _read(self, instance: dg.DagsterInstance, asset: str, days: Collection[Day], deadline: float) -> bool:
        """Read the newest records of `days` that have not been read yet; True if there was time for all of them."""
        known, key = self._assets[asset], self._scope.key(asset)
        unread = {known.newest_ids[day]: day for day in days if day in known.newest_ids and _is_unread(known, day)}
        wanted = list(unread)
        for start in range(0, len(wanted), RECORDS_PER_READ):
            if time.monotonic() > deadline:
                return False
            storage_ids = wanted[start : start + RECORDS_PER_READ]
            records = dg.AssetRecordsFilter(key, storage_ids=storage_ids)
            for record in instance.fetch_materializations(records, len(storage_ids)).records:
                known.records[unread[record.storage_id]] = record.storage_id, _kept_metadata(record.asset_materialization)
        return True


def _is_unread(known: _Asset, day: Day) -> bool:
    return day not in known.records or known.records[day][0] != known.newest_ids[day]


def _are_behind(now: Mapping[Day, int], before: Mapping[Day, int]) -> bool:
    return any(now.get(day, 0) < record_id for day, record_id in before.items())


def _kept_metadata(materialization: dg.AssetMaterialization | None) -> Record:
    metadata = {} if materialization is None else materialization.metadata
    # Earlier versions recorded every key without the prefix.
    found = {name: metadata.get(debug_key(name), metadata.get(name)) for name in KEPT_METADATA}
    return {name: _text(value.value) for name, value in found.items() if value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
