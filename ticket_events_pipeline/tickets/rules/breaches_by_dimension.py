"""`daily_sla_breaches_by_dimension`: figures of the summary, split by who held a ticket and how it was classified then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.daily_summary import COUNTS, POLICIES, day_targets, figures
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD, DAILY_SLA_BREACHES_BY_DIMENSION_TABLE
from ticket_events_pipeline.tickets.fields import DIMENSIONS, field_of
from ticket_events_pipeline.tickets.rules.known_by import codes_in
from ticket_events_pipeline.tickets.rules.tags import TAGS
from ticket_events_pipeline.tickets.rules.values import IS_ASSUMED

TARGET_COLUMNS = [
    "ticket_id",
    "metric",
    "instance_id",
    "sla_metric",
    *(f"{policy}business_hours" for policy in POLICIES),
    "breached_at",
    "superseded",
    "outcome",
    "overdue_seconds",
]
"""The columns of `sla_targets` that are read."""

KEY = ("sla_metric", "business_hours", "value", "is_known")

COUNTED = {name: COUNTS[name] for name in ("breaches", "achieved", "completed_breached", "active_eod", "breached_open_eod")}
"""The figures that can be added up."""


def dimensions_of(dimensions: pa.Table) -> list[str]:
    """The dimensions that a day's `sla_target_dimensions` can be split by, sorted."""
    return sorted([*DIMENSIONS, *(name for name in dimensions.column_names if name.startswith(CUSTOM_FIELD))])


def breaches_by_dimension(targets: pa.Table, dimensions: pa.Table, day: Day) -> pa.Table:
    """The day's rows, sorted by the table's key.

    Args:
        targets: `sla_targets` of the day, with TARGET_COLUMNS.
        dimensions: `sla_target_dimensions` of the day, with the same targets in the same order.
        day: the partition.
    """
    names = dimensions_of(dimensions)
    parts = [_split_by(name, targets, split, day) for name, split in splits(dimensions, names).items()]
    return pa.concat_tables([DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema.empty_table(), *parts]).combine_chunks()


def splits(dimensions: pa.Table, names: Sequence[str]) -> Mapping[str, pa.Table]:
    """By dimension, under which values each target counts: the columns `row` (its number), `value` and `is_known`."""
    codes = codes_in(dimensions["known_by"], [field_of(name) for name in names])
    found = {}
    for name in names:
        field = field_of(name)
        column = dimensions[field].combine_chunks()
        rows, values = _each_tag(column) if field == TAGS else (np.arange(len(column)), column.cast(pa.string()))
        is_known = codes[field][rows] < IS_ASSUMED
        found[name] = pa.table({"row": rows, "value": values, "is_known": is_known})
    return found


def _each_tag(tags: pa.ListArray) -> tuple[np.ndarray, pa.Array]:
    """The row and the tag of every tag, and NULL for a row without tags."""
    without = np.flatnonzero(pc.fill_null(pc.list_value_length(tags), 0).to_numpy() == 0)
    rows = np.concatenate([pc.list_parent_indices(tags).to_numpy(), without])
    return rows, pa.concat_arrays([pc.list_flatten(tags), pa.nulls(len(without), pa.string())])


def _split_by(dimension: str, targets: pa.Table, split: pa.Table, day: Day) -> pa.Table:
    rows = targets.take(split["row"])
    for name in ("value", "is_known"):
        rows = rows.append_column(name, split[name])
    found = figures(day_targets(rows, day), KEY, COUNTED)
    schema = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema
    columns = {name: found[name] for name in found.column_names} | {"dimension": pa.repeat(dimension, found.num_rows)}
    return pa.table([columns[item.name].cast(item.type) for item in schema], schema=schema)
