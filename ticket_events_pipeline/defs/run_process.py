"""The process that a run runs in: marked on the run itself, and called gone only where that is certain.

Two proofs. The number space that the process was counted in shows whether it is still there; that tells nothing of other
containers, nor of the machine before its last boot. So the process also holds a lock below Dagster's storage folder for as
long as it lives: the system takes it back whatever the process died of. Who shares neither is left alone; run monitoring
knows about containers and pods that a launcher has started.
"""

from __future__ import annotations

import atexit
import functools
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from ticket_events_pipeline.process import Process, host_name, this_process

PROCESS_TAG = "ticket_events/process"


@dataclass(frozen=True)
class Mark:
    """What a run tells of its process.

    Attributes:
        run_id: the run that it was written for: a retry inherits its parent's tags, but not its process.
        host: name of the machine.
        process: all steps of the run are executed in it.
    """

    run_id: str
    host: str
    process: Process

    def __str__(self) -> str:
        return f"{self.run_id} {self.host} {self.process}"


def mark_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Say in the run's tags that it is executed by the calling process; to be called before its first step."""
    # The lock first: whoever reads the mark must find it held.
    _hold(_lock_path(instance, this_process()))
    instance.add_run_tags(run_id, {PROCESS_TAG: str(Mark(run_id, host_name(), this_process()))})


def mark_of(run: dg.DagsterRun) -> Mark | None:
    """The run's own mark; None before its first step, and if it never got one."""
    run_id, _, rest = run.tags.get(PROCESS_TAG, "").partition(" ")
    host, _, token = rest.rpartition(" ")
    process = Process.parse(token)
    return None if process is None or run_id != run.run_id else Mark(run_id, host, process)


def is_gone(instance: dg.DagsterInstance, mark: Mark) -> bool:
    """Whether the process has ended for certain; False also where there is no telling from here."""
    here, process = this_process(), mark.process
    lock_is_free = _is_free(_lock_path(instance, process))
    if lock_is_free is False:
        return False
    if process.boot and (process.boot, process.space) == (here.boot, here.space):
        return process.is_gone
    # A free lock proves nothing on a network share that locks for each machine apart. Within one boot there is one machine,
    # and one of the same name that has booted since, after a power loss, is taken for the same.
    is_same_machine = mark.host == host_name() or (process.boot != "" and process.boot == here.boot)
    return lock_is_free is True and is_same_machine


def forget(instance: dg.DagsterInstance, mark: Mark) -> None:
    """Remove what the process, which is gone, has left behind."""
    with suppress(OSError):
        _lock_path(instance, mark.process).unlink()


def _lock_path(instance: dg.DagsterInstance, process: Process) -> Path:
    return Path(instance.storage_directory()) / "run_processes" / f"{process}.lock"


def _is_free(path: Path) -> bool | None:
    """Whether nobody holds the lock; None where there is none, or no telling."""
    if not path.exists():
        return None
    lock = FileLock(path)
    try:
        with lock.acquire(timeout=0):
            return True
    except Timeout:
        return False
    except (OSError, NotImplementedError):
        return None


@functools.cache
def _hold(path: Path) -> FileLock | None:
    """Take the lock until the process ends; None where the file system can't lock: the number space has to do then."""
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        if _is_free(path) is False:
            atexit.register(_let_go, lock, path)
            return lock
    except (OSError, NotImplementedError, Timeout):
        pass
    # A lock that doesn't hold would say that we are gone.
    _let_go(lock, path)
    return None


def _let_go(lock: FileLock, path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    lock.release(force=True)
