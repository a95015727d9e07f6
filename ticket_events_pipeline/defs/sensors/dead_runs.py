"""`dead_runs_sensor`: ends the runs whose process was killed, or went down with the machine.

Dagster's default launcher never notices those runs: they stay "started" and hold their place in the pool, and the schedules and
the other sensor wait for them. This sensor reports them as failed. Dagster's run retries (dagster.yaml) start them again,
except for runs of a command line, which can't be retried and hold no day once their process is gone (`runs.runs_in_progress`).
It is a sensor of its own, so that the other one can be turned off without it. Dagster's run monitoring handles launched runs
that don't start in time, runs that don't end when canceled, and launchers that know their containers.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from ticket_events_pipeline.defs.run_process import Mark, forget, has_lost_its_process, mark_of
from ticket_events_pipeline.defs.runs import (
    NOT_YET_STARTED,
    STARTED,
    WILL_RETRY_TAG,
    is_launched,
    is_of_another_location,
    location_label,
    may_have_died,
    repository_of,
    touches,
)
from ticket_events_pipeline.defs.scope import AccountScope

KILLED = (
    "The process of this run is gone: it was killed, or the machine went down ({process}). Every finished day is stored. "
    "The run is ended here so that nothing waits for it; "
)
WILL_RESUME = "run_retries in dagster.yaml let Dagster start it again, and then it resumes where this one stopped."
FROM_COMMAND_LINE = (
    "it was started from a command line, so Dagster does not start it again: give the same command within 24 hours, and it "
    "resumes where this one stopped."
)
WAS_CANCELED = "it was being canceled, so it is not started again."


def dead_runs_sensor(scope: AccountScope) -> dg.SensorDefinition:
    """The account's sensor: ends every run over its assets whose process is gone for certain."""

    @dg.sensor(
        name=scope.named("dead_runs_sensor"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="On as shipped; leave it on: ends runs whose process was killed or went down with the machine, so that "
        "Dagster starts them again.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = []
        label, prefix = location_label(context), scope.key_prefix
        for run in dead_runs(context.instance, repository_of(context), label, key_prefix=prefix):
            if end_run(context.instance, run):
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
    """The unfinished runs of the repository that no process executes any more.

    Args:
        instance: whose runs.
        repository: only runs of its jobs.
        label: `repository@location`, see `runs.location_label`.
        key_prefix: only runs over assets whose keys begin with it.
    """
    found = instance.get_run_records(dg.RunsFilter(statuses=[*STARTED, *NOT_YET_STARTED]))
    begun = [record for record in found if may_have_died(record.dagster_run)]
    ours = [record for record in begun if touches(repository, record.dagster_run, key_prefix)]
    here = [record for record in ours if not is_of_another_location(record.dagster_run, label)]
    return [record.dagster_run for record in here if has_lost_its_process(instance, repository, record)]


def end_run(instance: dg.DagsterInstance, seen: dg.DagsterRun) -> bool:
    """End a dead run; False if it has ended, or marked itself after all, since it was `seen`."""
    run = instance.get_run_by_id(seen.run_id)
    if run is None or run.is_finished or mark_of(run) != mark_of(seen):
        return False
    mark = mark_of(run)
    message = KILLED.format(process="it had no step begun" if mark is None else _process_name(mark))
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message + WAS_CANCELED)
    elif is_launched(run):
        instance.report_run_failed(run, message + WILL_RESUME)
    else:
        instance.report_run_failed(run, message + FROM_COMMAND_LINE)
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})  # Dagster sets "true", but can't retry it
    if mark is not None:
        forget(instance, mark)
    return True


def _process_name(mark: Mark) -> str:
    return f"process {mark.process.pid} on {mark.host}"
