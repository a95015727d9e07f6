"""Single JSON values into what a column can hold; None where they can't be held.

Only conversions of one value (or of a clean column at once) are here. Where a value belongs, and what becomes of one that
doesn't fit, is `event_batch`'s.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

NEWEST_EPOCH_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z. A larger number is no epoch second (most likely milliseconds), and no day of ours."""


def compact_json(value: Any) -> str:
    """`value` as JSON without spaces, ASCII only: a lone surrogate stays an escape and can't break a file."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def whole_column(values: list[Any], kind: pa.DataType) -> pa.Array | None:
    """The column at once, or None where any value needs a look: pyarrow would cut 1.5 to 1 if told to make integers."""
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError):
        return None
    if column.type == kind:
        return column
    return column.cast(kind) if pa.types.is_null(column.type) else None


def tells_all(fitting: Any, value: Any) -> bool:
    """Whether the column tells all that the value told: 60.0 is 60, and 531 is "531" where ids are text."""
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


def as_text(value: Any) -> str | None:
    """Text that UTF-8 can hold: a lone surrogate becomes U+FFFD."""
    if not isinstance(value, str):
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate: readable in the column, exact in `extra`
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def as_policy_id(value: Any) -> str | None:
    """A policy's id as text: `sla` sends numbers, `group_sla` sends strings."""
    if isinstance(value, bool):
        return None
    return str(value) if isinstance(value, int) else as_text(value)


def as_epoch_ms(value: Any) -> int | None:
    """Epoch milliseconds of an ISO date with an offset (none: UTC) or of epoch seconds; None if it is neither."""
    if isinstance(value, str):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        try:
            return (moment - EPOCH) // dt.timedelta(milliseconds=1)
        except OverflowError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= NEWEST_EPOCH_SECOND:
        return int(value * 1000)
    return None


def has_microseconds(value: Any) -> bool:
    """Whether a time is told finer than the milliseconds that a column holds."""
    if isinstance(value, str):
        return "." in value and len(value.split(".")[1].rstrip("Z")) > 3
    return isinstance(value, float) and not (value * 1000).is_integer()
