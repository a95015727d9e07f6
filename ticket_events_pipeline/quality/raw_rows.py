"""Checks of the rows of one raw file: sorted, inside the day, and as its footer counts and hashes them.

The file is read once from end to end, the next batch while one is hashed; memory holds two batches of rows, and all ids.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.footer_checks import pages_within
from ticket_events_pipeline.storage.content_hash import ContentHash
from ticket_events_pipeline.storage.event_ids import is_among
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import Table
from ticket_events_pipeline.tables.ticket_metric_events import metric_shaped
from ticket_events_pipeline.text import plural, utc_text


def row_problems(file: StoredFile, footer: RawFooter, day: Day) -> list[str]:
    """What is wrong with the rows, one sentence each.

    Raises:
        pyarrow.ArrowException, OSError: the file is truncated.
    """
    problem = file.columns_problem()
    if problem is not None:
        return [problem]
    reading = _Reading(day, TABLES[footer.stream])
    batches = file.batches()
    for batch in prefetch(batches) if file.num_row_groups > 1 else batches:  # a small day costs less than a thread
        reading.take(batch)
    return [*reading.problems(), *_contradictions(footer, reading)]


class _Reading:
    """What is remembered of the rows read so far."""

    def __init__(self, day: Day, table: Table) -> None:
        self._window_ms = (day.start * 1000, day.end * 1000)
        self._hash = ContentHash(table.schema, added=table.added)
        self._ids: list[np.ndarray] = []
        self._last: tuple[np.ndarray, np.ndarray] = (np.empty(0, np.int64), np.empty(0, np.int64))
        self._keyless = self._outside = self._disordered = 0
        self._outside_id: int | None = None
        self.rows = 0
        self.metric_rows = 0

    @property
    def content_hash(self) -> str:
        return self._hash.hexdigest()

    def take(self, batch: pa.RecordBatch) -> None:
        self._hash.update(batch)
        self.rows += batch.num_rows
        self.metric_rows += pc.sum(metric_shaped(pa.Table.from_batches([batch])), min_count=0).as_py()
        keyed = batch.select(["id", "time"]).drop_null()
        self._keyless += batch.num_rows - keyed.num_rows
        ids, times = keyed["id"].to_numpy(), keyed["time"].cast(pa.int64()).to_numpy()
        self._note_window(ids, times)
        self._note_order(ids, times)
        self._ids.append(ids)

    def _note_window(self, ids: np.ndarray, times: np.ndarray) -> None:
        outside = (times < self._window_ms[0]) | (times >= self._window_ms[1])
        self._outside += int(outside.sum())
        if self._outside_id is None and outside.any():
            self._outside_id = int(ids[outside][0])

    def _note_order(self, ids: np.ndarray, times: np.ndarray) -> None:
        ids, times = np.concatenate([self._last[0], ids]), np.concatenate([self._last[1], times])
        falls = (times[1:] < times[:-1]) | ((times[1:] == times[:-1]) & (ids[1:] < ids[:-1]))
        self._disordered += int(falls.sum())
        self._last = (ids[-1:], times[-1:])

    def problems(self) -> Iterator[str]:
        if self._keyless:
            yield f"{plural(self._keyless, 'row')} without an id or a time."
        if self._outside:
            yield f"{plural(self._outside, 'row')} outside the day, for example id {self._outside_id}."
        if self._disordered:
            yield f"{plural(self._disordered, 'row')} out of the order of time and id."

    def missing(self, ids: list[int]) -> set[int]:
        """Those of `ids` that no row has."""
        wanted = np.array(sorted(ids), dtype=np.int64)
        return set(ids).difference(*(batch[is_among(batch, wanted)].tolist() for batch in self._ids))


def _contradictions(footer: RawFooter, reading: _Reading) -> Iterator[str]:
    if reading.rows != footer.rows:
        yield f"It holds {plural(reading.rows, 'row')}, but its footer counts {footer.rows}."
    if footer.metric_rows not in (None, reading.metric_rows):
        yield f"It holds {plural(reading.metric_rows, 'metric event')}, but its footer counts {footer.metric_rows}."
    if reading.content_hash != footer.content_hash:
        yield "Its rows are not those that were stored: their content_hash differs from the footer's."
    edges = {
        event_id: page for page in pages_within(footer) for event_id in (page.first_id, page.last_id) if event_id is not None
    }
    for missing in sorted(reading.missing(list(edges)))[:1]:
        yield f"The page from {utc_text(edges[missing].start_time)} delivered id {missing}, which it doesn't hold."
