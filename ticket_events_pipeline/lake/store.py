"""The place where files lie, behind the few verbs that a folder and an object store both have.

A written file becomes visible whole, at once, or not at all; nothing here renames, appends or locks, since an object store
can't. What the files hold is not known here. Paths are relative, with `/`, and made by this package from asset names and
dates, never from data.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from ticket_events_pipeline.errors import UsageError

INFLIGHT = "_inflight"
"""Folder of half-written files. A leading underscore keeps it out of what readers take for the table."""


class Store(Protocol):
    """Where a pipeline's files lie."""

    location: str
    """The root in full, for messages and the UI."""

    def writer(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A binary file to fill; it appears at `path` when the block ends, and not if the block raises."""

    def reader(self, path: str) -> BinaryIO:
        """The file, opened for reading and seeking.

        Raises:
            FileNotFoundError: nothing lies there.
        """

    def paths(self, prefix: str) -> list[str]:
        """Every finished file below the folder `prefix`, sorted."""

    def url(self, path: str) -> str:
        """Where a person or a query finds the file."""


class FolderStore:
    """A folder whose file system renames atomically. Only its owner may read it: events are personal data."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.location = str(root)

    @contextmanager
    def writer(self, path: str) -> Iterator[BinaryIO]:
        """See `Store.writer`. The bytes are on the disk before the name is.

        Raises:
            UsageError: the folder can't be written, or is full.
        """
        target = self._root / path
        inflight = self._root / INFLIGHT / f"{target.name}.{uuid.uuid4().hex}"
        try:
            _make_folders(inflight.parent)
            _make_folders(target.parent)
            with open(os.open(inflight, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(inflight, target)
            _sync_folder(target.parent)
        except OSError as error:
            reason = f"{error.strerror or error} ({error.filename or target})"
            raise UsageError(f"TICKET_EVENTS_ROOT: can't write below {self.location}: {reason}.") from error
        finally:
            with suppress(OSError):  # it is gone where all went well
                inflight.unlink()

    def reader(self, path: str) -> BinaryIO:
        """See `Store.reader`.

        Raises:
            UsageError: something lies there that can't be read.
        """
        try:
            return open(self._root / path, "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UsageError(f"TICKET_EVENTS_ROOT: can't read {self._root / path}: {error.strerror}.") from error

    def paths(self, prefix: str) -> list[str]:
        """See `Store.paths`."""
        folder = self._root / prefix
        found = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def url(self, path: str) -> str:
        """See `Store.url`."""
        return str(self._root / path)


def open_store(root: str) -> Store:
    """The store at `root`, a folder's absolute path.

    Raises:
        UsageError: the root is of a kind that this version can't write.
    """
    if "://" in root:
        raise UsageError(f"TICKET_EVENTS_ROOT: {root} is an object store, which this version can't write yet; set a folder.")
    return FolderStore(Path(root))


def _make_folders(folder: Path) -> None:
    """Like mkdir -p, but every new folder is its owner's only (mkdir's mode holds for the last one alone)."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
