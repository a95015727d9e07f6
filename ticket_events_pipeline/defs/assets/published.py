"""`published_tables`: the stored tables as Delta or Iceberg tables. Without partitions: a run copies all days that changed."""

# No deferred annotations here: Dagster reads the annotations of an asset's function as they are.

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from ticket_events_pipeline.defs.daily_asset import code_of
from ticket_events_pipeline.defs.descriptions import PUBLISHED_TABLES, description
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.publish.publisher import Log, Published, Wanted
from ticket_events_pipeline.publish.stored import PUBLISHED
from ticket_events_pipeline.publish.targets import KeptHistory, publish_to, targets_of
from ticket_events_pipeline.publish_settings import publish_settings
from ticket_events_pipeline.tables.tickets import TICKET_TABLES
from ticket_events_pipeline.text import markdown_text, plural

HISTORY = KeptHistory(days=30, slack_days=1)
"""What Delta's log goes back by default; without an end, each commit to Iceberg would take longer than the one before."""


def published_tables(scope: AccountScope) -> dg.AssetsDefinition:
    """The published tables of the account."""
    off = () if scope.has_ticket_tables else tuple(table.name for table in TICKET_TABLES)
    assets = [name for name in PUBLISHED if name not in off]

    def tables(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        pipeline = pipeline_of_run(context, scope)
        with expected_failures():
            settings = scope.read(publish_settings)
            targets = targets_of(settings)
            wanted, lake = Wanted(PUBLISHED), pipeline.root_settings
            log = context.log.info
            publishing = publish_to(targets, pipeline.store, lake, wanted, catalog=settings.catalog, history=HISTORY, log=log)
            made = list(_logged(publishing, log))
        if problems := [problem for _, one in made for problem in one.problems]:
            raise dg.Failure(description="\n".join(problems), metadata=_metadata(made), allow_retries=False)
        return dg.MaterializeResult(metadata=_metadata(made))

    with warnings.catch_warnings():
        # As for `zendesk_names`: without a single-run policy, Dagster refuses a range of days with all assets selected.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            tables,
            name=PUBLISHED_TABLES,
            key_prefix=scope.key_prefix,
            group_name=scope.named("lakehouse"),
            description=description(PUBLISHED_TABLES),
            kinds={"delta", "iceberg"},
            tags={"personal_data": "yes"},
            metadata={"dagster/code_references": code_of(publish_to)},
            deps=[scope.key(asset) for asset in assets],
            required_resource_keys={scope.named(PIPELINE)},
            backfill_policy=dg.BackfillPolicy.single_run(),
        )


def _logged(publishing: Iterable[tuple[str, Published]], log: Log) -> Iterator[tuple[str, Published]]:
    """The tables, each with a line that says how many days were published, and how long it took."""
    started = time.monotonic()
    for name, one in publishing:
        if one.version or one.problems:
            seconds = time.monotonic() - started
            log(f"{one.url} ({name}): {plural(one.days.total(), 'day')} published, {seconds:.1f} s.")
        yield name, one
        started = time.monotonic()


def _metadata(made: Sequence[tuple[str, Published]]) -> dict[str, Any]:
    """How many days and rows, and each table with its newest state."""
    lines = [
        f"| {name} | {one.asset} | {one.days.total()} | {one.rows:,} | {markdown_text(one.url)} | {one.version} |"
        for name, one in made
        if one.version
    ]
    table = "\n".join(["| format | asset | days | rows | table | version |", "|---|---|---|---|---|---|", *lines])
    return {
        "published_days": sum(one.days.total() for _, one in made),
        "rows": sum(one.rows for _, one in made),
        "tables": dg.MetadataValue.md(table),
    }
