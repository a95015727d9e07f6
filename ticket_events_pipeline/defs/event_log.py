"""What Dagster's event log says of the assets' days: which ones were materialised lately, and the newest metadata of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.summarize.inputs import NOT_LANDED, DayInputs, RawState

EVENTS_PER_READ = 1000
DAYS_PER_READ = 100
"""Databases bound how many values one query may name."""

Metadata = dict[str, Any]


@dataclass(frozen=True)
class LandedEvent:
    """A materialisation of a day: its place in the log, and the day."""

    storage_id: int
    day: Day


def events_after(instance: dg.DagsterInstance, key: dg.AssetKey, storage_id: int, *, timezone: str) -> Iterator[LandedEvent]:
    """Every materialisation of a day of `key` behind `storage_id` in the log, oldest first."""
    cursor, has_more = None, True
    while has_more:
        records = dg.AssetRecordsFilter(key, after_storage_id=storage_id)
        read = instance.fetch_materializations(records, EVENTS_PER_READ, cursor=cursor, ascending=True)
        for record in read.records:
            if record.partition_key is not None:
                yield LandedEvent(record.storage_id, Day.parse(record.partition_key, timezone))
        cursor, has_more = read.cursor, read.has_more


def newest_metadata(instance: dg.DagsterInstance, key: dg.AssetKey, days: Iterable[Day]) -> dict[Day, Metadata]:
    """The metadata of the newest materialisation of each of `days` that has one."""
    materialized = instance.get_materialized_partitions(key)
    asked = {str(day): day for day in days}
    wanted = sorted(asked.keys() & materialized)
    found: dict[Day, Metadata] = {}
    for start in range(0, len(wanted), DAYS_PER_READ):
        newest = _newest_of(instance, key, wanted[start : start + DAYS_PER_READ])
        found |= {asked[partition]: metadata for partition, metadata in newest.items()}
    return found


def _newest_of(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: list[str]) -> dict[str, Metadata]:
    missing, cursor, has_more = set(partitions), None, True
    found: dict[str, Metadata] = {}
    while missing and has_more:
        records = dg.AssetRecordsFilter(key, asset_partitions=partitions)
        read = instance.fetch_materializations(records, EVENTS_PER_READ, cursor=cursor)
        for record in read.records:
            if record.partition_key in missing and record.asset_materialization is not None:
                missing.discard(record.partition_key)
                values = {name: value.value for name, value in record.asset_materialization.metadata.items()}
                found[record.partition_key] = values
        cursor, has_more = read.cursor, read.has_more
    return found


def raw_state(metadata: Metadata | None) -> RawState | None:
    """A raw day as its materialisation tells it; None where there is none, or one not made by this pipeline."""
    if metadata is None or not {"content_hash", "complete", "fetched_at", "metric_rows"} <= metadata.keys():
        return None
    return RawState(
        content_hash=metadata["content_hash"],
        complete=metadata["complete"],
        fetched_at=int(metadata["fetched_at"]),
        metric_rows=metadata["metric_rows"],
    )


def recorded_inputs(metadata: Metadata | None) -> DayInputs | None:
    """What a summary says that it was made from; None where there is no summary."""
    if metadata is None or "made_from_ticket_events" not in metadata:
        return None
    return DayInputs(
        ticket_events=metadata["made_from_ticket_events"],
        ticket_metric_events=metadata["made_from_ticket_metric_events"],
        complete=metadata["complete"],
        as_of=int(metadata["as_of"]),
        previous_clocks=metadata.get("made_from_previous_clocks", NOT_LANDED),
    )
