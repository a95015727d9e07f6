"""The two jobs: fetch both streams, and make the three SLA tables."""

from __future__ import annotations

import dagster as dg

from ticket_events_pipeline.defs.raw_assets import ticket_events, ticket_metric_events
from ticket_events_pipeline.defs.sla_assets import daily_sla_breach_summary, sla_clocks, sla_targets

RAW_ASSETS = [ticket_events, ticket_metric_events]
SLA_ASSETS = [sla_clocks, sla_targets, daily_sla_breach_summary]

fetch_ticket_events = dg.define_asset_job(
    "fetch_ticket_events",
    selection=dg.AssetSelection.assets(*RAW_ASSETS),
    description="Fetch ticket events and ticket metric events of the chosen days.",
)
summarize_sla_breaches = dg.define_asset_job(
    "summarize_sla_breaches",
    selection=dg.AssetSelection.assets(*SLA_ASSETS),
    description="Make the SLA tables of the chosen days from what is stored; no request is made.",
)
