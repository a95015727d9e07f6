"""Messages as text, Markdown or HTML: for mail, for the many services that a library knows, and for a terminal.

Text of the account is in code marks in each of them, as some services read Markdown in plain text, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from ticket_events_pipeline.alerts.rich_text import LONGEST_SPAN, Line, Message, Span, fitted, plain, runs
from ticket_events_pipeline.text import code_text, html_characters, one_line, unlinked, valid_unicode

LONGEST_TITLE = 150

_BULLET = "• "


@dataclass(frozen=True)
class Markup:
    """How lines are marked up.

    Attributes:
        span: renders a span, but for its being bold.
        bold: marks up rendered spans.
        line_end: between two lines.
    """

    span: Callable[[Span], str]
    bold: Callable[[str], str]
    line_end: str = "\n"


@dataclass(frozen=True)
class Letter:
    """A rendered message: a title without any markup, and a body."""

    title: str
    body: str


def letter(message: Message, markup: Markup, *, limit: int, has_title: bool) -> Letter:
    """The message; as many of its lines are shown as have room.

    Args:
        message: what to render.
        markup: one of TEXT, MARKDOWN, HTML.
        limit: characters of the body.
        has_title: whether the title stands apart; else the body begins with it.
    """

    def size(line: Line) -> int:
        return len(_BULLET) + len(_line(line, markup)) + len(markup.line_end)

    shown = fitted(message, limit=limit, size=size)
    lines = [*([] if has_title else [_line(shown.title, markup)]), *_body(shown, markup)]
    return Letter(title_text(message), markup.line_end.join(lines) or title_text(message))


def title_text(message: Message) -> str:
    """The title without any markup."""
    return one_line(plain(message.title), limit=LONGEST_TITLE)


def plain_text(message: Message) -> str:
    """The whole message as text, for a terminal."""
    return "\n".join([_line(message.title, TEXT), *_body(message, TEXT)])


def _body(message: Message, markup: Markup) -> Iterator[str]:
    for section in message.sections:
        if section.heading is not None:
            yield _line(section.heading, markup)
        yield from (_BULLET + _line(line, markup) for line in section.lines)
    yield from (_line(line, markup) for line in message.footer)


def _line(line: Line, markup: Markup) -> str:
    pieces = []
    for is_bold, spans in runs(line):
        marked = "".join(map(markup.span, spans))
        pieces.append(markup.bold(marked) if is_bold and marked.strip() else marked)
    return "".join(pieces)


def _text_span(span: Span) -> str:
    if span.is_code:
        return code_text(valid_unicode(span.text), limit=LONGEST_SPAN)
    return span.text if span.url is None else f"{span.text} ({span.url})"


def _markdown_span(span: Span) -> str:
    if span.is_code or span.url is None:
        return _text_span(span)
    return f"[{span.text}]({span.url})"


def _html_span(span: Span) -> str:
    if span.is_code:
        shown = one_line(html_characters(span.text), limit=LONGEST_SPAN)
        return f"<code>{escape(unlinked(shown)) or '-'}</code>"
    words = escape(span.text)
    return words if span.url is None else f'<a href="{escape(span.url)}">{words}</a>'


TEXT = Markup(_text_span, bold=lambda marked: marked)
MARKDOWN = Markup(_markdown_span, bold=lambda marked: f"**{marked}**", line_end="\n\n")
HTML = Markup(_html_span, bold=lambda marked: f"<b>{marked}</b>", line_end="<br/>\n")
