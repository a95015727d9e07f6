"""The columns of every stored table, in order: the contract that users' queries hang on.

Sources of the raw fields: https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
(ticket events, ticket metric events) and https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/.
No column `date` stands in the files: the folder `date=YYYY-MM-DD` carries it.

How a table changes:

- **A column is added** by naming it in the schema and, with the next SCHEMA_VERSION, in the table's `since`. It must be
  nullable. Every reader sees NULL in older files; no stored file is fetched or made again, and its content hash still holds.
- **A column is removed, moved, renamed or re-typed**, or means something else: no reader can conform older files to that. Such
  a release needs the next SCHEMA_VERSION, code that reads the older files (or a command that rewrites them), and a change log
  entry that says how to migrate. `test_released_columns` fails until its frozen list of released columns is changed on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

TIMESTAMP = pa.timestamp("ms", tz="UTC")

SCHEMA_VERSION = 2
"""Of the columns as they are written now. Counts up with every change; each file's footer has it as `schema_version`."""


@dataclass(frozen=True)
class StoredTable:
    """A stored table: its columns as they are written now, and since when it has those that were added.

    Attributes:
        name: the asset's name.
        schema: the columns, in order.
        since: the first schema version with the column; columns that are not named were there from the beginning.
    """

    name: str
    schema: pa.Schema
    since: Mapping[str, int] = field(default_factory=dict)

    def at(self, version: int) -> pa.Schema:
        """The columns that files of a schema version have, in order."""
        return pa.schema([column for column in self.schema if self.since.get(column.name, 0) <= version])

    @property
    def added(self) -> frozenset[str]:
        """The columns added since version 1: the content hash leaves them out while they are NULL everywhere."""
        return frozenset(name for name, version in self.since.items() if version > 1)


METRIC_EVENT_FIELDS: list[tuple[str, pa.DataType]] = [
    ("metric", pa.string()),
    ("instance_id", pa.int64()),
    ("type", pa.string()),
    ("deleted", pa.bool_()),
    ("sla_target_minutes", pa.int64()),
    ("sla_target_seconds", pa.int64()),
    ("sla_business_hours", pa.bool_()),
    ("sla_policy_id", pa.string()),
    ("sla_policy_title", pa.string()),
    ("sla_is_group", pa.bool_()),
    ("status_calendar_minutes", pa.int64()),
    ("status_business_minutes", pa.int64()),
]

TICKET_METRIC_EVENTS_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("ticket_id", pa.int64()),
        ("metric", pa.string()),
        ("instance_id", pa.int64()),
        ("type", pa.string()),
        ("time", TIMESTAMP),
        *METRIC_EVENT_FIELDS[3:],
        ("extra", pa.string()),
    ]
)

TICKET_EVENTS_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("ticket_id", pa.int64()),
        ("time", TIMESTAMP),
        ("created_at", TIMESTAMP),
        ("updater_id", pa.int64()),
        ("via", pa.string()),
        ("event_type", pa.string()),
        ("via_reference_id", pa.int64()),
        ("child_events", pa.string()),
        ("system", pa.string()),
        ("metadata", pa.string()),
        ("merged_ticket_ids", pa.string()),
        ("child_event_count", pa.int32()),
        ("comment_present", pa.bool_()),
        ("comment_public", pa.bool_()),
        *METRIC_EVENT_FIELDS,
        ("extra", pa.string()),
    ]
)

RAW_SCHEMAS = {"ticket_events": TICKET_EVENTS_SCHEMA, "ticket_metric_events": TICKET_METRIC_EVENTS_SCHEMA}
"""By asset name, which is also the stream's name in the API's path and envelope."""


EVENT_KEY = ("time", "id")
"""What raw files are sorted by. Hardly a value comes twice."""


def repetitive_columns(schema: pa.Schema) -> list[str]:
    """The columns whose values a dictionary is worth."""
    return [name for name in schema.names if name not in EVENT_KEY]


METRIC_SHAPE = ["metric", "instance_id"]
"""The columns that a row of the metric-event shape has both of, and an audit neither."""


