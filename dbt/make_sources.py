"""Writes `models/sources.yml`: the tables of the contract, with columns, docs and tests, from the package's own tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.tables.sla_targets import SLA_METRICS
from ticket_events_pipeline.tables.table import DATE, Column, Table
from ticket_events_pipeline.views.sql import type_sql
from ticket_events_pipeline.views.stored import READ_TABLES

SOURCES = Path(__file__).parent / "models" / "sources.yml"

HEADING = "# Made by `make dbt-sources` from the tables of ticket_events_pipeline: change them there.\n"

FILES = (
    "read_parquet('{{ env_var('TICKET_EVENTS_ROOT') }}/%s/date=*/*.parquet', hive_partitioning = true, union_by_name = true)"
)

FOOTERS = """\
select to_timestamp(max(decode(value)::bigint))
from parquet_kv_metadata('{{ env_var('TICKET_EVENTS_ROOT') }}/%s/date=*/*.parquet')
where key = 'fetched_at'
"""

VALUES = {
    "outcome": ["achieved", "breached", "breached_open", "active", "cancelled", "deleted"],
    "entered_by": ["policy", "breach"],
    "at_kind": ["breach", "fulfilment", "closing", "as_of"],
    "ended_by": ["breach", "fulfilment"],
    "due_by": ["calendar", "business_hours"],
}
"""Columns whose values are the pipeline's own: another one is an error."""

ZENDESK_VALUES = {"sla_metric": sorted(SLA_METRICS)}
"""Columns whose values are Zendesk's: another one is news, and a warning."""

RELATED = {
    "sla_target_dimensions": TARGETS,
    "sla_target_holders": TARGETS,
}
"""Tables whose tickets all have a target."""


def sources_yaml() -> str:
    """The content of `models/sources.yml`."""
    source = {
        "name": "zendesk",
        "description": "The daily Parquet files of ticket_events_pipeline. Timestamps are UTC.",
        "tables": [_table(table) for table in READ_TABLES],
    }
    text: str = yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, width=120, allow_unicode=True)
    return HEADING + text


def _table(table: Table) -> dict[str, Any]:
    # An audit and a metric event may have the same id.
    key = ["date", "id", "metric is null"] if table.time_fields else ["date", *table.key]
    day = Column("date", DATE, "Day of the row, local to the account.")
    return {
        "name": table.name,
        "config": {"meta": {"external_location": FILES % table.name}, **_freshness(table)},
        "data_tests": [{"unique_rows": {"arguments": {"columns": key}}}],
        "columns": [_column(table, column) for column in (day, *table.columns)],
    }


class _Text(str):
    """A text of several lines, written as such."""

    __slots__ = ()


def _block(dumper: yaml.SafeDumper, text: _Text) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


yaml.SafeDumper.add_representer(_Text, _block)


def _freshness(table: Table) -> dict[str, Any]:
    limits = {"warn_after": {"count": 3, "period": "hour"}, "error_after": {"count": 26, "period": "hour"}}
    if table.time_fields:
        return {"freshness": limits, "loaded_at_query": _Text(FOOTERS % table.name)}
    return {"freshness": limits, "loaded_at_field": "as_of"} if table.name in (TARGETS, SUMMARY) else {}


def _column(table: Table, column: Column) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": column.name, "data_type": type_sql(column.type), "description": column.doc}
    tests: list[Any] = []
    if column.name in ("date", *table.key) and "NULL" not in column.doc:  # the docs say what NULL means wherever it may stand
        tests.append("not_null")
    if column.name in VALUES:
        tests.append({"accepted_values": {"arguments": {"values": VALUES[column.name]}}})
    if known := ZENDESK_VALUES.get(column.name) or sorted(column.known or ()):
        tests.append({"accepted_values": {"arguments": {"values": known}, "config": {"severity": "warn"}}})
    if column.name == "ticket_id" and table.name in RELATED:
        to = f"source('zendesk', '{RELATED[table.name]}')"
        tests.append({"relationships": {"arguments": {"to": to, "field": column.name}}})
    return shown | ({"data_tests": tests} if tests else {})


if __name__ == "__main__":
    SOURCES.write_text(sources_yaml(), encoding="utf-8")
    sys.stdout.write(f"{SOURCES}\n")
