"""Views that answer questions: the newest state of each target, names joined, and the queries of the documentation.

A query names the stored tables and other views in braces. In docs/how-to/query-the-files.md the same queries read the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.table import Table
from ticket_events_pipeline.tables.tickets import (
    DAILY_SLA_BREACHES_BY_DIMENSION_TABLE,
    SLA_TARGET_DIMENSIONS_TABLE,
    SLA_TARGET_HOLDERS_TABLE,
)
from ticket_events_pipeline.tickets.fields import DIMENSIONS, NAMES_OF
from ticket_events_pipeline.tickets.names import ZENDESK_NAMES
from ticket_events_pipeline.views.lake import Lake
from ticket_events_pipeline.views.sql import View, name_sql, text_sql
from ticket_events_pipeline.views.stored import DAY_DOC

TARGETS_LATEST = "sla_targets_latest"

BREACHES_PER_DAY = """
SELECT date, sla_metric, sum(breaches) AS breaches, sum(achieved) AS achieved,
       sum(achieved) / nullif(sum(achieved) + sum(breaches), 0) AS achievement_rate
FROM {daily_sla_breach_summary}
GROUP BY ALL ORDER BY date DESC, sla_metric
"""

BREACHES_BY_AGENT = """
SELECT coalesce(name, value, CASE WHEN is_known THEN 'nobody' ELSE 'unknown' END) AS agent, sum(breaches) AS breaches,
       sum(achieved) + sum(breaches) AS decided
FROM {daily_sla_breaches_by_dimension}
LEFT JOIN (SELECT id::VARCHAR AS value, arg_max(name, seen_to) AS name
           FROM {agents} GROUP BY 1) USING (value)
WHERE dimension = 'assignee'
GROUP BY ALL ORDER BY breaches DESC, agent
"""

GROUP_MOVES = """
SELECT previous_value AS from_group_id, value AS to_group_id, count(*) AS moves, count(DISTINCT ticket_id) AS tickets
FROM {ticket_field_changes}
WHERE field = 'group_id' AND NOT is_create AND previous_value IS NOT NULL
GROUP BY ALL ORDER BY moves DESC, from_group_id, to_group_id
"""

_WEEKLY_BREACHES_BY_GROUP = """
SELECT date_trunc('week', date)::DATE AS week,
       coalesce(name, value, CASE WHEN is_known THEN 'none' ELSE 'unknown' END) AS "group", value AS group_id,
       sum(breaches)::BIGINT AS breaches, sum(achieved)::BIGINT AS achieved,
       sum(achieved) / nullif(sum(achieved) + sum(breaches), 0) AS achievement_rate
FROM {daily_sla_breaches_by_dimension}
LEFT JOIN {names} ON kind = 'groups' AND id = value
WHERE dimension = 'group'
GROUP BY ALL ORDER BY week DESC, breaches DESC, "group"
"""

_LATE_NOW = """
SELECT ticket_id, sla_metric, instance_id, policy_title, breached_at, {breached_at_local} AS breached_at_local, overdue_seconds,
       group_id_eod AS group_id, group_name_eod AS group_name, assignee_id_eod AS assignee_id,
       assignee_name_eod AS assignee_name, as_of
FROM {sla_targets_latest}
LEFT JOIN (SELECT date, ticket_id, metric, instance_id, group_id_eod, group_name_eod, assignee_id_eod, assignee_name_eod
           FROM {sla_target_dimensions_named}) USING (date, ticket_id, metric, instance_id)
WHERE is_open AND outcome = 'breached_open'
ORDER BY breached_at, ticket_id, metric, instance_id
"""

_DUE_NEXT = """
SELECT ticket_id, sla_metric, instance_id, policy_title, target_seconds, due_by, dimension.due_at,
       {due_at_local} AS due_at_local, epoch(dimension.due_at - as_of)::BIGINT AS due_in_seconds,
       group_id_eod AS group_id, group_name_eod AS group_name, assignee_id_eod AS assignee_id,
       assignee_name_eod AS assignee_name, as_of
