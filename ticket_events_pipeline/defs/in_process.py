"""Runs of the account's jobs in the calling process, recorded on a Dagster instance, for commands that show their progress."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.errors import TicketEventsError, UsageError
from ticket_events_pipeline.installation import dagster_home_hint

NO_TAGS: Mapping[str, str] = MappingProxyType({})

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Progress:
    """What a run calls while it works.

    Attributes:
        made: after each day of an asset.
        logged: with each line that the pipeline logs.
    """

    made: Callable[[], None]
    logged: Callable[[str], None] = lambda _: None


def deployment_instance(*, or_ephemeral: bool = False) -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME, so that its UI shows the runs; without that variable, one that is gone afterwards, or none.

    Raises:
        UsageError: it is not set, or is no folder.
    """
    if not os.environ.get("DAGSTER_HOME"):
        if or_ephemeral:
            return dg.DagsterInstance.ephemeral()
        raise UsageError(
            "DAGSTER_HOME is not set: runs are recorded there, so that the UI shows their days. Set it to the folder that "
            f"Dagster uses here, as an absolute path.{dagster_home_hint()}"
        )
    try:
        return dg.DagsterInstance.get()
    except dg.DagsterInvariantViolationError as error:
        raise UsageError(f"{error}. Make that folder, or unset DAGSTER_HOME.") from error


def run_range(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    first: Day,
    last: Day,
    *,
    progress: Progress,
    assets: Sequence[dg.AssetKey] | None = None,
) -> None:
    """One run of the job over the days from `first` through `last`, of all its assets or of some; see `run_job`."""
    run_job(instance, job, progress=progress, tags=range_tags(first, last), assets=assets)


def run_job(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    *,
    progress: Progress,
    tags: Mapping[str, str] = NO_TAGS,
    assets: Sequence[dg.AssetKey] | None = None,
) -> None:
    """One run of the job, of all its assets or of some.

    Raises:
        TicketEventsError: the run failed; the message has the reasons of its steps.
        KeyboardInterrupt: Ctrl-C ended it; Dagster has recorded the run as failed.
    """
    run_id = str(uuid.uuid4())

    def listener(entry: dg.EventLogEntry) -> None:
        if not entry.is_dagster_event:
            progress.logged(entry.user_message)
        elif entry.get_dagster_event().is_step_materialization:
            progress.made()

    instance.add_event_listener(run_id, listener)
    result = job.execute_in_process(
        run_config=_QUIET,
        instance=instance,
        tags=dict(tags),
        raise_on_error=False,
        run_id=run_id,
        asset_selection=None if assets is None else list(assets),
    )
    if not result.success:
        failed = [event for event in result.all_events if event.is_step_failure]
        if any(_is_interrupt(event) for event in failed):
            raise KeyboardInterrupt
        failures = [_reason(event) for event in failed]
        raise TicketEventsError("\n".join([f"The run of {job.name} failed.", *failures]))


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    """Dagster makes a step failure of Ctrl-C, where it comes while a step runs."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterExecutionInterruptedError"


def _reason(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    description = failure.user_failure_data.description if failure.user_failure_data else None
    return f"{event.step_key}: {description or failure.error_display_string}"
