"""A simulated ticket as it is now, in the shape of the tickets API.

https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#show-multiple-tickets
"""

from __future__ import annotations

from typing import Any

from ticket_events_pipeline.sandbox.catalog import AREA_FIELD, ESCALATION_FIELD
from ticket_events_pipeline.sandbox.stored_row import iso_text
from ticket_events_pipeline.sandbox.ticket_book import BookedTicket


def current_ticket(ticket: BookedTicket, *, now: float) -> dict[str, Any] | None:
    """The ticket at `now` (epoch seconds); None if it isn't there: not yet made, or deleted."""
    values = ticket.history.values_at(now)
    if values is None or values.status == "deleted":
        return None
    times = [step.update.time for step in ticket.history.steps if step.update.time <= now]
    return {
        "id": ticket.id,
        "created_at": iso_text(times[0]),
        "updated_at": iso_text(times[-1]),
        "subject": ticket.cast.subject,
        "status": values.status,
        "priority": values.priority,
        "type": values.type,
        "requester_id": ticket.cast.requester_id,
        "organization_id": values.organization_id,
        "group_id": values.group_id,
        "assignee_id": values.assignee_id,
        "brand_id": values.brand_id,
        "ticket_form_id": values.ticket_form_id,
        "via": {"channel": values.channel, "source": {"from": {}, "to": {}, "rel": None}},
        "tags": list(values.tags),
        "custom_fields": [
            {"id": AREA_FIELD, "value": values.area},
            {"id": ESCALATION_FIELD, "value": values.escalation},
        ],
    }
