"""`daily_sla_breaches_by_dimension`: figures of the summary, split by who held a ticket and how it was classified then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.daily_summary import COUNTS, POLICIES, bookings, day_targets, summed
from ticket_events_pipeline.sla.rules.row_runs import ranges
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

KEY = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.key

ROW = "row"
"""The number of a target."""

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
    numbered = targets.append_column(ROW, pa.array(np.arange(targets.num_rows)))
    booked = bookings(day_targets(numbered, day), ["sla_metric", "business_hours", ROW], COUNTED).combine_chunks()
    # Numbers that sort like the texts: a day's targets are booked under every dimension, and numbers are grouped fast.
    metrics, values = _Texts.of(booked["sla_metric"]), {}
    booked = booked.set_column(booked.schema.get_field_index("sla_metric"), "sla_metric", metrics.codes)
    parts = []
    for number, split in enumerate(splits(dimensions, names).values()):
        values[number] = _Texts.of(split["value"])
        parts.append(_booked_under(number, booked, split.set_column(1, "value", values[number].codes)))
    found = summed(pa.concat_tables(parts), KEY, COUNTED)
    columns = {name: found[name] for name in found.column_names}
    columns["dimension"] = pa.array(names).take(found["dimension"])
    columns["sla_metric"] = metrics.ascending.take(found["sla_metric"])
    columns["value"] = _values(found, values)
    schema = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema
    return pa.table([columns[item.name].cast(item.type) for item in schema], schema=schema).combine_chunks()


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


@dataclass(frozen=True)
class _Texts:
    """Texts as numbers.

    Attributes:
        codes: of each text, its place among the different ones; NULL for NULL.
        ascending: each different text once.
    """

    codes: pa.Array
    ascending: pa.Array

    @classmethod
    def of(cls, texts: pa.ChunkedArray) -> _Texts:
        encoded = texts.combine_chunks().dictionary_encode()
        order = pc.sort_indices(encoded.dictionary)
        places = pc.sort_indices(order).cast(pa.int32())
        return cls(places.take(encoded.indices), encoded.dictionary.take(order))


def _booked_under(dimension: int, booked: pa.Table, split: pa.Table) -> pa.Table:
    """What is booked, under each of the values of a target in the dimension with that number."""
    rows, wanted = split[ROW].to_numpy(), booked[ROW].to_numpy()
    if (rows == np.arange(len(rows))).all():  # each target has one value
        found, under = booked, split.take(booked[ROW])
    else:
        order = np.argsort(rows, kind="stable")
        first, last = (np.searchsorted(rows[order], wanted, side=side) for side in ("left", "right"))
        found = booked.take(pa.array(np.repeat(np.arange(len(wanted)), last - first)))
        under = split.take(pa.array(order[ranges(first, last)]))
    found = found.append_column("value", under["value"]).append_column("is_known", under["is_known"])
    return found.append_column("dimension", pa.repeat(pa.scalar(dimension, pa.int8()), found.num_rows))


def _values(found: pa.Table, values: Mapping[int, _Texts]) -> pa.Array:
    """The texts of the values; the rows are sorted by dimension."""
    dimensions = found["dimension"].to_numpy()
    parts = [
        texts.ascending.take(found["value"].filter(pa.array(dimensions == number)).combine_chunks())
        for number, texts in values.items()
    ]
    return pa.concat_arrays([pa.array([], pa.string()), *parts])
