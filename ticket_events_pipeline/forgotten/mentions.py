"""Which texts of many rows mention a forgotten id, address or ticket. Every different one is hashed once."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from urllib.parse import unquote

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
_MOST_DIGITS = 19

_AT_SIGNS = (rb"@", rb"%(?:25)*40", rb"&(?:amp;)*(?:#0*64|#[xX]0*40|commat);")
"""Three patterns, each with a literal prefix: one pattern of all three takes several times as long."""
_ATS = tuple(map(re.compile, _AT_SIGNS))
_ANY_AT = b"|".join(_AT_SIGNS).decode()
_FORM_AT = b"%"

_DOMAIN = re.compile(rb"(?:[A-Za-z0-9.\x80-\xff-]|\\+u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2}|&#?[A-Za-z0-9]+;){1,300}")
_PLAIN_LOCAL = re.compile(rb"[A-Za-z0-9]+(?:[._'-][A-Za-z0-9]+)*")
_PLAIN_DOMAIN = re.compile(rb"[A-Za-z0-9-]+(?:\.[A-Za-z0-9]+)+\.?")
"""Most addresses have no sign that calls for a closer look, which takes five times as long."""
_SEPARATORS = re.compile(rb'[\s<>"(),\[\]]+')
_LONGEST_LOCAL = 400
_MOST_CANDIDATES, _MOST_PREFIXES = 40, 4
_MOST_LAYERS = 3
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})|\\+[nrtbf]|=3[Dd]")
_MAY_BE_ESCAPED = re.compile(r"[\\=%&]")
_IN_LOCAL, _IN_BOUNCE = frozenset("._-+'"), frozenset(".'")
"""Signs inside a local part: what follows them is no address by itself, unless a sign of another kind precedes them."""

_MEMBERS = tuple(name + rb'\\*"\s*:\s*(?:\\*")?([0-9]+)(?![0-9])' for name in (rb"ticket_id", rb"followup_source_id"))
_IDS_MEMBER = rb'ticket_ids\\*"\s*:\s*\[([0-9,\s"\\]*)'
_URLS = tuple(
    name + rb"(?:(?<=/" + name + rb")|(?<=%2[Ff]" + name + rb"))(?:\\*/|%2[Ff])([0-9]+)(?![A-Za-z0-9_])"
    for name in (rb"tickets", rb"requests")
)
_VIA, _REFERENCE = rb'"via":"(?:[Mm]erge|Closed [Tt]icket|[Ff]ollow[ -][Uu]p)"', rb'"via_reference_id":([0-9]+)(?![0-9])'
_REFERENCES = (_VIA + rb"[^{}]{0,200}?" + _REFERENCE, _REFERENCE + rb"[^{}]{0,200}?" + _VIA)
_NUMBERS = re.compile(rb"[0-9]+")
_LINKS = tuple(re.compile(one) for one in (*_MEMBERS, _IDS_MEMBER, *_URLS, *_REFERENCES))

_NUMBER = re.compile(
    rb"#(?:"
    rb"(?<![&:=/'\"A-Za-z0-9_]#)(?<!&amp;#)"
    rb'|(?<=[\[,:{]"#)'  # a text begins here
    rb"|(?<=\\[nrtbf]#)"
    rb"|(?<=\\u[0-9a-f]{4}#)(?<!\\u0026#)(?<!\\u003[ad]#)(?<!\\u002[27f]#)"
    rb")([0-9]+)(?![A-Za-z0-9_])"
)
_STYLES = re.compile(
    rb"""style\s*=\s*\\*(?:"[^"<>]*|'[^'"<>]*)|<style[^>]*>[^<"]*"""
    rb"""|(?:colou?r|background|border|outline|shadow|fill|stroke)[a-z-]*(?:\\*["'])?\s*[:=][^;"'<>{}#]{0,40}(?:\\*["'])?#[0-9]+""",
    re.IGNORECASE,
)
_VIA_OF_LINKS = re.compile(r"merge|closed ticket|follow[ -]up", re.IGNORECASE)


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
        return set(self._forgotten(ADDRESS, {one for found in _places(text) for one in _candidates(*found)}))

    def tickets_in(self, text: bytes | memoryview) -> set[str]:
        """The forgotten tickets that a text refers to: `#4711`, a link, or a member such as `ticket_id`.

        A colour, an HTML entity or a fragment of a URL is no ticket.
        """
        found = self._tickets_and_colours_in(text)
        return self._tickets_and_colours_in(_STYLES.sub(b" ", text)) if found else found

    def _tickets_and_colours_in(self, text: bytes | memoryview) -> set[str]:
        if not self._ledger.has(TICKET):
            return set()
        numbers = {one for link in _LINKS for found in link.findall(text) for one in _NUMBERS.findall(found)}
        numbers.update(_NUMBER.findall(text))
        return set(self._forgotten(TICKET, (one for one in numbers if len(one) <= _MOST_DIGITS)))

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
        found = _mask(pc.match_substring_regex(column, "|".join(patterns))) if patterns else np.zeros(len(column), bool)
        if tickets := self._tickets_and_colours_in(text):  # a style must not reach into the next row
            found |= self._in_rows(column, f"(?:^|[^0-9])(?:{'|'.join(sorted(tickets))})(?:[^0-9]|$)", self.tickets_in, found)
        if self.addresses_in(text):
            found |= self._in_rows(column, _ANY_AT, self.addresses_in, found)
        return found

    def of_links(self, via: pa.Array, reference: pa.Array) -> Bools:
        """Which rows refer to a forgotten ticket by `via_reference_id`: those of merges and follow-ups."""
        if not self._ledger.has(TICKET):
            return np.zeros(len(via), bool)
        kinds = [kind for kind in pc.unique(via).drop_null().to_pylist() if _VIA_OF_LINKS.fullmatch(kind)]
        is_link = _mask(pc.is_in(via, value_set=pa.array(kinds, via.type)))
        return is_link & self.of_values(TICKET, pc.if_else(pa.array(is_link), reference, None))

    def of_values(self, kind: str, column: pa.Array) -> Bools:
        """Which numbers of a column were forgotten as that kind."""
        if not self._ledger.has(kind):
            return np.zeros(len(column), bool)
        values = pc.unique(column).drop_null().to_pylist()
        found = [value for value in values if self._ledger.holds(kind, value)]
        return _mask(pc.is_in(column, value_set=pa.array(found, column.type))) if found else np.zeros(len(column), bool)

    def _in_rows(self, column: pa.Array, pattern: str, search: Callable[[bytes], set[str]], known: Bools) -> Bools:
        """The rows that match the pattern, and in which the search finds something; those known are not searched."""
        found = np.zeros(len(column), bool)
        for row in np.flatnonzero(_mask(pc.match_substring_regex(column, pattern)) & ~known):
            found[row] = bool(search(column[int(row)].as_py().encode()))
        return found

    def _forgotten(self, kind: str, texts: Iterable[bytes | str]) -> Iterator[str]:
        decoded = (one if isinstance(one, str) else one.decode() for one in texts)
        return (one for one in decoded if self._ledger.holds(kind, one))


