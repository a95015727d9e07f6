"""The rows of a stored file, some at a time and in order: what every look at a day of any size goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_BATCH = 1024
"""A row with its comments may take tens of KB."""


def batches_of(
    file: pq.ParquetFile,
    columns: list[str] | None = None,
    *,
    row_groups: Sequence[int] | None = None,
    batch_rows: int = ROWS_PER_BATCH,
) -> Iterator[pa.RecordBatch]:
    """All rows or those of some row groups, with all columns or some.

    Raises:
        pyarrow.ArrowException, OSError: the file breaks off.
    """
    # A row group at a time: one reader for all of them keeps something of each, 400 MB over a million audits.
    for number in range(file.num_row_groups) if row_groups is None else row_groups:
        yield from file.iter_batches(batch_size=batch_rows, row_groups=[number], columns=columns, use_threads=False)
