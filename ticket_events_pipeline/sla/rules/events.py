"""The events that the SLA rules use, selected from raw tables of either stream.

Implements rule 1 (which rows take part, one row per event id) and the part of rule 4 that reads a policy object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.tables.sla_clocks import SLA_EVENT_COLUMNS
from ticket_events_pipeline.tables.table import DICTIONARY_STRING, schema_of
from ticket_events_pipeline.tables.ticket_metric_events import metric_shaped

ACTIVATE, APPLY, BREACH, PAUSE, FULFILL, UPDATE_STATUS, DELETE, RESTORE = range(8)
"""Rule 2: the order of events in the same second; a ticket's deletions and restorations come in the order of its audits."""

RANK_BY_TYPE = {
    "activate": ACTIVATE,
    "apply_sla": APPLY,
    "apply_group_sla": APPLY,
    "breach": BREACH,
    "pause": PAUSE,
    "fulfill": FULFILL,
    "update_status": UPDATE_STATUS,
}
"""Every type that takes part; `measure` and unknown types are dropped."""

SLA_EVENTS_SCHEMA = schema_of(SLA_EVENT_COLUMNS)

MINUTES_IN_INT64 = (2**63 - 1) // 60
"""The most minutes that fit into int64 as seconds."""


def has_metric_events(raw: pa.Table) -> bool:
    """Whether a raw table of either stream has a row of the metric-event shape, of any type; audits don't count."""
    return bool(pc.any(metric_shaped(raw), min_count=0).as_py())


def sla_events(*raw: pa.Table) -> pa.Table:
    """The events of raw tables that take part in the SLA rules.

    Args:
        raw: tables of either raw schema, in the order in which they were fetched: of an event id in several of them, the last
            delivery wins, even if it says that the event doesn't count.

    Returns:
        Rows of `SLA_EVENTS_SCHEMA`, unique by `id`, in no particular order; times in whole seconds.
    """
    shaped = merge([_project(table) for table in raw])
    takes_part = pc.and_(
        # Zendesk counts instances from 1; `measure` rows have 0.
        pc.and_(pc.is_valid(shaped["rank"]), pc.greater(shaped["instance_id"], 0)),
        # B6 needs the withdrawn breaches. An unreadable `deleted` is null, and its event takes no part (rule 1).
        pc.fill_null(pc.or_(pc.invert(shaped["deleted"]), pc.equal(shaped["rank"], BREACH)), False),
    )
    return _only(shaped, pc.and_(takes_part, pc.is_valid(shaped["ticket_id"])))


def merge(tables: Sequence[pa.Table]) -> pa.Table:
    """One row per event id from tables of `SLA_EVENTS_SCHEMA`; the later table wins, and within a table the later row."""
    if not tables:
        return SLA_EVENTS_SCHEMA.empty_table()
    every = pa.concat_tables(tables).unify_dictionaries()
    ids = every["id"].to_numpy()
    ascending = np.sort(ids)
    if (ascending[1:] != ascending[:-1]).all():
        return every
    by_id = np.argsort(ids, kind="stable")
    is_last = np.append(np.diff(ids[by_id]) != 0, True)
    return every.take(pa.array(np.sort(by_id[is_last])))


def _project(raw: pa.Table) -> pa.Table:
    """All metric-shaped rows in the columns of `SLA_EVENTS_SCHEMA`; unknown types have no rank."""
    rows = _only(raw, metric_shaped(raw))
    columns = {
        **{name: rows[name] for name in ("id", "ticket_id", "instance_id")},
        "metric": rows["metric"],
        "rank": _ranks(rows["type"]),
        # B3 compares whole seconds. Zendesk's times have no fractions anyway.
        "time": pa.chunked_array([pa.array(rows["time"].cast(pa.int64()).to_numpy() // 1000 * 1000)]),
        "deleted": rows["deleted"],
        "has_policy": pc.is_valid(rows["sla_is_group"]),
        "is_group": rows["sla_is_group"],
        "target_seconds": pc.coalesce(rows["sla_target_seconds"], as_seconds(rows["sla_target_minutes"])),
        "business_hours": rows["sla_business_hours"],
        "policy_id": rows["sla_policy_id"],
        "policy_title": rows["sla_policy_title"],
        "status_calendar_minutes": rows["status_calendar_minutes"],
        "status_business_minutes": rows["status_business_minutes"],
        "position": pa.chunked_array([pa.repeat(pa.scalar(0, pa.int32()), rows.num_rows)]),
    }
    arrays = [_typed(columns[field.name], field.type) for field in SLA_EVENTS_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SLA_EVENTS_SCHEMA)


def as_seconds(minutes: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Minutes in seconds; null where they don't fit into int64."""
    is_held = pc.and_(pc.less_equal(minutes, MINUTES_IN_INT64), pc.greater_equal(minutes, -MINUTES_IN_INT64))
    return pc.multiply(pc.if_else(is_held, minutes, None), 60)


def _only(rows: pa.Table, is_wanted: pa.ChunkedArray) -> pa.Table:
    return rows if pc.all(is_wanted, min_count=0, skip_nulls=False).as_py() else rows.filter(is_wanted)


def _ranks(types: pa.ChunkedArray) -> pa.ChunkedArray:
    """The rank of each type by RANK_BY_TYPE; null for other types."""
    coded = _typed(types, DICTIONARY_STRING).unify_dictionaries().combine_chunks()
    ranks = pa.array([RANK_BY_TYPE.get(name) for name in coded.dictionary.to_pylist()], pa.int8())
    return pa.chunked_array([ranks.take(coded.indices)])


def _typed(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(wanted) and not pa.types.is_dictionary(column.type):
        return pc.dictionary_encode(column)
    return column.cast(wanted)
