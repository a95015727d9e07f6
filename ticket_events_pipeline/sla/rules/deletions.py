"""Deletions and restorations of tickets, read from audits: rule 9.

A deletion concerns every clock of its ticket, also clocks that come later. So the carry-over keeps a ticket's deletions and
restorations once as events of a separate clock (`TICKET_CLOCK`, instance 0, which no metric event has), and copies among the
events of each other clock, where `replay` reads them. The copies are rebuilt each day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.sla.rules.events import DELETE, RESTORE, SLA_EVENTS_SCHEMA
from ticket_events_pipeline.sla.rules.row_runs import Ints, among, once, ranges, union
from ticket_events_pipeline.tables.table import TIMESTAMP

TICKET_CLOCK = "ticket"
"""The metric name of the clock that keeps a ticket's deletions and restorations, with instance 0."""

STATUS_CHANGES_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),  # of the audit
        ("ticket_id", pa.int64()),
        ("time", TIMESTAMP),  # of the audit, in whole seconds
        ("position", pa.int32()),  # the place of the child event in its audit
        ("is_deletion", pa.bool_()),
    ]
)

AUDIT_COLUMNS = ["id", "ticket_id", "time", "child_events"]
"""The columns that deletions are read from."""

SETS_STATUS = '"status":'
"""Appears unescaped in the JSON of every audit that sets a status; inside a text its quotes would be escaped."""


MAY_DELETE = r"deleted|\\u00[67]"
"""Appears in the JSON of every audit that sets a status to `deleted`, whose letters may be escaped."""


def status_setters(audits: Iterable[pa.RecordBatch]) -> tuple[Ints, Ints]:
    """The tickets whose status some audit sets, and those that one of the audits may delete, both ascending.

    `audits` are as in `status_changes`, which reads an audit twenty times as long.
    """
    setting, deleting = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in audits:
        setters = _setters(batch)
        setting.append(setters["ticket_id"].to_numpy())
        may_delete = pc.match_substring_regex(setters["child_events"], MAY_DELETE)
        deleting.append(setters["ticket_id"].filter(may_delete).to_numpy())
    return union(*setting), union(*deleting)


def status_changes(audits: Iterable[pa.RecordBatch]) -> pa.Table:
    """Every change of a ticket's status in the audits, and whether it is a deletion.

    Args:
        audits: rows of raw `ticket_events` with `AUDIT_COLUMNS`, unique by id; rows that are no audits have no child events.

    Returns:
        `STATUS_CHANGES_SCHEMA`, in the order of the rows.
    """
    parts = [_changes_in(batch) for batch in audits]
    return pa.concat_tables([STATUS_CHANGES_SCHEMA.empty_table(), *(part for part in parts if part.num_rows)])


