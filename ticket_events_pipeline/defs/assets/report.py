"""`sla_breach_report`: the page that a support manager opens every morning, one a day, and `latest.html` beside them."""

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
"""Of its own day. The thirty days before are read too, but their change makes all later summaries anew, and so the reports; a
dependency on them would keep the report out of the run that makes its summary."""


def sla_breach_report(scope: AccountScope) -> dg.AssetsDefinition:
    """The report of the account, an HTML page a day."""
    return daily_asset(
        scope,
        REPORT,
        _make_reports,
        deps=[scope.key(asset) for asset in UPSTREAM],
        freshness=SLA_FRESHNESS,
        shown=Shown(
            group="sla",
            description="One HTML page a day: what broke against the week before, what is late and still open, what will "
            "breach next, and how far to trust it. `latest.html` beside the days shows the newest. Reads the thirty days "
            "before, too.",
            kinds={"html"},
            made_by=write_report,
            team="support_operations",
            tags={"source": "zendesk", "personal_data": "yes"},  # the tickets' subjects
        ),
    )


def _make_reports(_: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
    reader = report_reader(pipeline.store, pipeline.lake_settings, days)
    for day in days:
        report = reader.read(day)
        yield str(day), _metadata(report, write_report(pipeline.store, report))


def _metadata(report: DayReport, made: MadeReport) -> dict[str, Any]:
    trust = report.trust
    return {
        "dagster/uri": made.url,
        "file": dg.MetadataValue.path(made.url),
        "latest": dg.MetadataValue.path(made.latest_url),
        "size_bytes": made.size_bytes,
        "complete": trust.is_complete,
        "as_of": moment(trust.as_of),
        "late_and_open": report.late_count,
        "forecast_breaches": report.next_count,
        "missing_days": len(trust.missing_days),
    }
