"""The views in a DuckDB file: made, replaced and dropped in one transaction, without touching anything else in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.views.lake import MAIN, Lake
from ticket_events_pipeline.views.sql import MADE_BY, View, name_sql

OLDEST_FORMAT = "v1.1.0"
"""Of new files: a file in the format of DuckDB 2.0 can't be opened by 1.x."""


@dataclass(frozen=True)
class MadeViews:
    """What was done in a file: the names of the views that it has now, and of those that were dropped."""

    made: tuple[str, ...]
    dropped: tuple[str, ...]


def write_views(path: Path, lake: Lake, views: Sequence[View]) -> MadeViews:
    """Make the views in the DuckDB file at `path`, which is made if there is none.

    Views of earlier runs in the same schema that are no longer among `views` are dropped. Nothing else is changed.

    Raises:
        UsageError: the file's folder is missing; the file is open elsewhere or is no DuckDB file; it has something else of a
            view's name; DuckDB can't read the root. The file is as it was.
    """
    if not path.parent.is_dir():
        raise UsageError(f"--duckdb {path}: there is no folder {path.parent}. Make it, or give a file in another one.")
    if path.exists():
        return _written(path, lake, views, shown=path)
    half_written = path.with_name(f"{path.name}.half")
    try:
        made = _written(half_written, lake, views, shown=path, storage_compatibility_version=OLDEST_FORMAT)
        half_written.replace(path)
    finally:
        half_written.unlink(missing_ok=True)
    return made


def _written(file: Path, lake: Lake, views: Sequence[View], *, shown: Path, **config: str) -> MadeViews:
    try:
        connection = duckdb.connect(file, config=dict(config))
    except duckdb.Error as error:
        raise UsageError(_cannot_open(shown, str(error).replace(str(file), str(shown)))) from error
    with connection:
        try:
            return replace_views(connection, lake, views)
        except duckdb.Error as error:
            raise UsageError(_cannot_make(shown, lake, error)) from error


def replace_views(connection: duckdb.DuckDBPyConnection, lake: Lake, views: Sequence[View]) -> MadeViews:
    """Make the views in the connection's database; see `write_views`.

    Raises:
        UsageError: something else has a view's name.
        duckdb.Error: DuckDB can't make a view. Nothing has changed.
    """
    connection.execute("BEGIN TRANSACTION")
    try:
        dropped = _replaced(connection, lake, views)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return MadeViews(tuple(view.name for view in views), dropped)


def _replaced(connection: duckdb.DuckDBPyConnection, lake: Lake, views: Sequence[View]) -> tuple[str, ...]:
    if lake.schema != MAIN:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name_sql(lake.schema)}")
    ours, others = _present(connection, lake.schema)
    names = {view.name for view in views}
    if conflicts := sorted(name for name in others if name.lower() in names):  # DuckDB ignores the case of names
        raise UsageError(
            f"{', '.join(conflicts)} in the schema {lake.schema}: not made by ticket-events views, and not replaced. Rename "
            "or drop it, or put the views into a schema of their own with --schema NAME. Nothing was changed."
        )
    dropped = tuple(sorted(ours - names))
    for name in dropped:
        connection.execute(f"DROP VIEW {lake.view(name)}")
    for view in views:
        for statement in view.statements(lake.schema):
            connection.execute(statement)
    return dropped


def _present(connection: duckdb.DuckDBPyConnection, schema: str) -> tuple[set[str], set[str]]:
    """The names of the schema's views that were made here, and those of everything else in it."""
    found = connection.execute(
        "SELECT view_name, coalesce(comment, '') FROM duckdb_views() "
        "WHERE database_name = current_database() AND lower(schema_name) = lower($1) AND NOT internal",
        [schema],
    ).fetchall()
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND lower(schema_name) = lower($1)",
        [schema],
    ).fetchall()
    ours = {name for name, comment in found if comment.endswith(MADE_BY)}
    return ours, {name for name, *_ in [*found, *tables]} - ours


def _cannot_open(path: Path, error: str) -> str:
    said = error.partition("\n")[0]
    if "lock" in said.lower():
        return f"--duckdb {path}: another program has the file open ({said}). Close it there, and run the command again."
    return f"--duckdb {path}: DuckDB can't open the file ({said}). Give a DuckDB file, or a name that doesn't exist yet."


def _cannot_make(path: Path, lake: Lake, error: duckdb.Error) -> str:
    said = str(error).partition("\n")[0]
    if lake.setup:
        return (
            f"--duckdb {path}: DuckDB can't read {lake.location} ({said}). It needs an extension, which it fetches over the "
            "network, and a persistent secret; without --duckdb, the command prints the views as SQL, with both in a comment. "
            "Nothing was changed."
        )
    return f"--duckdb {path}: DuckDB can't make the views ({said}). Nothing was changed."
