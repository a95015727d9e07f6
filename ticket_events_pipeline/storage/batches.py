"""The rows of a stored file, some at a time and in order: what every look at a day of any size goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from ticket_events_pipeline.storage.stored_file import StoredFile

ROWS_PER_BATCH = 1024
"""A row with its comments may take tens of KB."""


def batches_of(
    file: StoredFile,
    columns: list[str] | None = None,
    *,
    row_groups: Sequence[int] | None = None,
    batch_rows: int = ROWS_PER_BATCH,
) -> Iterator[pa.RecordBatch]:
    """All rows or those of some row groups, with all columns or some.

    Raises:
        pyarrow.ArrowException, OSError: the file breaks off.
        DamagedFileError: its columns are not those of its version.
    """
    return file.batches(columns, row_groups=row_groups, batch_rows=batch_rows)
