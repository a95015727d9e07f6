"""A message before it is rendered: lines of text with marks, the same for every chat.

What a message says is decided where facts are known; how bold text, code and links look is the matter of one renderer for each
kind of receiver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ticket_events_pipeline.text import LONGEST_NAME, metric_name, one_line

DASH = " \N{EN DASH} "
"""Between the parts of a line."""

LONGEST_SPAN = 300
"""Characters that are shown of a text of the account, whatever the message was made of."""

_PLAIN_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
_LONGEST_PLAIN_NAME = 40


@dataclass(frozen=True)
class Span:
    """A piece of a line.

    Attributes:
        text: without any markup; it may be any text of the account if `is_code` is set.
        is_bold: what is new in the line.
        is_code: text of the account, or a name of ours: nothing in it is markup.
        url: where the text leads to; None for no link. Text that is code leads nowhere.
    """

    text: str
    is_bold: bool = False
    is_code: bool = False
    url: str | None = None


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Section:
    """Lines under a heading, shown as a list.

    Attributes:
        heading: None for none.
    """

    lines: tuple[Line, ...]
    heading: Line | None = None


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        title: its first line; also the subject of a mail.
        sections: its body.
        footer: explanations, shown small where a chat can.
    """

    title: Line
    sections: tuple[Section, ...] = ()
    footer: tuple[Line, ...] = ()


def text(words: str) -> Span:
    """Words of ours."""
    return Span(words)


def bold(words: str) -> Span:
    """Words of ours that are new."""
    return Span(words, is_bold=True)


def code(name: str, *, limit: int = LONGEST_NAME, is_bold: bool = False) -> Span:
    """Text of the account, or a name of ours: on one line, cut to `limit` characters."""
    return Span(one_line(name, limit=limit), is_bold=is_bold, is_code=True)


def metric(sla_metric: str, *, is_bold: bool = False) -> Span:
    """The name of an SLA metric in words; code unless it looks like one, since it may be any text."""
    if len(sla_metric) <= _LONGEST_PLAIN_NAME and _PLAIN_NAME.fullmatch(sla_metric):
        return Span(metric_name(sla_metric), is_bold=is_bold)
    return code(sla_metric, is_bold=is_bold)


def link(words: str, url: str | None) -> Span:
    """Words of ours that lead to the address, if there is one."""
    return Span(words, url=url)


def plain(line: Sequence[Span]) -> str:
    """The text of a line without any mark."""
    return "".join(span.text for span in line)


def joined(parts: Sequence[Line], separator: str = DASH) -> Line:
    """The parts that aren't empty as one line."""
    spans: list[Span] = []
    for part in parts:
        if part:
            spans += [*([Span(separator)] if spans else []), *part]
    return tuple(spans)


def runs(line: Line) -> Iterator[tuple[bool, list[Span]]]:
    """The spans of a line, those in a row that are bold together: marks of two runs side by side would not be read as such."""
    for is_bold, spans in groupby(line, key=lambda span: span.is_bold):
        yield is_bold, list(spans)


def fitted(message: Message, *, limit: int, size: Callable[[Line], int]) -> Message:
    """The message with as many of its lines as have room, and how many more there are in its footer.

    Args:
        message: title and footer stay whole.
        limit: the room for everything.
        size: what a rendered line takes of it, with all that stands around it.
    """
    left = limit - sum(map(size, (message.title, *message.footer, _more(10**9))))
    sections: list[Section] = []
    for section in message.sections:
        left -= size(section.heading) if section.heading else 0
        lines: list[Line] = []
        for line in section.lines:
            left -= size(line)
            if left < 0:
                break
            lines.append(line)
        if lines or (left >= 0 and not section.lines):
            sections.append(replace(section, lines=tuple(lines)))
        if left < 0:
            break
    left_out = _number_of_lines(message.sections) - _number_of_lines(sections)
    footer = (_more(left_out), *message.footer) if left_out else message.footer
    return Message(message.title, tuple(sections), footer)


def _number_of_lines(sections: Sequence[Section]) -> int:
    """A heading without lines counts as one."""
    return sum(len(section.lines) or 1 for section in sections)


def _more(number: int) -> Line:
    return (Span(f"… and {number:,} more."),)
