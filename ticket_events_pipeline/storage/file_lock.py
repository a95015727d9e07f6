"""File locks in a folder: waiting is bounded, and logs which process holds the lock.

The system releases the lock of a process that has ended, but not of one that is suspended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ticket_events_pipeline.errors import LockHeldError
from ticket_events_pipeline.process import Process, host_name, this_process

Log = Callable[[str], None]

WAIT_SECONDS = 60.0
"""A lock is held for milliseconds: a small file is read and replaced. Longer than a network share takes to fail over, and
shorter than the time after which a fetch without a heartbeat counts as dead."""

LOG_AFTER_SECONDS = 5.0
"""After so long a wait, the holder is logged."""


@contextmanager
def locked(target: Path, *, log: Log) -> Iterator[None]:
    """Hold the lock of the file `target`, whose folder exists; `log` gets a line that names the holder.

    Raises:
        LockHeldError: another process has held it for WAIT_SECONDS; says which.
        OSError: the file system can't lock, or the folder can't be written.
    """
    lock = FileLock(target.with_name(f"{target.name}.lock"), mode=0o600)
    # Not in the lock file itself: opening a lock empties it.
    holder = target.with_name(f"{target.name}.lock.holder")
    _acquire(lock, target, holder, log)
    try:
        with suppress(OSError):  # on a full disk, files can still be removed
            _write_own_name(holder)
        yield
    finally:
        with suppress(OSError):
            holder.unlink()  # or the next error would name a process that has released the lock
        lock.release()


def _acquire(lock: FileLock, target: Path, holder: Path, log: Log) -> None:
    begun_at = time.monotonic()
    with suppress(Timeout):
        lock.acquire(timeout=min(LOG_AFTER_SECONDS, WAIT_SECONDS))
        return
    left_seconds = max(0.0, WAIT_SECONDS - (time.monotonic() - begun_at))
    log(f"{target} is held by {_named(holder)}; waiting for it, up to {left_seconds:.0f} s")
    try:
        lock.acquire(timeout=left_seconds)
    except Timeout:
        process = _parsed(holder)[0]
        resume = f" (kill -CONT {process.pid})" if process else ""
        raise LockHeldError(
            f"{target} has been held by {_named(holder)} for more than {WAIT_SECONDS:g} s: it is suspended, or the disk "
            f"hangs. Resume it{resume}, or end it; then run this again. Leave the lock file where it is: without it, that "
            "process would replace what others have written."
        ) from None


def _write_own_name(holder: Path) -> None:
    with open(os.open(holder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{this_process()} {host_name()}")


def _named(holder: Path) -> str:
    process, host = _parsed(holder)
    return f"process {process.pid} on {host}" if process else "another process"


def _parsed(holder: Path) -> tuple[Process | None, str]:
    try:
        name, _, host = holder.read_text().partition(" ")
    except (OSError, ValueError):  # it has just taken the lock
        return None, ""
    process = Process.parse(name)
    return (None, "") if process is None or process.is_gone or process == this_process() else (process, host)
