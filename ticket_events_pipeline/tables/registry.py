"""All stored tables by name, and the schema version that they add up to."""

from __future__ import annotations

from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.table import Table
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE
from ticket_events_pipeline.tables.tickets import TICKET_TABLES

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        TICKET_EVENTS_TABLE,
        TICKET_METRIC_EVENTS_TABLE,
        SLA_CLOCKS_TABLE,
        SLA_TARGETS_TABLE,
        DAILY_SLA_BREACH_SUMMARY_TABLE,
        *TICKET_TABLES,
    )
}
"""By asset name, upstream first."""

SCHEMA_VERSION = max(table.version for table in TABLES.values())
"""Of the columns as they are written now. Each file's footer has it as `schema_version`."""
