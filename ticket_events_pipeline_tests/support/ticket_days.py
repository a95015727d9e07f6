"""A root with ticket tables, as their makers make them from raw audits and metric events; and names for their ids."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.tickets.by_dimension import make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.durations import make_durations
from ticket_events_pipeline.tickets.fields import TRACKED_FIELDS
from ticket_events_pipeline.tickets.holders import make_holders
from ticket_events_pipeline.tickets.names import SCHEDULES, names_schema, read_schedules, write_kind
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support.sla_cases import Clock


def make_ticket_days(root: Path, first: Day, last: Day) -> None:
    """Make all ticket tables of the days, in the order of a run; changes where the audits landed. Nothing is asked for."""
    store, days = FolderStore(root), days_between(first, last)
    snapshots = Snapshots(store, first.timezone)
    list(make_changes(store, [day for day in days if (root / partition_path(AUDITS, day)).exists()]))
    list(make_states(store, days, fields=TRACKED_FIELDS))
    list(make_dimensions(store, days, snapshots=snapshots, schedules=read_schedules(store)))
    list(make_breaches_by_dimension(store, days))
    list(make_holders(store, days, schedules={}))
    list(make_durations(store, days))


def put_names(root: Path, kind: str, names: Mapping[int, str], *, deleted: Collection[int] = (), at: int) -> None:
    """Store the names of a kind as fetched at that time (epoch seconds)."""
    seen = dt.datetime.fromtimestamp(at, dt.UTC)
    rows = [
        {"id": number, "name": name, "is_deleted": number in deleted, "seen_from": seen, "seen_to": seen}
        for number, name in names.items()
    ]
    write_kind(FolderStore(root), kind, pa.Table.from_pylist(rows, schema=names_schema(kind)), fetched_at=at)


def put_schedules(root: Path, *schedules: Schedule, at: int) -> None:
    """Store the account's schedules as fetched at that time (epoch seconds)."""
    seen = dt.datetime.fromtimestamp(at, dt.UTC)
    rows = [
        {
            "id": schedule.id,
            "name": schedule.name,
            "time_zone": schedule.time_zone,
            "intervals": json.dumps(schedule.intervals),
            "holidays": json.dumps([("", str(first), str(last)) for first, last in schedule.holidays]),
            "is_deleted": False,
            "seen_from": seen,
            "seen_to": seen,
        }
        for schedule in schedules
    ]
    write_kind(FolderStore(root), SCHEDULES, pa.Table.from_pylist(rows, schema=names_schema(SCHEDULES)), fetched_at=at)


def audit(number: int, ticket_id: int, hour: float, kind: str = "Change", **fields: Any) -> dict[str, Any]:
    """An audit that sets these fields of a ticket; the hour is one of `Clock`'s."""
    time = Clock.DAY.start + round(hour * 3600)
    children = [{"id": place, "event_type": kind, name: value} for place, (name, value) in enumerate(fields.items())]
    return {"id": number, "ticket_id": ticket_id, "time": time, "child_events": children, "via": "Mail"}
