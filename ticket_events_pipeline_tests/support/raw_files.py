"""Raw files written directly, as a fetch leaves them."""

from pathlib import Path

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.tables.schemas import SCHEMA_VERSION

LATE_SECONDS = 3600
"""How long after its end a complete day was read."""


def raw_footer(
    stream: str, day: Day, rows: pa.Table, *, read_to: float | None = None, schema_version: int = SCHEMA_VERSION
) -> RawFooter:
    """The footer of a day's raw file that was read up to `read_to` (epoch seconds); by default past the end of the day."""
    read_to = day.end + LATE_SECONDS if read_to is None else read_to
    return RawFooter(
        schema_version=schema_version,
        account="recorded",
        timezone=day.timezone,
        sideload=False,
        stream=stream,
        partition=str(day),
        window_start=day.start,
        window_end=day.end,
        complete=read_to >= day.end,
        next_start_time=int(read_to),
        requests=1,
        rows=rows.num_rows,
        duplicates=0,
        rejected=0,
        fetched_at=int(read_to),
        content_hash=content_hash(rows),
        pages=(),
    )


def put_raw_table(
    root: Path,
    rows: pa.Table,
    stream: str,
    day: Day,
    *,
    read_to: float | None = None,
    more_footer: dict[str, str] | None = None,
) -> None:
    """Write the day's raw file with these rows; `more_footer` adds or replaces footer keys."""
    metadata = raw_footer(stream, day, rows, read_to=read_to).to_metadata()
    write_partition(FolderStore(root), stream, day, rows, metadata | (more_footer or {}))