FROM {sla_targets_latest} AS target
JOIN {sla_target_dimensions_named} AS dimension USING (date, ticket_id, metric, instance_id, sla_metric)
WHERE is_open AND outcome = 'active' AND dimension.due_at > as_of AND dimension.due_at <= as_of + INTERVAL 24 HOUR
ORDER BY dimension.due_at, ticket_id, sla_metric, instance_id
"""

_HOLDERS = {"group_id": "groups", "assignee_id": "agents", "group_id_eod": "groups", "assignee_id_eod": "agents"}
"""Columns that hold the id of a group or an agent, and the kind of their names."""

_NAMED_COLUMNS = {DIMENSIONS[dimension]: kind for dimension, kind in NAMES_OF.items()} | _HOLDERS

_BREACH_DOCS = {name: DAILY_SLA_BREACH_SUMMARY_TABLE[name].doc for name in ("breaches", "achieved", "achievement_rate")}


def question_views(lake: Lake) -> Iterator[View]:
    """All of them, each after those that it reads."""
    yield latest_targets_view(lake)
    yield named_view(lake, SLA_TARGET_DIMENSIONS_TABLE)
    yield named_view(lake, SLA_TARGET_HOLDERS_TABLE)
    yield _named_breaches_view(lake)
    places = {name: lake.view(name) for name in ("daily_sla_breach_summary", "daily_sla_breaches_by_dimension", "names")}
    places |= {name: lake.view(name) for name in ("ticket_field_changes", TARGETS_LATEST, "sla_target_dimensions_named")}
    places["agents"] = f"(FROM {lake.view(ZENDESK_NAMES)} WHERE kind = 'agents')"
    places["breached_at_local"] = lake.local_time("breached_at")
    places["due_at_local"] = lake.local_time("dimension.due_at")
    for name, (query, doc, docs) in _QUESTIONS.items():
        yield View(name, query.format_map(places), doc, docs)


def latest_targets_view(lake: Lake) -> View:
    """The newest state of each target.

    `sla_targets` has a target on every day on which it was open at some moment, as of the end of that day: its newest row is
    the newest state.
    """
    table = SLA_TARGETS_TABLE
    columns = ", ".join(name_sql(name) for name in ("date", *table.schema.names))
    key = ", ".join(table.key)
    open_now = "outcome IN ('active', 'breached_open')"
    query = f"""
SELECT
  {columns},
  {lake.local_day("entered_at")} AS entered_on,
  {lake.local_day("breached_at")} AS breached_on,
  {lake.local_day("closed_at")} AS closed_on,
  {open_now} AND date = newest AS is_open,
  {open_now} AND date < newest AS is_stale
FROM (SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY date DESC) AS place FROM {lake.view(table.name)})
CROSS JOIN (
  SELECT max(try_cast(regexp_extract(file, '/date=([^/]+)/[^/]+$', 1) AS DATE)) AS newest FROM glob({lake.files(table.name)})
)
WHERE place = 1
"""
    docs = {
        "date": "The newest day on which the target was open at some moment: the row shows its end.",
        **{column.name: column.doc for column in table.columns},
        "entered_on": _local("entered_at", lake),
        "breached_on": _local("breached_at", lake),
        "closed_on": _local("closed_at", lake),
        "is_open": "Whether it is open at as_of of the newest stored day.",
        "is_stale": "Whether it was open on date and isn't on the next stored days: a day between is missing, so what became "
        "of it is not known.",
    }
    return View(
        TARGETS_LATEST, query, "The newest state of every SLA target: one row per ticket_id, metric, instance_id.", docs
    )


def named_view(lake: Lake, table: Table) -> View:
    """A table of ids with the newest names: `group_name` for `group_id`, NULL where no name is known."""
    kinds = {column.name: _NAMED_COLUMNS[column.name] for column in table.columns if column.name in _NAMED_COLUMNS}
    names = {column: column.replace("_id", "_name", 1) for column in kinds}
    joins = "\n".join(
        f"LEFT JOIN {lake.view('names')} AS {name} "
        f"ON {name}.kind = {text_sql(kinds[column])} AND {name}.id = row.{column}::VARCHAR"
        for column, name in names.items()
    )
    named = ", ".join(f"{name}.name AS {name}" for name in names.values())
    query = f"SELECT row.*, {named}\nFROM {lake.view(table.name)} AS row\n{joins}"
    docs = {
        "date": DAY_DOC.format(timezone=lake.timezone),
        **{column.name: column.doc for column in table.columns},
        **{name: f"Newest name of {column}; NULL where none is known." for column, name in names.items()},
    }
    return View(f"{table.name}_named", query, f"{table.name} with the newest names of its ids.", docs)


def _named_breaches_view(lake: Lake) -> View:
    table = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE
    kinds = "\n".join(f"    WHEN {text_sql(dimension)} THEN {text_sql(kind)}" for dimension, kind in NAMES_OF.items())
    query = f"""
