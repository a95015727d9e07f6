"""The blanking of what a stream's fetches have stored: its days, the journals of stopped fetches, and rejected rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.forgotten.blanking import Blanking, Changed, changed
from ticket_events_pipeline.ingest.written_day import stored_run, write_day
from ticket_events_pipeline.storage.journal_file import JOURNAL_FOLDER, JournalFiles, fetches_with_journal
from ticket_events_pipeline.storage.partition_file import opened_parquet
from ticket_events_pipeline.storage.raw_footer import RawFooter, opened_raw_day, read_raw_footer
from ticket_events_pipeline.storage.rejected_rows import REJECTED, write_rejected
from ticket_events_pipeline.storage.sorted_runs import Merge
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES


def to_blank(store: Store, stream: str, day: Day, blanking: Blanking) -> Changed:
    """What `blank_day` would change of a day.

    Raises:
        DamagedFileError: the file can't be read.
    """
    found = Changed()
    with opened_raw_day(store, stream, day) as opened:
        for batch in () if opened is None else opened[0].batches():
            before = pa.Table.from_batches([batch])
            found += changed(before, blanking.raw(before))
    return found


def blank_day(store: Store, stream: str, day: Day, blanking: Blanking, *, now: int) -> None:
    """Replace the day's file by one without what was forgotten.

    Raises:
        DamagedFileError: the file can't be read, or its rows are not those that its footer describes.
    """
    footer = read_raw_footer(store, stream, day)
    if footer is None:
        return
    merge = Merge([stored_run(store, stream, day, footer.content_hash)])

    def footer_of(content_hash: str) -> RawFooter:
        return replace(footer, schema_version=SCHEMA_VERSION, content_hash=content_hash, forgotten_at=now)

    write_day(store, stream, day, map(blanking.raw, merge.chunks()), footer_of)


def remove_journals(store: Store, stream: str, blanking: Blanking, *, dry_run: bool = False) -> Iterator[Changed]:
    """Remove the journals of stopped fetches that hold rows to blank, or can't be read: their pages are fetched again.

    Yields how many rows to blank each held. The caller holds all days of the stream, so no fetch is running.
    """
    for fetch_id in fetches_with_journal(store, stream):
        files = JournalFiles(store, stream, fetch_id)
        paths = [path for path in store.paths(f"{JOURNAL_FOLDER}/{stream}/{fetch_id}") if path.endswith(".parquet")]
        try:
            found = sum((_in_journal_file(store, stream, path, blanking) for path in paths), Changed())
        except DamagedFileError:
            found = None
        if found is None or found.rows:
            if not dry_run:
                files.delete(files.names())
            yield found or Changed()


def _in_journal_file(store: Store, stream: str, path: str, blanking: Blanking) -> Changed:
    found = Changed()
    with opened_parquet(store, path, advice="") as file:
        for batch in StoredFile(file, store.url(path), TABLES[stream], advice="").batches():
            before = pa.Table.from_batches([batch])
            found += changed(before, blanking.raw(before))
    return found


def remove_rejected(store: Store, stream: str, blanking: Blanking, *, dry_run: bool = False) -> Iterator[Changed]:
    """Remove rejected rows of what was forgotten; yields how many of each file that had some."""
    for path in store.paths(f"{REJECTED}/{stream}"):
        with closing(store.reader(path)) as file:
            lines = file.read().splitlines(keepends=True)
        kept = [line for line in lines if not _is_forgotten(line, blanking)]
        if len(kept) == len(lines):
            continue
        if not dry_run:
            if kept:
                write_rejected(store, stream, path.rpartition("/")[2].partition("-")[0], b"".join(kept))
            store.delete(path)
        removed = len(lines) - len(kept)
        yield Changed(removed, removed)


def _is_forgotten(line: bytes, blanking: Blanking) -> bool:
    try:
        return blanking.is_rejected_forgotten(json.loads(line)["row"])
    except (RecursionError, ValueError, TypeError, KeyError):
        return blanking.mentions(line.decode(errors="replace"))