def metric_shaped(raw: pa.Table) -> pa.ChunkedArray:
    """Which rows of a raw table, of either stream, have the metric-event shape."""
    metric, instance_id = (pc.is_valid(raw[name]) for name in METRIC_SHAPE)
    return pc.and_(metric, instance_id)


SLA_TARGETS_SCHEMA = pa.schema(
    [
        ("ticket_id", pa.int64()),
        ("metric", pa.string()),
        ("instance_id", pa.int64()),
        ("sla_metric", pa.string()),
        ("is_group_sla", pa.bool_()),
        ("policy_id", pa.string()),
        ("policy_title", pa.string()),
        ("target_seconds", pa.int64()),
        ("business_hours", pa.bool_()),
        ("target_changes", pa.int32()),
        ("activated_at", TIMESTAMP),
        ("applied_at", TIMESTAMP),
        ("entered_at", TIMESTAMP),
        ("entered_by", pa.string()),
        ("entry_policy_id", pa.string()),
        ("entry_policy_title", pa.string()),
        ("entry_business_hours", pa.bool_()),
        ("breached_at", TIMESTAMP),
        ("breach_policy_id", pa.string()),
        ("breach_policy_title", pa.string()),
        ("breach_business_hours", pa.bool_()),
        ("fulfilled_at", TIMESTAMP),
        ("closed_at", TIMESTAMP),
        ("reopened_on_day", pa.bool_()),
        ("outcome", pa.string()),
        ("was_open_at_start", pa.bool_()),
        ("is_paused", pa.bool_()),
        ("superseded", pa.bool_()),
        ("reopen_count", pa.int32()),
        ("breach_events", pa.int32()),
        ("withdrawn_breaches", pa.int32()),
        ("breach_events_on_day", pa.int32()),
        ("withdrawn_breaches_on_day", pa.int32()),
        ("overdue_seconds", pa.int64()),
        ("is_contradicted", pa.bool_()),
        ("overdue_clock_seconds", pa.int64()),
        ("due_at", TIMESTAMP),
        ("last_event_at", TIMESTAMP),
        ("as_of", TIMESTAMP),
    ]
)

DAILY_SLA_BREACH_SUMMARY_SCHEMA = pa.schema(
    [
        ("sla_metric", pa.string()),
        ("policy_id", pa.string()),
        ("business_hours", pa.bool_()),
        ("policy_title", pa.string()),
        ("targets_started", pa.int64()),
        ("targets_discovered", pa.int64()),
        ("targets_reopened", pa.int64()),
        ("targets_cancelled", pa.int64()),
        ("targets_deleted", pa.int64()),
        ("breaches", pa.int64()),
        ("breached_tickets", pa.int64()),
        ("breach_events", pa.int64()),
        ("achieved", pa.int64()),
        ("completed_breached", pa.int64()),
        ("superseded_breaches", pa.int64()),
        ("withdrawn_breaches", pa.int64()),
        ("contradicted", pa.int64()),
        ("active_eod", pa.int64()),
        ("breached_open_eod", pa.int64()),
        ("paused_eod", pa.int64()),
        ("achievement_rate", pa.float64()),
        ("overdue_p50_seconds", pa.float64()),
        ("overdue_p90_seconds", pa.float64()),
        ("overdue_max_seconds", pa.int64()),
        ("as_of", TIMESTAMP),
        ("events_through", TIMESTAMP),
        ("history_from", pa.date32()),
    ]
)

TABLES = {
    table.name: table
    for table in (
        StoredTable("ticket_events", TICKET_EVENTS_SCHEMA),
        StoredTable("ticket_metric_events", TICKET_METRIC_EVENTS_SCHEMA),
        StoredTable("sla_targets", SLA_TARGETS_SCHEMA, since={"due_at": 1, "is_contradicted": 2}),
        StoredTable(
            "daily_sla_breach_summary", DAILY_SLA_BREACH_SUMMARY_SCHEMA, since={"targets_deleted": 2, "contradicted": 2}
        ),
    )
}
"""The tables whose columns are a contract, by asset name. `sla_clocks` is internal: `sla.clocks.CLOCKS_TABLE`."""
