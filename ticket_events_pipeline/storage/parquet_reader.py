"""Opening a stored Parquet file: whatever is wrong with it becomes one error that says what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.checksums import ChecksumError, open_checked
from ticket_events_pipeline.storage.store import Store


@contextmanager
def opened_parquet(store: Store, path: str, *, advice: str, dictionary_columns: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """The file at `path`, whose bytes and pages are checked against their checksums where it has some.

    The string columns in `dictionary_columns` are read as dictionaries: twice as fast where they have few values.

    Raises:
        FileNotFoundError: nothing lies there.
        DamagedFileError: the file can't be read, also where that shows only in the block; ends with `advice`.
    """
    with store.reader(path) as source:
        try:
            with open_checked(source, page_checksum_verification=True, read_dictionary=dictionary_columns) as file:
                yield file
        except (pa.ArrowException, OSError, UnicodeDecodeError, ChecksumError) as error:
            raise DamagedFileError(f"{store.url(path)} can't be read as Parquet ({error}). {advice}") from error
