"""Views over the stored files themselves: one for each asset, the names, the snapshots, and the calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from ticket_events_pipeline.storage.pruned_days import NOTHING_PRUNED, PrunedDays
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import DATE, STRING, Column, Table
from ticket_events_pipeline.tickets.names import SCHEDULES, ZENDESK_NAMES, names_schema
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA, TICKET_SNAPSHOTS
from ticket_events_pipeline.views.lake import Lake
from ticket_events_pipeline.views.sql import View, empty_rows, name_sql, text_sql

CALENDAR = "calendar"

READ_TABLES: tuple[Table, ...] = tuple(table for table in TABLES.values() if not table.is_internal)
"""The tables with a view: those whose columns are a contract."""

DAY_DOC = "Day of the row, local to the account: from midnight to midnight of {timezone}."

_SNAPSHOT_DOCS = {
    "date": "Day on which Zendesk was asked.",
    "ticket_id": "Number of the ticket.",
    "field": "Zendesk's name of the field; NULL: the ticket was asked for and didn't come back.",
    "value": "Its value at seen_at, as text like in ticket_field_changes.",
    "seen_at": "When Zendesk answered (UTC).",
    "updated_at": "When the ticket was last updated, as Zendesk said then (UTC).",
}

_NAME_DOCS = {
    "kind": "groups, agents, brands, ticket_forms, organizations, sla_policies, group_sla_policies or schedules.",
    "id": "Zendesk's id, as text.",
    "name": "What it is called; a thing that was renamed has a row for each name.",
    "is_deleted": "Whether Zendesk no longer lists it.",
    "seen_from": "First fetch that saw it under that name (UTC).",
    "seen_to": "Last fetch that saw it under that name (UTC).",
    "time_zone": "Of a schedule: Zendesk's name of its zone.",
    "intervals": "Of a schedule: JSON, [[from, to], …] in minutes since Sunday 00:00.",
    "holidays": "Of a schedule: JSON, [[name, first day, last day], …].",
}

_CALENDAR_DOCS = {
    "date": DAY_DOC,
    "asset": "Name of the table.",
    "state": "complete: read to its end, with rows. empty: read to its end, without rows. open: not read to its end yet. "
    "pruned: removed on purpose before the views were made. missing: no file is stored.",
    "rows": "Rows of the day's file; NULL if there is none.",
    "fetched_at": "When the raw file was last read from Zendesk (UTC); NULL for other tables.",
    "as_of": "Up to when events are in the day's SLA and ticket tables (UTC); NULL for raw tables.",
    "audits": "Of ticket tables: whether the day's audits were complete, open or missing when they were made.",
    "content_hash": "Identifies the rows: it changes only if they do.",
}


def asset_view(lake: Lake, table: Table, *, is_stored: bool, extras: Sequence[str] = ()) -> View:
    """All days of a table as one, with the columns of today: those that older files lack are NULL.

    `extras` are the names of its undeclared columns, texts.
    """
    columns = [*table.columns, *(Column(name, STRING, f"Value of {name} at that moment.") for name in extras)]
    docs = {"date": DAY_DOC.format(timezone=lake.timezone), **{column.name: column.doc for column in columns}}
    typed = [("date", DATE), *((column.name, column.type) for column in columns)]
    grain = "event" if table.time_fields else f"{', '.join(table.key)} and day"
    doc = f"All days of {table.name}: one row per {grain}. Timestamps are instants: compare days with date."
    return _view(lake, table.name, typed, doc, docs, is_stored=is_stored)


def snapshots_view(lake: Lake, *, is_stored: bool) -> View:
    """What Zendesk said of tickets when asked for values that no audit has."""
    typed = [("date", DATE), *((column.name, column.type) for column in SNAPSHOTS_SCHEMA)]
    doc = "What Zendesk said of tickets when asked: one row per ticket, field and asking."
    # Two files hold the same rows while one replaces the other.
    return _view(lake, TICKET_SNAPSHOTS, typed, doc, _SNAPSHOT_DOCS, is_stored=is_stored, is_distinct=True)


def _view(
    lake: Lake,
    name: str,
    columns: Sequence[tuple[str, pa.DataType]],
    doc: str,
    docs: Mapping[str, str],
    *,
    is_stored: bool,
    is_distinct: bool = False,
) -> View:
    names = ", ".join(name_sql(column) for column, _ in columns)
    query = f"SELECT {'DISTINCT ' if is_distinct else ''}{names}\nFROM (\n  {empty_rows(columns)}"
    if is_stored:
        # DuckDB refuses a glob without files. The empty rows come first: they decide on order and types.
        options = "hive_partitioning = true, hive_types = {'date': DATE}, union_by_name = true"
        query += f"\n  UNION ALL BY NAME\n  SELECT * FROM read_parquet({lake.files(name)}, {options})"
    return View(name, f"{query}\n)", doc, docs, is_empty=not is_stored)


def names_views(lake: Lake, *, is_stored: bool) -> list[View]:
    """All names of all things, and the newest name of each."""
    schema = names_schema(SCHEDULES)
    columns = [("kind", STRING), ("id", STRING), *((name, schema.field(name).type) for name in schema.names if name != "id")]
    named = ", ".join(name_sql(column) for column, _ in columns)
    query = f"SELECT {named}\nFROM (\n  {empty_rows(columns)}"
    if is_stored:
        files = lake.file_of_kind(ZENDESK_NAMES, "*")
        query += (
            "\n  UNION ALL BY NAME\n  SELECT *"
            " REPLACE (id::VARCHAR AS id), regexp_extract(filename, '([a-z_]+)[.]parquet$', 1) AS kind"
            f"\n  FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)"
        )
    every = View(
        ZENDESK_NAMES,
        f"{query}\n)",
        "What the account's ids are called: one row per kind, id and name, as last fetched.",
        _NAME_DOCS,
        is_empty=not is_stored,
    )
    newest = View(
        "names",
        f"""
