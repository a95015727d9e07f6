"""The rows of one day while a pass collects them: in memory first, in segments when there are many, and merged at the end.

Which day a row belongs to is decided here too. How far the stream has been read, and when a day is done, is `range_pass`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.journal_file import JournalFiles, JournalPart
from ticket_events_pipeline.storage.raw_footer import LedgerPage
from ticket_events_pipeline.storage.sorted_runs import MemoryRun, Merge, Run


@dataclass
class DayInProgress:
    """A day that is being read.

    Attributes:
        ledger: the pages that tell something of it.
        requests: that it took.
        duplicates: deliveries that a later one replaced, as far as they were compared.
        parts: its rows in segments, in the order of their delivery.
        deliveries: its rows in memory, behind those.
        stored: its rows as an open file holds them, before all others; only where the day is resumed.
        stored_hash: the hash of those.
        begun_at: server time of the first page of the ledger, epoch seconds; 0 while there is none, or where it isn't known.
    """

    ledger: list[LedgerPage] = field(default_factory=list)
    requests: int = 0
    duplicates: int = 0
    parts: list[JournalPart] = field(default_factory=list)
    deliveries: list[pa.Table] = field(default_factory=list)
    stored: Run | None = None
    stored_hash: str | None = None
    begun_at: int = 0

    def add(self, rows: pa.Table) -> None:
        """Take in the rows of the next page."""
        if rows.num_rows:
            self.deliveries.append(rows)

    def run_in_memory(self) -> MemoryRun | None:
        """What lies in memory, as one run; None if there is nothing."""
        if not self.deliveries:
            return None
        run = MemoryRun(pa.concat_tables(self.deliveries))
        self.deliveries = [run.rows]
        self.duplicates += run.replaced
        return run

    def merged(self, segments: JournalFiles, *, read_from: int, read_through: int) -> Merge:
        """The day's rows, one per event and sorted by (time, id).

        A stored row with a time in [`read_from`, `read_through`), epoch seconds, that was not delivered again is gone from
        the account: an event that was dated ahead has moved. Behind what was read again, nothing is known, and it stays.
        """
        runs: list[Run] = [segments.run(part) for part in self.parts]
        in_memory = self.run_in_memory()
        if in_memory is not None:
            runs.append(in_memory)
        if self.stored is None:
            return Merge(runs)
        return Merge([self.stored, *runs], reread_span_ms=(read_from * 1000, read_through * 1000))


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
    if len(positions) and 0 <= positions[0] < len(days) and (positions == positions[0]).all():
        return Routed({days[positions[0]]: rows}, 0)
    by_day = {
        days[position]: rows.filter(pa.array(positions == position))
        for position in np.unique(positions)
        if 0 <= position < len(days)
    }
    return Routed(by_day, int((positions < 0).sum()))
