"""`sla_clocks`: every remembered SLA clock with its events so far, the carry-over from day to day.

What the table takes over from its own day before stays in its column: `made_from` does not name it.
"""

from __future__ import annotations

from ticket_events_pipeline.tables.table import BOOL, DICTIONARY_STRING, INT8, INT32, INT64, TIMESTAMP, Column, Table
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE

SLA_EVENT_COLUMNS = (
    Column("id", INT64, "Zendesk's id of the event; of a deletion or restoration, that of the audit.", made_from=("id",)),
    Column("ticket_id", INT64, "Number of the ticket.", made_from=("ticket_id",)),
    Column(
        "metric",
        DICTIONARY_STRING,
        "What the clock measures, Zendesk's name in events; ticket for the ticket's own deletions and restorations.",
        made_from=("metric",),
    ),
    Column(
        "instance_id",
        INT64,
        "Number of the clock, from 1 for each metric of a ticket; 0 for the ticket's own deletions and restorations.",
        made_from=("instance_id",),
    ),
    Column(
        "rank",
        INT8,
        "Type of the event as its place within one second: 0 activate, 1 either apply, 2 breach, 3 pause, 4 fulfill, "
        "5 update_status; then 6 ticket deleted, 7 ticket restored.",
        made_from=("type", "child_events"),
    ),
    Column("time", TIMESTAMP, "When the event happened (UTC), whole seconds.", made_from=("time",)),
    Column(
        "deleted",
        BOOL,
        "True for a breach that Zendesk has taken back; other deleted events aren't here.",
        made_from=("deleted",),
    ),
    Column(
        "has_policy", BOOL, "True if the event brings a policy; an apply with false takes it away.", made_from=("sla_is_group",)
    ),
    Column("is_group", BOOL, "True for a group SLA, false for an SLA; NULL without a policy.", made_from=("sla_is_group",)),
    Column(
        "target_seconds",
        INT64,
        "The policy's target, in seconds of its hours; NULL if Zendesk sent none.",
        made_from=("sla_target_seconds", "sla_target_minutes"),
    ),
    Column(
        "business_hours",
        BOOL,
        "True if the target counts business hours, false for calendar hours; NULL if Zendesk didn't say.",
        made_from=("sla_business_hours",),
    ),
    Column(
        "policy_id",
        DICTIONARY_STRING,
        "Id of the policy that the event brings, as text; NULL without one.",
        made_from=("sla_policy_id",),
    ),
    Column("policy_title", DICTIONARY_STRING, "Title of that policy; NULL without one.", made_from=("sla_policy_title",)),
    Column(
        "status_calendar_minutes",
        INT64,
        "Minutes run in calendar hours; NULL except on update_status.",
        made_from=("status_calendar_minutes",),
    ),
    Column(
        "status_business_minutes",
        INT64,
        "Minutes run in business hours; NULL except on update_status.",
        made_from=("status_business_minutes",),
    ),
    Column(
        "position",
        INT32,
        "Place of the deletion or restoration among the audit's child events; 0 for other events, NULL in older files.",
        made_from=("child_events",),
        since=2,
    ),
)
"""What the SLA rules need of an event."""

CLOCK_STATE_COLUMNS = (
    Column(
        "clock",
        INT32,
        "Number of the clock (ticket_id, metric, instance_id) within this file, from 0.",
        made_from=("ticket_id", "metric", "instance_id"),
    ),
    Column("is_fulfilled", BOOL, "Whether the clock stands fulfilled after this event.", made_from=("type", "time")),
    Column(
        "is_open",
        BOOL,
        "Whether the clock's target is open after this event.",
        made_from=("type", "time", "id", "deleted", "sla_is_group", "child_events"),
    ),
)
"""Where the event's clock stands after it."""

SLA_CLOCKS_TABLE = Table(
    "sla_clocks",
    key=("ticket_id", "metric", "instance_id", "time", "rank", "id", "position"),
    # Metric-shaped rows of either make clocks; audits are in `ticket_events` alone.
    made_from=(TICKET_EVENTS_TABLE, TICKET_METRIC_EVENTS_TABLE),
    columns=(*SLA_EVENT_COLUMNS, *CLOCK_STATE_COLUMNS),
    is_internal=True,
)
