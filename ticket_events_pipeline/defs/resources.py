"""The resource of an account: its pipeline, made once a run, and the run's sign of life while it is in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import cast

import dagster as dg

from ticket_events_pipeline.code_server import fingerprint_of, read_code_server, warning
from ticket_events_pipeline.defs.dagster_home import claim_dagster_home
from ticket_events_pipeline.defs.open_log import log_kept_open
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.run_marks import mark_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.root import is_object_store
from ticket_events_pipeline.storage.run_beats import RunBeat, beating
from ticket_events_pipeline.storage.store import Store

PIPELINE = "pipeline"
"""The resource's key; an account's name stands before it where a code location has several."""

ENDED_MEANWHILE = (
    "This run was ended while it ran: its process had given no sign of life for more than a minute, because it was stopped or "
    "couldn't reach the root. It begins no further step; the run that was started in its place goes on."
)


@dataclass(frozen=True)
class RunningPipeline:
    """The resource's value.

    Attributes:
        pipeline: of the account.
        beat: of the run; None outside of one, or if its root can't be opened: the first step says why.
    """

    pipeline: Pipeline
    beat: RunBeat | None = None


def pipeline_resource(scope: AccountScope) -> dg.ResourceDefinition:
    """The account's resource. Before its first step the run is marked, and it beats until its last one is over."""

    def resource(context: dg.InitResourceContext) -> Iterator[RunningPipeline]:
        pipeline = scope.pipeline() if context.log is None else scope.pipeline(log=context.log.info)
        if context.run is None or context.instance is None:
            yield RunningPipeline(pipeline)
            return
        with _beating(pipeline, context.run.run_id) as beat, log_kept_open(context.instance, context.run.run_id):
            mark_run(context.instance, context.run.run_id, beat)
            if context.log is not None and (difference := _difference(pipeline)):
                context.log.warning(difference)
            yield RunningPipeline(pipeline, beat)

    return dg.ResourceDefinition(resource, description="Zendesk on one side, the Parquet root on the other.")


@contextmanager
def _beating(pipeline: Pipeline, run_id: str) -> Iterator[RunBeat | None]:
    store = _store_of(pipeline)
    if store is None:
        yield None
    else:
        with beating(store, run_id) as beat:
            yield beat


def _store_of(pipeline: Pipeline) -> Store | None:
    """Where the run beats; None if its root can't be opened, or would be a new folder while settings are missing."""
    try:
        root = pipeline.root_settings.root
        return pipeline.store if is_object_store(root) or os.path.isdir(root) else pipeline.checked().store
    except TicketEventsError:
        return None


def _difference(pipeline: Pipeline) -> str:
    """A sentence if this process has other variables or versions than the code server; one small file is read."""
    with suppress(TicketEventsError):  # the step itself reports it
        found = read_code_server(pipeline.store)
        return "" if found is None else warning(fingerprint_of(pipeline.settings), found)
    return ""


def pipeline_of_run(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, scope: AccountScope) -> Pipeline:
    """The account's pipeline, for a step that requires the resource; from then on, the DAGSTER_HOME is the account's.

    Raises:
        dagster.Failure: it shows the days of another account or root, or the run was ended meanwhile.
    """
    running = cast(RunningPipeline, getattr(context.resources, scope.named(PIPELINE)))
    if running.beat is not None and running.beat.was_ended:
        raise dg.Failure(description=ENDED_MEANWHILE, allow_retries=False)
    with expected_failures():
        claim_dagster_home(context.instance, scope, running.pipeline.root_settings)
    return running.pipeline
