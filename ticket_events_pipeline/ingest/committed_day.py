"""A day that a pass has written: how its file is filled, and what there is to tell of it afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.content_hash import ContentHash
from ticket_events_pipeline.storage.partition_file import opened_partition, partition_path, partition_writer
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.storage.sorted_runs import FileRun
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.schemas import TABLES, metric_shaped


@dataclass(frozen=True)
class CommittedDay:
    """A day that the pass has written.

    Attributes:
        day: which.
        footer: what its file says of itself.
        size_bytes: of its file.
        url: where the file lies.
        metric_rows: rows of the metric-event shape, the only ones that SLA tables are made of.
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
    def told(self) -> str:
        """The line that the log says of it."""
        state = "complete" if self.footer.complete else "open"
        return f"{self.footer.stream} {self.day}: {self.footer.rows:,} rows, {state}, {self.footer.requests} requests"


class _Facts:
    """What is counted while rows go by, in the order of their time."""

    def __init__(self) -> None:
        self.metric_rows = 0
        self.oldest: int | None = None
        self.newest: int | None = None

    def note(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self.metric_rows += pc.sum(metric_shaped(rows)).as_py()
            times_ms = rows["time"].cast(pa.int64())
            self.oldest = times_ms[0].as_py() // 1000 if self.oldest is None else self.oldest
            self.newest = times_ms[-1].as_py() // 1000


def write_day(
    store: Store, stream: str, day: Day, chunks: Iterable[pa.Table], footer_of: Callable[[str], RawFooter]
) -> CommittedDay:
    """Replace the day's file by the rows of `chunks`, at once and whole; `footer_of` makes the footer from the rows' hash."""
    table = TABLES[stream]
    running, facts = ContentHash(table.schema, added=table.added), _Facts()
    with partition_writer(store, stream, day, table.schema) as writer:
        for rows in chunks:
            _hash(running, rows)
            facts.note(rows)
            writer.write(rows)
            del rows  # before the next chunk is made
        footer = replace(footer_of(running.hexdigest()), metric_rows=facts.metric_rows)
        size_bytes = writer.finish(footer.to_metadata())
    url = store.url(partition_path(stream, day))
    return CommittedDay(day, footer, size_bytes, url, facts.metric_rows, facts.oldest, facts.newest)


def read_day(store: Store, stream: str, day: Day, footer: RawFooter) -> CommittedDay:
    """The same of a day that stands already.

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
    return CommittedDay(day, footer, size_bytes, url, facts.metric_rows, facts.oldest, facts.newest)


def stored_run(store: Store, stream: str, day: Day, content_hash: str) -> FileRun:
    """The rows of a day that stands already, read through once.

    Raises:
        DamagedFileError: its file can't be read, or its rows don't have that hash or aren't sorted.
    """
    with _opened(store, stream, day) as file:
        groups = [file.row_group(number) for number in range(file.num_row_groups)]
    run = FileRun(lambda: _opened(store, stream, day), size_bytes=sum(group.total_byte_size for group in groups))
    running = ContentHash(TABLES[stream].schema, added=TABLES[stream].added)
    for rows in run.tables():
        _hash(running, rows)
    if running.hexdigest() != content_hash or not run.keys().are_sorted_and_unique():
        raise DamagedFileError(f"{store.url(partition_path(stream, day))}: its rows are not those that its footer speaks of.")
    return run


def _hash(running: ContentHash, rows: pa.Table) -> None:
    for batch in rows.to_batches():
        running.update(batch)


@contextmanager
def _opened(store: Store, stream: str, day: Day) -> Iterator[StoredFile]:
    with opened_partition(store, stream, day) as file:
        if file is None:
            raise DamagedFileError(f"{store.url(partition_path(stream, day))} is gone. Materialise {stream} of {day} again.")
        yield file
