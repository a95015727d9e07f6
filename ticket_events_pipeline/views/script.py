"""`views.sql`: the views of a root as a script for DuckDB's command line, or for any program that runs SQL."""

from __future__ import annotations

from collections.abc import Sequence

from ticket_events_pipeline.views.lake import MAIN, Lake
from ticket_events_pipeline.views.sql import MADE_BY, View, name_sql, text_sql


def views_script(lake: Lake, views: Sequence[View]) -> str:
    """All statements, in one transaction; it replaces no view that isn't its own."""
    return "\n".join([*_heading(lake), *_setup(lake), *_beginning(lake, views), *_statements(lake, views), "COMMIT;", ""])


def _heading(lake: Lake) -> list[str]:
    return [
        f"-- DuckDB views over {lake.location}. {MADE_BY} Don't change it: make it again.",
        "-- Needs DuckDB 1.1 or newer. Run it in a file (duckdb -bail FILE < views.sql) or in a session (.read views.sql).",
        "",
    ]


def _setup(lake: Lake) -> list[str]:
    if not lake.setup:
        return []
    note = "-- DuckDB needs this to read the bucket: adapt it. Only s3:// was tried; the others are not tested."
    return [note, *(f"-- {line}" for line in lake.setup), ""]


def _beginning(lake: Lake, views: Sequence[View]) -> list[str]:
    names = ", ".join(text_sql(view.name) for view in views)
    message = text_sql("Not made by ticket-events views, and not replaced. Rename it, or take another --schema: ")
    schema = [] if lake.schema == MAIN else [f"CREATE SCHEMA IF NOT EXISTS {name_sql(lake.schema)};"]
    return [
        "-- Timestamps are shown in this zone, and compared by its days, in this session.",
        f"SET TimeZone = {text_sql(lake.timezone)};",
        "",
        "BEGIN TRANSACTION;",
        *schema,
        "SELECT CASE WHEN count(*) > 0 THEN error(" + message + " || string_agg(view_name, ', ')) END AS conflicts",
        "FROM duckdb_views()",
        f"WHERE database_name = current_database() AND lower(schema_name) = lower({text_sql(lake.schema)})",
        f"  AND lower(view_name) IN ({names})",
        f"  AND NOT ends_with(coalesce(comment, ''), {text_sql(MADE_BY)});",
        "",
    ]


def _statements(lake: Lake, views: Sequence[View]) -> list[str]:
    return [f"{statement};\n" for view in views for statement in view.statements(lake.schema)]
