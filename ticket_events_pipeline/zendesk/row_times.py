"""The time of a row, by which the server orders a stream: which field holds it, and which values can be read.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ticket_events_pipeline.zendesk.columnar import ColumnarRows

TIME_FIELDS = {
    # The stream's own time first: an audit's `timestamp` is what start_time is compared with.
    "ticket_events": ("timestamp", "created_at", "time"),
    "ticket_metric_events": ("time", "timestamp", "created_at"),
}

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


def row_time_ms(row: Mapping[str, Any], stream: str) -> int | None:
    """Epoch milliseconds of a row of `stream`: the first of its TIME_FIELDS that can be read; None if none can."""
    for name in TIME_FIELDS[stream]:
        time_ms = as_epoch_ms(row.get(name))
        if time_ms is not None:
            return time_ms
    return None


def row_seconds(rows: Sequence[dict[str, Any]], stream: str) -> NDArray[np.int64]:
    """Epoch seconds of the rows of a page that have a readable time, in the page's order."""
    if isinstance(rows, ColumnarRows):
        times_ms = rows.columns.field("time").cast(pa.int64()).drop_null().to_numpy()
    else:
        found = (row_time_ms(row, stream) for row in rows)
        times_ms = np.array([time_ms for time_ms in found if time_ms is not None], dtype=np.int64)
    shown = (times_ms >= OLDEST_MS) & (times_ms < (NEWEST_EPOCH_SECOND + 1) * 1000)
    seconds: NDArray[np.int64] = np.floor_divide(times_ms[shown], 1000)
    return seconds
