"""Rows of the ticket tables chosen by hand, and names for their ids."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.tables.tickets import (
    DAILY_SLA_BREACHES_BY_DIMENSION_TABLE,
    SLA_TARGET_DIMENSIONS_TABLE,
    SLA_TARGET_HOLDERS_TABLE,
)

BILLING, SECOND_LEVEL, SALES = 360001, 360002, 360003
ANNA, BEN = 9001, 9002


@dataclass(frozen=True)
class SomeNames:
    """Names that need no file: by kind and id; those in `gone` are of what Zendesk no longer lists."""

    names: Mapping[tuple[str, int], str] = field(default_factory=dict)
    gone: frozenset[tuple[str, int]] = frozenset()

    def of(self, kind: str, number: int) -> str | None:
        """The name; None where none is known."""
        return self.names.get((kind, number))

    def is_deleted(self, kind: str, number: int) -> bool:
        """Whether it is one of `gone`."""
        return (kind, number) in self.gone


NAMES = SomeNames(
    {
        ("groups", BILLING): "Billing",
        ("groups", SECOND_LEVEL): "Second level",
        ("groups", SALES): "Sales",
        ("agents", ANNA): "Anna Schmidt",
        ("agents", BEN): "Ben Okafor",
    },
    gone=frozenset({("groups", SALES)}),
)


def dimension_row(dimension: str, value: Any, breaches: int = 0, achieved: int = 0, **more: Any) -> dict[str, Any]:
    """A row with these figures and zeros; a value of None is known to be none unless `is_known` says otherwise."""
    row = {
        "dimension": dimension,
        "value": None if value is None else str(value),
        "is_known": True,
        "sla_metric": "first_reply_time",
        "business_hours": False,
        "breaches": breaches,
        "breached_tickets": breaches,
        "achieved": achieved,
        "completed_breached": 0,
        "active_eod": 0,
        "breached_open_eod": 0,
        "achievement_rate": achieved / (achieved + breaches) if achieved + breaches else None,
    }
    return row | more


def dimension_table(*rows: dict[str, Any]) -> pa.Table:
    """Such rows as the stored table has them."""
    return pa.Table.from_pylist(list(rows), schema=DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema)


def target_row(ticket_id: int, **more: Any) -> dict[str, Any]:
    """A row of `sla_target_dimensions`: a first reply that breached with Billing and Anna, who have the ticket still."""
    row = {
        "ticket_id": ticket_id,
        "metric": "reply_time",
        "instance_id": 1,
        "sla_metric": "first_reply_time",
        "at": dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC),
        "at_kind": "breach",
        "priority": "high",
        "group_id": BILLING,
        "assignee_id": ANNA,
        "channel": "email",
        "known_by": "{}",
        "group_id_eod": BILLING,
        "assignee_id_eod": ANNA,
    }
    return row | more


def target_dimensions(*rows: dict[str, Any]) -> pa.Table:
    """Such rows as the stored table has them."""
    return pa.Table.from_pylist(list(rows), schema=SLA_TARGET_DIMENSIONS_TABLE.schema)


def stretch(ticket_id: int, group_id: int | None, assignee_id: int | None, seconds: int, **more: Any) -> dict[str, Any]:
    """A row of `sla_target_holders` of a first reply that breached."""
    start = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)
    row = {
        "ticket_id": ticket_id,
        "metric": "reply_time",
        "instance_id": 1,
        "sla_metric": "first_reply_time",
        "ended_by": "breach",
        "group_id": group_id,
        "assignee_id": assignee_id,
        "is_known": True,
        "held_from": start,
        "held_to": start + dt.timedelta(seconds=seconds),
        "calendar_seconds": seconds,
        "business_seconds": None,
    }
    return row | more


def target_holders(*rows: dict[str, Any]) -> pa.Table:
    """Such rows as the stored table has them."""
    return pa.Table.from_pylist(list(rows), schema=SLA_TARGET_HOLDERS_TABLE.schema)
