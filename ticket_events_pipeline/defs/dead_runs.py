"""`dead_runs_sensor`: ends the runs whose process was killed, or went down with the machine.

Dagster's default launcher never notices those: they stay "started", hold their place in the pool, and the schedules and the
other sensor wait for them. Here they are reported as failed; Dagster's run retries (dagster.yaml) start them again. It is a
sensor of its own, as the other one asks for runs of one job and can be turned off without this. Runs that don't start in time
or don't end when canceled are run monitoring's, and so are launchers that know their containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.run_process import Mark, forget, is_gone, mark_of
from ticket_events_pipeline.defs.runs import touches

UNMARKED_SECONDS = 60
"""A run marks itself between its start and its first step, which are moments apart."""

KILLED = (
    "The process of this run is gone: it was killed, or the machine went down ({process}). Every finished day is stored. "
    "The run is ended here so that nothing waits for it; "
)
GOES_ON = "run_retries in dagster.yaml let Dagster start it again, and then it goes on where this one stopped."
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
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    found = instance.get_run_records(dg.RunsFilter(statuses=statuses))
    ours = [record for record in found if touches(repository, record.dagster_run, key_prefix)]
    return [record.dagster_run for record in ours if _is_dead(instance, repository, record, label)]


def _is_dead(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, record: dg.RunRecord, label: str | None
) -> bool:
    run = record.dagster_run
    # With another executor the steps have processes of their own: the mark says nothing of the run's.
    if repository.get_job(run.job_name).executor_def != dg.in_process_executor:
        return False
    origin = run.remote_job_origin
    launched_from = None if origin is None else origin.repository_origin.get_label()
    if launched_from is not None and launched_from != label:
        return False
    mark = mark_of(run)
    if mark is not None:
        return is_gone(instance, mark)
    return launched_from is not None and _died_before_its_first_step(instance, record)


def _died_before_its_first_step(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether the run had time enough to mark itself, has begun no step, and left only a number of which no process is here."""
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher) or record.start_time is None:
        return False
    if wall_clock() - record.start_time < UNMARKED_SECONDS:
        return False
    kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.ENGINE_EVENT}
    entries = instance.get_records_for_run(record.dagster_run.run_id, of_type=kinds).records
    events = [entry.event_log_entry.get_dagster_event() for entry in entries]
    if any(event.event_type == dg.DagsterEventType.STEP_START for event in events):
        return False
    told = [event.engine_event_data.metadata.get("pid") for event in events]
    numbers = [number.value for number in told if number is not None]
    return bool(numbers) and not any(Path(f"/proc/{number}").exists() for number in numbers)


def end_run(instance: dg.DagsterInstance, seen: dg.DagsterRun) -> bool:
    """End a dead run; False where it has ended well, as the last that its process did since it was `seen`."""
    run = instance.get_run_by_id(seen.run_id)
    mark = mark_of(seen)
    if run is None or run.is_finished:
        return False
    message = KILLED.format(process="it had no step begun" if mark is None else _told(mark))
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message + WAS_CANCELED)
    else:
        instance.report_run_failed(run, message + GOES_ON)
    if mark is not None:
        forget(instance, mark)
    return True


def _told(mark: Mark) -> str:
    return f"process {mark.process.pid} on {mark.host}"
