"""Sorted runs of one day's rows and their merge (external merge sort): more rows than memory, deduped to the last delivery.

A run has every event once, sorted by (time, id); runs come in the order of their delivery, and the later one wins. The merge
reads the keys of all runs, decides, and then reads every run once from start to end, some thousand rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.storage.event_ids import has_metric_shape, id_columns
from ticket_events_pipeline.storage.partition_file import ROWS_PER_GROUP
from ticket_events_pipeline.storage.stored_file import StoredFile

BYTES_PER_CHUNK = 8 * 2**20
"""Size of a chunk of merged rows in memory; it becomes a row group. Measured in benchmarks/README.md."""

_BYTES_PER_READ = 2 * 2**20
_MOST_ROWS_PER_READ = 16 * 1024

Opened = Callable[[], AbstractContextManager[StoredFile]]


@dataclass(frozen=True)
class Keys:
    """The identity and the order of events, as arrays of equal length.

    Attributes:
        ids: int64.
        times_ms: epoch milliseconds, int64.
        shapes: bool, see `has_metric_shape`.
    """

    ids: np.ndarray
    times_ms: np.ndarray
    shapes: np.ndarray

    @classmethod
    def of(cls, rows: pa.Table) -> Keys:
        """The keys of rows that have all columns, or only `key_columns`."""
        if "extra" in rows.column_names:
            rows = rows.select(key_columns(rows.schema))
        ids = rows["id"].to_numpy()
        return cls(ids, rows["time"].cast(pa.int64()).to_numpy(), has_metric_shape(rows))

    @classmethod
    def end_to_end(cls, parts: Sequence[Keys]) -> Keys:
        """The keys of several runs, concatenated."""
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.ids for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.times_ms for part in parts)]),
            np.concatenate([np.empty(0, bool), *(part.shapes for part in parts)]),
        )

    def latest(self) -> np.ndarray:
        """Positions of each event's last delivery, in the order (time, id)."""
        grouped = np.lexsort((self.shapes, self.ids))  # stable: deliveries of one event keep their order
        ids, shapes = self.ids[grouped], self.shapes[grouped]
        is_last = np.append((ids[1:] != ids[:-1]) | (shapes[1:] != shapes[:-1]), np.full(min(1, len(ids)), True))
        del ids, shapes
        latest = grouped[is_last]
        in_order: np.ndarray = latest[np.lexsort((self.shapes[latest], self.ids[latest], self.times_ms[latest]))]
        return in_order

    def are_sorted_and_unique(self) -> bool:
        """Whether they are in the order of a run, each event once."""
        earlier, later = (self._between(*ends) for ends in ((None, -1), (1, None)))
        is_equal = later.times_ms == earlier.times_ms
        is_after = (later.ids > earlier.ids) | ((later.ids == earlier.ids) & (later.shapes > earlier.shapes))
        if not ((later.times_ms > earlier.times_ms) | (is_equal & is_after)).all():
            return False
        ascending = np.sort(self.ids)
        return bool((ascending[1:] != ascending[:-1]).all()) or len(self.latest()) == len(self.ids)

    def _between(self, first: int | None, last: int | None) -> Keys:
        return Keys(self.ids[first:last], self.times_ms[first:last], self.shapes[first:last])


def key_columns(schema: pa.Schema) -> list[str]:
    """The columns that keys are computed from."""
    return [*id_columns(schema), "time"]


class Run(Protocol):
    """Rows of one day: each event once, sorted by (time, id)."""

    @property
    def size_bytes(self) -> int:
        """About how much memory all rows would take."""

    def keys(self) -> Keys:
        """The keys of all rows."""

    def tables(self) -> Iterator[pa.Table]:
        """The rows in order, a few thousand at a time."""


class MemoryRun:
    """A run in memory, made of rows in the order of their delivery."""

    def __init__(self, deliveries: pa.Table) -> None:
        latest = Keys.of(deliveries).latest()
        self.rows: pa.Table = deliveries.take(latest).combine_chunks()
        self.replaced = deliveries.num_rows - len(latest)
        """Deliveries that a later delivery of the same event replaced."""
        self.size_bytes: int = self.rows.nbytes

    def keys(self) -> Keys:
        """See `Run.keys`."""
        return Keys.of(self.rows)

    def tables(self) -> Iterator[pa.Table]:
        """See `Run.tables`."""
        yield self.rows


