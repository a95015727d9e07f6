"""Which columns every column of the SLA tables is made from, one asset upstream.

A column is named if its values, in whatever row, decide a value of the other. Not named is what merely says which rows there
are (SLA.md rule 1, `as_of`) or which of them belong together (the clock that an event is of, the policy that a figure is
booked under), unless the column shows just that. An empty list: the column tells of the making, and comes from footers.

What `sla_clocks` takes over from its own day before stays in its column, and is not named either.
"""

from __future__ import annotations

from collections.abc import Mapping

Lineage = dict[str, dict[str, list[tuple[str, str]]]]
"""By asset and column, the columns above it as (asset, column)."""

RAW_ASSETS = ("ticket_events", "ticket_metric_events")
"""Metric-shaped rows of either make clocks; in both, the columns have the same names."""

# Rules 4 to 6: what a clock's events, in their order, say of its target.
_COUNTING = ["rank", "deleted"]
_POLICY = ["rank", "has_policy"]
_OPEN = ["rank", "deleted", "has_policy"]
_TITLE = ["policy_title", "policy_id", "time", "id", *_POLICY]
_TITLE_WHEN_OPEN = ["policy_title", "policy_id", "time", "id", *_OPEN]
_SAME_TARGET = ["target_seconds", "business_hours", "policy_id"]
_SUPERSEDED = [*_OPEN, *_SAME_TARGET, "status_calendar_minutes", "status_business_minutes"]

_CLOCKS_FROM_RAW: Mapping[str, list[str]] = {
    "id": ["id"],
    "ticket_id": ["ticket_id"],
    "metric": ["metric"],
    "instance_id": ["instance_id"],
    "rank": ["type"],
    "time": ["time"],
    "deleted": ["deleted"],
    "has_policy": ["sla_is_group"],
    "is_group": ["sla_is_group"],
    "target_seconds": ["sla_target_seconds", "sla_target_minutes"],
    "business_hours": ["sla_business_hours"],
    "policy_id": ["sla_policy_id"],
    "policy_title": ["sla_policy_title"],
    "status_calendar_minutes": ["status_calendar_minutes"],
    "status_business_minutes": ["status_business_minutes"],
    "position": [],
    "clock": ["ticket_id", "metric", "instance_id"],
    "is_fulfilled": ["type", "time"],
    # Of two applies in one second the greater id holds.
    "is_open": ["type", "time", "id", "deleted", "sla_is_group"],
}

_CLOCKS_FROM_AUDITS: Mapping[str, list[str]] = {
    name: [*sources, "child_events"] if name in ("rank", "position", "is_open") else sources
    for name, sources in _CLOCKS_FROM_RAW.items()
}
"""Audits tell of deleted tickets, and lie in `ticket_events` alone."""

_TARGETS_FROM_CLOCKS: Mapping[str, list[str]] = {
    "ticket_id": ["ticket_id"],
    "metric": ["metric"],
    "instance_id": ["instance_id"],
    "sla_metric": ["metric", "instance_id"],
    "is_group_sla": ["is_group", *_POLICY],
    "policy_id": ["policy_id", *_POLICY],
    "policy_title": _TITLE,
    "target_seconds": ["target_seconds", *_POLICY],
    "business_hours": ["business_hours", *_POLICY],
    "target_changes": [*_SAME_TARGET, *_POLICY],
    "activated_at": ["time", "rank"],
    "applied_at": ["time", *_POLICY],
    "entered_at": ["time", *_OPEN],
    "entered_by": _OPEN,
    "entry_policy_id": ["policy_id", *_OPEN],
    "entry_policy_title": _TITLE_WHEN_OPEN,
    "entry_business_hours": ["business_hours", *_OPEN],
    "breached_at": ["time", *_COUNTING],
    "breach_policy_id": ["policy_id", *_OPEN],
    "breach_policy_title": _TITLE_WHEN_OPEN,
    "breach_business_hours": ["business_hours", *_OPEN],
    "fulfilled_at": ["time", *_OPEN],
    "closed_at": ["time", *_OPEN],
    "reopened_on_day": ["time", *_OPEN],
    "outcome": _SUPERSEDED,
    "was_open_at_start": ["time", *_OPEN],
    "is_paused": _OPEN,
    "superseded": _SUPERSEDED,
    "reopen_count": _OPEN,
    "breach_events": _COUNTING,
    "withdrawn_breaches": _OPEN,
    "breach_events_on_day": ["time", *_COUNTING],
    "withdrawn_breaches_on_day": ["time", *_OPEN],
    "overdue_seconds": ["time", *_SUPERSEDED],
    "is_contradicted": _SUPERSEDED,
    "overdue_clock_seconds": _SUPERSEDED,
    "due_at": ["time", "target_seconds", "business_hours", *_OPEN],
    "last_event_at": ["time", "deleted"],
    "as_of": [],
}

_ACHIEVED = ["outcome"]
_BREACHES = ["breached_at", "superseded", "breach_events_on_day"]
_OVERDUE = ["outcome", "overdue_seconds"]

_SUMMARY_FROM_TARGETS: Mapping[str, list[str]] = {
    "sla_metric": ["sla_metric"],
    "policy_id": ["policy_id", "entry_policy_id", "breach_policy_id"],
    "business_hours": ["business_hours", "entry_business_hours", "breach_business_hours"],
    "policy_title": ["policy_title", "entry_policy_title", "breach_policy_title"],
    "targets_started": ["entered_at", "entered_by"],
    "targets_discovered": ["entered_at", "entered_by"],
    "targets_reopened": ["reopened_on_day"],
    "targets_cancelled": ["outcome"],
    "targets_deleted": ["outcome"],
    "breaches": _BREACHES,
    "breached_tickets": ["ticket_id", *_BREACHES],
    "breach_events": ["breach_events_on_day"],
    "achieved": _ACHIEVED,
    "completed_breached": ["outcome"],
    "superseded_breaches": ["superseded"],
    "withdrawn_breaches": ["withdrawn_breaches_on_day"],
    "contradicted": ["is_contradicted"],
    "active_eod": ["outcome"],
    "breached_open_eod": ["outcome"],
    "paused_eod": ["is_paused"],
    "achievement_rate": [*_ACHIEVED, *_BREACHES],
    "overdue_p50_seconds": _OVERDUE,
    "overdue_p90_seconds": _OVERDUE,
    "overdue_max_seconds": _OVERDUE,
    "as_of": [],
    "events_through": [],
    "history_from": [],
}


def _from(upstream: tuple[str, ...], columns: Mapping[str, list[str]]) -> dict[str, list[tuple[str, str]]]:
    return {name: [(asset, source) for asset in upstream for source in sources] for name, sources in columns.items()}


COLUMN_LINEAGE: Lineage = {
    "sla_clocks": {
        name: [("ticket_events", source) for source in _CLOCKS_FROM_AUDITS[name]]
        + [("ticket_metric_events", source) for source in sources]
        for name, sources in _CLOCKS_FROM_RAW.items()
    },
    "sla_targets": _from(("sla_clocks",), _TARGETS_FROM_CLOCKS),
    "daily_sla_breach_summary": _from(("sla_targets",), _SUMMARY_FROM_TARGETS),
}
