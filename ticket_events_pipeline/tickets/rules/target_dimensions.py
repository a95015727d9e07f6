"""`sla_target_dimensions`: the values of a target's ticket at its breach, fulfilment or closing; of an open one at as_of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.sla.rules.clocks import alphabetic_codes
from ticket_events_pipeline.sla.rules.row_runs import Ints, order_of
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD, SLA_TARGET_DIMENSIONS_TABLE
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS, ID_FIELDS
from ticket_events_pipeline.tickets.rules.known_by import codes_in, known_by_texts
from ticket_events_pipeline.tickets.rules.tags import NO_TAGS, TAGS, tags_of
from ticket_events_pipeline.tickets.rules.values import IS_UNKNOWN, FieldValues, Moments

TARGET_COLUMNS = [
    "ticket_id",
    "metric",
    "instance_id",
    "sla_metric",
    "breached_at",
    "superseded",
    "fulfilled_at",
    "closed_at",
    "as_of",
    "due_at",
]
"""The columns of `sla_targets` that are read for them."""

BREACH, FULFILMENT, CLOSING, AS_OF = "breach", "fulfilment", "closing", "as_of"

END_OF_DAY = "{}_eod"
"""The columns of HISTORY_FIELDS at as_of."""


def with_moments(targets: pa.Table) -> pa.Table:
    """A day's targets with the columns `at` and `at_kind`: the moment that their values are of, and what happened then."""
    counts = pc.and_not(pc.is_valid(targets["breached_at"]), targets["superseded"])
    is_fulfilled, is_closed = (pc.is_valid(targets[name]) for name in ("fulfilled_at", "closed_at"))
    times = pc.coalesce(*(targets[name] for name in ("fulfilled_at", "closed_at", "as_of")))
    at = pc.if_else(counts, targets["breached_at"], times)
    kind = pc.if_else(is_fulfilled, FULFILMENT, pc.if_else(is_closed, CLOSING, AS_OF))
    return targets.append_column("at", at).append_column("at_kind", pc.if_else(counts, BREACH, kind))


def moments_of(targets: pa.Table) -> Moments:
    """The moments from `with_moments`. A change in the second of a fulfilment or closing counts."""
    includes_at = pc.is_in(targets["at_kind"], pa.array([FULFILMENT, CLOSING])).to_numpy()
    return Moments(targets["ticket_id"].to_numpy(), _seconds(targets["at"]), includes_at)


def ends_of_day(targets: pa.Table) -> Moments:
    """`as_of` of each target."""
    return Moments(targets["ticket_id"].to_numpy(), _seconds(targets["as_of"]), np.zeros(targets.num_rows, bool))


def _seconds(times: pa.ChunkedArray) -> Ints:
    seconds: Ints = times.cast(pa.int64()).to_numpy() // 1000
    return seconds


def rows_before(targets: pa.Table, before: pa.Table) -> Ints:
    """Per target: the row that the day before has of the same target at the same moment; -1 for none.

    Args:
        targets: from `with_moments`.
        before: `sla_target_dimensions` of the day before.
    """
    names = ["ticket_id", "metric", "instance_id", "at_kind", "at"]
    both = pa.concat_tables([table.select(names) for table in (before, targets)]).combine_chunks()
    texts = [alphabetic_codes(both[name].dictionary_encode()) for name in ("metric", "at_kind")]
    numbers = [both[name].cast(pa.int64()).to_numpy() for name in ("ticket_id", "instance_id", "at")]
    keys = [*numbers, *texts]
    order = order_of(*keys)  # stable: of equal rows, that of the day before comes first
    is_equal = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys])
    found = np.full(both.num_rows, -1)
    found[order[1:][is_equal]] = order[:-1][is_equal]
    return found[before.num_rows :]


def stored_values(dimensions: pa.Table, fields: Sequence[str]) -> dict[str, FieldValues]:
    """What a stored `sla_target_dimensions` says of those of the fields that it has, as text like `values_at`."""
    present = [field for field in fields if field in dimensions.column_names]
    no = np.zeros(dimensions.num_rows, bool)
    codes = codes_in(dimensions["known_by"], present)
    return {field: FieldValues(_as_text(dimensions[field]), codes[field], no, no) for field in present}


def _as_text(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_list(column.type):
        return pa.array([None if tags is None else compact_json(tags) for tags in column.to_pylist()], pa.string())
    return column.cast(pa.string()).combine_chunks()


def target_dimensions(
    targets: pa.Table, values: Mapping[str, FieldValues], ends: Mapping[str, FieldValues], fields: Sequence[str]
) -> pa.Table:
    """The table of a day, sorted by its key.

    Args:
        targets: from `with_moments` and `with_due_times`, sorted by the same key.
        values: of each tracked field, as text, at `moments_of` the targets.
        ends: of each of HISTORY_FIELDS at `ends_of_day`.
        fields: all tracked fields; the custom ones get a column of their own.
    """
    typed = {field: _typed(field, values[field]) for field in fields}
    typed |= {END_OF_DAY.format(field): _typed(field, ends[field]) for field in HISTORY_FIELDS}
    columns = {name: found.values for name, found in typed.items()}
    columns["known_by"] = known_by_texts({name: found.known_by for name, found in typed.items()})
    schema = pa.schema(
        [
            *SLA_TARGET_DIMENSIONS_TABLE.schema,
            *(pa.field(name, pa.string()) for name in fields if name.startswith(CUSTOM_FIELD)),
        ]
    )
    arrays = [(columns[item.name] if item.name in columns else targets[item.name]).cast(item.type) for item in schema]
    return pa.table(arrays, schema=schema)


def _typed(field: str, found: FieldValues) -> FieldValues:
    """The values in the type of their column; an empty text is no value."""
    if field in ID_FIELDS:
        return found.ids()
    if field == TAGS:
        return _tag_lists(found)
    return replace(found, values=pc.if_else(pc.equal(found.values, ""), None, found.values))


def _tag_lists(found: FieldValues) -> FieldValues:
    """Tags as lists: empty for none; NULL, and unknown, where the text is no list of tags."""
    is_none = ~found.is_unknown & pc.is_null(found.values).to_numpy(zero_copy_only=False)
    lists = tags_of(pc.if_else(pa.array(is_none), NO_TAGS, found.values))
    is_list = pc.is_valid(lists).to_numpy(zero_copy_only=False)
    return replace(found, values=lists, known_by=np.where(is_list, found.known_by, IS_UNKNOWN).astype(np.int8))
