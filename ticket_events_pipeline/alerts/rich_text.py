"""A message before it is rendered: lines of text with marks, the same for every chat.

What a message says is decided where facts are known; how bold text, code and links look is the matter of one renderer for each
kind of receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A piece of a line.

    Attributes:
        text: without any markup; it may be any text of the account if `is_code` is set.
        is_bold: what is new in the line.
        is_code: text of the account, or a name of ours: nothing in it is markup.
        url: where the text leads to; None for no link.
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


def plain(line: Sequence[Span]) -> str:
    """The text of a line without any mark."""
    return "".join(span.text for span in line)
