"""The place where files lie, behind the few verbs that a folder and an object store both have.

A written file becomes visible whole, at once, or not at all. What several processes have to agree upon is exchanged: read,
changed and put back, unless somebody else was faster. What the files hold is not known here. Paths are relative, with `/`,
and made by this package from asset names and dates, never from data.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.process import Process, this_process
from ticket_events_pipeline.root import ObjectRoot, is_object_store
from ticket_events_pipeline.storage.fence import Fence
from ticket_events_pipeline.storage.file_lock import Log, locked

INFLIGHT = "_inflight"
"""Folder of what is under way. A leading underscore keeps it out of what readers take for the table."""

HALF_WRITTEN = f"{INFLIGHT}/half_written"

YOUNG_SECONDS = 2
"""File systems count time in ticks, of milliseconds as a rule and of two seconds at most (FAT)."""

Change = Callable[[bytes | None], bytes | None]
"""From what a small file holds (None: it isn't there) to what it shall hold; None leaves it as it is."""


class Store(Protocol):
    """Where a pipeline's files lie."""

    location: str
    """The root in full, for messages and the UI."""

    def writer(self, path: str, *, fence: Fence | None = None) -> AbstractContextManager[BinaryIO]:
        """A binary file to fill; it appears at `path` when the block ends, and not if the block or the `fence` raises."""

    def reader(self, path: str) -> BinaryIO:
        """The file, opened for reading and seeking.

        Raises:
            FileNotFoundError: nothing lies there.
        """

    def paths(self, prefix: str) -> list[str]:
        """Every finished file below the folder `prefix`, sorted."""

    def versions(self, prefix: str, *, named: str = "") -> dict[str, str]:
        """Every finished file below the folder `prefix`, each with its version: a text that another content doesn't have.

        In a folder it is size and times, in a bucket the ETag, which is a condition of puts there. Nothing is read but the
        listing. Of a file that has just been written, a folder tells another version a moment later, once: two writes within
        a tick of the file system's clock look alike.

        Args:
            prefix: the folder.
            named: only the files of that name in the folders right below it, which a folder finds many times faster.

        Raises:
            UsageError, TransientError: the folder can't be listed.
        """

    def delete(self, *paths: str, fence: Fence | None = None) -> None:
        """Remove the files, those that are there; none if the `fence` raises, which is asked once, also for no files."""

    def update(self, path: str, change: Change, *, log: Log | None = None) -> None:
        """Change a small file so that no other process's change is lost in between.

        `change` may be called again, with what another process has put there meanwhile; what it raises leaves the file as it
        is. A power loss may take the last changes back, or damage the file: it is for what only running processes need. `log`
        is told for whom it is waited.

        Raises:
            LockHeldError: another process is in the middle of a change, and doesn't end it.
        """

    def sweep(self) -> None:
        """Remove what writers left half-written that are gone."""

    def check(self) -> None:
        """Try what a pass needs of the store; nothing is left of it.

        Raises:
            UsageError: it can't be written, or can't keep two passes apart; says what to mend.
        """

    def url(self, path: str) -> str:
        """Where a person or a query finds the file."""


class FolderStore:
    """A folder whose file system renames atomically. Only its owner may read it: events are personal data."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.location = str(root)

    @contextmanager
    def writer(self, path: str, *, fence: Fence | None = None) -> Iterator[BinaryIO]:
        """See `Store.writer`. The bytes are on the disk before the name is.

        Raises:
            UsageError: the folder can't be written, or is full.
            LockHeldError: see `exchange`; with a fence only.
        """
        target = self._root / path
        inflight = self._half_written(target)
        try:
            _make_folders(inflight.parent)
            _make_folders(target.parent)
            with open(os.open(inflight, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with self._allowed(fence):
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

    def versions(self, prefix: str, *, named: str = "") -> dict[str, str]:
        """See `Store.versions`.

        Raises:
            UsageError: the folder can't be listed.
        """
        try:
            if named:
                return _versions_named(self._root / prefix, prefix, named)
            return dict(_versions(self._root / prefix, prefix, wall_clock()))
        except OSError as error:
            raise UsageError(f"TICKET_EVENTS_ROOT: can't list {self._root / prefix}: {error.strerror or error}.") from error

    def delete(self, *paths: str, fence: Fence | None = None) -> None:
        """See `Store.delete`."""
        try:
            with self._allowed(fence):
                for path in paths:
                    (self._root / path).unlink(missing_ok=True)
        except OSError as error:
            where = error.filename or self._root
            raise UsageError(f"TICKET_EVENTS_ROOT: can't remove {where}: {error.strerror}.") from error

    def update(self, path: str, change: Change, *, log: Log | None = None) -> None:
        """See `Store.update`.

        Raises:
            UsageError: the folder can't be written, or is full.
        """
        target = self._root / path
        half_written = self._half_written(target)
        try:
            _make_folders(half_written.parent)
            with self._locked(target, log):
                after = change(target.read_bytes() if target.exists() else None)
                if after is not None:
                    with open(os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                        file.write(after)
                    os.replace(half_written, target)
        except OSError as error:
            raise UsageError(f"TICKET_EVENTS_ROOT: can't change {target}: {error.strerror or error}.") from error

    def sweep(self) -> None:
        """See `Store.sweep`."""
        remove_half_written(self)

    def check(self) -> None:
        """See `Store.check`."""
        with suppress(_TrialOverError), self.writer("trial") as file:
            file.write(b"files can be written here\n")
            raise _TrialOverError  # nothing is to be left

    def url(self, path: str) -> str:
        """See `Store.url`."""
        return str(self._root / path)

    @contextmanager
    def _allowed(self, fence: Fence | None) -> Iterator[None]:
        """While the block runs, nobody else can become who may write."""
        if fence is None:
            yield
            return
        target = self._root / fence.path
        with self._locked(target, fence.log):
            fence.check(target.read_bytes() if target.exists() else None)
            yield

    @contextmanager
    def _locked(self, target: Path, log: Log | None) -> Iterator[None]:
        _make_folders(target.parent)
        with locked(target, log=log or _unheard):
            yield

    def _half_written(self, target: Path) -> Path:
        return self._root / HALF_WRITTEN / f"{this_process()}.{uuid.uuid4().hex}.{target.name}"


def _unheard(_: str) -> None:
    """Nobody wants to know what is waited for."""


class _TrialOverError(Exception):
    """The trial file has been written."""


def open_store(root: str) -> Store:
    """The store at `root`: a folder's absolute path, or an object store's URI.

    Raises:
        UsageError: the root is of a kind that can't be written, or what reaches it is not installed or not set.
    """
    if not is_object_store(root):
        return FolderStore(Path(root))
    try:
        parsed = ObjectRoot.parse(root)
    except ValueError as error:
        raise UsageError(f"TICKET_EVENTS_ROOT: {error}") from error
    try:
        # Not before: it needs an extra that a folder doesn't.
        from ticket_events_pipeline.storage.object_store import ObjectStore
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        extra = {"s3": "s3", "gs": "gcs"}.get(parsed.scheme, "azure")
        raise UsageError(
            f"TICKET_EVENTS_ROOT: {parsed.scheme}:// needs more installed: pip install 'ticket_events_pipeline[{extra}]'"
        ) from None
    return ObjectStore(parsed)


def remove_half_written(store: Store) -> None:
    """Remove what lies half-written of processes that are provably gone."""
    for path in store.paths(HALF_WRITTEN):
        writer = Process.parse(path.rpartition("/")[2].partition(".")[0])
        if writer is not None and writer.is_gone:
            store.delete(path)


def _versions(folder: Path, prefix: str, now: float) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir():
                yield from _versions(Path(entry.path), path, now)
            else:
                yield path, _version(entry.stat(), now)


def _versions_named(folder: Path, prefix: str, name: str) -> dict[str, str]:
    """Those of the files `prefix/*/name`. A file that can't be looked at has a version too: its reader will tell why."""
    found: dict[str, str] = {}
    now, tail = wall_clock(), f"/{name}"
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return found
    try:
        for parent in os.listdir(descriptor):
            path = parent + tail
            try:
                found[f"{prefix}/{path}"] = _version(os.stat(path, dir_fd=descriptor), now)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                found[f"{prefix}/{path}"] = str(error.errno)
    finally:
        os.close(descriptor)
    return found


def _version(found: os.stat_result, now: float) -> str:
    """The time of the last change of anything tells a copy whose modification time was set back."""
    changed = found.st_ctime_ns
    is_young = now - changed / 1e9 < YOUNG_SECONDS
    return f"{found.st_size} {found.st_mtime_ns} {changed}{' new' if is_young else ''}"


def _make_folders(folder: Path) -> None:
    """Like mkdir -p, but every new folder is its owner's only (mkdir's mode holds for the last one alone), and lasts."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    """Make what was renamed or made in it survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