SELECT
  row.*,
  coalesce(names.name, value, CASE WHEN NOT is_known THEN 'unknown' WHEN dimension = 'assignee' THEN 'nobody' ELSE 'none' END)
    AS name
FROM {lake.view(table.name)} AS row
LEFT JOIN {lake.view("names")} AS names ON names.id = value AND names.kind = CASE dimension
{kinds}
  END
"""
    docs = {
        "date": DAY_DOC.format(timezone=lake.timezone),
        **{column.name: column.doc for column in table.columns},
        "name": "What to show for value: its newest name, else the value; none, nobody or unknown where it is NULL.",
    }
    return View(f"{table.name}_named", query, f"{table.name} with the newest name of each value.", docs)


def _local(column: str, lake: Lake) -> str:
    return f"Day of {column} in {lake.timezone}, whatever zone the session is in."


def _target_docs(*columns: str) -> dict[str, str]:
    return {name: SLA_TARGETS_TABLE[name].doc for name in columns}


_HELD = {
    "group_id": SLA_TARGET_DIMENSIONS_TABLE["group_id_eod"].doc,
    "group_name": "Its newest name; NULL where none is known.",
    "assignee_id": SLA_TARGET_DIMENSIONS_TABLE["assignee_id_eod"].doc,
    "assignee_name": "Their newest name; NULL where none is known.",
    "as_of": SLA_TARGETS_TABLE["as_of"].doc,
}

_QUESTIONS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "breaches_per_day": (
        BREACHES_PER_DAY,
        "Breaches and achievement rate per day and SLA metric.",
        {"date": "Day of the row, local to the account.", "sla_metric": SLA_TARGETS_TABLE["sla_metric"].doc, **_BREACH_DOCS},
    ),
    "breaches_by_agent": (
        BREACHES_BY_AGENT,
        "Breaches by the agent who held the ticket when it breached, over all stored days.",
        {
            "agent": "Newest name, else the id; nobody or unknown.",
            "breaches": _BREACH_DOCS["breaches"],
            "decided": "Targets met or breached: read breaches with them.",
        },
    ),
    "weekly_breaches_by_group": (
        _WEEKLY_BREACHES_BY_GROUP,
        "Breaches by week and by the group that held the ticket when it breached.",
        {
            "week": "Its Monday.",
            "group": "Newest name, else the id; none or unknown.",
            "group_id": "Its id, as text; NULL for none or unknown.",
            **_BREACH_DOCS,
        },
    ),
    "group_moves": (
        GROUP_MOVES,
        "How often tickets moved from one group to another, over all stored days.",
        {
            "from_group_id": "Zendesk's id of the group before, as text.",
            "to_group_id": "Zendesk's id of the group after, as text; NULL: none.",
            "moves": "Changes of the group, without those of tickets that had none.",
            "tickets": "Distinct tickets.",
        },
    ),
    "late_now": (
        _LATE_NOW,
        "Targets that have breached and are open at the end of the newest stored day, oldest first.",
        {
            **_target_docs("ticket_id", "sla_metric", "instance_id", "policy_title", "breached_at", "overdue_seconds"),
            "breached_at_local": "breached_at as the account's clocks show it.",
            **_HELD,
        },
    ),
    "due_next": (
        _DUE_NEXT,
        "Open targets whose estimated breach lies in the 24 hours after as_of of the newest stored day, the soonest first.",
        {
            **_target_docs("ticket_id", "sla_metric", "instance_id", "policy_title", "target_seconds"),
            "due_by": SLA_TARGET_DIMENSIONS_TABLE["due_by"].doc,
            "due_at": SLA_TARGET_DIMENSIONS_TABLE["due_at"].doc,
            "due_at_local": "due_at as the account's clocks show it.",
            "due_in_seconds": "From as_of.",
            **_HELD,
        },
    ),
}
"""By name: query, meaning, and meaning of columns."""
