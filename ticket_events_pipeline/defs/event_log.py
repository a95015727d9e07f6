"""What the newest record of each day in Dagster's event log says; remembered from tick to tick.

It is read only to know which days to record, never to know what is stored. To read a record takes half a
millisecond, to read its place in the log next to nothing: so of the records of a day only the newest is read, once.
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
from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW

RECORDS_PER_READ = 500
"""Databases bound how many values one query may name."""

READ_SECONDS = 10.0
"""How long one tick may read records: some 10,000, as five years of days have."""

KEPT = (
    "content_hash",
    "complete",
    *MADE_FROM_RAW,
    "made_from_previous_clocks",
    "dagster/uri",
)

Record = Mapping[str, str]
"""Those of its metadata that tell the stored file from others; empty of a record that somebody else has made."""


@dataclass(frozen=True)
class Mark:
    """Where the log stands: what is written, deleted or wiped moves one of them.

    Attributes:
        newest_id: the greatest id of a record. Ids are used again once the newest records are deleted.
        runs: how many runs there are.
        assets: how many assets have a record: a wiped one has none, though it takes no record away.
    """

    newest_id: int
    runs: int
    assets: int

    def is_behind(self, earlier: Mark) -> bool:
        """Whether something was certainly deleted since `earlier`."""
        return self.newest_id < earlier.newest_id or self.runs < earlier.runs


def mark_of(instance: dg.DagsterInstance) -> Mark | None:
    """Where the log stands; None where the storage can't tell."""
    try:
        newest = instance.event_log_storage.get_maximum_record_id()
    except NotImplementedError:
        return None
    return Mark(newest or 0, instance.get_runs_count(), len(instance.get_asset_keys()))


@dataclass
class _Asset:
    """What is remembered of an asset: the place of the newest record of each day, and what those say that have been read."""

    places: dict[Day, int] = field(default_factory=dict)
    told: dict[Day, tuple[int, Record]] = field(default_factory=dict)


class EventLog:
    """The newest materialisations of an account's days."""

    def __init__(self, scope: AccountScope, *, seconds: float = READ_SECONDS) -> None:
        """`seconds` is how long one look may read records."""
        self._scope = scope
        self._seconds = seconds
        self._home = ""
        self._mark: Mark | None = None
        self._assets: dict[str, _Asset] = {}
        self._days: dict[str, Day | None] = {}
        self._wanted: Mapping[str, Collection[Day]] = {}
        self._is_read = False

    def look(self, instance: dg.DagsterInstance, mark: Mark | None, wanted: Mapping[str, Collection[Day]]) -> bool:
        """Bring what is remembered up to date; whether anything has changed.

        Args:
            instance: whose log.
            mark: where it stands.
            wanted: by asset, the days whose records are to be read as far as the time allows.
        """
        is_changed = mark is None or mark != self._mark or self._wanted.keys() != wanted.keys()
        if not is_changed and self._is_read and wanted is self._wanted:
            return False
        if is_changed:
            self._find_places(instance, mark, wanted)
        deadline = time.monotonic() + self._seconds
        self._is_read = all(self._read(instance, asset, days, deadline) for asset, days in wanted.items())
        self._wanted = wanted
        return True

    def has_record(self, asset: str, day: Day) -> bool:
        """Whether there is any record of the day."""
        return day in self._assets[asset].places

    def record(self, asset: str, day: Day) -> Record | None:
        """What the newest record of the day says; None where there is none, or it has not been read yet."""
        known = self._assets[asset]
        place, told = known.told.get(day, (None, None))
        return told if place == known.places.get(day) else None

    def record_now(self, instance: dg.DagsterInstance, asset: str, day: Day) -> Record | None:
        """The same, read now if it wasn't yet."""
        self._read(instance, asset, [day], time.monotonic() + self._seconds)
        return self.record(asset, day)

    def _find_places(self, instance: dg.DagsterInstance, mark: Mark | None, assets: Collection[str]) -> None:
        places = {asset: self._newest_places(instance, asset) for asset in assets}
        # A freed id may stand for another record now: what was remembered by ids is worth nothing then.
        is_other = (
            instance.root_directory != self._home or mark is None or (self._mark is not None and mark.is_behind(self._mark))
        )
        if is_other or any(
            _are_behind(places[asset], known.places) for asset, known in self._assets.items() if asset in places
        ):
            self._assets = {}
        for asset, newest in places.items():
            self._assets.setdefault(asset, _Asset()).places = newest
        self._home, self._mark = instance.root_directory, mark

    def _newest_places(self, instance: dg.DagsterInstance, asset: str) -> dict[Day, int]:
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        newest = instance.get_latest_storage_id_by_partition(self._scope.key(asset), kind)
        return {day: place for partition, place in newest.items() if (day := self._day(partition)) is not None}

    def _day(self, partition: str) -> Day | None:
        """None for a key that is no date: an event reported by hand may have any key."""
        if partition not in self._days:
            self._days[partition] = None
            with suppress(ValueError):
                self._days[partition] = self._scope.day(partition)
        return self._days[partition]

    def _read(self, instance: dg.DagsterInstance, asset: str, days: Collection[Day], deadline: float) -> bool:
        """Read the newest records of `days` that have not been read yet; whether there was time for all of them."""
        known, key = self._assets[asset], self._scope.key(asset)
        unread = {known.places[day]: day for day in days if day in known.places and _is_unread(known, day)}
        wanted = list(unread)
        for start in range(0, len(wanted), RECORDS_PER_READ):
            if time.monotonic() > deadline:
                return False
            storage_ids = wanted[start : start + RECORDS_PER_READ]
            records = dg.AssetRecordsFilter(key, storage_ids=storage_ids)
            for record in instance.fetch_materializations(records, len(storage_ids)).records:
                known.told[unread[record.storage_id]] = record.storage_id, _told(record.asset_materialization)
        return True


def _is_unread(known: _Asset, day: Day) -> bool:
    return day not in known.told or known.told[day][0] != known.places[day]


def _are_behind(now: Mapping[Day, int], before: Mapping[Day, int]) -> bool:
    return any(now.get(day, 0) < place for day, place in before.items())


def _told(materialization: dg.AssetMaterialization | None) -> Record:
    metadata = {} if materialization is None else materialization.metadata
    return {name: _text(metadata[name].value) for name in KEPT if name in metadata}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
