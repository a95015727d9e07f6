"""`zendesk_names`: what the ids in the tables are called. One file a kind, without partitions: a name is true of all days."""

# No deferred annotations here: Dagster reads the annotations of an asset's function as they are.

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from ticket_events_pipeline.defs.assets.source import ZENDESK_API
from ticket_events_pipeline.defs.daily_asset import code_of
from ticket_events_pipeline.defs.descriptions import description
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.text import markdown_text
from ticket_events_pipeline.tickets.fetched_names import RefreshedNames, refresh_names
from ticket_events_pipeline.tickets.names import ZENDESK_NAMES


def zendesk_names(scope: AccountScope) -> dg.AssetsDefinition:
    """The names of the account; nothing is made where ZENDESK_NAMES is `none`."""

    def names(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        pipeline = pipeline_of_run(context, scope)
        with expected_failures():
            kinds = pipeline.settings.names
            if not kinds:
                context.log.info("ZENDESK_NAMES is none: no names are fetched, and those that are stored stay.")
                return
            made = _refresh(context, pipeline, kinds)
        yield dg.MaterializeResult(metadata=_metadata(pipeline, made))

    with warnings.catch_warnings():
        # Without a single-run policy Dagster refuses a range of days with all assets selected: it wants one policy for all.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            names,
            name=ZENDESK_NAMES,
            key_prefix=scope.key_prefix,
            group_name=scope.named("zendesk"),
            description=description(ZENDESK_NAMES),
            kinds={"zendesk", "parquet"},
            tags={"personal_data": "yes"},  # the agents' names
            metadata={"dagster/code_references": code_of(refresh_names)},
            deps=[scope.key(ZENDESK_API)],
            required_resource_keys={scope.named(PIPELINE)},
            backfill_policy=dg.BackfillPolicy.single_run(),
            output_required=False,
        )


def _refresh(context: dg.AssetExecutionContext, pipeline: Pipeline, kinds: Sequence[str]) -> RefreshedNames:
    log = context.log.info
    with pipeline.account_api(log) as api:
        return refresh_names(pipeline.store, api, kinds, timezone=pipeline.root_settings.timezone, log=log)


def _metadata(pipeline: Pipeline, made: RefreshedNames) -> dict[str, Any]:
    """How many names of each kind, and what was refused."""
    problems = "\n".join(f"- {kind}: {markdown_text(reason)}" for kind, reason in made.problems.items())
    return {
        **made.counts,
        "problems": dg.MetadataValue.md(problems or "none"),
        "dagster/uri": pipeline.store.url(ZENDESK_NAMES),
    }
