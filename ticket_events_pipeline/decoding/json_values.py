"""Single JSON values, or a clean column at once, into what a column can hold; None where they can't be held."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.text import valid_unicode

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, check_circular=False)
_EMPTY: dict[type, str] = {dict: "{}", list: "[]"}
_EXACT_TYPES = {pa.int64(): {int, type(None)}, pa.bool_(): {bool, type(None)}, pa.string(): {str, type(None)}}
_FINER_THAN_MILLISECONDS = re.compile(r"[.,][0-9]{3}0*[1-9]")


def compact_json(value: Any) -> str:
    """`value` as JSON without spaces, ASCII only: a lone surrogate stays an escape and can't break a file."""
    if not value and type(value) in _EMPTY:  # every other value of an audit is
        return _EMPTY[type(value)]
    try:
        return _ENCODER.encode(value)
    except RecursionError:
        return _deep_json(value)


class _Text(str):
    """A piece of JSON that is written already."""

    __slots__ = ()


def _deep_json(value: Any) -> str:
    """The same text of what is nested deeper than the stack lets the library go."""
    written: list[str] = []
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, _Text):
            written.append(item)
        elif isinstance(item, dict | list) and item:
            pending.extend(reversed(_pieces(item)))
        else:
            written.append(_ENCODER.encode(item))
    return "".join(written)


def _pieces(item: dict[str, Any] | list[Any]) -> list[Any]:
    if isinstance(item, list):
        inner = [piece for value in item for piece in (_Text(","), value)]
        return [_Text("["), *inner[1:], _Text("]")]
    inner = [piece for name, value in item.items() for piece in (_Text(f",{_ENCODER.encode(name)}:"), value)]
    return [_Text("{"), _Text(inner[0][1:]), *inner[1:], _Text("}")]


def whole_column(values: list[Any], kind: pa.DataType) -> pa.Array | None:
    """The column at once, or None where any value needs its own check: pyarrow would cut 1.5 to 1 when it makes integers."""
    if not set(map(type, values)) <= _EXACT_TYPES[kind]:
        return None
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, UnicodeError):  # beyond int64, or a lone surrogate
        return None


def holds_all(fitting: Any, value: Any) -> bool:
    """Whether the column holds the whole value: 60.0 is 60, and 531 is "531" where ids are text."""
    return fitting == value or (isinstance(value, int) and fitting == str(value))


def as_int64(value: Any) -> int | None:
    """A 64-bit integer, also where it is written 60.0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        value = int(value)
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def as_bool(value: Any) -> bool | None:
    """True or false; 0, 1 and "true" are neither."""
    return value if isinstance(value, bool) else None


_DELETED = {"0": False, "false": False, "1": True, "true": True, "t": True}


def as_deleted(value: Any) -> bool | None:
    """What a metric event's `deleted` says in any spelling that accounts send; None where it can't be read."""
    if isinstance(value, str):
        return _DELETED.get(value.lower())
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def as_text(value: Any) -> str | None:
    """Text that UTF-8 can hold: a lone surrogate becomes U+FFFD in the column; `extra` keeps the exact text."""
    return valid_unicode(value) if isinstance(value, str) else None


def as_id(value: Any) -> str | None:
    """An id as text: some objects send numbers, others strings."""
    if isinstance(value, bool):
        return None
    return str(value) if isinstance(value, int) else as_text(value)


def has_microseconds(value: Any) -> bool:
    """Whether a time is finer than the milliseconds that a column holds."""
    if isinstance(value, str):
        return _FINER_THAN_MILLISECONDS.search(value) is not None
    return isinstance(value, float) and not (value * 1000).is_integer()
