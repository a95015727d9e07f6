"""What releases have stored: a root, and its columns, which tests with a second implementation compare."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import Column, Table
from ticket_events_pipeline_tests.support.checkout import SAMPLES

RELEASED_VERSION = 2
"""The newest schema version of a release: files of it lie in users' roots."""


def unpack_released_root(root: Path) -> None:
    """Unpack into an existing folder what version 1 stored."""
    with tarfile.open(SAMPLES / "released_root_v1.tar.gz") as packed:
        # Python 3.11 has the filter from 3.11.4 on. https://docs.python.org/3/library/tarfile.html#supporting-older-python-versions
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(root)  # noqa: S202  # the project's own sample


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
