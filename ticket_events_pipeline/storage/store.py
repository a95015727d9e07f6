"""The store protocol: what every place that holds a pipeline's files can do.

A written file becomes visible whole, at once, or not at all. Small files that several processes share are updated under
optimistic concurrency. A file that only a lease holder replaces is written behind a fence, which checks the fencing token.
Paths are relative, use `/`, and are made by this package from asset names and dates, never from data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from ticket_events_pipeline.day import Instant
from ticket_events_pipeline.process import Process
from ticket_events_pipeline.storage.file_lock import Log

INFLIGHT = "_inflight"
"""Folder of work in progress. The leading underscore keeps query engines from reading it as part of a table."""

HALF_WRITTEN = f"{INFLIGHT}/half_written"

Change = Callable[[bytes | None], bytes | None]
"""From the content of a small file (None: it doesn't exist) to its new content; None leaves the file unchanged."""


@dataclass
class Fence:
    """The check that a write is made by the lease holder.

    Attributes:
        path: the small file that names the holder.
        check: is given that file's content (None: it doesn't exist), and raises if another process holds the lease.
        replaces: the folder whose files only the holder replaces. Files that it writes elsewhere have unique names.
        log: gets a line when the fence has to wait.
        versions: of the files in that folder, as an object store first listed them; set by the store.
    """

    path: str
    check: Callable[[bytes | None], None]
    replaces: str
    log: Log
    versions: dict[str, str] | None = field(default=None, init=False)


class Store(Protocol):
    """Where a pipeline's files are."""

    location: str
    """The root in full, for messages and the UI."""

    def writer(self, path: str, *, fence: Fence | None = None) -> AbstractContextManager[BinaryIO]:
        """A binary file to fill; it appears at `path` when the block ends, but not if the block or the `fence` raises."""

    def reader(self, path: str) -> BinaryIO:
        """The file, opened for reading and seeking.

        Raises:
            FileNotFoundError: there is no file at `path`.
        """

    def paths(self, prefix: str) -> list[str]:
        """Every finished file below the folder `prefix`, sorted."""

    def versions(self, prefix: str) -> dict[str, str]:
        """Every finished file below the folder `prefix` with its version: a text that differs whenever the content does.

        In a folder the version is size and times; in a bucket it is the ETag, which conditional puts use. Nothing is read but
        the listing. In a folder, a file written a moment ago changes its version once more: two writes within one tick of the
        file system's clock look alike.

        Raises:
            UsageError, TransientError: the folder can't be listed.
        """

    def table_versions(self, tables: Sequence[str]) -> dict[str, str]:
        """The versions of all files `TABLE/*/TABLE.parquet`, as `versions` says them, with as little work as the place allows.

        Raises:
            UsageError, TransientError: a folder can't be listed.
        """

    def delete(self, *paths: str, fence: Fence | None = None) -> None:
        """Remove the files that exist; none if the `fence` raises. The fence is checked once, even for no files."""

    def update(self, path: str, change: Change, *, log: Log | None = None) -> None:
        """Change a small file without losing another process's change.

        Optimistic concurrency: if the precondition fails, read again and retry. `change` may be called again, with the content
        that another process has written; if it raises, the file is unchanged. A power loss may undo the last changes or damage
        the file: use it only for what running processes need. `log` gets a line when it has to wait.

        Raises:
            LockHeldError: another process has started a change and doesn't finish it.
        """

    def clock(self) -> Instant:
        """Now by the clock that all processes which use the store share, so that each can read moments of the others.

        A folder is used by one machine: it is the machine's clock. A bucket has a clock of its own.
        """

    def sweep(self) -> None:
        """Remove half-written files of processes that have ended."""

    def check(self) -> None:
        """Try everything that a fetch needs of the store, and leave nothing behind.

        Raises:
            UsageError: it can't be written, or can't keep two fetches apart; says what to change.
        """

    def url(self, path: str) -> str:
        """Where a person or a query finds the file."""


def remove_half_written(store: Store) -> None:
    """Remove the half-written files of processes that have provably ended."""
    for path in store.paths(HALF_WRITTEN):
        writer = Process.parse(path.rpartition("/")[2].partition(".")[0])
        if writer is not None and writer.is_gone:
            store.delete(path)
