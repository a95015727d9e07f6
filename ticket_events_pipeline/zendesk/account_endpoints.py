"""The endpoints of the account's ordinary API that are read, as values: what needs no HTTP client imports none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PAGE_LIMIT = 100
"""Objects a page, and ids a request: as many as the API takes."""

Record = dict[str, Any]
"""One object as it was sent."""

_Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that answers with a list.

    Attributes:
        path: below the base URL.
        member: of the answer, which holds the list.
        params: that every request for the list has.
    """

    path: str
    member: str
    params: _Params = ()


_BY_CURSOR = ("page[size]", str(PAGE_LIMIT))  # only where it is documented: elsewhere it may be an error

GROUPS = Endpoint("/api/v2/groups", "groups", (_BY_CURSOR,))
AGENTS = Endpoint("/api/v2/users", "users", (("role[]", "agent"), ("role[]", "admin"), _BY_CURSOR))
BRANDS = Endpoint("/api/v2/brands", "brands", (_BY_CURSOR,))
TICKET_FORMS = Endpoint("/api/v2/ticket_forms", "ticket_forms")
SLA_POLICIES = Endpoint("/api/v2/slas/policies", "sla_policies")
GROUP_SLA_POLICIES = Endpoint("/api/v2/group_slas/policies", "group_sla_policies")
SCHEDULES = Endpoint("/api/v2/business_hours/schedules", "schedules")

SOME_TICKETS = Endpoint("/api/v2/tickets/show_many", "tickets")
SOME_USERS = Endpoint("/api/v2/users/show_many", "users")
SOME_ORGANIZATIONS = Endpoint("/api/v2/organizations/show_many", "organizations")


def holidays_of(schedule_id: int) -> Endpoint:
    """The holidays of a schedule."""
    return Endpoint(f"/api/v2/business_hours/schedules/{schedule_id}/holidays", "holidays")
