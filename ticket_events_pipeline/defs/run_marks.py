"""The mark of a run: which process executes it, on which machine, and in which root it beats. A tag of the run holds it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import dagster as dg

from ticket_events_pipeline.defs.run_tags import PROCESS_TAG, tag_of
from ticket_events_pipeline.process import Process, host_name, this_process
from ticket_events_pipeline.storage.run_beats import RunBeat

WAS_ENDED = "This run was ended before its first step began. Start it again."

ONE_PROCESS = {dg.in_process_executor.name, "execute_in_process_executor"}
"""The executors that run all steps in one process: that of the jobs, and Dagster's own for the runs of commands."""

_ROOT = " root:"


@dataclass(frozen=True)
class Mark:
    """The process of a run, as a tag of the run holds it.

    Attributes:
        run_id: the marked run: a retry inherits its parent's tags, but not its process.
        host: name of the machine.
        process: the process that executes all steps of the run.
        root: see `root_word`; empty if the run has stored no beat before its mark, as runs of earlier versions haven't.
    """

    run_id: str
    host: str
    process: Process
    root: str = ""

    def __str__(self) -> str:
        return f"{self.run_id} {self.host} {self.process}{f'{_ROOT}{self.root}' if self.root else ''}"


def root_word(location: str) -> str:
    """A short word for a root, by which runs and code servers see whether they have the same one."""
    return hashlib.sha256(location.encode()).hexdigest()[:12]


def mark_run(instance: dg.DagsterInstance, run_id: str, beat: RunBeat | None = None) -> None:
    """Record in the run's tags that the calling process executes it, and where it beats; call it before the first step.

    Raises:
        dagster.Failure: the run was ended before it was marked, so its days may be another run's by now.
    """
    root = root_word(beat.store.location) if beat is not None and beat.is_stored else ""
    instance.add_run_tags(run_id, {PROCESS_TAG: str(Mark(run_id, host_name(), this_process(), root))})
    # After the mark: an unmarked run is ended only after a search for its mark. The run's status doesn't show that: a run that
    # was ended before its start counts as started again as soon as its process starts it.
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
    was_ended = beat is not None and beat.was_ended
    if was_ended or instance.get_records_for_run(run_id, of_type=ends, limit=1).records:
        raise dg.Failure(description=WAS_ENDED, allow_retries=False)


def mark_of(run: dg.DagsterRun) -> Mark | None:
    """The run's own mark; None before its first step, or without one."""
    name, _, root = (tag_of(run, PROCESS_TAG) or "").partition(_ROOT)
    run_id, _, rest = name.partition(" ")
    host, _, token = rest.rpartition(" ")
    process = Process.parse(token)
    return None if process is None or run_id != run.run_id else Mark(run_id, host, process, root)


def has_one_process(job: dg.JobDefinition) -> bool:
    """Whether one process executes all steps of a run of the job."""
    return job.executor_def.name in ONE_PROCESS


def is_executed_in_one_process(repository: dg.RepositoryDefinition, run: dg.DagsterRun) -> bool:
    """Whether one process executes all steps of the run, which is one of the repository's: else a mark says nothing of it."""
    return has_one_process(repository.get_job(run.job_name))


def has_lost_its_process(repository: dg.RepositoryDefinition, run: dg.DagsterRun) -> bool:
    """Whether the run's process has certainly ended; False also where that can't be known: on another machine or container."""
    mark = mark_of(run)
    return mark is not None and mark.process.is_gone and is_executed_in_one_process(repository, run)
