"""One column from the values of many rows, and the leftovers: what no column holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.decoding.json_values import as_bool, as_int64, as_text, compact_json, holds_all, whole_column

Row = dict[str, Any]


@dataclass
class Leftovers:
    """What no column holds, by row and path: the column `extra` before it is written."""

    by_row: dict[int, Row] = field(default_factory=dict)

    def keep(self, index: int, path: str, value: Any) -> None:
        """Keep a value of the row at `index` under its dotted path."""
        self.by_row.setdefault(index, {})[path] = value

    def column(self, rows: int) -> pa.Array:
        """The column `extra` for that many rows: JSON, NULL where a row left nothing."""
        if not self.by_row:
            return pa.nulls(rows, pa.string())
        # Sorted: the order in which fields were found must not show in the file's hash.
        texts = {index: compact_json(dict(sorted(fields.items()))) for index, fields in self.by_row.items()}
        return pa.array([texts.get(index) for index in range(rows)], pa.string())


def convert_values(
    values: list[Any], kind: pa.DataType | Callable[[Any], Any], path_of: Callable[[int], str], leftovers: Leftovers
) -> pa.Array:
    """The column of `values`; one that doesn't fit leaves NULL (or its readable part) and goes to `extra` under its path."""
    if isinstance(kind, pa.DataType):
        whole = whole_column(values, kind)
        if whole is not None:
            return whole
    convert = converter(kind)
    converted = []
    for index, value in enumerate(values):
        fitting = None if value is None else convert(value)
        if value is not None and not holds_all(fitting, value):
            leftovers.keep(index, path_of(index), value)
        converted.append(fitting)
    return pa.array(converted, kind if isinstance(kind, pa.DataType) else pa.string())


def converter(kind: pa.DataType | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What makes a value of this kind from a JSON value; None where it doesn't fit."""
    if not isinstance(kind, pa.DataType):
        return kind
    by_type: dict[pa.DataType, Callable[[Any], Any]] = {pa.int64(): as_int64, pa.bool_(): as_bool, pa.string(): as_text}
    return by_type[kind]


def dig(value: Any, path: tuple[str, ...]) -> Any:
    """What lies at `path` inside nested objects; None where the path breaks off."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def keep_rest(index: int, value: Row, prefix: str, paths: list[tuple[str, ...]], leftovers: Leftovers) -> None:
    """Keep every field of `value` that no path in `paths` takes, under its dotted path."""
    for name, inner in value.items():
        taken = [path[1:] for path in paths if path[0] == name]
        if () in taken:
            continue
        if taken and isinstance(inner, dict):
            keep_rest(index, inner, f"{prefix}.{name}", taken, leftovers)
        elif not taken or inner is not None:
            leftovers.keep(index, f"{prefix}.{escaped(name)}", inner)


def escaped(name: str) -> str:
    """A field's name as a step of a path: its own dots are marked, or `{"a.b": 1}` would overwrite `{"a": {"b": 2}}`."""
    return name.replace("\\", "\\\\").replace(".", "\\.")
