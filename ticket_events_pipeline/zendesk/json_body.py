"""JSON bodies: a parser as lenient as customers' texts demand, and a bound on the number of values that it creates."""

from __future__ import annotations

import json
import math
from typing import Any

REPEATED_FIELDS = "repeated_fields"
"""Member added to an object that repeats a name: `[name, value]` of each occurrence but the last, which counts."""

_ALL_BUT_MARKS = bytes(set(range(256)) - set(b",{["))
_WINDOW_BYTES = 256 * 1024


class UnreadableJsonError(ValueError):
    """A body that is not JSON. The message never quotes it."""


def parse_json(body: bytes) -> object:
    """The JSON value in `body`. NaN, Infinity and numbers that Python can't hold stay text.

    Where an object repeats a name, the last value counts; the earlier ones go to REPEATED_FIELDS.

    Raises:
        UnreadableJsonError: the body is not exactly one JSON value, in UTF-8 (or -16, -32).
    """
    try:
        try:
            return json.loads(body, **_HOOKS)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise
        except ValueError:  # an integer of more digits than int() takes; the hook costs time, so only now
            return json.loads(body, parse_int=_int_or_text, **_HOOKS)
    except json.JSONDecodeError as error:
        raise UnreadableJsonError(f"no JSON from character {error.pos} of {len(body)} bytes on") from None
    except UnicodeDecodeError as error:
        raise UnreadableJsonError(f"no {error.encoding} text from byte {error.start} of {len(body)} on") from None
    except RecursionError:
        raise UnreadableJsonError(f"JSON nested too deep, in {len(body)} bytes") from None


def holds_more_values(body: bytes, limit: int) -> bool:
    """Whether the JSON in `body` may hold more than `limit` values, without creating any.

    Counts commas and opening brackets outside of texts: one precedes each value, so an empty object counts as two. Takes one or
    two hundredths of the time that parsing takes.
    """
    if len(body) <= limit or _marks(body) <= limit:
        return False
    if not json.detect_encoding(body).startswith("utf-8"):  # its bytes don't show where texts end
        return True
    body = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # then each quote begins a text or ends one
    found, in_text = 0, 0
    for start in range(0, len(body), _WINDOW_BYTES):
        parts = body[start : start + _WINDOW_BYTES].split(b'"')
        found += _marks(b"".join(parts[in_text::2]))
        in_text = (in_text + len(parts) - 1) % 2
        if found > limit:
            return True
    return False


def _marks(json_bytes: bytes) -> int:
    return len(json_bytes.translate(None, _ALL_BUT_MARKS))


def _finite_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _int_or_text(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _with_repeated(found, pairs)


def _with_repeated(found: dict[str, Any], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    last = {name: index for index, (name, _) in enumerate(pairs)}
    member = REPEATED_FIELDS
    while member in found:
        member += "_"
    found[member] = [[name, value] for index, (name, value) in enumerate(pairs) if index != last[name]]
    return found


# Seeing every object costs up to half of the parsing again, a tenth of what a page takes until it is a table.
_HOOKS: dict[str, Any] = {
    "parse_constant": str,
    "parse_float": _finite_or_text,
    "object_pairs_hook": _object,
}
