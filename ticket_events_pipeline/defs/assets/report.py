"""`sla_breach_report`: the page that a support manager opens every morning, one per day, and `latest.html`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.daily_asset import Shown, daily_asset
from ticket_events_pipeline.defs.freshness import SLA_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata, moment
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.files import MadeReport, write_report
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.tables.streams import AUDITS

REPORT = "sla_breach_report"

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
        freshness=SLA_FRESHNESS,
        shown=Shown(
            group="sla",
            description="One HTML page per day: what breached compared with the week before, what is late and still open, what "
            "will breach next, and the quality of the data. `latest.html` shows the newest day. Also reads the "
            "thirty days before.",
            kinds={"html"},
            made_by=write_report,
            team="support_operations",
            tags={"source": "zendesk", "personal_data": "yes"},  # the tickets' subjects
        ),
    )


def _make_reports(_: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
    reader = report_reader(pipeline.store, pipeline.root_settings, days)
    for day in days:
        report = reader.read(day)
        yield str(day), _metadata(report, write_report(pipeline.store, report))


def _metadata(report: DayReport, made: MadeReport) -> dict[str, Any]:
    quality = report.data_quality
    return {
        "dagster/uri": made.url,
        "file": dg.MetadataValue.path(made.url),
        "latest": dg.MetadataValue.path(made.latest_url),
        "size_bytes": made.size_bytes,
        "complete": quality.is_complete,
        "as_of": moment(quality.as_of),
        "late_and_open": report.work_list.target_count,
        "forecast_breaches": report.forecast.target_count,
        "missing_days": len(quality.missing_days),
    }
