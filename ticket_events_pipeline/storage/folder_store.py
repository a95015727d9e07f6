"""A store in a folder, on a file system that renames atomically."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ticket_events_pipeline.day import Instant, wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.process import this_process
from ticket_events_pipeline.storage.file_lock import Log, locked
from ticket_events_pipeline.storage.second_process import lock_problem
from ticket_events_pipeline.storage.store import HALF_WRITTEN, Change, Fence, remove_half_written

YOUNG_SECONDS = 2
"""File systems store times in ticks: milliseconds as a rule, two seconds at most (FAT)."""


class FolderStore:
    """A folder on a file system that renames atomically. Only its owner may read it: events are personal data."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.location = str(root)

    @contextmanager
    def writer(self, path: str, *, fence: Fence | None = None) -> Iterator[BinaryIO]:
        """See `Store.writer`. The content is on disk before the name is.

        Raises:
            UsageError: the folder can't be written, or is full.
            LockHeldError: see `update`; only with a fence.
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
            with suppress(OSError):  # after success it no longer exists
                inflight.unlink()

    def reader(self, path: str) -> BinaryIO:
        """See `Store.reader`.

        Raises:
            UsageError: the file can't be read.
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

    def versions(self, prefix: str) -> dict[str, str]:
        """See `Store.versions`.

        Raises:
            UsageError: the folder can't be listed.
        """
        with self._listing(prefix):
            return dict(_versions(self._root / prefix, prefix, wall_clock()))

    def table_versions(self, tables: Sequence[str]) -> dict[str, str]:
        """See `Store.table_versions`. Without looking for further files, this is many times faster.

        Raises:
            UsageError: a folder can't be listed.
        """
        found: dict[str, str] = {}
        for table in tables:
            with self._listing(table):
                found |= _versions_named(self._root / table, table, f"{table}.parquet")
        return found

    @contextmanager
    def _listing(self, prefix: str) -> Iterator[None]:
        try:
            yield
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

    def clock(self) -> Instant:
        """See `Store.clock`."""
        return Instant.exactly(wall_clock())

    def sweep(self) -> None:
        """See `Store.sweep`."""
        remove_half_written(self)

    def check(self) -> None:
        """See `Store.check`."""
        with suppress(_TrialOverError), self.writer("trial") as file:
            file.write(b"files can be written here\n")
            raise _TrialOverError  # leave nothing behind
        try:
            problem = lock_problem(self._root / HALF_WRITTEN)
        except OSError as error:
            raise UsageError(f"TICKET_EVENTS_ROOT: can't write below {self.location}: {error.strerror or error}.") from error
        if problem:
            raise UsageError(
                f"TICKET_EVENTS_ROOT: locks below {self.location} don't keep two fetches apart: {problem}. On a network share "
                "(NFS, SMB) its server has to lock. Use an object store, a local disk, or a share that is mounted with locks."
            )

    def url(self, path: str) -> str:
        """See `Store.url`."""
        return str(self._root / path)

    @contextmanager
    def _allowed(self, fence: Fence | None) -> Iterator[None]:
        """No other process can take the lease while the block runs."""
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
        with locked(target, log=log or _ignore):
            yield

    def _half_written(self, target: Path) -> Path:
        return self._root / HALF_WRITTEN / f"{this_process()}.{uuid.uuid4().hex}.{target.name}"


def _ignore(_: str) -> None:
    """Drop a log line."""


class _TrialOverError(Exception):
    """The trial file has been written."""


def _versions(folder: Path, prefix: str, now: float) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir():
                yield from _versions(Path(entry.path), path, now)
            else:
                yield path, _version(entry.stat(), now)


def _versions_named(folder: Path, prefix: str, name: str) -> dict[str, str]:
    """Versions of the files `prefix/*/name`. A file that can't be examined has one too: reading it raises the error."""
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
    """Size and times; the change time reveals a copy whose modification time was set back."""
    changed = found.st_ctime_ns
    is_young = now - changed / 1e9 < YOUNG_SECONDS
    return f"{found.st_size} {found.st_mtime_ns} {changed}{' new' if is_young else ''}"


def _make_folders(folder: Path) -> None:
    """Like mkdir -p, but durable, and readable by the owner only (mkdir applies its mode to the last folder alone)."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    """Make renames and new files in it survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
