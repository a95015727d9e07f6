"""The columns of releases: tests that compare with a second implementation compare the columns of released schema versions."""

from __future__ import annotations

import json
from typing import Any

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import Column, Table

RELEASED_VERSION = 2
"""The newest schema version of a release: files of it lie in users' roots."""


def released_columns(table: Table) -> list[Column]:
    """The columns that released files have, in order."""
    return [column for column in table if column.since <= RELEASED_VERSION]


def newer_columns(table: Table) -> list[Column]:
    """The columns that no release has yet."""
    return [column for column in table if column.since > RELEASED_VERSION]


def in_released_columns(stream: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a raw table as the newest release would have stored them: in `extra`, what has a column only since then."""
    return [_in_released_columns(newer_columns(TABLES[stream]), row) for row in rows]


def _in_released_columns(newer: list[Column], row: dict[str, Any]) -> dict[str, Any]:
    if not newer:
        return row
    released = {name: value for name, value in row.items() if name not in {column.name for column in newer}}
    extra = json.loads(row["extra"] or "{}")
    for column in newer:
        path = str(column.path)
        if path.startswith("sla.") and row["sla_is_group"]:
            path = f"group_{path}"
        extra.setdefault(path, row[column.name])
        if extra[path] is None:  # a column doesn't say whether the field was null or missing
            del extra[path]
    return released | {"extra": compact_json(dict(sorted(extra.items()))) if extra else None}
