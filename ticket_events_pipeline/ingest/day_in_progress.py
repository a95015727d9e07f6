"""The rows of one day while a fetch collects them: in memory, then in journal files, and merged at the end."""

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
        ledger: its pages.
        requests: that it took.
        duplicates: deliveries that a later one replaced, so far.
        parts: its rows in journal files, in the order of their delivery.
        deliveries: its rows in memory, which came after those.
        stored: its rows in the open file, which came before all others; only if the day is resumed.
        stored_hash: the hash of those rows.
        begun_at: server time of the first page of the ledger, epoch seconds; 0 if there is none or it isn't known.
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
        """Add the rows of the next page."""
        if rows.num_rows:
            self.deliveries.append(rows)

    def run_in_memory(self) -> MemoryRun | None:
        """The rows in memory as one run; None if there are none."""
        if not self.deliveries:
            return None
        run = MemoryRun(pa.concat_tables(self.deliveries))
        self.deliveries = [run.rows]
        self.duplicates += run.replaced
        return run

    def merged(self, files: JournalFiles, *, read_from: int, read_through: int) -> Merge:
        """The day's rows, one per event and sorted by (time, id).

        A stored row with a time in [`read_from`, `read_through`), epoch seconds, that was not delivered again has left the
        account: an event that was dated ahead has moved. Rows after that span were not read again, and stay.
        """
        runs: list[Run] = [files.run(part) for part in self.parts]
        in_memory = self.run_in_memory()
        if in_memory is not None:
            runs.append(in_memory)
        if self.stored is None:
            return Merge(runs)
        return Merge([self.stored, *runs], reread_span_ms=(read_from * 1000, read_through * 1000))


@dataclass(frozen=True)
class Routed:
    """A page's rows by day, and how many are from `before` the range; rows from after it are left to other fetches."""

    by_day: dict[Day, pa.Table]
    before: int


def route(rows: pa.Table, days: list[Day]) -> Routed:
    """The rows by the day of the contiguous, ascending `days` that their `time` is in; midnight belongs to the new day."""
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
