"""The resource of an account: its pipeline, made once a run, by which the run is marked as alive."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import dagster as dg

from ticket_events_pipeline.code_server import fingerprint_of, read_code_server, warning
from ticket_events_pipeline.defs.dagster_home import claim_dagster_home
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.run_process import mark_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.pipeline import Pipeline

PIPELINE = "pipeline"
"""The resource's key; an account's name stands before it where a code location has several."""


def pipeline_resource(scope: AccountScope) -> dg.ResourceDefinition:
    """The account's resource. Before its first step the run is marked, so that a dead one is recognized."""

    def resource(context: dg.InitResourceContext) -> Pipeline:
        if context.run is not None and context.instance is not None:
            mark_run(context.instance, context.run.run_id)
        if context.log is None:
            return scope.pipeline()
        pipeline = scope.pipeline(log=context.log.info)
        if context.run is not None and (difference := _difference(pipeline)):
            context.log.warning(difference)
        return pipeline

    return dg.ResourceDefinition(resource, description="Zendesk on one side, the Parquet root on the other.")


def _difference(pipeline: Pipeline) -> str:
    """A sentence if this process has other variables or versions than the code server; one small file is read."""
    with suppress(TicketEventsError):  # the step itself reports it
        found = read_code_server(pipeline.store)
        return "" if found is None else warning(fingerprint_of(pipeline.settings), found)
    return ""


def pipeline_of_run(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, scope: AccountScope) -> Pipeline:
    """The account's pipeline, for a step that requires the resource; from then on, the DAGSTER_HOME is the account's.

    Raises:
        dagster.Failure: it shows the days of another account or root.
    """
    pipeline = cast(Pipeline, getattr(context.resources, scope.named(PIPELINE)))
    with expected_failures():
        claim_dagster_home(context.instance, scope, pipeline.root_settings)
    return pipeline
