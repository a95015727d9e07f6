"""Damage to a stored file: each kind as a function of the root, the stream and the day.

Rows are changed with the footer kept, as an editor of the file would leave it; or a field of the footer, the rows kept.
"""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copy

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_metadata, read_partition, write_partition
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION

Damage = Callable[[Path, str, Day], None]


def path_of(root: Path, stream: str, day: Day) -> Path:
    return root / partition_path(stream, day)


def rewrite(
    root: Path,
    stream: str,
    day: Day,
    *,
    rows: Callable[[pa.Table], pa.Table] = lambda table: table,
    footer: Callable[[dict[str, str]], dict[str, str]] = lambda metadata: metadata,
) -> None:
    """Write the file again with its rows, its footer, or both changed."""
    store = FolderStore(root)
    table, metadata = read_partition(store, stream, day), read_metadata(store, stream, day)
    assert table is not None
    assert metadata is not None
    write_partition(store, stream, day, rows(table), footer(metadata))


def without_estimates(root: Path, day: Day) -> None:
    """Write the day's targets as versions before `due_at` did."""

    def footer(metadata: dict[str, str]) -> dict[str, str]:
        return {name: text for name, text in metadata.items() if name != "schema_version"}

    rewrite(
        root,
        "sla_targets",
        day,
        rows=lambda table: table.drop_columns(["due_at", "is_contradicted", "elapsed_seconds"]),
        footer=footer,
    )


def with_rows(change: Callable[[pa.Table], pa.Table]) -> Damage:
    return lambda root, stream, day: rewrite(root, stream, day, rows=change)


def with_field(name: str, change: Callable[[str], str]) -> Damage:
    return lambda root, stream, day: rewrite(
        root, stream, day, footer=lambda metadata: {**metadata, name: change(metadata[name])}
    )


def with_ledger(change: Callable[[list[dict[str, int]]], list[dict[str, int]]]) -> Damage:
    return with_field("pages", lambda text: json.dumps(change(json.loads(text))))


def row_removed(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 4), table.slice(5)])


def row_twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 5), table.slice(4)])


def cell_flipped(table: pa.Table) -> pa.Table:
    column = table["ticket_id"].combine_chunks()
    flipped = pc.replace_with_mask(column, pa.array([row == 4 for row in range(len(column))]), pa.array([1]))
    return table.set_column(table.column_names.index("ticket_id"), "ticket_id", flipped)


def rows_exchanged(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(1, 1), table.slice(0, 1), table.slice(2)])


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit changed, counted from the start."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def truncated(root: Path, stream: str, day: Day) -> None:
    path = path_of(root, stream, day)
    path.write_bytes(path.read_bytes()[:-200])


def middle_overwritten(root: Path, stream: str, day: Day) -> None:
    """Like a bad sector: the footer is intact, the rows before it aren't."""
    path = path_of(root, stream, day)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
    path.write_bytes(content)


def removed(root: Path, stream: str, day: Day) -> None:
    path_of(root, stream, day).unlink()


def another_days(root: Path, stream: str, day: Day) -> None:
    copy(path_of(root, stream, day.plus(-1)), path_of(root, stream, day))


def other_streams(root: Path, stream: str, day: Day) -> None:
    other = {"ticket_events": "ticket_metric_events", "ticket_metric_events": "ticket_events"}[stream]
    copy(path_of(root, other, day), path_of(root, stream, day))


DAMAGES: dict[str, tuple[Damage, str]] = {
    "row removed": (with_rows(row_removed), "rows, but its footer counts"),
    "row twice": (with_rows(row_twice), "stored in it more than once"),
    "cell flipped": (with_rows(cell_flipped), "content_hash differs"),
    "rows exchanged": (with_rows(rows_exchanged), "out of the order of time and id"),
    "column removed": (with_rows(lambda table: table.drop_columns(["deleted"])), "deleted is missing"),
    "first page removed": (with_ledger(lambda pages: pages[1:]), "a gap"),
    "middle page removed": (with_ledger(lambda pages: pages[:1] + pages[2:]), "a gap"),
    "last page removed": (with_ledger(lambda pages: pages[:-1]), "a page is missing at the end"),
    "truncated": (truncated, "can't be read as Parquet"),
    "middle overwritten": (middle_overwritten, "can't be read as Parquet"),
    "removed": (removed, "No file is stored"),
    "another day's": (another_days, "it was put in this day's place"),
    "the other stream's": (other_streams, "it was put in this day's place"),
    "no footer": (lambda root, stream, day: rewrite(root, stream, day, footer=lambda _: {}), "has no readable footer"),
}
"""By name: the damage, and the finding. The day's ledger needs three pages, with rows in the first and last."""


def _plus(number: int) -> Callable[[str], str]:
    return lambda text: str(int(text) + number)


FIELDS: dict[str, tuple[Callable[[str], str], str]] = {
    "schema_version": (_plus(1), f"columns are of schema version {SCHEMA_VERSION + 1}"),
    "account": (lambda _: "another", "ZENDESK_SUBDOMAIN another, not sandbox"),
    "timezone": (lambda _: "Asia/Kolkata", "TICKET_EVENTS_TIMEZONE Asia/Kolkata, not UTC"),
    "sideload": (lambda _: "true", "ZENDESK_INCLUDE_COMMENTS 1, not 0"),
    "support_type_scope": (lambda _: "all", "ZENDESK_SUPPORT_TYPE_SCOPE all, not agent"),
    "stream": (lambda _: "tickets", "says that it is tickets of"),
    "partition": (lambda _: "2026-03-09", "of 2026-03-09"),
    "window_start": (_plus(3600), "the day goes from"),
    "window_end": (_plus(-3600), "the day goes from"),
    "complete": (lambda _: "false", "is still open"),
    "next_start_time": (_plus(1), "the footer was changed"),
    "requests": (lambda _: "0", "0 requests for"),
    "rows": (_plus(1), "rows, but its footer counts"),
    "metric_rows": (_plus(1), "metric events, but its footer counts"),
    "duplicates": (_plus(100_000), "replaced ones are counted"),
    "rejected": (lambda _: "3", "rejected 3 rows, no longer kept in"),
    "fetched_at": (_plus(-90 * 86_400), "when rows of the day could still turn up"),
    "content_hash": (lambda text: text[::-1], "content_hash differs"),
    "pages": (lambda _: "[]", "names no page"),
}
"""By field of the footer: how it is edited, and the finding."""
