"""Fences: a process that was taken over, and doesn't know it yet, changes nothing any more.

Who may write stands in a small file. A folder holds that file's lock while it looks and renames. A bucket has no locks: it
looks, and puts under the condition that the target is still what it was when the process held its days for certain.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from ticket_events_pipeline.storage.file_lock import Log

if TYPE_CHECKING:
    from ticket_events_pipeline.storage.store import Change, Store


@dataclass
class Fence:
    """Who may write.

    Attributes:
        path: of the small file that says it.
        check: given what that file holds (None: it isn't there), raises where another process may write, not this one.
        replaces: the folder whose files are replaced by the holder alone. What it writes elsewhere has a name of its own.
        log: gets a line about what is waited for.
        versions: of the files in that folder, as a bucket listed them at first; the bucket's own.
    """

    path: str
    check: Callable[[bytes | None], None]
    replaces: str
    log: Log
    versions: dict[str, str] | None = field(default=None, init=False)


class FencedStore:
    """A store whose files are written and removed behind a fence; it reads as the store does."""

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

    def versions(self, prefix: str, *, named: str = "") -> dict[str, str]:
        """See `Store.versions`."""
        return self._store.versions(prefix, named=named)

    def update(self, path: str, change: Change, *, log: Log | None = None) -> None:
        """See `Store.update`."""
        self._store.update(path, change, log=log or self._fence.log)

    def sweep(self) -> None:
        """See `Store.sweep`."""
        self._store.sweep()

    def check(self) -> None:
        """See `Store.check`."""
        self._store.check()

    def url(self, path: str) -> str:
        """See `Store.url`."""
        return self._store.url(path)
