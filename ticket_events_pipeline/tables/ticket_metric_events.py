"""`ticket_metric_events`, and the columns of a metric event, which `ticket_events` holds too.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/ (ticket metric events) and
https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.tables.table import BOOL, EVENT_KEY, INT64, STRING, TIMESTAMP, Column, Sent, Table

KNOWN_METRICS = frozenset(
    {
        "agent_work_time",
        "group_ownership_time",
        "pausable_update_time",
        "periodic_update_time",
        "reply_time",
        "requester_wait_time",
        "resolution_time",
    }
)

KNOWN_TYPES = frozenset({"activate", "apply_group_sla", "apply_sla", "breach", "fulfill", "measure", "pause", "update_status"})

POLICY_FIELDS = ("sla", "group_sla")
"""A column under `sla` is filled from either: a row carries the one or the other."""

POLICY_DESCRIPTION = "sla.policy.description"
"""Text that is documented and has no column: `extra` holds it."""

DELETED_IS_READ_SINCE = 2
"""The schema version since which `deleted` is read in every spelling, and NULL in a metric event where it can't be read."""

METRIC_EVENT_COLUMNS = (
    Column(
        "metric",
        STRING,
        "What Zendesk's clock measures, such as reply_time or resolution_time; NULL for an audit.",
        path="metric",
        known=KNOWN_METRICS,
    ),
    Column(
        "instance_id",
        INT64,
        "Number of the clock: those of one metric on one ticket are counted from 1; 0 on measure rows, NULL for an audit.",
        path="instance_id",
    ),
    Column(
        "type",
        STRING,
        "What happened to the clock: activate, pause, fulfill, apply_sla, apply_group_sla, breach, update_status or measure, "
        "as Zendesk sent it; NULL for an audit.",
        path="type",
        known=KNOWN_TYPES,
    ),
    Column("deleted", BOOL, "True if Zendesk has taken the event back; NULL for an audit.", path="deleted", sent=Sent.FLAG),
    Column(
        "sla_target_minutes",
        INT64,
        "The policy's target in minutes; NULL if the row carries none.",
        path="sla.target",
    ),
    Column(
        "sla_target_seconds",
        INT64,
        "The same target in seconds, where Zendesk sends it; NULL elsewhere.",
        path="sla.target_in_seconds",
    ),
    Column(
        "sla_business_hours",
        BOOL,
        "True if the target counts business hours, false for calendar hours; NULL if the row doesn't say.",
        path="sla.business_hours",
    ),
    Column(
        "sla_policy_id",
        STRING,
        "Id of the SLA policy or group SLA policy, as text; NULL if the row carries none.",
        path="sla.policy.id",
        sent=Sent.ID,
    ),
    Column(
        "sla_policy_title",
        STRING,
        "Title of that policy when the event was sent; NULL if the row carries none.",
        path="sla.policy.title",
    ),
    Column(
        "sla_is_group",
        BOOL,
        "True if the row carries a group SLA, false if an SLA; NULL if it carries neither, so that an apply with NULL takes "
        "the policy away.",
    ),
    Column(
        "status_calendar_minutes",
        INT64,
        "Minutes that Zendesk says the clock has run, in calendar hours; NULL except on update_status.",
        path="status.calendar",
    ),
    Column(
        "status_business_minutes",
        INT64,
        "Minutes that Zendesk says the clock has run, in business hours; NULL except on update_status.",
        path="status.business",
    ),
)


def json_fields(columns: Iterable[Column]) -> frozenset[str]:
    """The fields of a row's JSON that fill these columns."""
    fields = {column.steps[0] for column in columns if column.steps}
    return frozenset(fields | set(POLICY_FIELDS) if fields & set(POLICY_FIELDS) else fields)


def json_paths(column: Column) -> list[str]:
    """The dotted paths, in a row's JSON, of the fields that fill a column."""
    first, *inner = column.steps or ("",)
    fields = POLICY_FIELDS if first in POLICY_FIELDS else column.steps[:1]
    return [".".join((field, *inner)) for field in fields]


METRIC_FIELDS = json_fields(METRIC_EVENT_COLUMNS)

TICKET_ID = Column(
    "ticket_id", INT64, "Number of the ticket; NULL if the row has none that is a whole number.", path="ticket_id"
)

EXTRA = Column(
    "extra", STRING, "JSON of every field of the row that has no column, or doesn't fit into its own; NULL if there is none."
)

_WHICH_CLOCK, _WHAT_HAPPENED = METRIC_EVENT_COLUMNS[:3], METRIC_EVENT_COLUMNS[3:]

TICKET_METRIC_EVENTS_TABLE = Table(
    "ticket_metric_events",
    key=EVENT_KEY,
    time_fields=("time", "timestamp", "created_at"),
    columns=(
        Column(
            "id",
            INT64,
            "Zendesk's id of the event, unique in this table; of repeated deliveries the last one is kept.",
            path="id",
        ),
        TICKET_ID,
        *_WHICH_CLOCK,
        Column(
            "time",
            TIMESTAMP,
            "When the event happened (UTC); local to the account's timezone, it decides the day.",
            path="time",
        ),
        *_WHAT_HAPPENED,
        EXTRA,
    ),
)

METRIC_SHAPE = ["metric", "instance_id"]
"""The columns that a row of the metric-event shape has both of, and an audit neither."""


def metric_shaped(raw: pa.Table) -> pa.ChunkedArray:
    """Which rows of a raw table have the metric-event shape; none of a table without its columns."""
    if not set(METRIC_SHAPE) <= set(raw.column_names):
        return pa.chunked_array([pa.repeat(pa.scalar(False), raw.num_rows)])
    metric, instance_id = (pc.is_valid(raw[name]) for name in METRIC_SHAPE)
    return pc.and_(metric, instance_id)
