"""The columns that are computed from an audit's child events.

https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

AUDIT_FIELD = "child_events"
"""A row with it is an audit, whatever else it has."""

Facts = tuple[int | None, bool | None, bool | None]
"""Of an audit: how many child events, whether a comment is among them, and a public one (None without a comment).

All are None where the child events are no list.
"""


def child_facts(children: Any) -> Facts:
    """What the child events of an audit, as they were sent, amount to."""
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


def child_event_columns(facts: Sequence[Facts]) -> dict[str, pa.Array]:
    """The columns of the facts of each row."""
    return {
        "child_event_count": pa.array([count for count, _, _ in facts], pa.int32()),
        "comment_present": pa.array([is_present for _, is_present, _ in facts], pa.bool_()),
        "comment_public": pa.array([is_public for _, _, is_public in facts], pa.bool_()),
    }
