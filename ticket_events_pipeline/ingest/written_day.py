"""A day that a fetch writes: how its file is filled, what is known of it afterwards, and which events the old file loses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.forgotten.blanking import is_blanked
from ticket_events_pipeline.storage.content_hash import ContentHash
from ticket_events_pipeline.storage.event_ids import SHAPES, IdsByShape, id_columns, ids_by_shape, is_among, read_event_ids
from ticket_events_pipeline.storage.partition_file import opened_partition, partition_path, partition_writer, verified_bytes
from ticket_events_pipeline.storage.raw_footer import MOST_MISSED_IDS, MissedEvents, RawFooter
from ticket_events_pipeline.storage.sorted_runs import FileRun
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.ticket_metric_events import metric_shaped
from ticket_events_pipeline.text import plural


@dataclass(frozen=True)
class WrittenDay:
    """A day that the fetch has written.

    Attributes:
        day: the day.
        footer: of its file.
        size_bytes: of its file.
        url: of its file.
        metric_rows: rows of the metric-event shape, the only ones that SLA tables use.
        oldest, newest: epoch seconds of its first and last event; None on an empty day.
    """

    day: Day
    footer: RawFooter
    size_bytes: int
    url: str
    metric_rows: int
    oldest: int | None
    newest: int | None

    @property
    def log_line(self) -> str:
        """What the log says of it."""
        state = "complete" if self.footer.complete else "open"
        footer = self.footer
        return f"{footer.stream} {self.day}: {plural(footer.rows, 'row')}, {state}, {plural(footer.requests, 'request')}"


class _Facts:
    """Counts rows that are passed in the order of their time."""

    def __init__(self) -> None:
        self.metric_rows = self.forgotten_rows = 0
        self.oldest: int | None = None
        self.newest: int | None = None

    def note(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self.metric_rows += pc.sum(metric_shaped(rows)).as_py()
            times_ms = rows["time"].cast(pa.int64())
            self.oldest = times_ms[0].as_py() // 1000 if self.oldest is None else self.oldest
            self.newest = times_ms[-1].as_py() // 1000

    def note_forgotten(self, rows: pa.Table) -> None:
        self.forgotten_rows += pc.sum(is_blanked(rows["extra"]), min_count=0).as_py()


def write_day(
    store: Store, stream: str, day: Day, chunks: Iterable[pa.Table], footer_of: Callable[[str], RawFooter]
) -> WrittenDay:
    """Replace the day's file atomically by the rows of `chunks`; `footer_of` returns the footer for the rows' hash."""
    table = TABLES[stream]
    running, facts = ContentHash(table.schema, added=table.added), _Facts()
    with partition_writer(store, stream, day, table.schema) as writer:
        for rows in chunks:
            _hash(running, rows)
            facts.note(rows)
            facts.note_forgotten(rows)
            writer.write(rows)
            del rows  # before the next chunk is created
        footer = replace(
            footer_of(running.hexdigest()), metric_rows=facts.metric_rows, forgotten_rows=facts.forgotten_rows or None
        )
        size_bytes = writer.finish(footer.to_metadata())
    url = store.url(partition_path(stream, day))
    return WrittenDay(day, footer, size_bytes, url, facts.metric_rows, facts.oldest, facts.newest)


def read_day(store: Store, stream: str, day: Day, footer: RawFooter) -> WrittenDay:
    """The same of a day that is stored already.

    Raises:
        DamagedFileError: its file can't be read.
    """
    facts = _Facts()
    with _opened(store, stream, day) as file:
        for batch in file.batches(["time", "metric", "instance_id"]):
            facts.note(pa.Table.from_batches([batch]))
    with store.reader(partition_path(stream, day)) as source:
        size_bytes = source.seek(0, os.SEEK_END)
    url = store.url(partition_path(stream, day))
    return WrittenDay(day, footer, size_bytes, url, facts.metric_rows, facts.oldest, facts.newest)


def stored_run(store: Store, stream: str, day: Day, content_hash: str) -> FileRun:
    """The rows of a stored day, whose bytes are verified; in a file without checksums, the rows by their hash.

    Raises:
        DamagedFileError: its file can't be read, or its rows don't have that hash or aren't sorted.
    """
    with _opened(store, stream, day) as file:
        groups = [file.row_group(number) for number in range(file.num_row_groups)]
        rows = sum(group.num_rows for group in groups)
        is_same = (file.metadata.get("content_hash"), file.metadata.get("rows")) == (content_hash, str(rows))
    run = FileRun(lambda: _opened(store, stream, day), size_bytes=sum(group.total_byte_size for group in groups))
    # The checksums of all bytes cost a tenth of the rows' hash, which a fetch of an open day would compute every few minutes.
    is_same = is_same and (verified_bytes(store, stream, day) or _hash_of(run, stream) == content_hash)
    if not is_same or not run.keys().are_sorted_and_unique():
        raise DamagedFileError(f"{store.url(partition_path(stream, day))}: its rows are not those that its footer describes.")
    return run


def _hash_of(run: FileRun, stream: str) -> str:
    running = ContentHash(TABLES[stream].schema, added=TABLES[stream].added)
    for rows in run.tables():
        _hash(running, rows)
    return running.hexdigest()


def _hash(running: ContentHash, rows: pa.Table) -> None:
    for batch in rows.to_batches():
        running.update(batch)


@contextmanager
def _opened(store: Store, stream: str, day: Day) -> Iterator[StoredFile]:
    with opened_partition(store, stream, day) as file:
        if file is None:
            raise DamagedFileError(f"{store.url(partition_path(stream, day))} is gone. Materialize {stream} of {day} again.")
        yield file


class ReplacedDay:
    """The events of the day's stored file, 9 bytes each, and which of them the rows that replace it no longer hold.

    Such an event moved to another day or was withdrawn. The fetch can't tell which, since it writes a day before it has read
    the later ones; so the new footer keeps the ids, and `verify` looks for them on other days. A file that is damaged or of
    another day counts as empty.
    """

    def __init__(self, store: Store, stream: str, day: Day, *, read_to: int, fetch_begun_at: int) -> None:
        """Read the ids of the stored file.

        Events from `read_to` (epoch seconds) on are left out, since the fetch hasn't read so far; so are those that were dated
        ahead when they were read, since their times change.
        """
        self._fetch_begun_at = fetch_begun_at
        self._before, stored = _stored(store, stream, day, read_to)
        known = _listed(self._before)
        self._ids = {shape: _once(np.concatenate([stored[shape], known[shape]])) for shape in SHAPES}
        self._is_seen = {shape: np.zeros(len(ids), dtype=bool) for shape, ids in self._ids.items()}

    def seen(self, chunks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The same chunks; records which events they hold."""
        for rows in chunks:
            for shape, ids in ids_by_shape(rows.select(id_columns(rows.schema))).items():
                found = ids[is_among(ids, self._ids[shape])]
                self._is_seen[shape][np.searchsorted(self._ids[shape], found)] = True
            yield rows
            del rows  # before the next chunk is created

    def missed(self) -> MissedEvents:
        """The events that no chunk held, and those that earlier fetches missed; to be called after the last chunk."""
        missing = {shape: ids[~self._is_seen[shape]] for shape, ids in self._ids.items()}
        count = sum(len(ids) for ids in missing.values()) + self._before.unlisted
        if not count:
            return MissedEvents()
        known = _listed(self._before)
        is_new = any(len(np.setdiff1d(ids, known[shape])) for shape, ids in missing.items())
        first = {shape: tuple(ids[:MOST_MISSED_IDS].tolist()) for shape, ids in missing.items()}
        return MissedEvents(self._fetch_begun_at if is_new else self._before.since, count, first[False], first[True])


