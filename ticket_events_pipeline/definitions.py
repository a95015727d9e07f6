"""Everything that Dagster loads, listed by name; loads without any variable set, so that the UI always opens."""

from __future__ import annotations

import dagster as dg

from ticket_events_pipeline.defs.checks import RAW_CHECKS
from ticket_events_pipeline.defs.dead_runs import dead_runs_sensor
from ticket_events_pipeline.defs.jobs import RAW_ASSETS, SLA_ASSETS, fetch_ticket_events, summarize_sla_breaches
from ticket_events_pipeline.defs.resources import TicketEventsPipeline
from ticket_events_pipeline.defs.schedules import daily_restatement, hourly_fetch
from ticket_events_pipeline.defs.sensors import new_event_partitions_sensor

defs = dg.Definitions(
    assets=[*RAW_ASSETS, *SLA_ASSETS],
    asset_checks=RAW_CHECKS,
    jobs=[fetch_ticket_events, summarize_sla_breaches],
    schedules=[hourly_fetch, daily_restatement],
    sensors=[new_event_partitions_sensor, dead_runs_sensor],
    resources={"pipeline": TicketEventsPipeline()},
    # Steps are short and share their imports: one process a step would cost more than the steps do.
    executor=dg.in_process_executor,
)
