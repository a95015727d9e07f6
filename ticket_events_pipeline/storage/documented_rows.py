"""Metric events that came in columns into a table of their stream's schema: the one that `event_batch` makes of their rows.

Nothing is mended here: where a value needs a look, there is no table, and the rows are looked at one by one. Which columns
there are, and what becomes of a field that has none, `event_batch` decides.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.storage.json_values import compact_json
from ticket_events_pipeline.tables.schemas import RAW_SCHEMAS
from ticket_events_pipeline.zendesk.row_times import NEWEST_EPOCH_SECOND, OLDEST_MS

Columns = dict[str, pa.Array]


def table_of(rows: pa.StructArray) -> pa.Table | None:
    """The table of `rows` (of the type `columnar.METRIC_EVENT`), in their order; None where any needs a closer look."""
    columns = _fields(rows)
    if any(columns[name].null_count for name in ("id", "metric", "instance_id", "time")):
        return None
    policies = _policies(columns["sla"], columns["group_sla"])
    if policies is None or not _are_days_of_ours(columns["time"]):
        return None
    status = _fields(columns["status"])
    columns |= policies | {
        "deleted": pc.fill_null(columns["deleted"], False),
        "status_calendar_minutes": status["calendar"],
        "status_business_minutes": status["business"],
    }
    schema = RAW_SCHEMAS["ticket_metric_events"]
    if not columns.keys() >= set(schema.names):  # an added column that only `event_batch` knows to fill
        return None
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _fields(column: pa.StructArray) -> Columns:
    return dict(zip([field.name for field in column.type], column.flatten(), strict=True))


def _are_days_of_ours(times: pa.Array) -> bool:
    span = pc.min_max(times.cast(pa.int64())).as_py()
    return not len(times) or (span["min"] >= OLDEST_MS and span["max"] < (NEWEST_EPOCH_SECOND + 1) * 1000)


def _policies(sla: pa.StructArray, group_sla: pa.StructArray) -> Columns | None:
    """The columns that `sla` and `group_sla` share, and `extra`, where no row has both."""
    is_sla, is_group = sla.is_valid(), group_sla.is_valid()
    if pc.any(pc.and_(is_sla, is_group)).as_py():
        return None
    shared = _policy(sla, "sla")
    if group_sla.null_count < len(group_sla):  # few accounts have group SLAs
        group = _policy(group_sla, "group_sla")
        shared = {name: pc.coalesce(shared[name], group[name]) for name in shared}
    return {**shared, "sla_is_group": pc.if_else(pc.or_(is_sla, is_group), is_group, None)}


def _policy(column: pa.StructArray, name: str) -> Columns:
    given = _fields(column)
    policy = _fields(given["policy"])
    told = _told_in_extra(policy["description"], f"{name}.policy.description")
    return {
        "sla_target_minutes": given["target"],
        "sla_target_seconds": given["target_in_seconds"],
        "sla_business_hours": given["business_hours"],
        "sla_policy_id": policy["id"].cast(pa.string()),
        "sla_policy_title": policy["title"],
        "extra": pc.if_else(given["policy"].is_valid(), told, None),
    }


def _told_in_extra(texts: pa.Array, path: str) -> pa.Array:
    """Texts that have no column, as `extra` tells them: many rows, few policies."""
    coded = texts.dictionary_encode(null_encoding="encode")
    told = [compact_json({path: text}) for text in coded.dictionary.to_pylist()]
    return pa.array(told, pa.string()).take(coded.indices)
