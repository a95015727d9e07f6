"""The fast lane: a page straight into columns, with no Python object a row, and without the interpreter's lock meanwhile.

Arrow reads the page under a JSON schema that follows from the table's columns. It takes only what the API documents, to the
letter. Any other page (an unknown field, a number where text belongs, a name twice in one object) is read row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from ticket_events_pipeline.decoding.audit_lane import audit_columns, audit_fields
from ticket_events_pipeline.decoding.child_events import AUDIT_FIELD
from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.decoding.nested_texts import NestedTexts
from ticket_events_pipeline.decoding.row_times import are_days_of_ours
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import STRING, Column, Sent, Table
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_SHAPE, POLICY_DESCRIPTION, POLICY_FIELDS, json_paths

_ENVELOPE = [("count", pa.int64()), ("end_time", pa.int64()), ("next_page", pa.string()), ("end_of_stream", pa.bool_())]

# An empty row takes two hundred bytes of columns. A real one is up to five objects.
_MOST_OBJECTS = 500_000


class ColumnarRows(Sequence[dict[str, Any]]):
    """The rows of a page, in order: as columns, and as they were sent.

    Attributes:
        columns: a struct a row, none of them NULL as a whole: of the fields that the table's columns are filled from; of an
            audit, of the columns themselves.
    """

    def __init__(self, columns: pa.StructArray, as_sent: Callable[[], list[dict[str, Any]]]) -> None:
        self.columns = columns
        self._read_again = as_sent

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
        return self._read_again()


def columnar_envelope(stream: str, body: bytes, *, parse: Callable[[bytes], Any]) -> dict[str, Any] | None:
    """The members of a page, the rows as ColumnarRows; None if the page isn't exactly as documented.

    `parse` reads JSON of any kind: the rows as they were sent, where they are asked for.
    """
    table = TABLES[stream]
    if not body.lstrip().startswith(b"{"):  # Arrow's reader dies of a bare null
        return None
    try:
        body.decode()  # Arrow doesn't check what lies between two quotes
        page = _audits(table, body, parse) if AUDIT_FIELD in table else _metric_events(table, body)
    except (pa.ArrowException, ValueError):
        return None
    if page is None:
        return None
    envelope, rows = page
    members = {name: envelope[name][0].as_py() for name, _ in _ENVELOPE}
    return {stream: ColumnarRows(rows, lambda: parse(body)[stream]), **members}


def _metric_events(table: Table, body: bytes) -> tuple[pa.Table, pa.StructArray] | None:
    page = _read(table.name, body, _metric_fields(table))
    return page if page is not None and _has_every_description(page[1], body, table) else None


def _audits(table: Table, body: bytes, parse: Callable[[bytes], Any]) -> tuple[pa.Table, pa.StructArray] | None:
    fields = audit_fields(table)
    if fields is None:
        return None
    nested = NestedTexts(body)
    page = _read(table.name, nested.numbered_page, fields)
    columns = None if page is None else audit_columns(page[1], nested, table, parse)
    return None if page is None or columns is None else (page[0], columns)


def _read(stream: str, body: bytes, fields: pa.StructType) -> tuple[pa.Table, pa.StructArray] | None:
    """The envelope of a page, and its rows; None if they aren't exactly as documented, or too many to be that."""
    if body.count(b"{") > _MOST_OBJECTS:
        return None
    envelope = pa.schema([(stream, pa.list_(fields)), *_ENVELOPE])
    exactly = pj.ParseOptions(explicit_schema=envelope, newlines_in_values=False, unexpected_field_behavior="error")
    page = pj.read_json(pa.BufferReader(body), pj.ReadOptions(use_threads=False, block_size=len(body) + 1), exactly)
    if page.num_rows != 1 or page[stream].null_count:
        return None
    rows = page[stream].combine_chunks().values
    return None if rows.null_count else (page, rows)


