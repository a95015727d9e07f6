"""A root whose open targets are due at known times: in calendar and business hours, paused, late, held by two groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.names import SCHEDULES, names_schema, write_kind
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_audits, put_raw_day
from ticket_events_pipeline_tests.support.ticket_days import audit, make_ticket_days, put_names

BILLING, SALES, EMPTY = 71, 72, 73
ADA, HOSTILE_NAME = 81, "[red]Bob\x1b[2J"
BOB = 82
POLICY = "Standard"

ALWAYS = ((0, 7 * 24 * 60),)
"""Intervals of a schedule that is always open."""


def hour_of(seconds: float) -> float:
    """An epoch second as an hour of `Clock`."""
    return (seconds - Clock.DAY.start) / 3600


def due_in(minutes: float, ticket_id: int, now: float, *, hours: int = 4, business_hours: bool = False) -> Clock:
    """A target of so many hours of this ticket that is due so many minutes after `now`."""
    begun = hour_of(now) + minutes / 60 - hours
    clock = Clock(ticket_id, "reply_time", first_id=100 * ticket_id)
    return clock.add("activate", begun).apply(begun, 60 * hours, business_hours=business_hours, title=POLICY)


def held_by(ticket_id: int, now: float, **fields: Any) -> dict[str, Any]:
    """The audit that created a ticket, half a day ago."""
    return audit(ticket_id, ticket_id, hour_of(now) - 12, "Create", **fields)


def put_schedule(root: Path, intervals: Sequence[tuple[int, int]], *, at: int) -> None:
    """Store one schedule, in UTC, as fetched at that time."""
    row = {
        "id": 500,
        "name": "Office",
        "time_zone": "UTC",
        "intervals": str([list(interval) for interval in intervals]),
        "holidays": "[]",
        "is_deleted": False,
        "seen_from": at * 1000,
        "seen_to": at * 1000,
    }
    write_kind(FolderStore(root), SCHEDULES, pa.Table.from_pylist([row], schema=names_schema(SCHEDULES)), fetched_at=at)


def due_root(
    root: Path,
    clocks: Sequence[Clock],
    audits: Sequence[dict[str, Any]],
    *,
    as_of: int,
    intervals: Sequence[tuple[int, int]] = ALWAYS,
    has_ticket_tables: bool = True,
    days_before: int = 1,
) -> Day:
    """Make the days before today, and today as read up to `as_of`; returns today."""
    today = Day.containing(as_of)
    first = today.plus(-days_before)
    for day in days_between(first, today):
        read_to = as_of if day == today else None
        put_raw_day(root, all_events(*clocks), day, now=read_to)
        put_audits(root, list(audits), day, now=read_to)
    make_sla_days(root, first, today)
    put_names(root, "groups", {BILLING: "Billing", SALES: "Sales", EMPTY: "Empty"}, at=as_of)
    put_names(root, "agents", {ADA: "Ada", BOB: HOSTILE_NAME}, at=as_of)
    put_schedule(root, intervals, at=as_of - 60)
    if has_ticket_tables:
        make_ticket_days(root, first, today)
    return today