SELECT kind, id, name, is_deleted
FROM {lake.view(ZENDESK_NAMES)}
QUALIFY row_number() OVER (PARTITION BY kind, id ORDER BY seen_to DESC NULLS LAST, seen_from DESC NULLS LAST) = 1
""",
        "The newest name of each id: one row per kind and id. Ids are text: kind = 'groups' AND id = group_id::VARCHAR.",
        {name: _NAME_DOCS[name] for name in ("kind", "id", "is_deleted")} | {"name": "Its newest name."},
        is_empty=not is_stored,
    )
    return [every, newest]


def calendar_view(lake: Lake, tables: Iterable[str], *, is_stored: bool, pruned: PrunedDays = NOTHING_PRUNED) -> View:
    """Which days of which tables are stored, complete, open, empty, pruned or missing, from the footers."""
    assets = ", ".join(f"({text_sql(table)}, {_date_sql(pruned.before.get(table))})" for table in tables)
    folders = lake.files("*")
    query = f"""
WITH asset AS (SELECT * FROM (VALUES {assets}) AS listed(asset, kept_from)),
file AS (
  SELECT
    file_name, num_rows,
    regexp_extract(file_name, '([^/]+)/date=[^/]+/[^/]+$', 1) AS asset,
    try_cast(regexp_extract(file_name, '/date=([^/]+)/[^/]+$', 1) AS DATE) AS date
  FROM parquet_file_metadata({folders})
),
footer AS (
  SELECT file_name, decode(key) AS key, decode(value) AS value
  FROM parquet_kv_metadata({folders})
  WHERE key IN ('complete', 'fetched_at', 'as_of', 'audits', 'content_hash')
),
stored AS (
  SELECT
    asset, date, num_rows AS rows,
    max(value) FILTER (key = 'complete') = 'true' AS is_complete,
    to_timestamp(max(value) FILTER (key = 'fetched_at')::BIGINT) AS fetched_at,
    to_timestamp(max(value) FILTER (key = 'as_of')::BIGINT) AS as_of,
    max(value) FILTER (key = 'audits') AS audits,
    max(value) FILTER (key = 'content_hash') AS content_hash
  FROM asset JOIN file USING (asset) LEFT JOIN footer USING (file_name)
  WHERE date IS NOT NULL AND ends_with(file_name, '/' || asset || '.parquet')
  GROUP BY asset, date, file_name, num_rows
),
day AS (
  SELECT unnest(generate_series(min(date), max(date), INTERVAL 1 DAY))::DATE AS date FROM stored
)
SELECT
  date, asset,
  CASE
    WHEN stored.rows IS NULL AND date < kept_from THEN 'pruned'
    WHEN stored.rows IS NULL THEN 'missing'
    WHEN is_complete IS NOT TRUE THEN 'open'
    WHEN stored.rows = 0 THEN 'empty'
    ELSE 'complete'
  END AS state,
  rows, fetched_at, as_of, audits, content_hash
FROM day CROSS JOIN asset LEFT JOIN stored USING (date, asset)
"""
    if not is_stored:
        query = """
SELECT
  NULL::DATE AS date, NULL::VARCHAR AS asset, NULL::VARCHAR AS state, NULL::BIGINT AS rows, NULL::TIMESTAMPTZ AS fetched_at,
  NULL::TIMESTAMPTZ AS as_of, NULL::VARCHAR AS audits, NULL::VARCHAR AS content_hash
WHERE false
"""
    doc = (
        "One row per table and day, from the first stored day to the last, read from the footers of the files now. "
        "SELECT DISTINCT date of a table doesn't list its empty days; this does."
    )
    docs = _CALENDAR_DOCS | {"date": DAY_DOC.format(timezone=lake.timezone)}
    return View(CALENDAR, query, doc, docs, is_empty=not is_stored)


def _date_sql(date: dt.date | None) -> str:
    return "NULL::DATE" if date is None else f"DATE '{date}'"