class FileRun:
    """A run in row groups of a Parquet file."""

    def __init__(self, opened: Opened, row_groups: Sequence[int] | None = None, *, size_bytes: int) -> None:
        self._opened = opened
        self._row_groups = row_groups
        self.size_bytes = size_bytes

    def keys(self) -> Keys:
        """See `Run.keys`. A column at a time: a run may be a day of a million rows.

        Raises:
            DamagedFileError: the file can't be read.
        """
        with self._file() as (file, groups):
            return Keys.of(file.read_row_groups(groups, columns=key_columns(file.schema), use_threads=False))

    def tables(self) -> Iterator[pa.Table]:
        """See `Run.tables`.

        Raises:
            DamagedFileError: the file can't be read.
        """
        with self._file() as (file, groups):
            rows = sum(file.row_group(group).num_rows for group in groups)
            rows_per_read = max(1, min(_MOST_ROWS_PER_READ, _BYTES_PER_READ * rows // max(1, self.size_bytes)))
            for batch in file.batches(row_groups=groups, batch_rows=rows_per_read):
                yield pa.Table.from_batches([batch])

    @contextmanager
    def _file(self) -> Iterator[tuple[StoredFile, list[int]]]:
        with self._opened() as file:
            yield file, list(range(file.num_row_groups) if self._row_groups is None else self._row_groups)


class Merge:
    """The merge of runs in the order of their delivery.

    Attributes:
        rows: how many rows it has.
        replaced: how many rows of earlier runs were replaced by later ones.
    """

    def __init__(self, runs: Sequence[Run], *, reread_span_ms: tuple[int, int] = (0, 0)) -> None:
        """Read the keys and decide.

        `reread_span_ms` is a span [from, to) of epoch milliseconds that the runs after the first cover completely: a row of the
        first run in that span that none of them has is dropped.
        """
        parts = [run.keys() for run in runs]
        starts = np.cumsum([0, *(len(part.ids) for part in parts)])
        keys = Keys.end_to_end(parts)
        del parts
        latest = keys.latest()
        self.replaced = len(keys.ids) - len(latest)
        times_ms = keys.times_ms[latest]
        is_gone = (latest < starts[min(1, len(runs))]) & (times_ms >= reread_span_ms[0]) & (times_ms < reread_span_ms[1])
        self._positions = latest[~is_gone]
        self.rows = len(self._positions)
        self._starts = starts
        taken = np.diff(np.searchsorted(np.sort(self._positions), starts))
        self._cursors = [_Cursor(run, rows=rows) for run, rows in zip(runs, taken, strict=True)]
        self._rows_per_chunk = _rows_per_chunk(sum(run.size_bytes for run in runs), len(keys.ids))

    def chunks(self) -> Iterator[pa.Table]:
        """The rows, each event once and sorted by (time, id), in tables of about BYTES_PER_CHUNK. Can be read once."""
        return prefetch(self._chunks()) if self.rows > self._rows_per_chunk else self._chunks()

    def _chunks(self) -> Iterator[pa.Table]:
        for start in range(0, self.rows, self._rows_per_chunk):
            positions = self._positions[start : start + self._rows_per_chunk]
            run_of = np.searchsorted(self._starts, positions, side="right") - 1
            # Chunks and runs are sorted alike, so each run is read forward only.
            parts = [self._cursors[run].take(positions[run_of == run] - self._starts[run]) for run in np.unique(run_of)]
            rows = pa.concat_tables(parts)
            if (np.diff(run_of) < 0).any():  # the runs overlap
                rows = rows.take(np.argsort(np.argsort(run_of, kind="stable"), kind="stable"))
            del parts
            rows = rows.combine_chunks()
            yield rows
            del rows  # before the next chunk is made


class _Cursor:
    """Reads a run forward; keeps only the current table, and nothing after `rows` rows were taken."""

    def __init__(self, run: Run, *, rows: int) -> None:
        self._run = run
        self._left = rows
        self._tables: Iterator[pa.Table] | None = None
        self._table: pa.Table | None = None
        self._start = 0

    def take(self, positions: np.ndarray) -> pa.Table:
        """The rows at the ascending `positions`, all after those taken before."""
        parts = []
        taken = 0
        while taken < len(positions):
            table = self._table_with(positions[taken])
            upto = int(np.searchsorted(positions, self._start + table.num_rows))
            parts.append(_rows_at(table, positions[taken:upto] - self._start))
            taken = upto
        self._left -= len(positions)
        if not self._left:
            self._tables = self._table = None
        return pa.concat_tables(parts)

    def _table_with(self, position: int) -> pa.Table:
        if self._tables is None:
            self._tables = self._run.tables()
        while self._table is None or position >= self._start + self._table.num_rows:
            self._start += 0 if self._table is None else self._table.num_rows
            self._table = None  # before the next one is read
            self._table = next(self._tables)
        return self._table


def _rows_at(table: pa.Table, positions: np.ndarray) -> pa.Table:
    """The rows at ascending positions; without copying if they are contiguous."""
    first, last = int(positions[0]), int(positions[-1])
    is_whole = last - first == len(positions) - 1
    return table.slice(first, len(positions)) if is_whole else table.take(positions)


def _rows_per_chunk(size_bytes: int, rows: int) -> int:
    return int(min(ROWS_PER_GROUP, max(1, BYTES_PER_CHUNK * rows // max(1, size_bytes))))
