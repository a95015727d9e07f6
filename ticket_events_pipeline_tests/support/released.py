"""What releases know: tests that compare with a second implementation compare the columns of released schema versions."""

from __future__ import annotations

from ticket_events_pipeline.tables.table import Column, Table

RELEASED_VERSION = 2
"""The newest schema version of a release: files of it lie in users' roots."""


def released_columns(table: Table) -> list[Column]:
    """The columns that released files have, in order."""
    return [column for column in table if column.since <= RELEASED_VERSION]


def newer_columns(table: Table) -> list[Column]:
    """The columns that no release has yet."""
    return [column for column in table if column.since > RELEASED_VERSION]
