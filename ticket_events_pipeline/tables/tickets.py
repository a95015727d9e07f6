"""The ticket tables: what changed in a ticket, and who held it when its targets were breached or met.

Their rules are in `tickets.rules`.
"""

from __future__ import annotations

import pyarrow as pa

from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.table import (
    BOOL,
    DICTIONARY_STRING,
    FLOAT64,
    INT32,
    INT64,
    STRING,
    TIMESTAMP,
    Column,
    Table,
)
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE

STRINGS = pa.list_(STRING)

CUSTOM_FIELD = "custom_field:"
"""How the names of custom fields begin, before their id."""

_TARGET_KEY = ("ticket_id", "metric", "instance_id")

_TARGET = (
    Column("ticket_id", INT64, "Number of the ticket.", made_from=("ticket_id",)),
    Column("metric", STRING, "What the clock measures, Zendesk's name in events.", made_from=("metric",)),
    Column("instance_id", INT64, "Number of the clock, from 1 for each metric of a ticket.", made_from=("instance_id",)),
    Column("sla_metric", STRING, "The metric's name in SLA policies.", made_from=("sla_metric",)),
)

TICKET_FIELD_CHANGES_TABLE = Table(
    "ticket_field_changes",
    key=("ticket_id", "changed_at", "audit_id", "position", "field"),
    made_from=(TICKET_EVENTS_TABLE,),
    columns=(
        Column("ticket_id", INT64, "Number of the ticket.", made_from=("ticket_id",)),
        Column(
            "field",
            STRING,
            "What changed, by Zendesk's name; custom_field:ID for a custom field, schedule_id for the ticket's schedule.",
            made_from=("child_events",),
        ),
        Column(
            "value",
            STRING,
            "The new value as text: numbers in decimal, true or false, lists and objects as JSON, tags as a sorted JSON "
            "list; NULL for empty.",
            made_from=("child_events",),
        ),
        Column(
            "had_previous",
            BOOL,
            "Whether the change says what the value was before; if it does, a NULL previous_value means empty.",
            made_from=("child_events",),
        ),
        Column(
            "previous_value",
            STRING,
            "The value before, as text like value; NULL if empty or not said.",
            made_from=("child_events",),
        ),
        Column("tags_added", STRINGS, "Tags that the change added; NULL where it doesn't say.", made_from=("child_events",)),
        Column(
            "tags_removed", STRINGS, "Tags that the change removed; NULL where it doesn't say.", made_from=("child_events",)
        ),
        Column("changed_at", TIMESTAMP, "Time of the audit (UTC).", made_from=("time",)),
        Column("audit_id", INT64, "Zendesk's id of the audit.", made_from=("id",)),
        Column("position", INT32, "Place of the change among the audit's child events, from 0.", made_from=("child_events",)),
        Column("updater_id", INT64, "Zendesk's id of who made it; NULL where unknown.", made_from=("updater_id",)),
        Column("via", STRING, "Channel of the audit, such as Web form; NULL where it isn't text.", made_from=("via",)),
        Column(
            "is_create",
            BOOL,
            "Whether the ticket was created with this value; false for a later change.",
            made_from=("child_events",),
        ),
    ),
)

TICKET_STATES_TABLE = Table(
    "ticket_states",
    key=("ticket_id", "field", "changed_at", "audit_id", "position"),
    made_from=(TICKET_FIELD_CHANGES_TABLE, SLA_TARGETS_TABLE),
    is_internal=True,
    columns=(
        Column("ticket_id", INT64, "Number of the ticket.", made_from=("ticket_id",)),
        Column("field", DICTIONARY_STRING, "Name of the tracked field.", made_from=("field",)),
        Column("value", STRING, "See ticket_field_changes.", made_from=("value",)),
        Column("had_previous", BOOL, "See ticket_field_changes.", made_from=("had_previous",)),
        Column("previous_value", STRING, "See ticket_field_changes.", made_from=("previous_value",)),
        Column("tags_added", STRINGS, "See ticket_field_changes.", made_from=("tags_added",)),
        Column("tags_removed", STRINGS, "See ticket_field_changes.", made_from=("tags_removed",)),
        Column("changed_at", TIMESTAMP, "See ticket_field_changes.", made_from=("changed_at",)),
        Column("audit_id", INT64, "See ticket_field_changes.", made_from=("audit_id",)),
        Column("position", INT32, "See ticket_field_changes.", made_from=("position",)),
        Column("is_create", BOOL, "See ticket_field_changes.", made_from=("is_create",)),
    ),
)

