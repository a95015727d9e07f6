"""The rows of one file, read once from end to end: sorted, in their window, hashed. Memory holds some of them, and all ids.

What the footer says is compared here with what the rows are; whether the footer itself can be, in `claims` and `ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.ledger import pages_within
from ticket_events_pipeline.storage.content_hash import ContentHash
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.schemas import TABLES, StoredTable, metric_shaped
from ticket_events_pipeline.zendesk.page import utc_text


def row_problems(file: StoredFile, footer: RawFooter, day: Day) -> list[str]:
    """What is wrong with the rows, one sentence each.

    Raises:
        pyarrow.ArrowException, OSError: the file breaks off.
    """
    problem = file.columns_problem()
    if problem is not None:
        return [problem]
    reading = _Reading(day, TABLES[footer.stream])
    for batch in file.batches():
        reading.take(batch)
    return [*reading.problems(), *_footer_problems(footer, reading)]


class _Reading:
    """What is remembered while the rows go by."""

    def __init__(self, day: Day, table: StoredTable) -> None:
        self._window_ms = (day.start * 1000, day.end * 1000)
        self._hash = ContentHash(table.schema, added=table.added)
        self._ids: list[np.ndarray] = []
        self._last: tuple[np.ndarray, np.ndarray] = (np.empty(0, np.int64), np.empty(0, np.int64))
        self._keyless = self._outside = self._disordered = 0
        self._outsider: int | None = None
        self.rows = 0
        self.metric_rows = 0

    @property
    def content_hash(self) -> str:
        return self._hash.hexdigest()

    def take(self, batch: pa.RecordBatch) -> None:
        self._hash.update(batch)
        self.rows += batch.num_rows
        self.metric_rows += pc.sum(metric_shaped(pa.Table.from_batches([batch])), min_count=0).as_py()
        placed = batch.filter(pc.and_(batch["id"].is_valid(), batch["time"].is_valid()))
        self._keyless += batch.num_rows - placed.num_rows
        ids, times = placed["id"].to_numpy(), placed["time"].cast(pa.int64()).to_numpy()
        self._note_window(ids, times)
        self._note_order(ids, times)
        self._ids.append(ids)

    def _note_window(self, ids: np.ndarray, times: np.ndarray) -> None:
        outside = (times < self._window_ms[0]) | (times >= self._window_ms[1])
        self._outside += int(outside.sum())
        if self._outsider is None and outside.any():
            self._outsider = int(ids[outside][0])

    def _note_order(self, ids: np.ndarray, times: np.ndarray) -> None:
        ids, times = np.concatenate([self._last[0], ids]), np.concatenate([self._last[1], times])
        falls = (times[1:] < times[:-1]) | ((times[1:] == times[:-1]) & (ids[1:] < ids[:-1]))
        self._disordered += int(falls.sum())
        self._last = (ids[-1:], times[-1:])

    def problems(self) -> Iterator[str]:
        if self._keyless:
            yield f"{self._keyless} rows have no id or no time."
        if self._outside:
            yield f"{self._outside} rows lie outside the day, for example id {self._outsider}."
        if self._disordered:
            yield f"{self._disordered} rows don't stand in the order of time and id."

    def lacks(self, ids: list[int]) -> set[int]:
        """Those of `ids` that no row has."""
        asked = np.array(ids, dtype=np.int64)
        found = [batch[np.isin(batch, asked)] for batch in self._ids]
        return set(ids).difference(*(batch.tolist() for batch in found))


def _footer_problems(footer: RawFooter, reading: _Reading) -> Iterator[str]:
    if reading.rows != footer.rows:
        yield f"It holds {reading.rows} rows, but its footer counts {footer.rows}."
    if footer.metric_rows not in (None, reading.metric_rows):
        yield f"It holds {reading.metric_rows} metric events, but its footer counts {footer.metric_rows}."
    if reading.content_hash != footer.content_hash:
        yield "Its rows are not those that were stored: their content_hash differs from the footer's."
    told = {found: page for page in pages_within(footer) for found in (page.first_id, page.last_id) if found is not None}
    for missing in sorted(reading.lacks(list(told)))[:1]:
        yield f"The page from {utc_text(told[missing].start_time)} delivered id {missing}, which it doesn't hold."
