"""Runs over ranges of days: how one is asked for, and which days the runs and backfills in progress cover."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.run_process import has_lost_its_process

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"

NOTE_TAG = "ticket_events/note"
"""What a schedule has to say of the range that it asks for; the run logs it."""

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
"""A process executes those, or has done."""

NOT_YET_STARTED = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
"""A command line executes those by itself, or was killed in its first seconds; the others wait for Dagster."""

UNFINISHED_BACKFILLS = {"REQUESTED", "CANCELING", "FAILING"}

RECENT_BACKFILLS = 100
"""Backfills are listed newest first; one that is still in progress behind so many newer ones is not looked for."""

RETRY_SECONDS = 600
"""Dagster starts a retry within seconds of the failure; one that has not come after so long will not come."""


def range_tags(first: Day, last: Day) -> dict[str, str]:
    """The tags that make one run of an asset job cover the days from `first` through `last`."""
    return {RANGE_START_TAG: str(first), RANGE_END_TAG: str(last)}


def runs_in_progress(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, tags: Mapping[str, str] | None = None
) -> Iterator[dg.DagsterRun]:
    """The runs with these tags that are queued or running, or have died and will be started again in a moment.

    One from a command line is over as soon as its process is gone, whether `dead_runs_sensor` has ended it by then or not;
    one killed before it marked itself, after a minute.
    """
    wanted = dict(tags or {})
    for record in instance.get_run_records(dg.RunsFilter(tags=wanted, statuses=UNFINISHED)):
        if not _is_abandoned(instance, repository, record):
            yield record.dagster_run
    recently = dt.datetime.fromtimestamp(wall_clock() - RETRY_SECONDS, dt.UTC)
    failed = dg.RunsFilter(
        tags={**wanted, WILL_RETRY_TAG: "true"}, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=recently
    )
    yield from (run for run in instance.get_runs(failed) if is_launched(run) and RETRIED_BY_TAG not in run.tags)


def is_launched(run: dg.DagsterRun) -> bool:
    """Whether Dagster launched the run, and so can start it again; a command line executes it by itself.

    Dagster tags a run of a command line `will_retry` too when it is killed, but can't retry it: it doesn't know where from.
    """
    return run.remote_job_origin is not None


def _is_abandoned(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, record: dg.RunRecord) -> bool:
    """Whether a command line that is gone executed it: nothing will go on with it."""
    run = record.dagster_run
    if is_launched(run) or not may_have_died(run) or not touches(repository, run, ()):
        return False
    return has_lost_its_process(instance, repository, record)


def may_have_died(run: dg.DagsterRun) -> bool:
    """Whether a process should be executing the run by now: it has started, or its command line was to start it at once."""
    return run.status in STARTED or (run.status in NOT_YET_STARTED and not is_launched(run))


def touches(repository: dg.RepositoryDefinition, run: dg.DagsterRun, key_prefix: Sequence[str]) -> bool:
    """Whether the run makes or checks an asset of the account with those keys; a run of jobs of other kinds is nobody's."""
    if not repository.has_job(run.job_name):
        return False
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    keys = {*(run.asset_selection or ()), *checked} or repository.get_job(run.job_name).asset_layer.executable_asset_keys
    ours = repository.asset_graph.get_all_asset_keys()  # every location has a job of the same name for its assets
    return any(key in ours and key.path[: len(key_prefix)] == list(key_prefix) for key in keys)


def days_in_progress(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, asset_keys: Iterable[dg.AssetKey], *, timezone: str
) -> dict[Day, str]:
    """The days that a run in progress, or an unfinished backfill, over any of `asset_keys` covers; each with its name."""
    keys = set(asset_keys)
    jobs = {job.name for job in repository.get_all_jobs() if keys & set(job.asset_layer.executable_asset_keys)}
    days: dict[Day, str] = {}
    for run in runs_in_progress(instance, repository):
        is_touched = keys & run.asset_selection if run.asset_selection else run.job_name in jobs
        if is_touched:
            days |= dict.fromkeys(days_of_tags(run.tags, timezone), f"run {run.run_id}")
    return days | _days_of_backfills(instance, repository, keys, timezone)


def days_of_tags(tags: Mapping[str, str], timezone: str) -> list[Day]:
    """The days that a run covers, by its tags; none where one of them is no date, as tags may be anybody's text."""
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
