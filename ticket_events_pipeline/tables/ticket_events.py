"""`ticket_events`: audits and, where the account's export has them, metric events.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/ (ticket events)
"""

from __future__ import annotations

from ticket_events_pipeline.tables.table import BOOL, EVENT_KEY, INT32, INT64, STRING, TIMESTAMP, Column, Sent, Table
from ticket_events_pipeline.tables.ticket_metric_events import EXTRA, METRIC_EVENT_COLUMNS, TICKET_ID

KNOWN_EVENT_TYPES = frozenset({"Audit"})

AUDIT_COLUMNS = (
    Column("created_at", TIMESTAMP, "When the audit was made (UTC); NULL where the row doesn't say.", path="created_at"),
    Column(
        "updater_id",
        INT64,
        "Zendesk's id of the user who made the change; NULL where the row doesn't say.",
        path="updater_id",
    ),
    Column(
        "via",
        STRING,
        "Channel of the change, such as Web form; NULL where it isn't text, which then lies in extra.",
        path="via",
    ),
    Column(
        "event_type",
        STRING,
        "Kind of the row, as Zendesk sent it: Audit; NULL for metric events.",
        path="event_type",
        known=KNOWN_EVENT_TYPES,
    ),
    Column(
        "via_reference_id",
        INT64,
        "Id of what the change came through, such as a trigger; NULL without one.",
        path="via_reference_id",
    ),
    Column(
        "child_events",
        STRING,
        "JSON list of the single changes and comments of the audit; NULL for metric events.",
        path="child_events",
        sent=Sent.ANY,
    ),
    Column(
        "system",
        STRING,
        "JSON of client, IP address and place of the actor; NULL where the row has none.",
        path="system",
        sent=Sent.ANY,
    ),
    Column(
        "metadata", STRING, "JSON of further data of the audit; NULL where the row has none.", path="metadata", sent=Sent.ANY
    ),
    Column(
        "merged_ticket_ids",
        STRING,
        "JSON list of the tickets merged into this one; NULL where the row has none.",
        path="merged_ticket_ids",
        sent=Sent.ANY,
    ),
    Column("child_event_count", INT32, "How many child events the audit has; NULL where they are no list."),
    Column("comment_present", BOOL, "True if a child event is a comment; NULL where the child events are no list."),
    Column("comment_public", BOOL, "True if one of the comments is public; NULL without a comment."),
)

TICKET_EVENTS_TABLE = Table(
    "ticket_events",
    key=EVENT_KEY,
    time_fields=("timestamp", "created_at", "time"),  # an audit's `timestamp` is what start_time is compared with
    columns=(
        Column("id", INT64, "Zendesk's id of the audit or metric event, unique among the rows of its kind.", path="id"),
        TICKET_ID,
        Column(
            "time",
            TIMESTAMP,
            "The stream's own time of the event (UTC); local to the account's timezone, it decides the day.",
            path="timestamp",
        ),
        *AUDIT_COLUMNS,
        *METRIC_EVENT_COLUMNS,
        EXTRA,
    ),
)
