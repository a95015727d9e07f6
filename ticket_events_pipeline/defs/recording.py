"""How a step of many days records each day in Dagster: on success, and if the step fails half-way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.shown_metadata import CONTENT_HASH, debug, hash_last
from ticket_events_pipeline.errors import TicketEventsError

DayMetadata = tuple[str, Mapping[str, Any]]
"""A partition key, and the metadata of its materialisation."""


def record_days(context: dg.AssetExecutionContext, days: Iterable[DayMetadata]) -> None:
    """Make the days by consuming `days`, and record the metadata of each.

    If a day fails, Dagster itself would record none of them; so the finished days are recorded here before the error is
    raised again. On success Dagster adds its own event per day.
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
    hashed = [metadata[CONTENT_HASH] for _, metadata in finished if CONTENT_HASH in metadata]
    if len(finished) == len(hashed) == 1:  # Dagster takes one version per step: a range can't have one per day
        context.set_data_version(context.asset_key, dg.DataVersion(hashed[0]))


def _timed(days: Iterable[DayMetadata]) -> Iterator[DayMetadata]:
    """Each day with the seconds since the one before; the first includes the preparations of the step."""
    began = wall_clock()
    for key, metadata in days:
        ended = wall_clock()
        yield key, hash_last({**metadata, **debug({"duration_seconds": round(ended - began, 3)})})
        began = ended


@contextmanager
def expected_failures() -> Iterator[None]:
    """Show an error of this package as its message alone: it says what to do, and a traceback would hide it."""
    try:
        yield
    except TicketEventsError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