SLA_TARGET_DIMENSIONS_TABLE = Table(
    "sla_target_dimensions",
    key=_TARGET_KEY,
    made_from=(SLA_CLOCKS_TABLE, SLA_TARGETS_TABLE, TICKET_STATES_TABLE),
    extra_columns=CUSTOM_FIELD,
    columns=(
        *_TARGET,
        Column(
            "at",
            TIMESTAMP,
            "The moment that the values are of (UTC): the counted breach, else the fulfilment or closing, else as_of.",
            made_from=("breached_at", "fulfilled_at", "closed_at", "as_of"),
        ),
        Column(
            "at_kind",
            STRING,
            "What happened then: breach, fulfilment, closing, or as_of for an open target in time.",
            made_from=("outcome",),
        ),
        Column("status", STRING, "Status of the ticket at that moment; NULL if empty or unknown, see known_by."),
        Column("priority", STRING, "Priority at that moment; NULL if none or unknown, see known_by."),
        Column("type", STRING, "Type at that moment; NULL if none or unknown, see known_by."),
        Column("group_id", INT64, "Group that held the ticket at that moment; NULL if none or unknown, see known_by."),
        Column("assignee_id", INT64, "Agent who held it at that moment; NULL if nobody or unknown, see known_by."),
        Column("organization_id", INT64, "Organization at that moment; NULL if none or unknown, see known_by."),
        Column("brand_id", INT64, "Brand at that moment; NULL if none or unknown, see known_by."),
        Column("ticket_form_id", INT64, "Form at that moment; NULL if none or unknown, see known_by."),
        Column("channel", STRING, "Channel that the ticket came by, in the words of Zendesk's API; NULL if unknown."),
        Column("tags", STRINGS, "Tags at that moment, sorted; NULL if unknown, an empty list for none."),
        Column("schedule_id", INT64, "Schedule of the ticket at that moment; NULL if none or unknown, see known_by."),
        Column(
            "known_by",
            STRING,
            "JSON object of the fields whose value isn't from an audit before: previous_value, snapshot, assumed (a day "
            "between isn't stored, or not read yet), or null for unknown.",
        ),
        Column("group_id_eod", INT64, "Group at as_of; NULL if none or unknown."),
        Column("assignee_id_eod", INT64, "Agent at as_of; NULL if nobody or unknown."),
        Column(
            "due_at",
            TIMESTAMP,
            "Estimate (UTC) of when an open target breaches if nothing happens to it, maybe before as_of; NULL without one.",
            made_from=("due_at", "target_seconds", "rank", "time"),
        ),
        Column(
            "due_by",
            STRING,
            "Hours of that estimate: calendar, or business_hours of the ticket's schedule; NULL without one.",
            made_from=("due_at", "business_hours"),
        ),
    ),
)

