"""Retries that Dagster announced and lost: the failure of the run is reported again.

Dagster's daemon looks at a run when it reads the event of its failure. The event is stored a moment before the run's status and
the tag `dagster/will_retry`. A daemon that reads in between takes the run for one that has not failed, and doesn't look again;
then the run is never retried, and its backfill waits for the retry for ever (seen with Dagster 1.13.27 on Postgres, on a busy
machine). To report the failure again is harmless: a run that has been retried is not retried twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import dagster as dg

from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, WILL_RETRY_TAG, is_launched

BEGUN_WITHIN_SECONDS = 60.0
"""The daemon looks for failures every few seconds."""

LOOK_BACK_SECONDS = 3600.0
"""A failure that is older is left to people."""

MOST_REPORTS = 3
"""Failures of one run, the first included: more show only that no daemon works, or that it doesn't want to retry the run."""

LOST = (
    "Dagster announced that it would start this run again, and has not done so after {seconds:.0f} s. Its failure is reported "
    "again, so that the daemon looks at it."
)


def report_lost_retries(
    instance: dg.DagsterInstance, is_ours: Callable[[dg.DagsterRun], bool], *, now: float
) -> list[dg.DagsterRun]:
    """Report again the failures of runs whose retry was announced and has not begun.

    Args:
        instance: whose runs.
        is_ours: whether a run is one of the account's, in this code location.
        now: epoch seconds.

    Returns:
        The runs whose failure was reported again.
    """
    since = dt.datetime.fromtimestamp(now - LOOK_BACK_SECONDS, dt.UTC)
    announced = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"}, updated_after=since)
    found = []
    for record in instance.get_run_records(announced):
        run = record.dagster_run
        seconds = now - (record.end_time or now)
        if seconds < BEGUN_WITHIN_SECONDS or RETRIED_BY_TAG in run.tags or not is_launched(run) or not is_ours(run):
            continue
        reports = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
        if len(reports) < MOST_REPORTS:
            instance.report_run_failed(run, LOST.format(seconds=seconds))
            found.append(run)
    return found
