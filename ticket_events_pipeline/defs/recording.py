"""How a step that makes many days tells Dagster of each: its metadata on success, and what stands if it fails half-way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import TicketEventsError

DayMetadata = tuple[str, Mapping[str, Any]]
"""A partition key, and the metadata of its materialisation."""


def record_days(context: dg.AssetExecutionContext, days: Iterable[DayMetadata]) -> None:
    """Consume `days`, which makes them, and give each its metadata.

    If making them fails, Dagster itself would record nothing; so the finished days are recorded here before the failure goes
    on: the UI shows them as done. On success the framework adds its own event per day.
    """
    finished: list[DayMetadata] = []
    try:
        with expected_failures():
            for key, made in _timed(days):
                finished.append((key, made))
                context.add_asset_metadata(made, partition_key=key)
    except BaseException:
        for key, metadata in finished:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata))
        raise
    hashed = [metadata["content_hash"] for _, metadata in finished if "content_hash" in metadata]
    if len(finished) == len(hashed) == 1:  # one version a step is all that Dagster takes: a range can't have one a day
        context.set_data_version(context.asset_key, dg.DataVersion(hashed[0]))


def _timed(days: Iterable[DayMetadata]) -> Iterator[DayMetadata]:
    """Each with the seconds since the one before: what it took, and the first one what the step had to prepare."""
    began = wall_clock()
    for key, metadata in days:
        ended = wall_clock()
        yield key, {**metadata, "duration_seconds": round(ended - began, 3)}
        began = ended


@contextmanager
def expected_failures() -> Iterator[None]:
    """Show an error of ours as its message alone: it says what to do, and a traceback would hide it."""
    try:
        yield
    except TicketEventsError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


def moment(epoch_seconds: int) -> dg.TimestampMetadataValue:
    """A time as the UI shows it."""
    return dg.MetadataValue.timestamp(float(epoch_seconds))
