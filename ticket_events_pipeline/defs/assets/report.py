"""`sla_breach_report`: the page that a support manager opens every morning, one per day, and `latest.html`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.daily_asset import LAST, Shown, daily_asset
from ticket_events_pipeline.defs.descriptions import description
from ticket_events_pipeline.defs.freshness import SLA_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.shown_metadata import debug, moment, page_place, report_links
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.tables.streams import AUDITS

if TYPE_CHECKING:
    from ticket_events_pipeline.report.model import DayReport

UPSTREAM = ("daily_sla_breach_summary", "sla_targets", AUDITS)
"""Of the same day. The thirty days before are read, too, but if one changes, all later summaries and reports are made again; a
dependency on them would keep the report out of the run that makes its summary."""


def sla_breach_report(scope: AccountScope) -> dg.AssetsDefinition:
    """The report of the account, one HTML page per day."""
    return daily_asset(
        scope,
        REPORT,
        _make_reports,
        deps=[scope.key(asset) for asset in UPSTREAM],
        # After the ticket tables, whose figures it shows, but not downstream of them: one that fails must not withhold it.
        priority=LAST,
        makes_closed_days=True,
        freshness=SLA_FRESHNESS,
        shown=Shown(
            group="sla",
            description=description(REPORT),
            kinds={"python", "html"},
            made_by=_make_reports,
            tags={"personal_data": "yes"},  # the tickets' subjects
        ),
    )


def _make_reports(_: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
    # The report's modules are needed in this step alone.
    from ticket_events_pipeline.report.builder import report_reader
    from ticket_events_pipeline.report.write import write_report

    reader = report_reader(pipeline.store, pipeline.root_settings, days)
    for day in days:
        report = reader.read(day)
        size = debug({"size_bytes": write_report(pipeline.store, report).size_bytes})
        yield str(day), _day_metadata(report, pipeline) | size


def _day_metadata(report: DayReport, pipeline: Pipeline) -> dict[str, Any]:
    from ticket_events_pipeline.report.markdown import summary_markdown

    quality = report.data_quality
    return {
        "in_short": dg.MetadataValue.md(summary_markdown(report).partition("\n\n")[0]),
        **report_links(pipeline.root_settings, report.day),
        "late_and_open": report.work_list.target_count,
        "complete": quality.is_complete,
        "as_of": moment(quality.as_of),
        "forecast_breaches": report.forecast.target_count,
        "missing_days": len(quality.missing_days),
        **page_place(pipeline.store, report.day),
    }