def _changes_in(audits: pa.RecordBatch) -> pa.Table:
    audits = _setters(audits)
    rows: list[int] = []
    positions: list[int] = []
    is_deletion: list[bool] = []
    for row, text in enumerate(audits["child_events"].to_pylist()):
        for position, child in enumerate(_children(text)):
            if _sets_status(child):
                rows.append(row)
                positions.append(position)
                is_deletion.append(child["status"] == "deleted")
    found = audits.take(pa.array(rows, pa.int64()))
    whole_seconds = pa.array(found["time"].cast(pa.int64()).to_numpy() // 1000 * 1000)
    columns = [found["id"], found["ticket_id"], whole_seconds.cast(TIMESTAMP), positions, is_deletion]
    return pa.table(columns, schema=STATUS_CHANGES_SCHEMA)


def _setters(audits: pa.RecordBatch) -> pa.RecordBatch:
    """The audits that may set a ticket's status."""
    sets_status = pc.fill_null(pc.match_substring(audits["child_events"], SETS_STATUS), False)
    return audits.filter(pc.and_(sets_status, pc.is_valid(audits["ticket_id"])))


def _children(text: str) -> list[Any]:
    try:
        children = json.loads(text)
    except (RecursionError, ValueError):  # nested deeper, or with longer numbers, than any audit of Zendesk's
        return []
    return children if isinstance(children, list) else []


def _sets_status(child: Any) -> bool:
    """Rule 9: a Create or Change that sets `status` to a text; custom statuses have a field of their own."""
    return isinstance(child, dict) and child.get("event_type") in ("Create", "Change") and isinstance(child.get("status"), str)


def changes_of_deleted(changes: pa.Table, known: Ints) -> pa.Table:
    """The changes of tickets that one of them deletes, or that are among the ascending `known`; others have no effect."""
    if not changes.num_rows:
        return changes
    deleted = changes["ticket_id"].filter(changes["is_deletion"]).to_numpy()
    tickets = changes["ticket_id"].to_numpy()
    return changes.filter(pa.array(among(tickets, once(np.sort(deleted))) | among(tickets, known)))


def own_rows(clocks: pa.Table) -> pa.Array:
    """Which rows belong to a `TICKET_CLOCK`."""
    return pc.equal(clocks["instance_id"], 0)


def metric_rows(clocks: pa.Table) -> pa.Table:
    """The rows that are metric events, in `SLA_EVENTS_SCHEMA`."""
    events = clocks.select(SLA_EVENTS_SCHEMA.names)
    is_change = pc.greater_equal(events["rank"], DELETE)
    return events.filter(pc.invert(is_change)) if pc.any(is_change, min_count=0).as_py() else events


def ticket_rows(clocks: pa.Table, changes: pa.Table) -> pa.Table:
    """The rows of the tickets' own clocks after the changes, in `SLA_EVENTS_SCHEMA`, grouped by ticket.

    Args:
        clocks: the clocks before. An audit of a ticket that they also have is replaced by the one in `changes`.
        changes: of any tickets.
    """
    known = clocks.select(SLA_EVENTS_SCHEMA.names).filter(own_rows(clocks))
    new = _as_rows(changes_of_deleted(changes, once(np.sort(known["ticket_id"].to_numpy()))))
    if known.num_rows and new.num_rows:
        known = known.filter(pa.array(~_comes_again(known, new)))
    rows = pa.concat_tables([known, new])
    return rows.take(pa.array(np.argsort(rows["ticket_id"].to_numpy(), kind="stable"))) if rows.num_rows else rows


def _comes_again(known: pa.Table, new: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    coming = set(zip(new["ticket_id"].to_pylist(), new["id"].to_pylist(), strict=True))
    audits = zip(known["ticket_id"].to_pylist(), known["id"].to_pylist(), strict=True)
    return np.array([audit in coming for audit in audits], bool)


def _as_rows(changes: pa.Table) -> pa.Table:
    size = changes.num_rows
    columns = {
        **{name: changes[name] for name in ("id", "ticket_id", "time", "position")},
        "metric": pa.array([TICKET_CLOCK] * size, pa.string()).dictionary_encode(),
        "instance_id": pa.repeat(0, size),
        "rank": pc.if_else(changes["is_deletion"], DELETE, RESTORE),
        "deleted": pa.repeat(False, size),
        "has_policy": pa.repeat(False, size),
    }
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(size, f.type) for f in SLA_EVENTS_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SLA_EVENTS_SCHEMA)


def copies(events: pa.Table, own: pa.Table) -> pa.Table:
    """Copies of the rows of the tickets' own clocks, one for each clock that the ticket has among `events`.

    Args:
        events: metric events in `SLA_EVENTS_SCHEMA`.
        own: from `ticket_rows`.
    """
    tickets = own["ticket_id"].to_numpy()
    clocks = (
        events.select(["ticket_id", "metric", "instance_id"])
        .filter(pa.array(among(events["ticket_id"].to_numpy(), once(tickets))))
        .group_by(["ticket_id", "metric", "instance_id"], use_threads=False)
        .aggregate([])
    )
    of_clock = clocks["ticket_id"].to_numpy()
    starts, ends = (np.searchsorted(tickets, of_clock, side=side) for side in ("left", "right"))
    copied = own.take(pa.array(ranges(starts, ends)))
    clock_of_copy = clocks.take(pa.array(np.repeat(np.arange(clocks.num_rows), ends - starts)))
    for name in ("metric", "instance_id"):
        place, field = SLA_EVENTS_SCHEMA.get_field_index(name), SLA_EVENTS_SCHEMA.field(name)
        copied = copied.set_column(place, field, clock_of_copy[name].cast(field.type))
    return copied
