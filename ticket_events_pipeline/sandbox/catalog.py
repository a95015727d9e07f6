"""The settings of the simulated account: its brands, forms, schedules, custom fields, groups, people, and their names.

https://developer.zendesk.com/api-reference/ticketing/introduction/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ticket_events_pipeline.sandbox.policies import GROUP_OWNERSHIP, OFFICE_HOURS, PRIORITIES, STANDARD, VIP, Policy
from ticket_events_pipeline.sandbox.schedule import HOLIDAYS, VIENNA_HOURS, WEEKDAY_HOURS, Hours
from ticket_events_pipeline.sandbox.texts import (
    AGENTS_BY_GROUP,
    BILLING,
    FIRST_LEVEL,
    LOGISTICS,
    SECOND_LEVEL,
    agent_ids,
    organization_ids,
)

BRANDS = (360_000_514_201, 360_000_514_244, 360_000_514_287)
BRAND_WEIGHTS = (70, 20, 10)
VIENNA_BRAND = BRANDS[2]
"""Its tickets have the second schedule."""

FORMS = (360_000_822_318, 360_000_822_351, 360_000_822_394)
FORM_WEIGHTS = (60, 25, 15)

WEEKDAY_SCHEDULE, VIENNA_SCHEDULE = 360_000_144_612, 360_000_144_698
SCHEDULE_HOURS: Mapping[int | None, Hours] = {
    None: WEEKDAY_HOURS,
    WEEKDAY_SCHEDULE: WEEKDAY_HOURS,
    VIENNA_SCHEDULE: VIENNA_HOURS,
}
"""The first is the account's default."""

ESCALATION_FIELD, AREA_FIELD = 360_041_597_112, 360_041_597_155
"""Two custom fields: whether second level has had the ticket, and the part of the product that it is about."""

AREAS = ("account", "billing", "delivery", "export")

AI_AGENT_ID = 360_884_990_001
ADMIN_ID = 360_884_990_044
FORMER_AGENT_ID = agent_ids(FIRST_LEVEL)[5]
"""Has left: no longer in the list of agents, but still to be asked for by id."""

