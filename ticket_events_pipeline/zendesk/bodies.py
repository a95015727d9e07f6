"""Bodies: JSON as lenient as customers' texts demand, and one short reason out of any error body.

What an answer means is decided in `refusals` and `page`.
https://developer.zendesk.com/documentation/api-basics/working-with-data/understanding-the-api-error-messages/
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable
from typing import Any

from ticket_events_pipeline.text import one_line

REASON_LENGTH = 200
"""Characters of an answer that a message may quote: enough to act on, too few to spill a customer's records."""

_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>?")
# Reasons are looked for at the start of a body: the patterns above are quadratic on hostile text.
_EXAMINED_CHARACTERS = 4000

WEB_PAGE = "a captive portal, a proxy or a sign-in page answered, not Zendesk's API"
"""What to think of a web page that comes with a status of success."""

# What may stand before the first character of a body, in UTF-8 and UTF-16.
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"

REPEATED_FIELDS = "repeated_fields"
"""Member that an object gets in which a name stands more than once: `[name, value]` of each but the last, which counts."""


_ALL_BUT_MARKS = bytes(set(range(256)) - set(b",{["))
_WINDOW_BYTES = 256 * 1024


class UnreadableJsonError(ValueError):
    """A body that is no JSON. The message never quotes it."""


def parse_json(body: bytes) -> object:
    """The JSON value in `body`. NaN, Infinity and numbers that Python refuses or rounds to infinity stay text.

    Of a name that an object holds more than once, the last value counts, the earlier ones go to REPEATED_FIELDS.

    Raises:
        UnreadableJsonError: anything else than one JSON value, in UTF-8 (or -16, -32).
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


def holds_more_values(body: bytes, most: int) -> bool:
    """Whether the JSON in `body` may hold more than `most` values, found out without making any.

    It takes a hundredth or two of the time that reading the JSON takes, and none for a body of few bytes; more only for one
    that holds more commas and brackets than that, in its texts too.
    Counted are commas and opening brackets, outside of texts: one of them stands before each value, so an empty object is two.
    """
    if len(body) <= most or _marks(body) <= most:
        return False
    if not json.detect_encoding(body).startswith("utf-8"):  # its bytes don't show where texts end
        return True
    body = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # then each quote begins a text or ends one
    found, in_text = 0, 0
    for start in range(0, len(body), _WINDOW_BYTES):
        parts = body[start : start + _WINDOW_BYTES].split(b'"')
        found += _marks(b"".join(parts[in_text::2]))
        in_text = (in_text + len(parts) - 1) % 2
        if found > most:
            return True
    return False


def _marks(json_bytes: bytes) -> int:
    return len(json_bytes.translate(None, _ALL_BUT_MARKS))


def short_reason(body: bytes) -> str:
    """What an error body says, in one line of at most REASON_LENGTH characters."""
    return quotable(_reason(body)) or "no message"


def error_reason(content: object, *, hide: Callable[[bytes], bytes]) -> str | None:
    """What a JSON value says if it is an error in one of Zendesk's shapes, else None; one line, as `short_reason` gives it.

    Anything else may be a customer's record and is never quoted. `hide` takes secrets out.
    """
    if not isinstance(content, dict):
        return None
    error, errors = content.get("error"), content.get("errors")
    if not (isinstance(error, str | dict) and error) and not (isinstance(errors, list) and errors):
        return None
    return quotable(hide(_from_object(content).encode("utf-8", "replace")).decode("utf-8", "replace")) or "no message"


def instead_of_json(body: bytes, error: UnreadableJsonError) -> str:
    """What a body is that `error` was raised for. A web page's title or a text is quoted; of JSON nothing is."""
    if is_web_page(body):
        return f"a web page ({short_reason(body)}) instead of JSON: {WEB_PAGE}"
    # The beginnings of a page are a customer's records.
    return f"{error}" if is_json_like(body) or not body.strip() else f"{error} ({short_reason(body)})"


def is_web_page(body: bytes) -> bool:
    """Whether the body begins as HTML or XML does."""
    return _first_character(body) == b"<"


def is_json_like(body: bytes) -> bool:
    """Whether the body begins as a JSON object or list does, whole or cut."""
    return _first_character(body) in (b"{", b"[")


def quotable(text: str) -> str:
    """The text as a message may quote it: one line without tags, at most REASON_LENGTH characters."""
    return one_line(_TAG.sub(" ", text[:_EXAMINED_CHARACTERS]), limit=REASON_LENGTH)


def beginning(body: bytes) -> str:
    """The body's first characters as text, whatever it is."""
    return body[:_EXAMINED_CHARACTERS].decode("utf-8", "replace")


def _first_character(body: bytes) -> bytes:
    return body[:_EXAMINED_CHARACTERS].lstrip(_BEFORE_TEXT)[:1]


def _reason(body: bytes) -> str:
    text = beginning(body)
    try:
        content = parse_json(body)
    except UnreadableJsonError:
        content = None
    if isinstance(content, dict):
        return _from_object(content) or text
    if text.lstrip().startswith("<"):
        title = _TITLE.search(text)
        return html.unescape(title.group(2) if title else _HIDDEN.sub(" ", text))
    return text


def _from_object(content: dict[str, object]) -> str:
    errors = content.get("errors")
    nested = errors[0] if isinstance(errors, list) and errors else content.get("error")
    source = nested if isinstance(nested, dict) else content
    names = ("error", "code", "title", "message", "description", "detail", "details", "error_description")
    texts = [value for name in names if isinstance(value := source.get(name), str) and value]
    if isinstance(nested, str) and nested not in texts:
        texts.insert(0, nested)
    return ": ".join(dict.fromkeys(texts))


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
