"""Journal files: small files under `_inflight` with the rows of a few pages, by day, and the progress of their fetch.

They are the checkpoints of a fetch, keep its memory bounded, and are its sorted runs. Progress is a text that only the fetch
interprets. Truncation and flipped bits are noticed when a file is read.
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
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.table import EVENT_KEY, repetitive_columns

JOURNAL_FOLDER = f"{INFLIGHT}/segments"

_TEXT_KEY, _DIGEST_KEY = "pass", "pass_sha256"
_NAME = re.compile(r"(\d{6,})(-[0-9a-f]+)?")
_ADVICE = "It is discarded; what it held is fetched again."


@dataclass(frozen=True)
class JournalPart:
    """The rows of one day in one journal file.

    Attributes:
        segment: the name of the journal file within its fetch, under the name that journals store it.
        row_groups: of its file, in order.
        rows: how many.
        size_bytes: about how much memory they take.
    """

    segment: str
    row_groups: tuple[int, ...]
    rows: int
    size_bytes: int


def journal_file_name(number: int, writer: str = "") -> str:
    """The name of a journal file: its number within the fetch, and its `writer`, a unique hexadecimal text.

    The first versions used the number alone.
    """
    return f"{number:06}{writer and '-'}{writer}"


def journal_file_number(name: str) -> int:
    """The number in the name of a journal file.

    Raises:
        ValueError: it is not the name of a journal file.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is not the name of a journal file")
    return int(found[1])


class JournalFiles:
    """The journal files of one fetch of a stream."""

    def __init__(self, store: Store, stream: str, fetch_id: str) -> None:
        self._store = store
        self._table = TABLES.get(stream)
        self._folder = f"{JOURNAL_FOLDER}/{stream}/{fetch_id}"

    def write(
        self, name: str, schema: pa.Schema, rows: Sequence[pa.Table], text_of: Callable[[list[JournalPart]], str]
    ) -> list[JournalPart]:
        """Write the journal file `name`: one table per day, each a sorted run, and the text that `text_of` makes of the parts.

        When this returns, the file is complete and durable; otherwise it doesn't exist.
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
                column_encoding=dict.fromkeys(EVENT_KEY, "DELTA_BINARY_PACKED"),  # not every reader of day files supports it
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
        """The names of the existing journal files, by number."""
        names = (path.rpartition("/")[2].removesuffix(".parquet") for path in self._store.paths(self._folder))
        return sorted(filter(_NAME.fullmatch, names), key=lambda name: (journal_file_number(name), name))

    def text(self, name: str) -> str:
        """The text of a journal file.

        Raises:
            DamagedFileError: it can't be read, or is gone.
        """
        with self._opened(name) as file:
            found = file.metadata
        text = found.get(_TEXT_KEY, "")
        if found.get(_DIGEST_KEY) != _digest(text):
            raise DamagedFileError(f"{self._store.url(self._path(name))} has no valid text of a fetch. {_ADVICE}")
        return text

    def run(self, part: JournalPart) -> FileRun:
        """The rows of a part."""
        return FileRun(lambda: self._opened(part.segment), part.row_groups, size_bytes=part.size_bytes)

    def delete(self, names: Sequence[str]) -> None:
        """Remove journal files that are no longer needed."""
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
    """The ids of the fetches of `stream` that have left journal files."""
    folder = f"{JOURNAL_FOLDER}/{stream}/"
    return sorted({path[len(folder) :].partition("/")[0] for path in store.paths(folder)})
