"""The objects and lists inside a page's rows, cut out of its bytes: they are stored as JSON text, and most need no parsing.

A structural scan finds where they begin and end. A text that is proven to be as the encoder would write it again (compact,
ASCII, each name once in an object) is taken as it was sent. Any other is parsed and written again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ticket_events_pipeline.decoding.json_values import compact_json

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

# The scan takes a hundred bytes of memory for each quote and bracket.
_MOST_BYTES = 64 * 2**20
_MOST_MARKS = 2_000_000
_MOST_BACKSLASHES = 64  # in a row

_QUOTE, _BACKSLASH, _COLON, _COMMA = b'"\\:,'
_OPEN_OBJECT, _CLOSE_OBJECT = b"{}"
_FOLD = 0x20  # makes the brackets of lists those of objects
_BLOCK_BYTES = 128 * 1024  # fits into a processor's cache

_LEVEL = 4
"""How deep they lie: the page, its list of rows, the row, and they."""
_DEEPEST = _LEVEL + 2  # of the objects in what _COMPACT accepts

_ESCAPED = "00(?:0[0-7bef]|1[0-9a-f]|7f|[89a-f][0-9a-f])|0[1-9a-f][0-9a-f]{2}|[1-9a-f][0-9a-f]{3}"
_TEXT = rf'"(?:[ !#-\[\]-~]|\\(?:["\\bfnrt]|u(?:{_ESCAPED})))*"'
# A float of up to fifteen digits is written as it was read, unless it is so small that it gets an exponent.
_FLOAT = r"-?(?:[1-9][0-9]{0,2}\.(?:0|[0-9]{0,11}[1-9])|0\.(?:0|0{0,3}[1-9](?:[0-9]{0,9}[1-9])?))"
_PLAIN = rf"(?:{_TEXT}|0|-?[1-9][0-9]{{0,17}}|{_FLOAT}|true|false|null)"
_LIST = rf"\[(?:{_PLAIN}(?:,{_PLAIN})*)?\]"
_OBJECT = rf"\{{(?:{_TEXT}:{_PLAIN}(?:,{_TEXT}:{_PLAIN})*)?\}}"
_VALUE = rf"(?:{_PLAIN}|{_LIST}|{_OBJECT})"
# Brackets are known to match, so only the first member follows an opening one. Written twice, _VALUE would take twice as long.
_COMPACT = rf"\A(?:\{{\}}|(?:[{{,]{_TEXT}:{_VALUE})+\}}|{_LIST})\z"
"""As `compact_json` writes objects and lists of plain values; objects also with such objects and lists in them."""


class NestedTexts:
    """The objects and lists that are members of a page's rows, numbered from 0 in the order of the page.

    Attributes:
        numbered_page: the page with a list of its number in the place of each, such as `"system":[5]`.
        items: what is proven at a time: the objects of a list that begins with one; else the object or list itself.
    """

    def __init__(self, body: bytes) -> None:
        """Scan the page.

        Raises:
            ValueError: the page is too large, or its quotes or brackets don't match.
        """
        if len(body) > _MOST_BYTES:
            raise ValueError("the page is too large")
        self._body = body
        self._bytes = np.frombuffer(body, np.uint8)
        self._marks = _Marks(body)
        self._starts, self._ends = self._marks.spans(_LEVEL)
        self._is_list_of_objects = self._starts_with(self._starts, b"[{")
        self.items = self._items()
        self.numbered_page = self._numbered()

    def compact(self, parse: Callable[[bytes], Any]) -> tuple[pa.Array, dict[int, Any]]:
        """Each of them as `compact_json` writes it; and by number, the values of those that had to be parsed.

        Raises:
            ValueError: from `parse`; one of them is no JSON.
        """
        texts = _slices(self._body, self._starts, self._ends)
        is_other = ~self._are_compact()
        others = np.flatnonzero(is_other).tolist()
        if not others:
            return texts, {}
        values = parse(b"[%b]" % b",".join(self._body[self._starts[number] : self._ends[number]] for number in others))
        written = pa.array([compact_json(value) for value in values], pa.string())
        return pc.replace_with_mask(texts, pa.array(is_other), written), dict(zip(others, values, strict=True))

    def items_with(self, name: str, value: bytes = b"") -> Bools:
        """Which items, if proven, are objects with a member of that name, whose value begins with these bytes."""
        names = self._names
        is_named = names.texts.indices.to_numpy() == names.texts.dictionary.index(name).as_py()
        items = self._item_of_bracket[names.owners[is_named]]
        items = items[self._starts_with(names.ends[is_named] + 2, value)]  # after the quote and the colon
        found = np.zeros(len(self.items.starts), bool)
        found[items[items >= 0]] = True
        return found

    def any_item(self, is_found: Bools) -> Bools:
        """Whether any item of each object or list is found."""
        return _by_text(np.logical_or, is_found, self.items)

    def item_counts(self) -> Ints:
        """How many objects each list has; -1 for whatever may hold anything else."""
        is_empty = self._starts_with(self._starts, b"[]")
        counts = np.bincount(self.items.of_text, minlength=len(self._starts))
        return np.where(self._is_list_of_objects, counts, np.where(is_empty, 0, -1))

    def _items(self) -> Items:
        starts, ends = self._marks.spans(_LEVEL + 1)
        of_text = np.searchsorted(self._starts, starts, "right") - 1
        is_item = self._is_list_of_objects[of_text]
        alone = np.flatnonzero(~self._is_list_of_objects)
        of_text = np.concatenate([of_text[is_item], alone])
        order = np.argsort(of_text, kind="stable")
        starts = np.concatenate([starts[is_item], self._starts[alone]])
        ends = np.concatenate([ends[is_item], self._ends[alone]])
        return Items(starts[order], ends[order], of_text[order])

    def _are_compact(self) -> Bools:
        is_proven = pc.match_substring_regex(_slices(self._body, self.items.starts, self.items.ends), _COMPACT)
        are_compact = _by_text(np.logical_and, is_proven.to_numpy(zero_copy_only=False) & self._are_joined(), self.items)
        repeating = self._marks.brackets[self._names.repeated_in()]
        are_compact[np.searchsorted(self._starts, repeating, "right") - 1] = False
        return are_compact

    def _are_joined(self) -> Bools:
        """Whether nothing but a comma is between the items of a list, and nothing after the last one."""
        starts, ends, of_text = self.items.starts, self.items.ends, self.items.of_text
        is_first = np.diff(of_text, prepend=-1) != 0
        is_last = np.append(is_first[1:], True)[: len(of_text)]
        follows = is_first | ((starts == np.roll(ends, 1) + 1) & (self._bytes[starts - 1] == _COMMA))
        joined: Bools = follows & (~is_last | ~self._is_list_of_objects[of_text] | self._starts_with(ends, b"]"))
        return joined

    @cached_property
    def _names(self) -> _Names:
        return self._marks.names(range(_LEVEL, _DEEPEST + 1))

    @cached_property
    def _item_of_bracket(self) -> Ints:
        """Which item an opening bracket begins; -1 for the others."""
        found = np.full(len(self._marks.brackets), -1)
        found[np.searchsorted(self._marks.brackets, self.items.starts)] = np.arange(len(self.items.starts))
        return found

    def _starts_with(self, positions: Ints, expected: bytes) -> Bools:
        """Whether these bytes stand at each position."""
        found = np.ones(len(positions), bool)
        for distance, byte in enumerate(expected):
            found &= np.take(self._bytes, positions + distance, mode="clip") == byte
        return found

    def _numbered(self) -> bytes:
        parts: list[bytes] = []
        end = 0
        for number, (start, after) in enumerate(zip(self._starts.tolist(), self._ends.tolist(), strict=True)):
            parts += (self._body[end:start], b"[%d]" % number)
            end = after
        return b"".join([*parts, self._body[end:]])


@dataclass(frozen=True, eq=False)
class Items:
    """Where they begin, the bytes after their ends, and the number of the object or list that each belongs to, ascending."""

    starts: Ints
    ends: Ints
    of_text: Ints


@dataclass(frozen=True, eq=False)
class _Names:
    """The names of members: as they are written, where each ends, and the opening bracket (by its number) of its object."""

    texts: pa.DictionaryArray
    ends: Ints
    owners: Ints

    def repeated_in(self) -> Ints:
        """The opening brackets of objects that repeat a name, if names are spelled alike."""
        most = max(1, len(self.texts.dictionary))
        keys = np.sort(self.owners.astype(np.int64) * most + self.texts.indices.to_numpy())
        repeated: Ints = keys[1:][keys[1:] == keys[:-1]] // most
        return repeated


class _Marks:
    """The quotes and brackets of JSON, by their positions, without those inside of texts.

    Attributes:
        brackets: opening and closing ones.
    """

    def __init__(self, body: bytes) -> None:
        """Raises ValueError if they don't match."""
        self._body, self._bytes = body, np.frombuffer(body, np.uint8)
        marks = _unescaped_marks(self._bytes)
        kinds = self._bytes[marks]
        is_quote = kinds == _QUOTE
        is_bracket = ~is_quote & (np.cumsum(is_quote, dtype=np.int32) % 2 == 0)
        self._quotes, self.brackets = marks[is_quote], marks[is_bracket]
        self._brackets_before = np.cumsum(is_bracket, dtype=np.int32)[is_quote]
        self._is_open = (kinds[is_bracket] | _FOLD) == _OPEN_OBJECT
        self._levels = np.cumsum(np.where(self._is_open, 1, -1))
        is_whole = np.flatnonzero(self._levels <= 0).tolist() == [len(self._levels) - 1]
        if len(self._quotes) % 2 or not is_whole or is_quote[-1]:
            raise ValueError("quotes or brackets don't match")

    def spans(self, level: int) -> tuple[Ints, Ints]:
        """Where the objects and lists of a level begin, and the bytes after their ends."""
        starts = self.brackets[self._is_open & (self._levels == level)]
        return starts, self.brackets[~self._is_open & (self._levels == level - 1)] + 1

    def names(self, levels: range) -> _Names:
        """The names of the members of the objects of these levels."""
        starts, ends = self._quotes[::2], self._quotes[1::2]
        last_bracket = self._brackets_before[::2] - 1
        level = self._levels[last_bracket]
        is_name = (level >= levels.start) & (level < levels.stop)
        is_name &= self._bytes[ends + 1] == _COLON
        coded = _slices(self._body, starts[is_name] + 1, ends[is_name]).dictionary_encode()
        return _Names(coded, ends[is_name], self._owners(levels)[last_bracket[is_name]])

    def _owners(self, levels: range) -> Ints:
        """The opening bracket of what each bracket leaves open, both by number."""
        owners = np.zeros(len(self.brackets), np.int64)
        for level in levels:
            there = np.flatnonzero(self._levels == level)
            owners[there] = np.maximum.accumulate(np.where(self._is_open[there], there, 0))
        return owners


