"""The fields of a ticket that are tracked, the dimensions that breaches are split by, and the names behind their ids."""

from __future__ import annotations

from collections.abc import Sequence

TRACKED_FIELDS = (
    "status",
    "priority",
    "type",
    "group_id",
    "assignee_id",
    "organization_id",
    "brand_id",
    "ticket_form_id",
    "channel",
    "tags",
    "schedule_id",
)
"""Tracked always; TICKET_EVENTS_DIMENSIONS adds custom fields. `channel` is a constant of the ticket: the `via` of its Create
audit. All others are fields of `ticket_field_changes`."""

ID_FIELDS = ("group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id", "schedule_id")
"""Their values are ids: whole numbers."""

HISTORY_FIELDS = ("group_id", "assignee_id")
"""Of these, `ticket_states` keeps every change since the first activation of an open target."""

SCHEDULE_FIELD = "schedule_id"

UNTOLD_BY_SNAPSHOTS = (SCHEDULE_FIELD,)

DIMENSIONS = {
    "group": "group_id",
    "assignee": "assignee_id",
    "priority": "priority",
    "type": "type",
    "brand": "brand_id",
    "form": "ticket_form_id",
    "organization": "organization_id",
    "channel": "channel",
    "tag": "tags",
}
"""The field behind each value of the column `dimension`; a custom field has its own name."""

NAMES_OF = {
    "group": "groups",
    "assignee": "agents",
    "brand": "brands",
    "form": "ticket_forms",
    "organization": "organizations",
}
"""The kind of `zendesk_names` that holds a dimension's names; the values of other dimensions are texts."""

AUDIT, PREVIOUS_VALUE, SNAPSHOT, ASSUMED = "audit", "previous_value", "snapshot", "assumed"
"""How the value of a field at a moment is known: from the newest change before it; from the previous value of the next change;
from a snapshot of the ticket; or from one of these where audits in between are missing, which may turn out wrong."""

CHANNELS = {
    "Web form": "web",
    "Web service": "api",
    "Mail": "email",
    "Chat": "chat",
    "Twitter": "twitter",
    "Facebook Post": "facebook",
    "Phone call (inbound)": "voice",
    "Phone call (outbound)": "voice",
    "Voicemail": "voice",
    "Mobile": "mobile",
    "Web Widget": "web_widget",
    "Messaging": "native_messaging",
    "WhatsApp": "whatsapp",
    "Any channel": "any_channel",
    "Closed ticket": "web",
}
"""From the `via` of an audit to the `via.channel` of a ticket, as far as known; other words stay as they are."""


def tracked_fields(custom_fields: Sequence[str] = ()) -> tuple[str, ...]:
    """All tracked fields: those of every account, then the account's custom fields."""
    return (*TRACKED_FIELDS, *custom_fields)


def field_of(dimension: str) -> str:
    """The field that a dimension shows."""
    return DIMENSIONS.get(dimension, dimension)
