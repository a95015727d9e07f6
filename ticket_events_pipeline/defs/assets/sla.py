"""`sla_clocks`, `sla_targets` and `daily_sla_breach_summary`: every SLA target, day by day, from the stored events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.columns import column_lineage, column_schema
from ticket_events_pipeline.defs.daily_asset import MakeDays, Shown, daily_asset
from ticket_events_pipeline.defs.descriptions import description
from ticket_events_pipeline.defs.freshness import SLA_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata
from ticket_events_pipeline.defs.run_marks import has_one_process
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.shown_metadata import CONTENT_HASH, debug, moment, report_links, with_short_hashes
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.sla.build import MadeDay, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.precomputed import PrecomputedDays
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.restatements import RESTATEMENTS
from ticket_events_pipeline.sla.up_to_date import CLOCKS, SUMMARY, TARGETS
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import SLA_STREAMS

SUMMED_COLUMNS = (
    "achieved",
    "completed_breached",
    "superseded_breaches",
    "withdrawn_breaches",
    "targets_deleted",
    "contradicted",
    "active_eod",
)
"""Additive over the rows of a day, so that the UI can plot them per partition."""

OUTCOMES = ("achieved", "breached", "breached_open", "active", "cancelled", "deleted")
"""Of `sla_targets`, in the order in which the UI shows their counts."""

Facts = Callable[[MadeDay], dict[str, Any]]
FactsOf = Callable[[Pipeline, list[Day]], Facts]
"""What the UI shows of the days of a run."""


class MakeTable(Protocol):
    """Makes an SLA table of the days; see `sla.build`."""

    def __call__(self, store: Store, days: list[Day], /, *, precomputed: PrecomputedDays | None = None) -> Iterator[MadeDay]:
        """Make the days, and yield each as soon as its file is stored."""
        ...


def _maker(scope: AccountScope, make: MakeTable, facts_of: FactsOf) -> MakeDays:
    def make_days(context: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
        facts = facts_of(pipeline, days)
        for made in make(pipeline.store, days, precomputed=pipeline.precomputed if _makes_all(context, scope) else None):
            yield str(made.day), facts(made)

    return make_days


def _makes_all(context: dg.AssetExecutionContext, scope: AccountScope) -> bool:
    """Whether this process makes all three tables, so that the first step may make what the others store."""
    if not has_one_process(context.job_def):
        return False
    steps = context.run.step_keys_to_execute or [node.name for node in context.job_def.nodes]
    return {scope.key(table).to_python_identifier() for table in (CLOCKS, TARGETS, SUMMARY)} <= set(steps)


def made_metadata(made: MadeDay, counts: Mapping[str, int] = MappingProxyType({})) -> dict[str, Any]:
    """What the UI shows of every SLA day that was just made, and the `counts` of its table."""
    return sla_metadata(
        made.provenance,
        rows=made.table.num_rows,
        url=made.url,
        size_bytes=made.size_bytes,
        content_hash=made.content_hash,
        counts=counts,
    )


def sla_metadata(
    provenance: Provenance,
    *,
    rows: int,
    url: str,
    size_bytes: int,
    content_hash: str,
    counts: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Any]:
    """What the UI shows of every SLA day, all but the `counts` from the footer of its file."""
    return {
        "dagster/row_count": rows,
        "complete": provenance.inputs.complete,
        "as_of": moment(provenance.inputs.as_of),
        **counts,
        "dagster/uri": url,
        **debug(_details(provenance, size_bytes)),
        CONTENT_HASH: content_hash,
    }


def _details(provenance: Provenance, size_bytes: int) -> dict[str, Any]:
    details: dict[str, Any] = {"size_bytes": size_bytes, "history_from": provenance.history_from.isoformat()}
    if provenance.events_through is not None:
        details["events_through"] = moment(provenance.events_through)
    if provenance.deletions.through is not None:
        details["deletions_through"] = moment(provenance.deletions.through)
    details["rules_version"] = str(provenance.rules_version)  # as text: the UI plots every number
    made_from = provenance.inputs.to_metadata().items()
    return details | {name: with_short_hashes(text) for name, text in made_from if name.startswith("made_from_")}


def _target_facts(made: MadeDay) -> dict[str, Any]:
    counts = {count["values"]: count["counts"] for count in made.table["outcome"].value_counts().to_pylist()}
    return made_metadata(made, {f"outcome_{outcome}": counts.get(outcome, 0) for outcome in OUTCOMES})


def _summary_facts(pipeline: Pipeline, days: list[Day]) -> Facts:
    """The day's main figures, the numbers that the UI plots day by day, and two views of the day: by policy, and a chart."""
    # Of the report, only steps that show some of it need anything.
    from ticket_events_pipeline.report.builder import report_reader
    from ticket_events_pipeline.report.charts import breach_chart_image, chart_text
    from ticket_events_pipeline.report.markdown import summary_markdown

    reader = report_reader(pipeline.store, pipeline.root_settings, days)

    def facts(made: MadeDay) -> dict[str, Any]:
        report = reader.read(made.day, with_tickets=False)
        views = {
            "breaches_by_policy": dg.MetadataValue.md(summary_markdown(report)),
            "last_30_days": dg.MetadataValue.md(f"![{chart_text(report.chart)}]({breach_chart_image(report.chart)})"),
        }
        shown = summary_metadata(made.table, made.provenance, pipeline, made.day, restatements=made.restatements or 0)
        return {**shown, **views, **made_metadata(made)}

    return facts


