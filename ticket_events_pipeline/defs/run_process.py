"""The process that executes a run: marked on the run itself, and considered gone only where that is certain.

There are two proofs. The process id shows whether the process still exists, but only within its own process namespace and since
the last boot. So the process also holds a lock below Dagster's storage folder for as long as it lives, which the system
releases however the process ends. A process that shares neither is left alone; run monitoring knows about the containers and
pods that a launcher has started.
"""

from __future__ import annotations

import atexit
import functools
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.run_tags import PROCESS_TAG, tag_of
from ticket_events_pipeline.process import Process, exists, host_name, this_process

UNMARKED_SECONDS = 60
"""A run marks itself between its start and its first step, which are moments apart; a command line starts its run at once."""


@dataclass(frozen=True)
class Mark:
    """The process of a run, as a tag of the run holds it.

    Attributes:
        run_id: the marked run: a retry inherits its parent's tags, but not its process.
        host: name of the machine.
        process: the process that executes all steps of the run.
    """

    run_id: str
    host: str
    process: Process

    def __str__(self) -> str:
        return f"{self.run_id} {self.host} {self.process}"


def mark_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Record in the run's tags that the calling process executes it; call it before the first step.

    Raises:
        dagster.Failure: the run was ended before it was marked, so its days may be another run's by now.
    """
    # The lock first: a reader of the mark must find it held.
    _hold(_lock_path(instance, this_process()))
    instance.add_run_tags(run_id, {PROCESS_TAG: str(Mark(run_id, host_name(), this_process()))})
    # After the mark: an unmarked run is ended only after a search for its mark. The run's status doesn't show that: a run that
    # was ended before its start counts as started again as soon as its process starts it.
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
    if instance.get_records_for_run(run_id, of_type=ends, limit=1).records:
        raise dg.Failure(description="This run was ended before its first step began. Start it again.", allow_retries=False)


def mark_of(run: dg.DagsterRun) -> Mark | None:
    """The run's own mark; None before its first step, or without one."""
    run_id, _, rest = (tag_of(run, PROCESS_TAG) or "").partition(" ")
    host, _, token = rest.rpartition(" ")
    process = Process.parse(token)
    return None if process is None or run_id != run.run_id else Mark(run_id, host, process)


def is_gone(instance: dg.DagsterInstance, mark: Mark) -> bool:
    """Whether the process has ended for certain; False also where that can't be known from here."""
    here, process = this_process(), mark.process
    lock_is_free = _is_free(_lock_path(instance, process))
    if lock_is_free is False:
        return False
    if process.boot and (process.boot, process.space) == (here.boot, here.space):
        return process.is_gone
    # A free lock proves nothing on a network share that locks per machine. Within one boot there is one machine, and a machine
    # of the same name that has booted since, after a power loss, counts as the same.
    is_same_machine = mark.host == host_name() or (process.boot != "" and process.boot == here.boot)
    return lock_is_free is True and is_same_machine


def has_lost_its_process(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, record: dg.RunRecord) -> bool:
    """Whether for certain no process executes a run of the repository any more that should be executed by now."""
    run = record.dagster_run
    # With another executor the steps have their own processes: the mark says nothing about the run's.
    if repository.get_job(run.job_name).executor_def != dg.in_process_executor:
        return False
    mark = mark_of(run)
    return _died_before_its_first_step(instance, record) if mark is None else is_gone(instance, mark)


def _died_before_its_first_step(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether the run had enough time to mark itself, has begun no step, and reported no process id that exists here.

    That proves nothing about a process on another machine; but such a process finds its run ended when it marks it, and stops.
    """
    was_launched = record.dagster_run.remote_job_origin is not None
    if was_launched and not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return False
    since = record.create_timestamp.timestamp() if record.start_time is None and not was_launched else record.start_time
    if since is None or wall_clock() - since < UNMARKED_SECONDS:
        return False
    kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.ENGINE_EVENT}
    entries = instance.get_records_for_run(record.dagster_run.run_id, of_type=kinds).records
    events = [entry.event_log_entry.get_dagster_event() for entry in entries]
    if any(event.event_type == dg.DagsterEventType.STEP_START for event in events):
        return False
    reported = [event.engine_event_data.metadata.get("pid") for event in events]
    numbers = [int(str(number.value)) for number in reported if number is not None]
    # A launcher's process reports its id before the run starts; a command line does so a moment later.
    return bool(numbers or not was_launched) and not any(exists(number) for number in numbers)


def forget(instance: dg.DagsterInstance, mark: Mark) -> None:
    """Remove the lock file of a process that is gone."""
    with suppress(OSError):
        _lock_path(instance, mark.process).unlink()


def _lock_path(instance: dg.DagsterInstance, process: Process) -> Path:
    return Path(instance.storage_directory()) / "run_processes" / f"{process}.lock"


def _is_free(path: Path) -> bool | None:
    """Whether the lock is free; None if there is none, or it can't be tried."""
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
    """Hold the lock until the process ends; None if the file system can't lock: only the process id is left then."""
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        if _is_free(path) is False:
            atexit.register(_release, lock, path)
            return lock
    except (OSError, NotImplementedError, Timeout):
        pass
    # A lock that doesn't hold would claim that this process is gone.
    _release(lock, path)
    return None


def _release(lock: FileLock, path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    lock.release(force=True)
