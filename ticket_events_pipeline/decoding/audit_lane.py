"""The fast lane of audits: Arrow reads the fields of a page's rows, the objects and lists in them stay JSON text.

It takes pages of documented audits alone. A metric event among them sends the whole page to the row lane.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.decoding.child_events import AUDIT_FIELD, child_event_columns, child_facts
from ticket_events_pipeline.decoding.nested_texts import NestedTexts
from ticket_events_pipeline.decoding.row_times import NEWEST_EPOCH_SECOND, are_days_of_ours
from ticket_events_pipeline.tables.table import INT64, TIMESTAMP, Sent, Table
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_FIELDS

_STREAM_TIME = "timestamp"
"""In epoch seconds; all other times are text."""

_NUMBERED = pa.list_(INT64)
"""What `NestedTexts` leaves of an object or a list. No field with a plain value can have it."""


_SENT = (Sent.AS_TYPE, Sent.ANY)


@lru_cache(maxsize=16)
def audit_fields(table: Table) -> pa.StructType | None:
    """The fields of an audit as Arrow reads them; None where the lane can't fill a column of the table."""
    columns = [column for column in table if column.steps and column.steps[0] not in METRIC_FIELDS]
    if AUDIT_FIELD not in table or any(len(column.steps) > 1 or column.sent not in _SENT for column in columns):
        return None
    fields = {column.steps[0]: _NUMBERED if column.sent is Sent.ANY else column.type for column in columns}
    return pa.struct({**fields, _STREAM_TIME: INT64})


def audit_columns(
    rows: pa.StructArray, nested: NestedTexts, table: Table, parse: Callable[[bytes], Any]
) -> pa.StructArray | None:
    """The columns of `table` from rows of its `audit_fields`; None where any row needs the row lane.

    Raises:
        ValueError: from `parse`; an object or a list is no JSON.
    """
    fields = dict(zip(rows.type.names, rows.flatten(), strict=True))
    seconds = fields[_STREAM_TIME]
    if seconds.null_count or fields["id"].null_count or fields[AUDIT_FIELD].null_count:
        return None
    if len(rows) and not 0 <= pc.min(seconds).as_py() <= pc.max(seconds).as_py() <= NEWEST_EPOCH_SECOND:
        return None
    if not all(are_days_of_ours(found) for found in fields.values() if found.type == TIMESTAMP):
        return None
    texts, values = nested.compact(parse)
    numbers = {name: pc.list_element(found, 0) for name, found in fields.items() if found.type == _NUMBERED}
    columns = fields | {name: texts.take(found) for name, found in numbers.items()}
    columns["time"] = pc.multiply(seconds, 1000).cast(TIMESTAMP)
    columns |= _computed(nested, numbers[AUDIT_FIELD].to_pylist(), texts, values)
    arrays = [columns[field.name] if field.name in columns else pa.nulls(len(rows), field.type) for field in table.schema]
    return pa.StructArray.from_arrays(arrays, fields=list(table.schema))


def _computed(nested: NestedTexts, numbers: list[int], texts: pa.Array, values: Mapping[int, Any]) -> dict[str, pa.Array]:
    """The columns that follow from the child events, given by number."""
    counts = nested.item_counts().tolist()
    is_comment = nested.items_with("comment_present", b"true") | nested.items_with("event_type", b'"Comment"')
    is_public = nested.items_with("public", b"true") & ~nested.items_with("comment_public")
    is_public |= nested.items_with("comment_public", b"true")
    have_comment, have_public = nested.any_item(is_comment).tolist(), nested.any_item(is_comment & is_public).tolist()
    facts = []
    for number in numbers:
        if number in values:
            facts.append(child_facts(values[number]))
        elif counts[number] < 0:
            facts.append(child_facts(json.loads(texts[number].as_py())))
        else:
            facts.append((counts[number], have_comment[number], have_public[number] if have_comment[number] else None))
    return child_event_columns(facts)
