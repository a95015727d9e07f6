"""`ticket_states`: what is remembered of tickets from day to day."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.storage.partition_file import no_footer_error, read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tickets.provenance import TicketProvenance

STATES = "ticket_states"

TRACKED_SINCE = "tracked_since"
"""Footer key in addition to those of every ticket table: see `StatesDay.tracked_since`; a JSON object."""


@dataclass(frozen=True)
class StatesDay:
    """A stored day of `ticket_states`.

    Attributes:
        rows: in the schema and order of `TICKET_STATES_TABLE`.
        provenance: how they were made.
        content_hash: identifies them by all that they were made from, day by day.
        tracked_since: of fields that are tracked for a shorter time than tickets are remembered, the first day (a date) on
            which they were. A Create of an earlier day doesn't say that such a field was empty.
    """

    rows: pa.Table
    provenance: TicketProvenance
    content_hash: str
    tracked_since: Mapping[str, dt.date]


def read_states(store: Store, day: Day) -> StatesDay:
    """The day of `ticket_states`.

    Raises:
        DayNotFetchedError: the day has not been made.
        DamagedFileError: its file can't be read, or this pipeline didn't write it.
    """
    found = read_partition_and_metadata(store, STATES, day)
    if found is None:
        raise DayNotFetchedError(f"{STATES} of {day} has not been made. Materialize {STATES} of {day} first.")
    rows, metadata = found
    try:
        provenance, since = TicketProvenance.from_metadata(metadata), tracked_since_in(metadata)
        return StatesDay(rows, provenance, metadata["content_hash"], since)
    except (KeyError, ValueError, AttributeError) as error:
        raise no_footer_error(store, STATES, day, error) from error


def tracked_since_in(metadata: Mapping[str, str]) -> dict[str, dt.date]:
    """See `StatesDay.tracked_since`.

    Raises:
        KeyError, ValueError, AttributeError: the metadata is not that of `ticket_states`.
    """
    return {name: dt.date.fromisoformat(text) for name, text in json.loads(metadata[TRACKED_SINCE]).items()}
