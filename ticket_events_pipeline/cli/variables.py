"""The names of all variables, and which of those that are set nothing reads."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

PREFIXES = ("ZENDESK_", "TICKET_EVENTS_")

VARIABLES = (
    "ZENDESK_SUBDOMAIN",
    "ZENDESK_BASE_URL",
    "ZENDESK_FORMER_SUBDOMAINS",
    "ZENDESK_OAUTH_CLIENT_ID",
    "ZENDESK_OAUTH_CLIENT_SECRET",
    "ZENDESK_OAUTH_TOKEN",
    "ZENDESK_EMAIL",
    "ZENDESK_API_TOKEN",
    "ZENDESK_PASSWORD",
    "ZENDESK_SANDBOX",
    "ZENDESK_REQUESTS_PER_MINUTE",
    "ZENDESK_TIMEOUT_SECONDS",
    "ZENDESK_INCLUDE_COMMENTS",
    "ZENDESK_SUPPORT_TYPE_SCOPE",
    "TICKET_EVENTS_ROOT",
    "TICKET_EVENTS_START_DATE",
    "TICKET_EVENTS_TIMEZONE",
    "TICKET_EVENTS_RESTATE_DAYS",
    "TICKET_EVENTS_GOAL_PERCENT",
    "TICKET_EVENTS_REPORT_URL",
    "TICKET_EVENTS_ALERT_WEBHOOK",
    "TICKET_EVENTS_ALERT_BREACHES",
    "TICKET_EVENTS_ALERT_ACHIEVEMENT_PERCENT",
    "TICKET_EVENTS_ALERT_MIN_TARGETS",
    "TICKET_EVENTS_ALERT_STALE_HOURS",
    "TICKET_EVENTS_DAGSTER_URL",
)
"""Those of `.env.example`, in its order."""


def unknown_variables(names: Iterable[str]) -> dict[str, str | None]:
    """Those of `names` that look like a variable of this pipeline and are none, each with the nearest known name."""
    unknown = sorted(name for name in names if name.startswith(PREFIXES) and name not in VARIABLES)
    return {name: next(iter(get_close_matches(name, VARIABLES, n=1, cutoff=0.75)), None) for name in unknown}
