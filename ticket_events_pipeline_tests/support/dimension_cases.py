"""Rows of `daily_sla_breaches_by_dimension` chosen by hand, and names for their ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.tables.tickets import DAILY_SLA_BREACHES_BY_DIMENSION_TABLE

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
