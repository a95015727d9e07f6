"""The ticket tables: what changed in a ticket, and who held it when its targets were breached or met.

`ticket_field_changes` is made with the fetch, the others after the summary. None of the SLA tables and not the report waits for
them: where one can't be made, its own step fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.columns import column_lineage, column_schema
from ticket_events_pipeline.defs.daily_asset import MakeDays, Shown, daily_asset
from ticket_events_pipeline.defs.descriptions import description
from ticket_events_pipeline.defs.freshness import RAW_FRESHNESS, SLA_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.shown_metadata import CONTENT_HASH, debug, moment, with_short_hashes
from ticket_events_pipeline.pipeline import Log, Pipeline
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.footer_cache import TICKET_TABLES
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION, make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import CHANGES, make_changes
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, make_dimensions
from ticket_events_pipeline.tickets.durations import DURATIONS, make_durations
from ticket_events_pipeline.tickets.fields import NAMES_OF, tracked_fields
from ticket_events_pipeline.tickets.holders import HOLDERS, make_holders
from ticket_events_pipeline.tickets.names import read_names, read_schedules
from ticket_events_pipeline.tickets.provenance import MadeTicketDay
from ticket_events_pipeline.tickets.states import STATES, make_states

PERSONAL_COLUMNS = {"updater_id", "assignee_id", "assignee_id_eod", "value"}
"""Who did what, or what people wrote; `value` may hold an assignee or a custom field's text."""

SHOWN_BY = {"by_group": "group", "by_agent": "assignee"}
"""The tables that a summary's day shows, and the dimension of each."""

SHOWN_AS_TEXT = ("ticket_rules_version", "deletions_from")
"""Entries of footers that help to find a fault. As text: the UI plots every number."""


NOTHING: Mapping[str, Any] = MappingProxyType({})

Make = Callable[[Pipeline, list[Day], Log], Iterator[MadeTicketDay]]
Shows = Callable[[dg.AssetExecutionContext, Pipeline], Callable[[MadeTicketDay], None]]
"""What the made days of a run add to what the UI shows of other assets."""


def ticket_field_changes(scope: AccountScope) -> dg.AssetsDefinition:
    """The table that is made with the fetch."""
    return _ticket_asset(scope, CHANGES, lambda pipeline, days, _: make_changes(pipeline.store, days), make_changes, [AUDITS])


def ticket_assets(scope: AccountScope) -> list[dg.AssetsDefinition]:
    """The tables that are made after the summary, in the order in which they are made."""
    previous_day = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    def own_previous_day(name: str) -> dg.AssetDep:
        return dg.AssetDep(scope.key(name), partition_mapping=previous_day)

    return [
        _ticket_asset(scope, STATES, _states, make_states, [TARGETS, CHANGES, own_previous_day(STATES)]),
        _ticket_asset(scope, DIMENSIONS, _dimensions, make_dimensions, [CLOCKS, TARGETS, STATES, own_previous_day(DIMENSIONS)]),
        _ticket_asset(
            scope,
            BY_DIMENSION,
            lambda pipeline, days, _: make_breaches_by_dimension(pipeline.store, days),
            make_breaches_by_dimension,
            [DIMENSIONS],
            shows=_tables_of_the_summary(scope),
        ),
        _ticket_asset(scope, HOLDERS, _holders, make_holders, [CLOCKS, TARGETS, STATES]),
        _ticket_asset(scope, DURATIONS, _durations, make_durations, [CLOCKS, STATES]),
    ]


def _states(pipeline: Pipeline, days: list[Day], _: Log) -> Iterator[MadeTicketDay]:
    return make_states(pipeline.store, days, fields=tracked_fields(pipeline.root_settings.dimensions))


def _dimensions(pipeline: Pipeline, days: list[Day], log: Log) -> Iterator[MadeTicketDay]:
    schedules = read_schedules(pipeline.store, log=log)
    return make_dimensions(pipeline.store, days, snapshots=pipeline.snapshots(log), schedules=schedules)


def _holders(pipeline: Pipeline, days: list[Day], log: Log) -> Iterator[MadeTicketDay]:
    schedules = read_schedules(pipeline.store, log=log)
    return make_holders(pipeline.store, days, schedules=schedules, snapshots=pipeline.snapshots(log))


def _durations(pipeline: Pipeline, days: list[Day], log: Log) -> Iterator[MadeTicketDay]:
    return make_durations(pipeline.store, days, snapshots=pipeline.snapshots(log))


