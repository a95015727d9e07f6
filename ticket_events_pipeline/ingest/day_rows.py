"""The rows of one day while a pass collects them: which day a row belongs to, and which of its deliveries counts.

How far the stream has been read, and when a day is done, is `range_pass`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.lake.schemas import metric_shaped


@dataclass
class DayRows:
    """A day's rows in the order of their delivery; a resumed day has those `stored` that its file holds before them."""

    stored: pa.Table
    deliveries: list[pa.Table] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Take in the rows of the next page."""
        if rows.num_rows:
            self.deliveries.append(rows)

    def settled(self, *, read_from: int, read_through: int) -> tuple[pa.Table, int]:
        """The day's rows, one per event and sorted by (time, id), and how many deliveries a later one replaced.

        A stored row with a time in [`read_from`, `read_through`), epoch seconds, that was not delivered again is gone from
        the account: an event that was dated ahead has moved. Behind what was read again, nothing is known, and it stays.
        """
        table = pa.concat_tables([self.stored, *self.deliveries])
        latest = _latest_deliveries(table)
        times_ms = table["time"].cast(pa.int64()).to_numpy()[latest]
        is_told_anew = (times_ms >= read_from * 1000) & (times_ms < read_through * 1000)
        is_gone = (latest < self.stored.num_rows) & is_told_anew
        return table.take(latest[~is_gone]).combine_chunks(), table.num_rows - len(latest)


@dataclass(frozen=True)
class Routed:
    """A page's rows by day, and how many lie `before` the days of the range; those behind it are other runs' affair."""

    by_day: dict[Day, pa.Table]
    before: int


def route(rows: pa.Table, days: list[Day]) -> Routed:
    """Send every row to the day of the contiguous, ascending `days` that its `time` lies in; midnight opens the new day."""
    boundaries_ms = np.array([day.start for day in days] + [days[-1].end], dtype=np.int64) * 1000
    times_ms = rows["time"].cast(pa.int64()).to_numpy()
    positions = np.searchsorted(boundaries_ms, times_ms, side="right") - 1
    by_day = {
        days[position]: rows.filter(pa.array(positions == position))
        for position in np.unique(positions)
        if 0 <= position < len(days)
    }
    return Routed(by_day, int((positions < 0).sum()))


def _latest_deliveries(table: pa.Table) -> np.ndarray:
    """Positions of each event's last delivery, in the order (time, id).

    An event is its id; in `ticket_events` an audit and a metric event may share a number, so there it is shape and id.
    """
    ids = table["id"].to_numpy()
    shapes = metric_shaped(table).to_numpy(zero_copy_only=False) if "event_type" in table.column_names else np.zeros_like(ids)
    grouped = np.lexsort((shapes, ids))  # stable: deliveries of one event keep their order
    same_as_next = (ids[grouped][1:] == ids[grouped][:-1]) & (shapes[grouped][1:] == shapes[grouped][:-1])
    latest = grouped[np.append(~same_as_next, True)] if len(grouped) else grouped
    times = table["time"].cast(pa.int64()).to_numpy()
    return latest[np.lexsort((shapes[latest], ids[latest], times[latest]))]