def _unescaped_marks(content: NDArray[np.uint8]) -> Ints:
    """Positions of the quotes and brackets that no backslash escapes.

    Raises:
        ValueError: there are too many, or too many backslashes in a row.
    """
    blocks, count = [np.empty(0, np.int32)], 0
    for start in range(0, len(content), _BLOCK_BYTES):
        block = content[start : start + _BLOCK_BYTES]
        folded = block | _FOLD
        is_mark = (folded == _OPEN_OBJECT) | (folded == _CLOSE_OBJECT) | (block == _QUOTE)
        blocks.append(np.flatnonzero(is_mark).astype(np.int32) + np.int32(start))  # half the memory takes half the time
        count += len(blocks[-1])
        if count > _MOST_MARKS:
            raise ValueError("there are too many quotes and brackets")
    marks = np.concatenate(blocks)
    is_escaped = content[marks - 1] == _BACKSLASH
    after_slashes, slashes = np.flatnonzero(is_escaped), 1
    while len(after_slashes):
        slashes += 1
        if slashes > _MOST_BACKSLASHES:
            raise ValueError("there are too many backslashes in a row")
        after_slashes = after_slashes[content[marks[after_slashes] - slashes] == _BACKSLASH]
        is_escaped[after_slashes] ^= True
    unescaped: Ints = marks[~is_escaped]
    return unescaped


def _slices(body: bytes, starts: Ints, ends: Ints) -> pa.Array:
    """The texts between ascending positions."""
    if not len(starts):
        return pa.array([], pa.string())
    bounds = np.stack([starts, ends], axis=1).astype(np.int32).ravel()
    and_between = pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(body))
    return and_between.take(pa.array(np.arange(0, len(bounds), 2)))


def _by_text(combine: np.ufunc, values: Bools, items: Items) -> Bools:
    """The values of the items of each object or list, combined; each has one at least."""
    if not len(values):
        return values
    found: Bools = combine.reduceat(values, np.flatnonzero(np.diff(items.of_text, prepend=-1)))
    return found