def _ticket_asset(
    scope: AccountScope,
    name: str,
    make: Make,
    made_by: Callable[..., Any],
    deps: Sequence[str | dg.AssetDep],
    *,
    shows: Shows | None = None,
) -> dg.AssetsDefinition:
    return daily_asset(
        scope,
        name,
        _maker(make, shows),
        deps=[dep if isinstance(dep, dg.AssetDep) else scope.key(dep) for dep in deps],
        freshness=RAW_FRESHNESS if name == CHANGES else SLA_FRESHNESS,
        # After everything that doesn't need them, the SLA tables and their checks, and in their order.
        priority=-1 - TICKET_TABLES.index(name),
        shown=Shown(
            group="tickets",
            description=description(name),
            kinds={"python", "parquet"},
            made_by=made_by,
            tags={
                "personal_data": "yes" if PERSONAL_COLUMNS & set(TABLES[name].schema.names) else "no",
                **({"internal": "yes"} if TABLES[name].is_internal else {}),
            },
            metadata=column_schema(name),
            newest_metadata=column_lineage(scope, name),
        ),
    )


def _maker(make: Make, shows: Shows | None) -> MakeDays:
    def make_days(context: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
        show = (lambda _: None) if shows is None else shows(context, pipeline)
        for made in make(pipeline, days, context.log.info):
            show(made)
            yield str(made.day), made_ticket_metadata(made)

    return make_days


def unknown_percent(by_dimension: pa.Table) -> dict[str, float]:
    """Of a day's breaches, by dimension that the summary shows, the percentage whose value isn't known; none without any."""
    counts = by_dimension.group_by(["dimension", "is_known"], use_threads=False).aggregate([("breaches", "sum")])
    breaches = {(row["dimension"], row["is_known"]): row["breaches_sum"] for row in counts.to_pylist()}
    found = {}
    for dimension in SHOWN_BY.values():
        known, unknown = breaches.get((dimension, True), 0), breaches.get((dimension, False), 0)
        if known + unknown:
            found[f"unknown_percent_{dimension}"] = round(100 * unknown / (known + unknown), 1)
    return found


def made_ticket_metadata(made: MadeTicketDay) -> dict[str, Any]:
    """What the UI shows of a day that was just made."""
    return ticket_metadata(
        made.footer,
        rows=made.table.num_rows,
        url=made.url,
        size_bytes=made.size_bytes,
        content_hash=made.content_hash,
        counts={**made.counts, **(unknown_percent(made.table) if "dimension" in made.table.column_names else {})},
    )


def ticket_metadata(
    footer: Mapping[str, str],
    *,
    rows: int,
    url: str,
    size_bytes: int,
    content_hash: str,
    counts: Mapping[str, float] = NOTHING,
) -> dict[str, Any]:
    """What the UI shows of every day of a ticket table, all but the `counts` from the footer of its file."""
    details: dict[str, Any] = {"size_bytes": size_bytes}
    details |= {name: footer[name] for name in SHOWN_AS_TEXT if name in footer}
    details |= {name: with_short_hashes(text) for name, text in footer.items() if name.startswith("made_from_")}
    return {
        "dagster/row_count": rows,
        "complete": footer["complete"] == "true",
        **({"as_of": moment(int(footer["as_of"]))} if "as_of" in footer else {}),
        **({"audits": footer["audits"]} if "audits" in footer else {}),
        **counts,
        "dagster/uri": url,
        **debug(details),
        CONTENT_HASH: content_hash,
    }


def _tables_of_the_summary(scope: AccountScope) -> Shows:
    """Tables by group and by agent, as an observation of the summary's day: the summary is made before its dimensions."""

    def shows(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Callable[[MadeTicketDay], None]:
        from ticket_events_pipeline.report.dimension_table import dimension_markdown

        kinds = [NAMES_OF[dimension] for dimension in SHOWN_BY.values()]
        names, least = read_names(pipeline.store, kinds=kinds, log=context.log.info), pipeline.root_settings.min_targets

        def show(made: MadeTicketDay) -> None:
            tables = {
                key: dg.MetadataValue.md(dimension_markdown(made.table, names, dimension, min_targets=least))
                for key, dimension in SHOWN_BY.items()
            }
            context.log_event(dg.AssetObservation(scope.key(SUMMARY), partition=str(made.day), metadata=tables))

        return show

    return shows
