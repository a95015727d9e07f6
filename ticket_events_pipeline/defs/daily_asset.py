"""What all assets have in common: daily partitions, one run for any range of days, one file and one record per day."""

# No deferred annotations here: Dagster reads the annotations of an asset's function as they are.

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.recording import DayMetadata, expected_failures, record_days
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.storage.pruned_days import refuse_closed_days

MakeDays = Callable[[dg.AssetExecutionContext, Pipeline, list[Day]], Iterator[DayMetadata]]
"""Makes the days in order, and yields each with its metadata as soon as its file is stored."""

LAST = -100
"""The lowest priority; without any, a step has 0. Of the ready steps, the executor runs those of the highest first."""


@dataclass(frozen=True)
class Shown:
    """What the UI shows of an asset, independent of its days.

    Attributes:
        group: its group.
        description: what a row or the file is.
        kinds: icons.
        made_by: the function that makes its days, for the link to the code.
        tags: to search by.
        metadata: of the definition: columns, links.
        newest_metadata: of the newest day of a run only: it is the same for all days, and the UI shows the latest.
    """

    group: str
    description: str
    kinds: set[str]
    made_by: Callable[..., Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    newest_metadata: Mapping[str, Any] = field(default_factory=dict)


def daily_asset(
    scope: AccountScope,
    name: str,
    make: MakeDays,
    *,
    shown: Shown,
    deps: list[Any] | None = None,
    pool: str | None = None,
    freshness: dg.FreshnessPolicy | None = None,
    priority: int = 0,
    makes_closed_days: bool = False,
) -> dg.AssetsDefinition:
    """An asset of the account; `make` makes its days. Of the steps that are ready, those of the highest priority run first.

    A run that covers a closed day fails, see `storage.pruned_days`; but for an asset that nothing else is made from.
    """

    def daily(context: dg.AssetExecutionContext) -> None:
        days = scope.days(list(context.partition_keys))
        if not days:
            raise dg.Failure(description="The range has no day: its end is before its start.", allow_retries=False)
        pipeline = pipeline_of_run(context, scope)
        if not makes_closed_days:
            with expected_failures():
                refuse_closed_days(pipeline.store, days)
        made = make(context, pipeline, days)
        newest = str(days[-1])
        record_days(
            context, ((key, {**metadata, **shown.newest_metadata} if key == newest else metadata) for key, metadata in made)
        )

    with warnings.catch_warnings():
        # Backfill policies are beta since 1.5; without one, a range would be one run per day that fetches the same pages again.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            daily,
            name=name,
            key_prefix=scope.key_prefix,
            group_name=scope.named(shown.group),
            description=shown.description,
            kinds=shown.kinds,
            tags=shown.tags,
            metadata={"dagster/code_references": code_of(shown.made_by), **shown.metadata},
            deps=deps,
            op_tags={"dagster/priority": str(priority)} if priority else None,
            pool=None if pool is None else scope.named(pool),
            required_resource_keys={scope.named(PIPELINE)},
            partitions_def=scope.partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            freshness_policy=freshness,
        )


def code_of(function: Callable[..., Any]) -> dg.CodeReferencesMetadataValue:
    """The link to the function's code."""
    code = inspect.unwrap(function).__code__  # inspect.getsourcelines would parse the whole file
    label = f"{function.__module__}.{function.__name__}"
    reference = dg.LocalFileCodeReference(file_path=code.co_filename, line_number=code.co_firstlineno, label=label)
    return dg.CodeReferencesMetadataValue(code_references=[reference])
