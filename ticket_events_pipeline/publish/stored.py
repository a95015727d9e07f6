"""The stored side of a publish: which days there are, with what content, and their rows as one version of a file has them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, TransientError
from ticket_events_pipeline.publish.columns import published_batches
from ticket_events_pipeline.sla.footer_cache import TABLES as CACHED_TABLES
from ticket_events_pipeline.sla.footer_cache import FooterCache, StoredFooters
from ticket_events_pipeline.storage.content_hash import ContentHash
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.registry import TABLES

LISTING_SECONDS = 1800.0
"""How long the reading of all footers may take; a second publish reads only those of changed files."""

CONTENT_HASH = "content_hash"

PUBLISHED = tuple(name for name, table in TABLES.items() if not table.is_internal)
"""The assets that can be published. Columns of an internal one may change with any version."""


@dataclass(frozen=True)
class StoredDays:
    """The stored days of an asset.

    Attributes:
        hashes: content hashes of the days that can be read.
        problems: why the others can't be read.
    """

    hashes: Mapping[dt.date, str]
    problems: Mapping[dt.date, str]


def read_stored_days(store: Store, timezone: str) -> Mapping[str, StoredDays]:
    """The stored days by asset, from a listing and the footers that changed since they were last read.

    Raises:
        UsageError, TransientError: the root can't be listed, or its footers can't be read in time.
    """
    found = FooterCache(CACHED_TABLES, seconds=LISTING_SECONDS).read(store, timezone)
    if found.unread:
        raise TransientError(f"{found.unread} footers below {store.location} could not be read in {LISTING_SECONDS:g} seconds.")
    return {asset: _stored_days(store, found, asset) for asset in PUBLISHED}


def _stored_days(store: Store, found: StoredFooters, asset: str) -> StoredDays:
    hashes, problems = {}, {day.date: problem.reason for day, problem in found.unreadable[asset].items()}
    for day, footer in found.footers[asset].items():
        try:
            hashes[day.date] = footer.get(CONTENT_HASH) or _hash_of_rows(store, asset, day)
        except DamagedFileError as error:
            problems[day.date] = str(error)
    return StoredDays(hashes, problems)


class OpenedDay:
    """A stored day that is being read."""

    def __init__(self, file: StoredFile, day: Day) -> None:
        self._file, self._day = file, day
        self.columns: pa.Schema = file.schema
        self.num_rows = file.num_rows

    @property
    def content_hash(self) -> str:
        """Of the rows of this version of the file."""
        return self._file.metadata.get(CONTENT_HASH) or _hash(self._file)

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows with the columns of a published table, some MB at a time, verified against the file's checksums."""
        return published_batches(self._file.batches(), self._day.date, schema)


@contextmanager
def opened_day(store: Store, asset: str, day: Day) -> Iterator[OpenedDay | None]:
    """A stored day, footer and rows of one version; None where it has no file.

    Raises:
        DamagedFileError: the file can't be read, even if that shows only in the block.
    """
    with opened_partition(store, asset, day) as file:
        yield None if file is None else OpenedDay(file, day)


def _hash_of_rows(store: Store, asset: str, day: Day) -> str:
    """Of a file whose footer has no content hash, such as those of the first versions."""
    with opened_partition(store, asset, day) as file:
        return "" if file is None else _hash(file)


def _hash(file: StoredFile) -> str:
    running = ContentHash(file.schema, added=file.table.added if file.table else ())
    for batch in file.batches():
        running.update(batch)
    return running.hexdigest()
