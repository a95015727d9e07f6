"""Which of an account's runs have failed for good, as far as Dagster knows by now, and what they said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import dagster as dg

from ticket_events_pipeline.alerts.observe import FailedRun
from ticket_events_pipeline.alerts.rules import run_subject
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, RETRY_SECONDS, WILL_RETRY_TAG, is_launched, touches

LOOKED_BACK_SECONDS = 86_400
"""A run that failed before is old news, for whoever turns the sensor on."""

MOST_RUNS = 100
"""Failures looked at, the newest first: beyond, there is one reason for all of them."""

UNTAGGED_SECONDS = 60
"""Dagster says whether it will start a run again a moment after it has failed; within this, it may still have to."""


def failed_runs(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    label: str | None,
    *,
    key_prefix: Sequence[str],
    now: int,
    is_posted: Callable[[str], bool],
) -> tuple[FailedRun, ...]:
    """The runs of the last day that failed and that nothing will start again by itself.

    Args:
        instance: whose runs.
        repository: the jobs to look at.
        label: `repository@location`, by which Dagster tells apart equal jobs of several code locations.
        key_prefix: only runs over assets whose keys begin with it.
        now: epoch seconds.
        is_posted: whether the subject of a run was posted before: its error isn't looked up once more.
    """
    since = dt.datetime.fromtimestamp(now - LOOKED_BACK_SECONDS, dt.UTC)
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    found = []
    for record in instance.get_run_records(filters, limit=MOST_RUNS):
        run, ended_at = record.dagster_run, _ended_at(record)
        is_ours = _is_of(label, run) and touches(repository, run, key_prefix)
        if is_ours and ended_at >= since.timestamp() and _is_for_good(instance, run, now - ended_at):
            found.append(_failed_run(instance, run, ended_at, is_posted=is_posted(run_subject(run.run_id))))
    return tuple(found)


def _failed_run(instance: dg.DagsterInstance, run: dg.DagsterRun, ended_at: int, *, is_posted: bool) -> FailedRun:
    if is_posted:
        return FailedRun(run.run_id, _name(run), ended_at)
    is_over = _last_success(instance, run.job_name) > ended_at
    return FailedRun(run.run_id, _name(run), ended_at, _reason(instance, run.run_id), is_over)


def _is_of(label: str | None, run: dg.DagsterRun) -> bool:
    origin = run.remote_job_origin
    return origin is None or origin.repository_origin.get_label() == label


def _is_for_good(instance: dg.DagsterInstance, run: dg.DagsterRun, seconds_ago: int) -> bool:
    if RETRIED_BY_TAG in run.tags:  # its retry speaks for it
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
    """The job's; of a run that was started from the assets, theirs."""
    if run.job_name.startswith("__") and run.asset_selection:
        return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    return run.job_name


def _reason(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """What its first failed step said where the words are ours; else only the error's kind, as its text may hold anything."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    for record in records:
        event = record.event_log_entry.get_dagster_event()
        failure = event.step_failure_data
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return failure.user_failure_data.description
        error = failure.error
        return None if error is None else (error.cause or error).cls_name
    return None
