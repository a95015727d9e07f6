"""A page of metric events straight into columns: no Python object a row, and none of the interpreter's lock while it is read.

Only what the API documents is taken, to the letter. Of any other page (a field nobody has heard of, a number where text
belongs, a name twice in one object) nothing is, and it is read as `page` reads every page of the other stream. What columns are
stored, and under which names, is the lake's affair.
https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ticket_events_pipeline.zendesk.json_body import parse_json

STREAM = "ticket_metric_events"
"""The only stream whose rows have columns: an audit's child events are as various as the account."""


def _policy(policy_id: pa.DataType) -> pa.DataType:
    named = pa.struct([("id", policy_id), ("title", pa.string()), ("description", pa.string())])
    target = [("target", pa.int64()), ("target_in_seconds", pa.int64()), ("business_hours", pa.bool_())]
    return pa.struct([*target, ("policy", named)])


METRIC_EVENT = pa.struct(
    [
        ("id", pa.int64()),
        ("ticket_id", pa.int64()),
        ("metric", pa.string()),
        ("instance_id", pa.int64()),
        ("type", pa.string()),
        ("time", pa.timestamp("ms", tz="UTC")),  # one that is finer is refused
        ("deleted", pa.bool_()),
        ("sla", _policy(pa.int64())),
        ("group_sla", _policy(pa.string())),
        ("status", pa.struct([("calendar", pa.int64()), ("business", pa.int64())])),
    ]
)
"""A metric event as documented. A field that is missing and one that is null look alike, but for a policy's description."""

_ENVELOPE = pa.schema(
    [
        (STREAM, pa.list_(METRIC_EVENT)),
        ("count", pa.int64()),
        ("end_time", pa.int64()),
        ("next_page", pa.string()),
        ("end_of_stream", pa.bool_()),
    ]
)
# An empty row takes two hundred bytes of columns. A real one is up to five objects.
_MOST_OBJECTS = 500_000

_EXACTLY = pj.ParseOptions(explicit_schema=_ENVELOPE, newlines_in_values=False, unexpected_field_behavior="error")


class ColumnarRows(Sequence[dict[str, Any]]):
    """The rows of a page, in order: as columns, and as they were sent.

    Attributes:
        columns: of the type METRIC_EVENT, none of them NULL as a whole.
    """

    def __init__(self, columns: pa.StructArray, body: bytes) -> None:
        self.columns = columns
        self._body = body

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._as_sent[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._as_sent)

    def __eq__(self, other: object) -> bool:
        return self._as_sent == (list(other) if isinstance(other, ColumnarRows) else other)

    __hash__ = None  # type: ignore[assignment]  # as lists have none

    @cached_property
    def _as_sent(self) -> list[dict[str, Any]]:
        content: Any = parse_json(self._body)
        rows: list[dict[str, Any]] = content[STREAM]
        return rows


def columnar_envelope(body: bytes) -> dict[str, Any] | None:
    """The members of a page of metric events, the rows as ColumnarRows; None if the page isn't exactly as documented."""
    if not body.lstrip().startswith(b"{"):  # Arrow's reader dies of a bare null
        return None
    if body.count(b"{") > _MOST_OBJECTS:
        return None
    try:
        body.decode()  # Arrow doesn't look at what lies between two quotes
        read = pj.ReadOptions(use_threads=False, block_size=len(body) + 1)
        page = pj.read_json(pa.BufferReader(body), read, _EXACTLY)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    if page.num_rows != 1 or page[STREAM].null_count:
        return None
    rows = page[STREAM].combine_chunks().values
    if rows.null_count or not _tells_descriptions(rows, body):
        return None
    told = {name: page[name][0].as_py() for name in _ENVELOPE.names[1:]}
    return {STREAM: ColumnarRows(rows, body), **told}


def _tells_descriptions(rows: pa.StructArray, body: bytes) -> bool:
    """Whether every policy of the page has a description, if only a null one.

    The bytes are the name of a member wherever they stand, since a quote inside a text is escaped.
    """
    policies = sum(len(rows) - pc.struct_field(rows, [name, "policy"]).null_count for name in ("sla", "group_sla"))
    return bool(body.count(b'"description":') == policies)