DAILY_SLA_BREACHES_BY_DIMENSION_TABLE = Table(
    "daily_sla_breaches_by_dimension",
    key=("dimension", "sla_metric", "business_hours", "value", "is_known"),
    made_from=(SLA_TARGET_DIMENSIONS_TABLE,),
    columns=(
        Column(
            "dimension",
            STRING,
            "What the figures are split by: group, assignee, priority, type, brand, form, organization, channel, tag, or "
            "custom_field:ID.",
        ),
        Column("value", STRING, "The value, ids as text; NULL for none or unknown, see is_known."),
        Column(
            "is_known",
            BOOL,
            "True if the value, or that there is none (nobody), is known; false for unknown and for assumed values.",
        ),
        Column("sla_metric", STRING, "The metric's name in SLA policies.", made_from=("sla_metric",)),
        Column("business_hours", BOOL, "Hours of the policy: true for business, false for calendar hours; NULL if unknown."),
        Column("breaches", INT64, "Targets that first breached on the day and aren't superseded at as_of."),
        Column("breached_tickets", INT64, "Distinct tickets of breaches; they can't be added up over rows or days."),
        Column("achieved", INT64, "Targets fulfilled on the day, unbreached or superseded."),
        Column("completed_breached", INT64, "Targets fulfilled late on the day."),
        Column("active_eod", INT64, "Targets open at as_of, late ones included."),
        Column("breached_open_eod", INT64, "Open targets at as_of that have breached (late and open)."),
        Column("achievement_rate", FLOAT64, "achieved / (achieved + breaches), a share from 0 to 1; NULL if both are 0."),
        Column("overdue_p50_seconds", FLOAT64, "Median of overdue_seconds of completed_breached; NULL if there are none."),
        Column("overdue_p90_seconds", FLOAT64, "90th percentile of it, linear; NULL if there are none."),
        Column("overdue_max_seconds", INT64, "Greatest overdue_seconds of completed_breached; NULL if there are none."),
    ),
)

SLA_TARGET_HOLDERS_TABLE = Table(
    "sla_target_holders",
    key=(*_TARGET_KEY, "held_from"),
    made_from=(SLA_CLOCKS_TABLE, SLA_TARGETS_TABLE, TICKET_STATES_TABLE),
    columns=(
        *_TARGET,
        Column("ended_by", STRING, "What ended the time: breach (the first that counts) or fulfilment."),
        Column("group_id", INT64, "Group that held the ticket; NULL if none or unknown, see is_known."),
        Column("assignee_id", INT64, "Agent who held it; NULL if nobody or unknown, see is_known."),
        Column("is_known", BOOL, "Whether both are known; false also where one is assumed."),
        Column("held_from", TIMESTAMP, "When the stretch began (UTC)."),
        Column("held_to", TIMESTAMP, "When it ended (UTC)."),
        Column("calendar_seconds", INT64, "Seconds of the stretch in which the clock ran."),
        Column("business_seconds", INT64, "The same in business hours; NULL where the ticket's schedule isn't known."),
    ),
)

DAILY_TICKET_DURATIONS_TABLE = Table(
    "daily_ticket_durations",
    key=("sla_metric", "group_id", "is_known"),
    made_from=(SLA_CLOCKS_TABLE, TICKET_STATES_TABLE),
    columns=(
        Column("sla_metric", STRING, "The metric's name in SLA policies.", made_from=("metric", "instance_id")),
        Column("group_id", INT64, "Group that held the ticket at the fulfilment; NULL if none or unknown, see is_known."),
        Column(
            "is_known", BOOL, "True if the group, or that there is none, is known; false for unknown and for assumed groups."
        ),
        Column("clocks", INT64, "Clocks fulfilled on the day with a measured duration, with an SLA or without."),
        *(
            Column(f"{hours}_{statistic}_minutes", FLOAT64, f"{text} of their minutes in {hours} hours; NULL if not measured.")
            for hours in ("calendar", "business")
            for statistic, text in (("p50", "Median"), ("p90", "90th percentile, linear,"), ("mean", "Mean"))
        ),
    ),
)

TICKET_TABLES = (
    TICKET_FIELD_CHANGES_TABLE,
    TICKET_STATES_TABLE,
    SLA_TARGET_DIMENSIONS_TABLE,
    DAILY_SLA_BREACHES_BY_DIMENSION_TABLE,
    SLA_TARGET_HOLDERS_TABLE,
    DAILY_TICKET_DURATIONS_TABLE,
)
"""In the order in which they are made: the first with the fetch, the others after the summary."""