_GROUP_NAMES = {FIRST_LEVEL: "First level", SECOND_LEVEL: "Second level", BILLING: "Billing", LOGISTICS: "Logistik & Versand"}
_BRAND_NAMES = ("Nordlicht", "Nordlicht Business", "Nordlicht Österreich")
_FORM_NAMES = ("General request", "Invoice or refund", "Delivery <express>")  # a name that a page must escape
_FIRST_NAMES = ("Ada", "Bruno", "Chloé", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Iñigo", "Jørgen")
_LAST_NAMES = ("Abramović", "Brandt", "Castellanos", "Dąbrowska", "Eriksson", "Fournier", "González", "Hofer", "Ivanova")
_COMPANIES = ("Alpenblick", "Bergström", "Café Central", "Delta & Söhne", "Écluse", "Fjordline")
_KINDS = ("GmbH", "AB", "S.A.", "Ltd", "AG", "Oy", "Kft.", "Inc.", "B.V.", "s.r.o.")
_SINCE = "2015-01-01T08:00:00Z"

Json = dict[str, Any]


def objects(kind: str) -> Sequence[Json]:
    """All objects of a kind (see `LISTS` in `lookups`), as the API shows them; the former agent is among the users."""
    return _MAKERS[kind]()


def holidays(schedule_id: int) -> Sequence[Json] | None:
    """The holidays of a schedule; None if there is no such schedule."""
    if schedule_id not in SCHEDULE_HOURS:
        return None
    dates = HOLIDAYS if schedule_id == VIENNA_SCHEDULE else ()
    return [
        {"id": 1000 + number, "name": f"{name} {date.year}", "start_date": str(date), "end_date": str(date)}
        for number, (name, date) in enumerate(dates)
    ]


def _stamped(fields: Json) -> Json:
    return {**fields, "created_at": _SINCE, "updated_at": _SINCE}


def _groups() -> list[Json]:
    return [
        _stamped({"id": group_id, "name": name, "description": "", "default": group_id == FIRST_LEVEL, "deleted": False})
        for group_id, name in _GROUP_NAMES.items()
    ]


def _user(user_id: int, name: str, *, role: str, group_id: int | None) -> Json:
    shown = {"id": user_id, "name": name, "email": f"{user_id}@example.com", "role": role, "default_group_id": group_id}
    return _stamped({**shown, "active": user_id != FORMER_AGENT_ID, "suspended": False})


def _users() -> list[Json]:
    names = [f"{first} {last}" for last in _LAST_NAMES for first in _FIRST_NAMES]
    found = [
        _user(agent_id, names[number], role="agent", group_id=group_id)
        for number, (group_id, agent_id) in enumerate(
            (group_id, agent_id) for group_id in AGENTS_BY_GROUP for agent_id in agent_ids(group_id)
        )
    ]
    found.append(_user(AI_AGENT_ID, "AI agent", role="agent", group_id=None))
    found.append(_user(ADMIN_ID, "Petra Admin", role="admin", group_id=FIRST_LEVEL))
    return [{**user, "role": "end-user"} if user["id"] == FORMER_AGENT_ID else user for user in found]


def _brands() -> list[Json]:
    return [
        _stamped({"id": brand_id, "name": name, "subdomain": f"brand{number}", "active": True, "default": number == 0})
        for number, (brand_id, name) in enumerate(zip(BRANDS, _BRAND_NAMES, strict=True))
    ]


def _forms() -> list[Json]:
    return [
        _stamped({"id": form_id, "name": name, "display_name": name, "active": True, "default": number == 0})
        for number, (form_id, name) in enumerate(zip(FORMS, _FORM_NAMES, strict=True))
    ]


def _organizations() -> list[Json]:
    names = [f"{company} {kind}" for kind in _KINDS for company in _COMPANIES]
    return [
        _stamped({"id": organization_id, "name": name, "domain_names": [], "tags": []})
        for organization_id, name in zip(organization_ids(), names, strict=True)
    ]


def _policy(policy: Policy, position: int) -> Json:
    metrics = [
        {
            "priority": priority,
            "metric": {"first_reply": "first_reply_time", "next_reply": "next_reply_time"}.get(name, name),
            "target": minutes[place],
            "business_hours": policy.business_hours,
        }
        for name, minutes in policy.minutes.items()
        for place, priority in enumerate(PRIORITIES)
    ]
    shown = {"id": policy.id, "title": policy.title, "description": policy.description, "position": position}
    return _stamped({**shown, "filter": {"all": [], "any": []}, "policy_metrics": metrics})


def _schedules() -> list[Json]:
    day = 24 * 60
    weekdays = [{"start_time": day * n + 8 * 60, "end_time": day * n + 18 * 60} for n in range(1, 6)]
    open_days = [(n + 1, hours) for n, hours in enumerate(VIENNA_HOURS.opening) if hours is not None]
    vienna = [{"start_time": day * n + 60 * start, "end_time": day * n + 60 * end} for n, (start, end) in open_days]
    return [
        _stamped({"id": WEEKDAY_SCHEDULE, "name": "Weekdays", "time_zone": "UTC", "intervals": weekdays}),
        # Zendesk names zones as Ruby on Rails does: "Vienna", not "Europe/Vienna".
        _stamped({"id": VIENNA_SCHEDULE, "name": "Bürozeiten Wien", "time_zone": "Vienna", "intervals": vienna}),
    ]


_MAKERS = {
    "groups": _groups,
    "users": _users,
    "brands": _brands,
    "ticket_forms": _forms,
    "organizations": _organizations,
    "sla_policies": lambda: [_policy(policy, place) for place, policy in enumerate((VIP, OFFICE_HOURS, STANDARD), 1)],
    "group_sla_policies": lambda: [_policy(GROUP_OWNERSHIP, 1)],
    "schedules": _schedules,
}