def table_of(rows: pa.StructArray, table: Table) -> pa.Table | None:
    """The table of rows that came in columns, the one that the row lane makes of them; None where any needs that lane."""
    if AUDIT_FIELD in table:
        return pa.Table.from_struct_array(rows)
    fields = _Fields(rows)
    if any(fields[name].null_count for name in ("id", "time", *METRIC_SHAPE) if name in table):
        return None
    if not are_days_of_ours(fields["time"]):
        return None
    columns = {"extra": pa.nulls(len(rows), STRING)}
    policies: tuple[str, ...] = ()
    if "sla_is_group" in table:
        is_sla, is_group = (fields[name].is_valid() for name in POLICY_FIELDS)
        if pc.any(pc.and_(is_sla, is_group)).as_py():
            return None
        # Few accounts have group SLAs.
        policies = tuple(name for name in POLICY_FIELDS if fields[name].null_count < len(rows)) or POLICY_FIELDS[:1]
        columns["sla_is_group"] = pc.if_else(pc.or_(is_sla, is_group), is_group, None)
        if _keeps_descriptions(table):
            columns["extra"] = pc.coalesce(*(_descriptions(fields, name) for name in policies))
    columns |= {column.name: _filled(column, fields, policies) for column in table if column.path}
    return pa.table([columns[name] for name in table.schema.names], schema=table.schema)


class _Fields:
    """The fields of rows that came in columns, by dotted path."""

    def __init__(self, rows: pa.StructArray) -> None:
        self._arrays: dict[str, pa.Array] = {}
        self._take_apart("", rows)

    def __getitem__(self, path: str) -> pa.Array:
        if path not in self._arrays:
            outer = path.rpartition(".")[0]
            self._take_apart(f"{outer}.", self[outer])
        return self._arrays[path]

    def _take_apart(self, prefix: str, column: pa.StructArray) -> None:
        for field, array in zip(column.type, column.flatten(), strict=True):
            self._arrays[prefix + field.name] = array


def _filled(column: Column, fields: _Fields, policies: tuple[str, ...]) -> pa.Array:
    name, *inner = column.steps
    names = policies if name in POLICY_FIELDS else (name,)
    found = [fields[".".join((name, *inner))] for name in names]
    found = [array if array.type == column.type else array.cast(column.type) for array in found]
    filled = found[0] if len(found) == 1 else pc.coalesce(*found)
    return pc.fill_null(filled, False) if column.sent is Sent.FLAG else filled


def _descriptions(fields: _Fields, policy_field: str) -> pa.Array:
    """The policies' descriptions as `extra` holds them: many rows, few policies."""
    path = _of_policy(POLICY_DESCRIPTION, policy_field)
    coded = fields[path].dictionary_encode(null_encoding="encode")
    texts = pa.array([compact_json({path: text}) for text in coded.dictionary.to_pylist()], pa.string())
    return pc.if_else(fields[path.rpartition(".")[0]].is_valid(), texts.take(coded.indices), None)


def _has_every_description(rows: pa.StructArray, body: bytes, table: Table) -> bool:
    """Whether every policy of the page has a description, if only a null one: `extra` distinguishes null from a missing one.

    The bytes are the name of a member wherever they stand, since a quote inside a text is escaped.
    """
    if not _keeps_descriptions(table):
        return True
    objects = [_of_policy(POLICY_DESCRIPTION, name).split(".")[:-1] for name in POLICY_FIELDS]
    policies = sum(len(rows) - pc.struct_field(rows, path).null_count for path in objects)
    return bool(body.count(b'"description":') == policies)


def _of_policy(path: str, policy_field: str) -> str:
    return ".".join((policy_field, *path.split(".")[1:]))


# What follows from the columns of a table alone.


@lru_cache(maxsize=16)
def _keeps_descriptions(table: Table) -> bool:
    """Whether policies' descriptions, which have no column, are to be kept in `extra`."""
    paths = [column.path for column in table if column.path]
    is_of_policies = any(path.startswith("sla.policy.") for path in paths)
    return is_of_policies and POLICY_DESCRIPTION not in paths


@lru_cache(maxsize=16)
def _metric_fields(table: Table) -> pa.StructType:
    """The fields of a metric event as Arrow reads them."""
    tree: dict[str, Any] = {}
    for column in table:
        for path in json_paths(column) if column.path else ():
            _put(tree, path.split("."), _sent_type(column, path))
    if _keeps_descriptions(table):
        for name in POLICY_FIELDS:
            _put(tree, _of_policy(POLICY_DESCRIPTION, name).split("."), STRING)
    return _struct(tree)


def _sent_type(column: Column, path: str) -> pa.DataType:
    """The type of a column's field in JSON: `sla` has numbers for ids, `group_sla` has text."""
    return pa.int64() if column.sent is Sent.ID and not path.startswith("group_sla.") else column.type


def _put(tree: dict[str, Any], path: Sequence[str], kind: pa.DataType) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = kind


def _struct(tree: dict[str, Any]) -> pa.StructType:
    return pa.struct([(name, _struct(kind) if isinstance(kind, dict) else kind) for name, kind in tree.items()])