def normal_address(address: str) -> str:
    """An e-mail address as the ledger has it: in lower case, ASCII-escaped as in stored JSON."""
    return address.strip().lower().encode("ascii", "backslashreplace").decode()


def _places(text: bytes | memoryview) -> set[tuple[bytes, bytes, bytes]]:
    """What stands before and after each @, in any spelling, up to what can't be part of an address; the spelling between."""
    found = set()
    for sign in _ATS:
        for match in sign.finditer(text):
            domain = _DOMAIN.match(text, match.end())
            if domain is not None:
                before = bytes(text[max(0, match.start() - _LONGEST_LOCAL) : match.start()])
                found.add((_SEPARATORS.split(before)[-1], bytes(match[0][:1]), bytes(domain[0])))
    return found


def _candidates(before: bytes, sign: bytes, after: bytes) -> Iterator[str]:
    """The addresses that may be meant there, as the ledger has them."""
    if _PLAIN_LOCAL.fullmatch(before) and _PLAIN_DOMAIN.fullmatch(after):
        local, labels = before.decode().lower(), after.decode().lower().rstrip(".").split(".")
        lengths = {len(labels), *range(2, min(len(labels), 2 + _MOST_PREFIXES))}
        yield from (f"{local}@{'.'.join(labels[:length])}" for length in lengths)
        return
    raw = before.decode(errors="replace")
    domains = list(_domains(_decoded(after.decode(errors="replace"))))
    inside = _IN_LOCAL - {"+"} if sign == _FORM_AT else _IN_LOCAL
    texts = dict.fromkeys((_decoded(raw), raw))
    pairs = (f"{local}@{domain}" for text in texts for local in _locals(text, inside) for domain in domains)
    yield from map(normal_address, islice(pairs, _MOST_CANDIDATES))
    bounces = (
        f"{local}@{domain}"
        for text in texts
        for place, char in enumerate(text)
        if char == "="
        for domain in _domains(text[place + 1 :])
        for local in _locals(text[:place], _IN_BOUNCE)
    )
    yield from map(normal_address, islice(bounces, _MOST_CANDIDATES))


def _locals(text: str, inside: frozenset[str]) -> Iterator[str]:
    """The ends of a text that may be a whole local part, the shortest first."""
    for start in range(len(text) - 1, -1, -1):
        if start == 0 or _is_border(text, start - 1, inside):
            yield text[start:]


def _is_border(text: str, place: int, inside: frozenset[str]) -> bool:
    is_sign = text[place] in inside
    return not _is_letter(text[place]) and not (is_sign and place > 0 and _is_letter(text[place - 1]))


def _is_letter(char: str) -> bool:
    """Whether it is a letter or digit that others may continue. Scripts without blanks don't: an address follows directly."""
    return char < "\u2000" and char.isalnum()


def _domains(text: str) -> Iterator[str]:
    """The beginnings of a text that may be a whole domain: all of it, and up to a dot or hyphen that a word may follow."""
    whole = _run(text, str.isalnum)
    ends = [place for place, char in enumerate(whole) if char in ".-" and "." in whole[:place]]
    shorter = [whole[:end] for end in ends[:_MOST_PREFIXES]]
    yield from dict.fromkeys(one.rstrip(".-") for one in (whole, *shorter, _run(whole, _is_letter)))


def _run(text: str, is_part: Callable[[str], bool]) -> str:
    return "".join(takewhile(lambda char: char in ".-" or is_part(char), text))


def _decoded(text: str) -> str:
    """Without the escapes of JSON, HTML, URLs and e-mails, which may be nested."""
    for _ in range(_MOST_LAYERS):
        if not _MAY_BE_ESCAPED.search(text):
            break
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "=" if found[0][0] == "=" else " ", text)
        plain = unquote(html.unescape(plain))
        if plain == text:
            break
        text = plain
    return text


def _bytes_of(column: pa.Array) -> bytes | memoryview:
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    return b"" if data is None else memoryview(data)[offsets[0] : offsets[-1]]


def _mask(found: pa.Array | pa.ChunkedArray) -> Bools:
    mask: Bools = pc.fill_null(found, False).to_numpy(zero_copy_only=False).copy()
    return mask
