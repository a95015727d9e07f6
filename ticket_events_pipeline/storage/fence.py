"""A store that writes only while this process holds the lease (fencing tokens).

A process that has lost its lease, and doesn't know it yet, changes nothing any more. A small file names the lease holder. A
folder is locked while that file is checked and the new file is renamed. A bucket has no locks: the file is checked, and the put
succeeds only if the target is still the version that was there while this process surely held the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from ticket_events_pipeline.day import Instant
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.store import Change, Fence, Store


class FencedStore:
    """Writes and removes files of a store behind a fence; reads them as the store does."""

    def __init__(self, store: Store, fence: Fence) -> None:
        self._store = store
        self._fence = fence
        self.location = store.location

    def writer(self, path: str, *, fence: Fence | None = None) -> AbstractContextManager[BinaryIO]:
        """See `Store.writer`."""
        return self._store.writer(path, fence=fence or self._fence)

    def delete(self, *paths: str, fence: Fence | None = None) -> None:
        """See `Store.delete`."""
        self._store.delete(*paths, fence=fence or self._fence)

    def reader(self, path: str) -> BinaryIO:
        """See `Store.reader`."""
        return self._store.reader(path)

    def paths(self, prefix: str) -> list[str]:
        """See `Store.paths`."""
        return self._store.paths(prefix)

    def versions(self, prefix: str) -> dict[str, str]:
        """See `Store.versions`."""
        return self._store.versions(prefix)

    def table_versions(self, tables: Sequence[str]) -> dict[str, str]:
        """See `Store.table_versions`."""
        return self._store.table_versions(tables)

    def update(self, path: str, change: Change, *, log: Log | None = None) -> None:
        """See `Store.update`."""
        self._store.update(path, change, log=log or self._fence.log)

    def clock(self) -> Instant:
        """See `Store.clock`."""
        return self._store.clock()

    def sweep(self) -> None:
        """See `Store.sweep`."""
        self._store.sweep()

    def check(self) -> None:
        """See `Store.check`."""
        self._store.check()

    def url(self, path: str) -> str:
        """See `Store.url`."""
        return self._store.url(path)
