"""Rows as Zendesk sends them, for tests that need a few of a known kind."""

import datetime as dt
from typing import Any


def iso(epoch_seconds: int) -> str:
    """The time as Zendesk writes it."""
    return dt.datetime.fromtimestamp(epoch_seconds, dt.UTC).isoformat().replace("+00:00", "Z")


def audit(number: int, time: int, **more: Any) -> dict[str, Any]:
    """An audit without child events."""
    base = {"id": number, "ticket_id": 1, "timestamp": time, "created_at": iso(time), "event_type": "Audit", "child_events": []}
    return {**base, **more}


def metric_event(number: int, time: int, **more: Any) -> dict[str, Any]:
    """A metric event of no consequence."""
    base = {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "activate", "time": iso(time)}
    return {**base, **more}


def event(number: int, time: str, kind: str = "apply_sla", **more: Any) -> dict[str, Any]:
    """A metric event of the reply time at an ISO time; an `apply_sla` brings a target of 60 minutes."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    base = {"id": number, "ticket_id": number % 100, "metric": "reply_time", "instance_id": 1, "type": kind, "time": time}
    return {**base, **({"sla": sla} if kind == "apply_sla" else {}), **more}
