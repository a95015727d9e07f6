"""What the assets have in common: daily partitions, one run for any range of days, a file a day, recorded day by day."""

# No deferred annotations here: Dagster reads those of an asset's function as they stand.

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.recording import DayMetadata, record_days
from ticket_events_pipeline.defs.resources import PIPELINE, TicketEventsPipeline, pipeline_of

MakeDays = Callable[[dg.AssetExecutionContext, TicketEventsPipeline, list[Day]], Iterator[DayMetadata]]
"""Makes the days in order, and yields each with its metadata as soon as its file stands."""


def daily_asset(
    scope: AccountScope,
    name: str,
    make: MakeDays,
    *,
    group_name: str,
    description: str,
    kinds: set[str],
    deps: list[Any] | None = None,
    schema: pa.Schema | None = None,
    pool: str | None = None,
) -> dg.AssetsDefinition:
    """An asset of the account whose days `make` makes; `schema` is shown in the UI."""

    def daily(context: dg.AssetExecutionContext) -> None:
        days = scope.days(list(context.partition_keys))
        if not days:
            raise dg.Failure(description="The range holds no day: its end lies before its start.", allow_retries=False)
        record_days(context, make(context, pipeline_of(context, scope), days))

    with warnings.catch_warnings():
        # Backfill policies are beta since 1.5; without one a range would be a run a day, and a page would be fetched N times.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            daily,
            name=name,
            key_prefix=scope.key_prefix,
            group_name=scope.named(group_name),
            description=description,
            kinds=kinds,
            deps=deps,
            pool=None if pool is None else scope.named(pool),
            required_resource_keys={scope.named(PIPELINE)},
            partitions_def=scope.partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            metadata=None if schema is None else {"dagster/column_schema": _column_schema(schema)},
        )


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(column.name, str(column.type)) for column in schema])
