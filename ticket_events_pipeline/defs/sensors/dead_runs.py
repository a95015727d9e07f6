"""`dead_runs_sensor`: ends the runs whose process was killed, or went down with the machine.

Dagster's default launcher never notices those: they stay "started", hold their place in the pool, and the schedules and the
other sensor wait for them. Here they are reported as failed; Dagster's run retries (dagster.yaml) start them again, but for
those that a command line executed: they can't be retried, and hold no day as soon as their process is gone (`runs`). It is a
sensor of its own, as the other one asks for runs of one job and can be turned off without this. Launched runs that don't start
in time, and runs that don't end when canceled, are run monitoring's, and so are launchers that know their containers.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from ticket_events_pipeline.defs.run_process import Mark, forget, has_lost_its_process, mark_of
from ticket_events_pipeline.defs.runs import NOT_YET_STARTED, STARTED, WILL_RETRY_TAG, is_launched, may_have_died, touches
from ticket_events_pipeline.defs.scope import AccountScope

KILLED = (
    "The process of this run is gone: it was killed, or the machine went down ({process}). Every finished day is stored. "
    "The run is ended here so that nothing waits for it; "
)
GOES_ON = "run_retries in dagster.yaml let Dagster start it again, and then it goes on where this one stopped."
IS_UNLAUNCHED = (
    "it was started from a command line, so Dagster does not start it again: give the same command within 24 hours, and it "
    "goes on where this one stopped."
)
WAS_CANCELED = "it was being canceled, so it is not started again."


def dead_runs_sensor(scope: AccountScope) -> dg.SensorDefinition:
    """The account's sensor: ends every run over its assets whose process is gone for certain."""

    @dg.sensor(
        name=scope.named("dead_runs_sensor"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Ends the runs whose process was killed or went down with the machine, so that Dagster starts them again.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        repository, instance = context.repository_def, context.instance
        if repository is None:
            raise dg.DagsterInvariantViolationError("the sensor needs its repository to know which runs are its own")
        origin = context.code_location_origin
        label = None if origin is None else f"{repository.name}@{origin.location_name}"
        ended = []
        for run in dead_runs(instance, repository, label, key_prefix=scope.key_prefix):
            if end_run(instance, run):
                context.log.warning(f"Run {run.run_id} had lost its process and was ended.")
                ended.append(run.run_id)
        return dg.SkipReason(f"Ended: {', '.join(ended)}." if ended else "No run has lost its process.")

    return sensor


def dead_runs(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    label: str | None = None,
    *,
    key_prefix: Sequence[str] = (),
) -> list[dg.DagsterRun]:
    """The unfinished runs of the repository that are executed by no process any more.

    Args:
        instance: whose runs.
        repository: the jobs to look at.
        label: `repository@location`, by which Dagster tells apart equal jobs of several code locations.
        key_prefix: only runs over assets whose keys begin with it.
    """
    found = instance.get_run_records(dg.RunsFilter(statuses=[*STARTED, *NOT_YET_STARTED]))
    begun = [record for record in found if may_have_died(record.dagster_run)]
    ours = [record for record in begun if touches(repository, record.dagster_run, key_prefix)]
    here = [record for record in ours if not _is_elsewhere(record.dagster_run, label)]
    return [record.dagster_run for record in here if has_lost_its_process(instance, repository, record)]


def _is_elsewhere(run: dg.DagsterRun, label: str | None) -> bool:
    """Whether it was launched from another code location, whose own sensor looks after it."""
    origin = run.remote_job_origin
    return origin is not None and origin.repository_origin.get_label() != label


def end_run(instance: dg.DagsterInstance, seen: dg.DagsterRun) -> bool:
    """End a dead run; False where it has ended well, or has marked itself after all, since it was `seen`."""
    run = instance.get_run_by_id(seen.run_id)
    if run is None or run.is_finished or mark_of(run) != mark_of(seen):
        return False
    mark = mark_of(run)
    message = KILLED.format(process="it had no step begun" if mark is None else _told(mark))
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message + WAS_CANCELED)
    elif is_launched(run):
        instance.report_run_failed(run, message + GOES_ON)
    else:
        instance.report_run_failed(run, message + IS_UNLAUNCHED)
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})  # Dagster has said "true", and can't
    if mark is not None:
        forget(instance, mark)
    return True


def _told(mark: Mark) -> str:
    return f"process {mark.process.pid} on {mark.host}"
