"""The columns that are computed from an audit's child events.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

import pyarrow as pa

from ticket_events_pipeline.decoding.leftovers import Row


def child_event_columns(rows: list[Row]) -> dict[str, pa.Array]:
    """How many child events each row has and which comments are among them; NULL for rows without child events."""
    facts = [_child_facts(row) for row in rows]
    return {
        "child_event_count": pa.array([count for count, _, _ in facts], pa.int32()),
        "comment_present": pa.array([is_present for _, is_present, _ in facts], pa.bool_()),
        "comment_public": pa.array([is_public for _, _, is_public in facts], pa.bool_()),
    }


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
