"""One Parquet file per day and asset: its path, how it is written and read, and its footer's key-value metadata.

Rows are read with today's columns, whichever version wrote the file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.checksums import ChecksumError, ChecksummedWriter, open_checked, verify_bytes
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import Table, repetitive_columns

ROWS_PER_GROUP = 128 * 1024
"""Large enough to compress and scan well; small enough that a reader of one ticket skips most of a big day."""


@dataclass(frozen=True)
class Layout:
    """How rows are laid out in a file.

    Attributes:
        rows_per_group: rows of a row group, the least that a reader of some rows reads.
        dictionary_columns: columns written with dictionary encoding; None: all that are likely to have few values.
        statistics_columns: columns with min/max statistics, for row-group pruning; None: all.
    """

    rows_per_group: int = ROWS_PER_GROUP
    dictionary_columns: tuple[str, ...] | None = None
    statistics_columns: tuple[str, ...] | None = None

    def writer(self, sink: BinaryIO, schema: pa.Schema) -> ChecksummedWriter:
        """A writer of such files; the caller decides on the row groups."""
        return ChecksummedWriter(
            sink,
            schema,
            compression="zstd",
            use_dictionary=repetitive_columns(schema) if self.dictionary_columns is None else list(self.dictionary_columns),
            write_statistics=True if self.statistics_columns is None else list(self.statistics_columns),
        )


LAYOUT = Layout()

_PARTITION = re.compile(r"date=(\d{4}-\d{2}-\d{2})/[^/]+\.parquet$")


def partition_path(asset: str, day: Day) -> str:
    """The path of the day's file below the root."""
    return f"{asset}/date={day}/{asset}.parquet"


class PartitionWriter:
    """Fills a day's file; see `partition_writer`."""

    def __init__(self, parquet: ChecksummedWriter, rows_per_group: int) -> None:
        self._parquet = parquet
        self._rows_per_group = rows_per_group

    def write(self, rows: pa.Table) -> None:
        """Append rows, as new row groups."""
        self._parquet.write_table(rows, row_group_size=self._rows_per_group)

    def finish(self, metadata: Mapping[str, str]) -> int:
        """Close the file with `metadata` in its footer; returns its size in bytes."""
        return self._parquet.finish(metadata)


@contextmanager
def partition_writer(
    store: Store, asset: str, day: Day, schema: pa.Schema, *, layout: Layout = LAYOUT
) -> Iterator[PartitionWriter]:
    """Atomically replace the day's file by what the block writes and finishes; not if the block raises."""
    with store.writer(partition_path(asset, day)) as sink, layout.writer(sink, schema) as parquet:
        yield PartitionWriter(parquet, layout.rows_per_group)


def write_partition(
    store: Store, asset: str, day: Day, table: pa.Table, metadata: Mapping[str, str], *, layout: Layout = LAYOUT
) -> int:
    """Atomically replace the day's file by `table`; returns the file's size in bytes."""
    with partition_writer(store, asset, day, table.schema, layout=layout) as writer:
        writer.write(table)
        return writer.finish(metadata)


def encoded_partition(table: pa.Table, metadata: Mapping[str, str], *, layout: Layout = LAYOUT) -> bytes:
    """The file that `write_partition` would write, for `put_encoded`."""
    sink = io.BytesIO()
    with layout.writer(sink, table.schema) as parquet:
        writer = PartitionWriter(parquet, layout.rows_per_group)
        writer.write(table)
        writer.finish(metadata)
    return sink.getvalue()


def put_encoded(store: Store, asset: str, day: Day, content: bytes) -> None:
    """Atomically replace the day's file by what `encoded_partition` returned."""
    with store.writer(partition_path(asset, day)) as sink:
        sink.write(content)


def read_partition(store: Store, asset: str, day: Day, columns: list[str] | None = None) -> pa.Table | None:
    """The day's rows, or None where the day has no file.

    Raises:
        DamagedFileError: the file can't be read.
    """
    found = read_partition_and_metadata(store, asset, day, columns)
    return None if found is None else found[0]


