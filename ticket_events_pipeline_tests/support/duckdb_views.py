"""The views of a root in an open DuckDB connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.views.catalog import root_views
from ticket_events_pipeline.views.duckdb_file import MadeViews, replace_views
from ticket_events_pipeline.views.lake import MAIN, Lake


def make_views(connection: duckdb.DuckDBPyConnection, root: Path, *, timezone: str = "UTC", schema: str = MAIN) -> MadeViews:
    """Make them, or make them anew."""
    lake = Lake.of(str(root), timezone, schema=schema)
    return replace_views(connection, lake, root_views(FolderStore(root), lake))


@contextmanager
def viewed(root: Path, *, timezone: str = "UTC") -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with the views; its session is in UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        make_views(connection, root, timezone=timezone)
        yield connection
