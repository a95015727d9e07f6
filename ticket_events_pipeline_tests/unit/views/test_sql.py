"""Names, texts and types reach DuckDB as they are."""

import duckdb
import pytest

from ticket_events_pipeline.tickets.names import names_schema
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA
from ticket_events_pipeline.views.sql import View, empty_rows, name_sql, text_sql, type_sql
from ticket_events_pipeline.views.stored import READ_TABLES

HOSTILE = 'it\'s "a"; DROP TABLE x -- {name} %s'


def test_every_type_of_the_stored_files_has_a_name_in_duckdb():
    schemas = [*(table.schema for table in READ_TABLES), names_schema("schedules"), names_schema("groups"), SNAPSHOTS_SCHEMA]
    columns = {str(field.type): field.type for schema in schemas for field in schema}
    with duckdb.connect() as connection:
        query = empty_rows(list(columns.items()))
        described = connection.sql(f"DESCRIBE {query}").fetchall()
    shown = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
    assert [row[1] for row in described] == [shown.get(type_sql(of), type_sql(of)) for of in columns.values()]


def test_a_name_and_a_text_come_back_whatever_they_hold():
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT {text_sql(HOSTILE)} AS {name_sql(HOSTILE)}")
        assert (found.columns, found.fetchall()) == ([HOSTILE], [(HOSTILE,)])


@pytest.mark.parametrize("schema", ["main", 'an "odd" one'])
def test_a_view_says_what_it_means_inside_duckdb(schema):
    view = View("counts", "SELECT 1 AS one, 2 AS two", "What it's about.", {"one": "It's one."})
    with duckdb.connect() as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name_sql(schema)}")
        for statement in view.statements(schema):
            connection.execute(statement)
        shown = connection.sql("SELECT schema_name, comment FROM duckdb_views() WHERE view_name = 'counts'").fetchall()
        columns = connection.sql("SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'counts'").fetchall()
    assert shown == [(schema, "What it's about. Made by ticket-events views.")]
    assert columns == [("one", "It's one."), ("two", None)]
