"""Rows as Zendesk sends them, for tests that need a few of a known kind."""

from typing import Any


def event(number: int, time: str, kind: str = "apply_sla", **more: Any) -> dict[str, Any]:
    """A metric event of the reply time; an `apply_sla` brings a target of 60 minutes."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    base = {"id": number, "ticket_id": number % 100, "metric": "reply_time", "instance_id": 1, "type": kind, "time": time}
    return {**base, **({"sla": sla} if kind == "apply_sla" else {}), **more}
