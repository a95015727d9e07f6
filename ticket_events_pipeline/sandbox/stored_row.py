"""A row of the simulated account, and when it is visible: all about a row that depends on the current time."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

from ticket_events_pipeline.sandbox.rows import Row

compact_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON text without blanks, in UTF-8 as the API sends it. One encoder for all: `json.dumps` would make one per row."""


def iso_text(time: int) -> str:
    """An epoch second as the API writes it: whole seconds, UTC, Z."""
    return dt.datetime.fromtimestamp(time, dt.UTC).isoformat()[:19] + "Z"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it was made; times are epoch seconds.

    Attributes:
        time: its own time, by which the stream is ordered.
        visible_at: from then on it is delivered.
        withdrawn_at: from then on it is delivered as deleted.
        json: as it is delivered before it is withdrawn.
        scopes: the values of `support_type_scope` with which it is delivered.
    """

    time: int
    id: int
    visible_at: float
    withdrawn_at: float
    json: bytes
    scopes: tuple[str, ...] = ("agent", "all")

    def seen_at(self, now: float) -> Row | None:
        """The row as delivered at `now`; None if it isn't yet."""
        if now < self.visible_at:
            return None
        if now < self.withdrawn_at:
            return Row(self.time, self.json)
        return Row(self.time, self.json.replace(b'"deleted":false', b'"deleted":true', 1))
