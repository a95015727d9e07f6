"""`sla_clocks`, `sla_targets` and `daily_sla_breach_summary`: every SLA target, day by day, from the stored events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.columns import column_lineage, column_schema
from ticket_events_pipeline.defs.daily_asset import MakeDays, Shown, daily_asset
from ticket_events_pipeline.defs.freshness import SLA_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata, moment
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.charts import breach_chart_image, chart_text
from ticket_events_pipeline.report.markdown import summary_markdown
from ticket_events_pipeline.sla.build import MadeDay, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import SLA_STREAMS

SUMMED_COLUMNS = (
    "breaches",
    "achieved",
    "completed_breached",
    "superseded_breaches",
    "withdrawn_breaches",
    "targets_deleted",
    "contradicted",
    "active_eod",
    "breached_open_eod",
)
"""Additive over the rows of a day, so that the UI can plot them per partition."""

DESCRIPTIONS = {
    "sla_clocks": "The carry-over between days: the file of a day has every ticket that changed or has an open target, with "
    "all events of its clocks so far; older events that may still matter are in the files of the 30 days before. Internal: "
    "its columns may change.",
    "sla_targets": "Every SLA target that was open at some time of the day, as of the end of the day (or of its last fetch).",
    "daily_sla_breach_summary": "Breaches, achievement and open targets of the day, one row per SLA metric, policy and kind of "
    "hours.",
}

Facts = Callable[[MadeDay], dict[str, Any]]
FactsOf = Callable[[Pipeline, list[Day]], Facts]
"""What the UI shows of the days of a run, in addition to what it shows of every SLA day."""


def _maker(make: Callable[[Store, list[Day]], Iterator[MadeDay]], facts_of: FactsOf) -> MakeDays:
    def make_days(_: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
        facts = facts_of(pipeline, days)
        for made in make(pipeline.store, days):
            yield str(made.day), {**facts(made), **made_metadata(made)}

    return make_days


def made_metadata(made: MadeDay) -> dict[str, Any]:
    """What the UI shows of every SLA day that was just made."""
    rows, content_hash = made.table.num_rows, made.content_hash
    return sla_metadata(made.provenance, rows=rows, url=made.url, size_bytes=made.size_bytes, content_hash=content_hash)


def sla_metadata(provenance: Provenance, *, rows: int, url: str, size_bytes: int, content_hash: str) -> dict[str, Any]:
    """What the UI shows of every SLA day, all from the footer of its file."""
    metadata: dict[str, Any] = {
        "dagster/row_count": rows,
        "dagster/uri": url,
        "file": dg.MetadataValue.path(url),
        "size_bytes": size_bytes,
        "complete": provenance.inputs.complete,
        "as_of": moment(provenance.inputs.as_of),
        "history_from": provenance.history_from.isoformat(),
        "rules_version": provenance.rules_version,
        "content_hash": content_hash,
        **{name: text for name, text in provenance.inputs.to_metadata().items() if name.startswith("made_from_")},
    }
    if provenance.events_through is not None:
        metadata["events_through"] = moment(provenance.events_through)
    if provenance.deletions.through is not None:
        metadata["deletions_through"] = moment(provenance.deletions.through)
    return metadata


def _target_facts(made: MadeDay) -> dict[str, Any]:
    counts = made.table["outcome"].value_counts().to_pylist()
    return {f"outcome_{count['values']}": count["counts"] for count in counts}


def _summary_facts(pipeline: Pipeline, days: list[Day]) -> Facts:
    """The sums that the UI plots day by day, and the day for people: a table and a chart."""
    reader = report_reader(pipeline.store, pipeline.root_settings, days)

    def facts(made: MadeDay) -> dict[str, Any]:
        report = reader.read(made.day, with_tickets=False)
        return {
            "breaches_by_policy": dg.MetadataValue.md(summary_markdown(report)),
            "last_30_days": dg.MetadataValue.md(f"![{chart_text(report.chart)}]({breach_chart_image(report.chart)})"),
            **summary_sums(made.table),
            "restatements": made.restatements or 0,
        }

    return facts


def summary_sums(summary: pa.Table) -> dict[str, Any]:
    """The sums of a day's summary, and the achievement rate from them."""
    sums = {column: pc.sum(summary[column]).as_py() or 0 for column in SUMMED_COLUMNS}
    decided = sums["achieved"] + sums["breaches"]
    return {**sums, "achievement_rate": sums["achieved"] / decided} if decided else sums


def sla_assets(scope: AccountScope) -> list[dg.AssetsDefinition]:
    """`sla_clocks`, `sla_targets` and `daily_sla_breach_summary` of the account, in the order in which they are made."""
    own_previous_day = dg.AssetDep(
        scope.key("sla_clocks"), partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    )
    clocks = daily_asset(
        scope,
        "sla_clocks",
        _maker(make_clocks, lambda *_: lambda _: {}),
        deps=[*(scope.key(stream) for stream in SLA_STREAMS), own_previous_day],
        shown=_shown(scope, "sla_clocks", make_clocks),
    )
    targets = daily_asset(
        scope,
        "sla_targets",
        _maker(make_targets, lambda *_: _target_facts),
        deps=[clocks],
        shown=_shown(scope, "sla_targets", make_targets),
    )
    summary = daily_asset(
        scope,
        "daily_sla_breach_summary",
        _maker(make_summaries, _summary_facts),
        deps=[targets],
        freshness=SLA_FRESHNESS,
        shown=_shown(scope, "daily_sla_breach_summary", make_summaries),
    )
    return [clocks, targets, summary]


def _shown(scope: AccountScope, name: str, made_by: Callable[..., Any]) -> Shown:
    return Shown(
        group="sla",
        description=DESCRIPTIONS[name],
        kinds={"parquet"},
        made_by=made_by,
        team="support_operations",
        tags={"source": "zendesk", "personal_data": "no"},
        metadata=column_schema(name),
        newest_metadata=column_lineage(scope, name),
    )
