"""Runs over ranges of days: how one is asked for, and which days the runs and backfills in progress cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.partitions import DAILY, TIMEZONE

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

UNFINISHED_BACKFILLS = {"REQUESTED", "CANCELING", "FAILING"}

RECENT_BACKFILLS = 100
"""Backfills are listed newest first; one that is still in progress behind so many newer ones is not looked for."""


def range_tags(first: Day, last: Day) -> dict[str, str]:
    """The tags that make one run of an asset job cover the days from `first` through `last`."""
    return {RANGE_START_TAG: str(first), RANGE_END_TAG: str(last)}


def days_in_progress(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, asset_keys: Iterable[dg.AssetKey]
) -> set[Day]:
    """The days that a queued or running run, or an unfinished backfill, over any of `asset_keys` covers."""
    keys = set(asset_keys)
    jobs = {job.name for job in repository.get_all_jobs() if keys & set(job.asset_layer.executable_asset_keys)}
    days: set[Day] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        touches = keys & run.asset_selection if run.asset_selection else run.job_name in jobs
        if touches:
            days |= _days_of_tags(run.tags)
    return days | _days_of_backfills(instance, repository, keys)


def _days_of_tags(tags: Mapping[str, str]) -> set[Day]:
    if RANGE_START_TAG in tags and RANGE_END_TAG in tags:
        first, last = Day.parse(tags[RANGE_START_TAG], TIMEZONE), Day.parse(tags[RANGE_END_TAG], TIMEZONE)
        return set(days_between(first, last))
    return {Day.parse(tags[PARTITION_TAG], TIMEZONE)} if PARTITION_TAG in tags else set()


def _days_of_backfills(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, keys: set[dg.AssetKey]) -> set[Day]:
    days: set[Day] = set()
    for backfill in instance.get_backfills(limit=RECENT_BACKFILLS):
        if backfill.status.value not in UNFINISHED_BACKFILLS or not backfill.is_asset_backfill:
            continue
        target = backfill.get_asset_backfill_data(repository.asset_graph).target_subset
        for key in keys & target.asset_keys:
            subset = target.get_partitions_subset(key)
            days |= {Day.parse(partition, TIMEZONE) for partition in subset.get_partition_keys()}
    return days


def is_partition(day: Day) -> bool:
    """Whether the day is one of the pipeline's partitions by now."""
    return DAILY.has_partition_key(str(day))
