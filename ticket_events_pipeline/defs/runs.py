"""The account's runs in Dagster: the days that runs and backfills in progress cover, and the runs that failed for good."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import dagster as dg

from ticket_events_pipeline.alerts.observe import FailedRun
from ticket_events_pipeline.alerts.rules import run_subject
from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.run_marks import has_lost_its_process

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"

WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_BY_TAG = "dagster/auto_retry_run_id"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

STARTED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
"""A process executes these runs, or did."""

NOT_YET_STARTED = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
"""A command line executes these runs at once, or was killed in its first seconds; launched ones wait for Dagster."""

UNFINISHED_BACKFILLS = {"REQUESTED", "CANCELING", "FAILING"}

RECENT_BACKFILLS = 100
"""Backfills are listed newest first; one that is still in progress behind so many newer ones is not found."""

RETRY_SECONDS = 600
"""Dagster starts a retry within seconds of the failure; one that has not started after so long never will."""

FAILED_SINCE_SECONDS = 86_400
"""A run that failed longer ago is no news for those who turn the alert sensor on."""

MAX_FAILED_RUNS = 100
"""So many failures are read, the newest first: more than that have one common reason."""

UNTAGGED_SECONDS = 60
"""Dagster tags a run a moment after its failure with whether it will retry it; within this time the tag may be missing."""


def repository_of(context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext) -> dg.RepositoryDefinition:
    """The repository of a tick, which says which jobs and runs touch the account's assets."""
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("sensors and schedules need their repository to know which runs are theirs")
    return context.repository_def


def location_label(context: dg.SensorEvaluationContext) -> str | None:
    """`repository@location`, by which Dagster distinguishes equal jobs of several code locations; None outside of one."""
    origin = context.code_location_origin
    return None if origin is None else f"{repository_of(context).name}@{origin.location_name}"


def range_tags(first: Day, last: Day) -> dict[str, str]:
    """The tags that make one run of an asset job cover the days from `first` through `last`."""
    return {RANGE_START_TAG: str(first), RANGE_END_TAG: str(last)}


def runs_in_progress(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, tags: Mapping[str, str] | None = None
) -> Iterator[dg.DagsterRun]:
    """The runs with these tags that are queued or running, or have failed and will be retried in a moment.

    A run of a command line is over as soon as its process is known to be gone, whether `dead_runs_sensor` has ended it by then
    or not; one on another machine, or that was killed before it marked itself, once the sensor has ended it.
    """
    wanted = dict(tags or {})
    for run in instance.get_runs(dg.RunsFilter(tags=wanted, statuses=UNFINISHED)):
        if not _is_abandoned(repository, run):
            yield run
    recently = dt.datetime.fromtimestamp(wall_clock() - RETRY_SECONDS, dt.UTC)
    failed = dg.RunsFilter(
        tags={**wanted, WILL_RETRY_TAG: "true"}, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=recently
    )
    yield from (run for run in instance.get_runs(failed) if is_launched(run) and RETRIED_BY_TAG not in run.tags)


def is_launched(run: dg.DagsterRun) -> bool:
    """Whether Dagster launched the run, and so can retry it; a command line executes its run itself.

    Dagster tags a killed run of a command line `will_retry` too, but can't retry it: it doesn't know its code location.
    """
    return run.remote_job_origin is not None


def _is_abandoned(repository: dg.RepositoryDefinition, run: dg.DagsterRun) -> bool:
    """Whether a command line executed the run and is gone: nothing continues it."""
    if is_launched(run) or not may_have_died(run) or not touches(repository, run, ()):
        return False
    return has_lost_its_process(repository, run)


def may_have_died(run: dg.DagsterRun) -> bool:
    """Whether a process should be executing the run by now: it has started, or its command line should have started it."""
    return run.status in STARTED or (run.status in NOT_YET_STARTED and not is_launched(run))


def touches(repository: dg.RepositoryDefinition, run: dg.DagsterRun, key_prefix: Sequence[str]) -> bool:
    """Whether the run makes or checks an asset whose key begins with `key_prefix`; runs of other jobs touch none."""
    if not repository.has_job(run.job_name):
        return False
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    keys = {*(run.asset_selection or ()), *checked} or repository.get_job(run.job_name).asset_layer.executable_asset_keys
    ours = repository.asset_graph.get_all_asset_keys()  # every location has an asset job of the same name
    return any(key in ours and key.path[: len(key_prefix)] == list(key_prefix) for key in keys)


