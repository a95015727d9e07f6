"""The time of a row, by which the server orders a stream: which field holds it, and which values can be read.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.tables.table import Table

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

NEWEST_EPOCH_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z. A larger number is no epoch second (most likely milliseconds), and no day of ours."""

OLDEST_MS = -62_135_596_800_000
"""The year 1 in epoch milliseconds: what lies before it, no reader of the files could show."""


def as_epoch_ms(value: Any) -> int | None:
    """Epoch milliseconds of an ISO date with an offset (none: UTC) or of epoch seconds; None if it is neither."""
    if isinstance(value, str):
        if value.isdigit():  # thirteen of them, milliseconds most likely, would be read as a moment of the year 1712
            return None
        try:
            moment = dt.datetime.fromisoformat(value)
            in_utc = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
            elapsed = in_utc - EPOCH
            since_epoch = elapsed.days * 86_400_000 + elapsed.seconds * 1000 + elapsed.microseconds // 1000
        except (ValueError, OverflowError):
            return None
        return since_epoch if OLDEST_MS <= since_epoch < (NEWEST_EPOCH_SECOND + 1) * 1000 else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= NEWEST_EPOCH_SECOND:
        return int(value * 1000)
    return None


def row_time_ms(row: Mapping[str, Any], table: Table) -> int | None:
    """Epoch milliseconds of a row: the first of the table's time fields that can be read; None if none can."""
    for name in table.time_fields:
        time_ms = as_epoch_ms(row.get(name))
        if time_ms is not None:
            return time_ms
    return None


def are_days_of_ours(times: pa.Array) -> bool:
    """Whether all of these moments can be shown; NULL can."""
    span = pc.min_max(times.cast(pa.int64())).as_py()
    return span["min"] is None or (span["min"] >= OLDEST_MS and span["max"] < (NEWEST_EPOCH_SECOND + 1) * 1000)
