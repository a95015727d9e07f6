"""The columns that only audits fill: who changed what, when and by which channel, and the changes as JSON.

What audits and metric events share, and which rows are audits, is `event_batch`'s.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

import pyarrow as pa

from ticket_events_pipeline.storage.column import Leftovers, Row, column_of
from ticket_events_pipeline.storage.json_values import compact_json, has_microseconds
from ticket_events_pipeline.tables.schemas import TIMESTAMP
from ticket_events_pipeline.zendesk.row_times import as_epoch_ms

JSON_FIELDS = ("child_events", "system", "metadata", "merged_ticket_ids")

AUDIT_FIELDS = {"created_at", "updater_id", "via", "event_type", "via_reference_id", *JSON_FIELDS}


def audit_columns(rows: list[Row], leftovers: Leftovers) -> dict[str, pa.Array]:
    """The columns that an audit fills, NULL for other rows."""
    columns = {
        "created_at": _time_column(rows, leftovers),
        "updater_id": column_of(rows, "updater_id", pa.int64(), leftovers),
        "via": column_of(rows, "via", pa.string(), leftovers),
        "event_type": column_of(rows, "event_type", pa.string(), leftovers),
        "via_reference_id": column_of(rows, "via_reference_id", pa.int64(), leftovers),
    }
    for name in JSON_FIELDS:
        columns[name] = pa.array([None if row.get(name) is None else compact_json(row[name]) for row in rows], pa.string())
    children = [_child_facts(row) for row in rows]
    columns["child_event_count"] = pa.array([facts[0] for facts in children], pa.int32())
    columns["comment_present"] = pa.array([facts[1] for facts in children], pa.bool_())
    columns["comment_public"] = pa.array([facts[2] for facts in children], pa.bool_())
    return columns


def _child_facts(row: Row) -> tuple[int | None, bool | None, bool | None]:
    """(child events, has a comment, has a public one); the last is None without a comment, all without children."""
    children = row.get("child_events")
    if not isinstance(children, list):
        return None, None, None
    comments = [
        child
        for child in children
        if isinstance(child, dict) and (child.get("comment_present") is True or child.get("event_type") == "Comment")
    ]
    if not comments:
        return len(children), False, None
    # The sideload names it `public`, the bare export `comment_public`.
    return len(children), True, any(child.get("comment_public", child.get("public")) is True for child in comments)


def _time_column(rows: list[Row], leftovers: Leftovers) -> pa.Array:
    """`created_at`; its original stays in `extra` where the column can't hold it to the last digit."""
    values = [row.get("created_at") for row in rows]
    for index, value in enumerate(values):
        if value is not None and (as_epoch_ms(value) is None or has_microseconds(value)):
            leftovers.keep(index, "created_at", value)
    return pa.array([as_epoch_ms(value) for value in values], pa.int64()).cast(TIMESTAMP)