def _stored(store: Store, stream: str, day: Day, read_to: int) -> tuple[MissedEvents, IdsByShape]:
    """What the stored file's fetch missed, and the ids that it holds."""
    with suppress(DamagedFileError), opened_partition(store, stream, day) as file:
        footer = None if file is None else _footer_of(file, stream, day)
        if file is not None and footer is not None:
            return footer.missed, read_event_ids(file, before_ms=min(read_to, footer.fetched_at) * 1000)
    return MissedEvents(), {shape: np.empty(0, np.int64) for shape in SHAPES}


def _footer_of(file: StoredFile, stream: str, day: Day) -> RawFooter | None:
    with suppress(KeyError, ValueError, TypeError):
        footer = RawFooter.from_metadata(file.metadata)
        if (footer.stream, footer.window_start, footer.window_end) == (stream, day.start, day.end):
            return footer
    return None


def _once(ids: np.ndarray) -> np.ndarray:
    """Each id once, ascending; five times as fast as numpy's `unique`, which hashes them first."""
    ids.sort()
    once: np.ndarray = ids[np.append(True, ids[1:] != ids[:-1])[: len(ids)]]
    return once


def _listed(missed: MissedEvents) -> IdsByShape:
    return {False: np.array(missed.ids, dtype=np.int64), True: np.array(missed.metric_ids, dtype=np.int64)}