def days_in_progress(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    asset_keys: Iterable[dg.AssetKey],
    *,
    timezone: str,
    without_jobs: Collection[str] = (),
) -> dict[Day, str]:
    """The days that runs in progress and unfinished backfills over any of `asset_keys` cover, each with the run's name.

    Runs of the jobs in `without_jobs` are left out.
    """
    keys = set(asset_keys)
    jobs = {job.name for job in repository.get_all_jobs() if keys & set(job.asset_layer.executable_asset_keys)}
    days: dict[Day, str] = {}
    for run in runs_in_progress(instance, repository):
        is_touched = keys & run.asset_selection if run.asset_selection else run.job_name in jobs
        if is_touched and run.job_name not in without_jobs:
            days |= dict.fromkeys(days_of_tags(run.tags, timezone), f"run {run.run_id}")
    return days | _days_of_backfills(instance, repository, keys, timezone)


def days_of_tags(tags: Mapping[str, str], timezone: str) -> list[Day]:
    """The days that a run covers, by its tags; none if one of them is no date, since tags may hold any text."""
    try:
        if RANGE_START_TAG in tags and RANGE_END_TAG in tags:
            first, last = Day.parse(tags[RANGE_START_TAG], timezone), Day.parse(tags[RANGE_END_TAG], timezone)
            return days_between(first, last)
        return [Day.parse(tags[PARTITION_TAG], timezone)] if PARTITION_TAG in tags else []
    except ValueError:
        return []


def _days_of_backfills(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, keys: set[dg.AssetKey], timezone: str
) -> dict[Day, str]:
    days: dict[Day, str] = {}
    for backfill in instance.get_backfills(limit=RECENT_BACKFILLS):
        if backfill.status.value not in UNFINISHED_BACKFILLS or not backfill.is_asset_backfill:
            continue
        target = backfill.get_asset_backfill_data(repository.asset_graph).target_subset
        for key in keys & target.asset_keys:
            partitions = target.get_partitions_subset(key).get_partition_keys()
            days |= {Day.parse(partition, timezone): f"backfill {backfill.backfill_id}" for partition in partitions}
    return days


def failed_runs(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    label: str | None,
    *,
    key_prefix: Sequence[str],
    now: int,
    is_posted: Callable[[str], bool],
) -> tuple[FailedRun, ...]:
    """The runs of the last day that failed and that Dagster will not retry.

    Args:
        instance: whose runs.
        repository: only runs of its jobs.
        label: `repository@location`, see `location_label`.
        key_prefix: only runs over assets whose keys begin with it.
        now: epoch seconds.
        is_posted: whether the subject of a run was reported before; its reason isn't read once more then.
    """
    since = dt.datetime.fromtimestamp(now - FAILED_SINCE_SECONDS, dt.UTC)
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    found = []
    for record in instance.get_run_records(filters, limit=MAX_FAILED_RUNS):
        run, ended_at = record.dagster_run, _ended_at(record)
        is_ours = not is_of_another_location(run, label) and touches(repository, run, key_prefix)
        if is_ours and ended_at >= since.timestamp() and _is_final(instance, run, now - ended_at):
            found.append(_failed_run(instance, run, ended_at, is_posted=is_posted(run_subject(run.run_id))))
    return tuple(found)


def _failed_run(instance: dg.DagsterInstance, run: dg.DagsterRun, ended_at: int, *, is_posted: bool) -> FailedRun:
    if is_posted:
        return FailedRun(run.run_id, _name(run), ended_at)
    is_over = _last_success(instance, run.job_name) > ended_at
    return FailedRun(run.run_id, _name(run), ended_at, _reason(instance, run.run_id), is_over)


def is_of_another_location(run: dg.DagsterRun, label: str | None) -> bool:
    """Whether another code location than the one of `label` launched the run; its own sensors handle it."""
    origin = run.remote_job_origin
    return origin is not None and origin.repository_origin.get_label() != label


def _is_final(instance: dg.DagsterInstance, run: dg.DagsterRun, seconds_ago: int) -> bool:
    if RETRIED_BY_TAG in run.tags:  # its retry is reported instead
        return False
    if not is_launched(run):
        return True
    will_retry = run.tags.get(WILL_RETRY_TAG)
    if will_retry is None:
        return seconds_ago > UNTAGGED_SECONDS or not instance.run_retries_enabled
    return will_retry != "true" or seconds_ago > RETRY_SECONDS


def _ended_at(record: dg.RunRecord) -> int:
    return int(record.end_time or record.update_timestamp.timestamp())


def _last_success(instance: dg.DagsterInstance, job_name: str) -> float:
    """When the job's newest successful run ended, epoch seconds; 0 without one."""
    filters = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    return max((record.end_time or 0 for record in instance.get_run_records(filters, limit=1)), default=0)


def _name(run: dg.DagsterRun) -> str:
    """The job's name; for a run that was started from the assets, their names."""
    if run.job_name.startswith("__") and run.asset_selection:
        return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    return run.job_name


def _reason(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The message of the first failed step if it is ours; otherwise only the error's class, as its text may hold anything."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    for record in records:
        event = record.event_log_entry.get_dagster_event()
        failure = event.step_failure_data
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
        return None if error is None else (error.cause or error).cls_name
    return None