def summary_metadata(
    summary: pa.Table, provenance: Provenance, pipeline: Pipeline, day: Day, *, restatements: int
) -> dict[str, Any]:
    """What the UI shows first of a day's summary: six values to read, then numbers to plot.

    A rate over all metrics would mean nothing: each metric with a decided target has its own.
    """
    from ticket_events_pipeline.report.metric_table import metric_days, metric_table

    metrics = metric_days(summary)
    rates = {metric.sla_metric: metric.achievement_rate for metric in metrics}
    return {
        "breaches": sum(metric.breaches for metric in metrics),
        "by_metric": dg.MetadataValue.md(metric_table(metrics)),
        "late_and_open": sum(metric.late_and_open for metric in metrics),
        "complete": provenance.inputs.complete,
        "as_of": moment(provenance.inputs.as_of),
        "report": report_links(pipeline.root_settings, day)["report"],
        **{_percent_key(metric): round(100 * rate, 1) for metric, rate in rates.items() if rate is not None},
        **{column: pc.sum(summary[column]).as_py() or 0 for column in SUMMED_COLUMNS},
        RESTATEMENTS: restatements,
    }


def _percent_key(sla_metric: str) -> str:
    """The key of a metric's rate: short, since the UI cuts nothing, and a longer one would cover the value.

    A metric that Zendesk adds may have any name.
    """
    return "met_percent_" + re.sub(r"[^A-Za-z0-9_]", "_", sla_metric)[:60]


def sla_assets(scope: AccountScope) -> list[dg.AssetsDefinition]:
    """`sla_clocks`, `sla_targets` and `daily_sla_breach_summary` of the account, in the order in which they are made."""
    own_previous_day = dg.AssetDep(
        scope.key("sla_clocks"), partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    )
    clocks = daily_asset(
        scope,
        "sla_clocks",
        _maker(scope, make_clocks, lambda *_: made_metadata),
        deps=[*(scope.key(stream) for stream in SLA_STREAMS), own_previous_day],
        shown=_shown(scope, "sla_clocks", make_clocks),
    )
    targets = daily_asset(
        scope,
        "sla_targets",
        _maker(scope, make_targets, lambda *_: _target_facts),
        deps=[clocks],
        shown=_shown(scope, "sla_targets", make_targets),
    )
    summary = daily_asset(
        scope,
        "daily_sla_breach_summary",
        _maker(scope, make_summaries, _summary_facts),
        deps=[targets],
        freshness=SLA_FRESHNESS,
        shown=_shown(scope, "daily_sla_breach_summary", make_summaries),
    )
    return [clocks, targets, summary]


def _shown(scope: AccountScope, name: str, made_by: Callable[..., Any]) -> Shown:
    return Shown(
        group="sla",
        description=description(name),
        kinds={"python", "parquet"},
        made_by=made_by,
        tags={"personal_data": "no", **({"internal": "yes"} if TABLES[name].is_internal else {})},
        metadata=column_schema(name),
        newest_metadata=column_lineage(scope, name),
    )
