"""Segments: small files under `_inflight` that hold the rows of a few pages, by day, and how far their pass has come.

They are journal, memory bound and sort runs at once. What the text beside the rows says is the pass's own affair. A torn or
flipped segment shows when it is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.checksums import ChecksummedWriter
from ticket_events_pipeline.storage.partition_file import opened_parquet
from ticket_events_pipeline.storage.sorted_runs import FileRun
from ticket_events_pipeline.storage.store import INFLIGHT, Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY, StoredFile
from ticket_events_pipeline.tables.schemas import EVENT_KEY, SCHEMA_VERSION, TABLES, repetitive_columns

JOURNAL_FOLDER = f"{INFLIGHT}/segments"

_TEXT_KEY, _DIGEST_KEY = "pass", "pass_sha256"
_NAME = re.compile(r"(\d{6,})(-[0-9a-f]+)?")
_ADVICE = "It is thrown away; what it held is fetched again."


@dataclass(frozen=True)
class JournalPart:
    """The rows of one day in one segment.

    Attributes:
        segment: the segment's name within its pass.
        row_groups: of its file, in order.
        rows: how many.
        size_bytes: about what they take in memory.
    """

    segment: str
    row_groups: tuple[int, ...]
    rows: int
    size_bytes: int


def journal_file_name(number: int, writer: str = "") -> str:
    """The name of a segment: its number within the pass, and its `writer`, hexadecimal, whose name nobody else writes.

    The first versions named the number alone.
    """
    return f"{number:06}{writer and '-'}{writer}"


def journal_file_number(name: str) -> int:
    """The inverse of `journal_file_name`, as to the number.

    Raises:
        ValueError: it names no segment.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} names no segment")
    return int(found[1])


class JournalFiles:
    """The segments of one pass of a stream."""

    def __init__(self, store: Store, stream: str, pass_id: str) -> None:
        self._store = store
        self._table = TABLES.get(stream)
        self._folder = f"{JOURNAL_FOLDER}/{stream}/{pass_id}"

    def write(
        self, name: str, schema: pa.Schema, rows: Sequence[pa.Table], text_of: Callable[[list[JournalPart]], str]
    ) -> list[JournalPart]:
        """Write the segment `name`: a table a day, each a sorted run, and the text that `text_of` makes of the parts.

        It stands whole and durable when this returns, or not at all.
        """
        parts: list[JournalPart] = []
        row_groups = 0
        with (
            self._store.writer(self._path(name)) as sink,
            ChecksummedWriter(
                sink,
                schema,
                compression="zstd",
                use_dictionary=repetitive_columns(schema),
                column_encoding=dict.fromkeys(EVENT_KEY, "DELTA_BINARY_PACKED"),  # not every reader of day files knows it
                write_statistics=False,
            ) as parquet,
        ):
            for table in rows:
                parquet.write_table(table, row_group_size=max(1, table.num_rows))
                parts.append(JournalPart(name, (row_groups,), table.num_rows, table.nbytes))
                row_groups += 1
            text = text_of(parts)
            parquet.finish({VERSION_KEY: str(SCHEMA_VERSION), _TEXT_KEY: text, _DIGEST_KEY: _digest(text)})
        return parts

    def names(self) -> list[str]:
        """The names of the segments that stand, by number."""
        names = (path.rpartition("/")[2].removesuffix(".parquet") for path in self._store.paths(self._folder))
        return sorted(filter(_NAME.fullmatch, names), key=lambda name: (journal_file_number(name), name))

    def text(self, name: str) -> str:
        """The text beside the rows of a segment.

        Raises:
            DamagedFileError: it can't be read, or is gone.
        """
        with self._opened(name) as file:
            found = file.metadata
        text = found.get(_TEXT_KEY, "")
        if found.get(_DIGEST_KEY) != _digest(text):
            raise DamagedFileError(f"{self._store.url(self._path(name))} tells of no pass. {_ADVICE}")
        return text

    def run(self, part: JournalPart) -> FileRun:
        """The rows of a part."""
        return FileRun(lambda: self._opened(part.segment), part.row_groups, size_bytes=part.size_bytes)

    def delete(self, names: Sequence[str]) -> None:
        """Remove segments that are needed no more."""
        self._store.delete(*map(self._path, names))

    @contextmanager
    def _opened(self, name: str) -> Iterator[StoredFile]:
        path = self._path(name)
        try:
            with opened_parquet(self._store, path, advice=_ADVICE) as file:
                yield StoredFile(file, self._store.url(path), self._table, advice=_ADVICE)
        except FileNotFoundError as error:
            raise DamagedFileError(f"{self._store.url(path)} is gone. {_ADVICE}") from error

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}.parquet"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fetches_with_journal(store: Store, stream: str) -> list[str]:
    """The passes of `stream` that have left segments."""
    folder = f"{JOURNAL_FOLDER}/{stream}/"
    return sorted({path[len(folder) :].partition("/")[0] for path in store.paths(folder)})