def read_metadata(store: Store, asset: str, day: Day) -> dict[str, str] | None:
    """The footer's key-value metadata, or None where the day has no file.

    Raises:
        DamagedFileError: the file can't be read.
    """
    with opened_partition(store, asset, day) as file:
        return None if file is None else file.metadata


def read_partition_and_metadata(
    store: Store,
    asset: str,
    day: Day,
    columns: list[str] | None = None,
    *,
    dictionary_columns: Sequence[str] = (),
    table: Table | None = None,
) -> tuple[pa.Table, dict[str, str]] | None:
    """Rows and metadata of one version of the day's file, even if it is replaced meanwhile; None where the day has no file.

    `dictionary_columns` and `table` are as in `opened_partition`.

    Raises:
        DamagedFileError: the file can't be read.
    """
    with opened_partition(store, asset, day, dictionary_columns=dictionary_columns, table=table) as file:
        return None if file is None else (file.read(columns), file.metadata)


def verified_bytes(store: Store, asset: str, day: Day) -> bool:
    """Whether all bytes of the day's file are those that were written; False where it has no checksums that could tell.

    Raises:
        DamagedFileError: some are not, or there is no file.
    """
    path = partition_path(asset, day)
    try:
        with store.reader(path) as source:
            return verify_bytes(source)
    except (pa.ArrowException, OSError, ChecksumError) as error:
        raise DamagedFileError(f"{store.url(path)} can't be read as Parquet ({error}).") from error


def stored_days(store: Store, asset: str, timezone: str) -> list[Day]:
    """The days of `asset` that have a file, in order."""
    return days_of(store.paths(asset), timezone)


def days_of(paths: Iterable[str], timezone: str) -> list[Day]:
    """The days of the files at `paths`, in order; other files are ignored."""
    found = (_day_of(path, timezone) for path in paths)
    return sorted(day for day in found if day is not None)


def _day_of(path: str, timezone: str) -> Day | None:
    match = _PARTITION.search(path)
    try:
        return Day.parse(match.group(1), timezone) if match else None
    except ValueError:  # date=2026-02-30: not one of ours
        return None


def no_footer_error(store: Store, asset: str, day: Day, cause: Exception) -> DamagedFileError:
    """The error for a day's file whose footer isn't one of this pipeline."""
    return DamagedFileError(
        f"{store.url(partition_path(asset, day))} has no footer of this pipeline ({cause!r}). "
        f"Materialize {asset} of {day} again to replace it."
    )


@contextmanager
def opened_parquet(store: Store, path: str, *, advice: str, dictionary_columns: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """The file at `path`; its bytes and pages are verified against their checksums if it has any.

    The string columns in `dictionary_columns` are read as dictionaries: twice as fast where they have few values.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: the file can't be read, even if that shows only in the block; the message ends with `advice`.
    """
    with store.reader(path) as source:
        try:
            with open_checked(source, page_checksum_verification=True, read_dictionary=dictionary_columns) as file:
                yield file
        except (pa.ArrowException, OSError, UnicodeDecodeError, ChecksumError) as error:
            raise DamagedFileError(f"{store.url(path)} can't be read as Parquet ({error}). {advice}") from error


@contextmanager
def opened_partition(
    store: Store, asset: str, day: Day, *, dictionary_columns: Sequence[str] = (), table: Table | None = None
) -> Iterator[StoredFile | None]:
    """The day's file, to be read in parts, footer and rows of one version; None where the day has no file.

    Args:
        store: where the files are.
        asset: which table.
        day: which partition.
        dictionary_columns: see `opened_parquet`.
        table: the declaration of the asset's columns; by default that of `schemas.TABLES`.

    Raises:
        NewerFileError: a newer version of this program wrote the file.
        DamagedFileError: the file can't be read, even if that shows only in the block.
    """
    path, declared = partition_path(asset, day), table or TABLES.get(asset)
    advice = f"Materialize {asset} of {day} again to replace it."
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(opened_parquet(store, path, advice=advice, dictionary_columns=dictionary_columns))
        except FileNotFoundError:
            yield None
        else:
            yield StoredFile(opened, store.url(path), declared, advice=advice)
