"""What Dagster's event log says of the assets' days: which ones were materialised lately, and the newest record of each.

To read a record takes half a millisecond, to read its place in the log next to nothing: so days are looked for by places, and
of the records of a day only the newest is read, once, and only if it matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.summarize.inputs import NOT_LANDED, DayInputs, RawState

RECORDS_PER_READ = 500
"""Databases bound how many values one query may name."""

Metadata = Mapping[str, Any]

_T = TypeVar("_T")


class EventLog:
    """The newest materialisations of an account's days, as they were when its assets were first asked for."""

    def __init__(self, instance: dg.DagsterInstance, scope: AccountScope) -> None:
        self._instance = instance
        self._scope = scope
        self._places: dict[str, dict[Day, int]] = {}
        self._told: dict[str, dict[Day, Any]] = defaultdict(dict)

    def materialised_after(self, asset: str, storage_id: int) -> dict[Day, int]:
        """The days of `asset` that were materialised behind that place in the log, each with the newest place."""
        key = self._scope.key(asset)
        # By a range of the index: all that there is to do where nothing has happened, however long the log is.
        if not self._instance.get_materialized_partitions(key, after_cursor=storage_id):
            return {}
        return {day: place for day, place in self._newest_places(asset).items() if place > storage_id}

    def raw_states(self, stream: str, days: Iterable[Day]) -> dict[Day, RawState]:
        """The raw days as their materialisations tell them; not those that this pipeline hasn't made."""
        told = self._newest(stream, days, _raw_state)
        return {day: state for day, state in told.items() if state is not None}

    def summarised_inputs(self, asset: str, days: Iterable[Day]) -> dict[Day, DayInputs]:
        """What the summaries of the days say that they were made from."""
        told = self._newest(asset, days, _recorded_inputs)
        return {day: inputs for day, inputs in told.items() if inputs is not None}

    def content_hashes(self, asset: str, days: Iterable[Day]) -> dict[Day, str]:
        """The hashes of the days' rows."""
        told = self._newest(asset, days, lambda metadata: metadata.get("content_hash"))
        return {day: content_hash for day, content_hash in told.items() if content_hash is not None}

    def _newest_places(self, asset: str) -> dict[Day, int]:
        if asset not in self._places:
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            newest = self._instance.get_latest_storage_id_by_partition(self._scope.key(asset), kind)
            self._places[asset] = {self._scope.day(partition): place for partition, place in newest.items()}
        return self._places[asset]

    def _newest(self, asset: str, days: Iterable[Day], tell: Callable[[Metadata], _T]) -> dict[Day, _T]:
        """What `tell`, always the same one for an asset, makes of the metadata of those of `days` that have any."""
        asked, told = list(days), self._told[asset]
        places = self._newest_places(asset) if asked else {}
        unread = {places[day]: day for day in asked if day in places and day not in told}
        wanted = list(unread)
        for start in range(0, len(wanted), RECORDS_PER_READ):
            storage_ids = wanted[start : start + RECORDS_PER_READ]
            records = dg.AssetRecordsFilter(self._scope.key(asset), storage_ids=storage_ids)
            for record in self._instance.fetch_materializations(records, len(storage_ids)).records:
                if record.asset_materialization is not None:
                    values = {name: value.value for name, value in record.asset_materialization.metadata.items()}
                    told[unread[record.storage_id]] = tell(values)
        return {day: told[day] for day in asked if day in told}


def _raw_state(metadata: Metadata) -> RawState | None:
    if not {"content_hash", "complete", "fetched_at", "metric_rows"} <= metadata.keys():
        return None
    return RawState(
        content_hash=metadata["content_hash"],
        complete=metadata["complete"],
        fetched_at=int(metadata["fetched_at"]),
        metric_rows=metadata["metric_rows"],
    )


def _recorded_inputs(metadata: Metadata) -> DayInputs | None:
    if "made_from_ticket_events" not in metadata:
        return None
    return DayInputs(
        ticket_events=metadata["made_from_ticket_events"],
        ticket_metric_events=metadata["made_from_ticket_metric_events"],
        complete=metadata["complete"],
        as_of=int(metadata["as_of"]),
        previous_clocks=metadata.get("made_from_previous_clocks", NOT_LANDED),
    )
