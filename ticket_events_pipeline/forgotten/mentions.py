"""Which texts of many rows mention a forgotten id, address or ticket. Every different one is hashed once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.forgotten.ledger import ADDRESS, REQUESTER, TICKET, Ledger

Bools = npt.NDArray[np.bool_]

SMALLEST_USER_ID = 1_000_000
"""A user's id is looked for in every text. A shorter number, a ticket's for example, stands in many that aren't the user's."""

_DIGITS = re.compile(rb"[0-9]{7,}")
_DIGITS_AFTER_ESCAPE = re.compile(rb"\\u[0-9a-f]{4}([0-9]{7,})")
_DOMAIN = re.compile(rb"@((?:[A-Za-z0-9.-]|\\u[0-9a-f]{4})+)")
_NOT_LOCAL = re.compile(rb"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~.\\-]+")
_CONTROL_ESCAPE = re.compile(rb"\\[nrtbf]")
_LONGEST_LOCAL = 400
_TICKET = re.compile(rb"(?:#|ticket_id\\?\":)([0-9]+)")
_MOST_DIGITS = 19
_AROUND_ADDRESS = b"!#$%&'*+/=?^_`{|}~.\\-"


class Mentions:
    """Finds them by the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def ids_in(self, text: bytes | memoryview) -> set[str]:
        """The forgotten users' ids among the numbers in a text: whole numbers in decimal, also inside other texts."""
        if not self._ledger.has(REQUESTER):
            return set()
        numbers = {*_DIGITS.findall(text), *_DIGITS_AFTER_ESCAPE.findall(text)}
        return set(self._forgotten(REQUESTER, (bytes(one) for one in numbers if len(one) <= _MOST_DIGITS)))

    def addresses_in(self, text: bytes | memoryview) -> set[str]:
        """The forgotten e-mail addresses in a text, in lower case."""
        if not self._ledger.has(ADDRESS):
            return set()
        return set(self._forgotten(ADDRESS, {one for found in _addresses(text) for one in _candidates(found)}))

    def tickets_in(self, text: bytes | memoryview) -> set[str]:
        """The forgotten tickets that a text refers to: `#4711`, or a member `ticket_id`."""
        if not self._ledger.has(TICKET):
            return set()
        return set(self._forgotten(TICKET, set(map(bytes, _TICKET.findall(text)))))

    def is_in(self, text: str) -> bool:
        """Whether a text, as JSON, mentions anything forgotten."""
        content = text.encode(errors="surrogatepass")
        return bool(self.ids_in(content) or self.addresses_in(content) or self.tickets_in(content))

    def of_column(self, column: pa.Array) -> Bools:
        """Which texts of a column mention anything forgotten."""
        if not len(column) or column.null_count == len(column):
            return np.zeros(len(column), bool)
        text = _bytes_of(column)
        patterns = [rf"(?:^|[^0-9]|\\u[0-9a-f]{{4}}){one}(?:[^0-9]|$)" for one in sorted(self.ids_in(text))]
        patterns += [rf"(?:#|ticket_id\\?\":){one}(?:[^0-9]|$)" for one in sorted(self.tickets_in(text))]
        found = _mask(pc.match_substring_regex(column, "|".join(patterns))) if patterns else np.zeros(len(column), bool)
        if self.addresses_in(text):
            for row in np.flatnonzero(_mask(pc.match_substring(column, "@")) & ~found):
                found[row] = bool(self.addresses_in(column[int(row)].as_py().encode()))
        return found

    def of_values(self, kind: str, column: pa.Array) -> Bools:
        """Which numbers of a column were forgotten as that kind."""
        if not self._ledger.has(kind):
            return np.zeros(len(column), bool)
        values = pc.unique(column).drop_null().to_pylist()
        found = [value for value in values if self._ledger.holds(kind, value)]
        return _mask(pc.is_in(column, value_set=pa.array(found, column.type))) if found else np.zeros(len(column), bool)

    def _forgotten(self, kind: str, texts: Iterable[bytes]) -> Iterator[str]:
        return (text for one in texts if self._ledger.holds(kind, text := one.decode()))


def normal_address(address: str) -> str:
    """An e-mail address as the ledger has it: in lower case, ASCII-escaped as in stored JSON."""
    return address.strip().lower().encode("ascii", "backslashreplace").decode()


def _addresses(text: bytes | memoryview) -> set[bytes]:
    """What looks like an e-mail address, in lower case. Found by the @: a pattern of the whole takes five times as long."""
    found = set()
    for match in _DOMAIN.finditer(text):
        before = bytes(text[max(0, match.start() - _LONGEST_LOCAL) : match.start()])
        found.add((_NOT_LOCAL.split(before)[-1] + bytes(match[0])).lower())
    return found


def _candidates(address: bytes) -> Iterator[bytes]:
    """The address with and without what may stand around it in a text: signs, and the escape of a line's end."""
    for one in {address, _CONTROL_ESCAPE.split(address)[-1]}:
        yield one
        yield one.strip(_AROUND_ADDRESS)


def _bytes_of(column: pa.Array) -> bytes | memoryview:
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    return b"" if data is None else memoryview(data)[offsets[0] : offsets[-1]]


def _mask(found: pa.Array | pa.ChunkedArray) -> Bools:
    mask: Bools = pc.fill_null(found, False).to_numpy(zero_copy_only=False).copy()
    return mask
