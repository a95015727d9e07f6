"""Messages for Slack, and for chats whose webhooks accept the same JSON (Mattermost, Rocket.Chat).

https://docs.slack.dev/messaging/formatting-message-text
https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ticket_events_pipeline.alerts.rich_text import LONGEST_SPAN, Line, Message, Span, fitted, plain, runs
from ticket_events_pipeline.text import one_line, shortened, slack_code, slack_text

LONGEST_TEXT = 3500
"""Characters of a message. Slack advises 4,000 at most and cuts at 40,000; all blocks together may have some 13,000."""

LONGEST_BLOCK = 3000
LONGEST_HEADER = 150

_BULLET = "• "


def slack_payload(message: Message, *, has_blocks: bool) -> dict[str, Any]:
    """The JSON of a message.

    Args:
        message: as many of its lines are shown as have room.
        has_blocks: whether it has blocks, too, which Slack itself shows in place of `text`. Chats that accept Slack's messages
            may know none.
    """
    shown = fitted(message, limit=LONGEST_TEXT, size=lambda line: len(_BULLET) + len(_line(line)) + 1)
    body = list(_body(shown))
    footer = [_line(line) for line in shown.footer]
    payload: dict[str, Any] = {"text": "\n".join([_line(shown.title), *body, *footer])}
    if has_blocks:
        sections = [{"type": "section", "text": _mrkdwn(chunk)} for chunk in _chunks(body)]
        context = [{"type": "context", "elements": [_mrkdwn(chunk)]} for chunk in _chunks(footer)]
        payload["blocks"] = [_header(shown.title), *sections, *context]
    return payload


def _body(message: Message) -> Iterator[str]:
    for section in message.sections:
        if section.heading is not None:
            yield _line(section.heading)
        yield from (_BULLET + _line(line) for line in section.lines)


def _line(line: Line) -> str:
    pieces = []
    for is_bold, spans in runs(line):
        marked = "".join(map(_span, spans))
        pieces.append(f"*{marked}*" if is_bold else marked)
    made = "".join(pieces)
    # Too long for any block: without marks, none of which may be cut in two.
    return made if len(made) < LONGEST_BLOCK else slack_code(plain(line), limit=LONGEST_SPAN)


def _span(span: Span) -> str:
    if span.is_code:
        return slack_code(span.text, limit=LONGEST_SPAN)
    if span.url is not None:
        return f"<{slack_text(span.url)}|{slack_text(span.text)}>"
    return slack_text(span.text)


def _header(title: Line) -> dict[str, Any]:
    words = one_line(plain(title), limit=LONGEST_HEADER)
    text = slack_text(words)
    if len(text) > LONGEST_HEADER:
        text = slack_text(shortened(words, LONGEST_HEADER // len("&amp;")))
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _mrkdwn(text: str) -> dict[str, Any]:
    # `verbatim`: addresses and names of channels in it stay text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _chunks(lines: Sequence[str]) -> Iterator[str]:
    """The lines in as few texts as a block has room for."""
    chunk = ""
    for line in lines:
        if chunk and len(chunk) + 1 + len(line) > LONGEST_BLOCK:
            yield chunk
            chunk = ""
        chunk = f"{chunk}\n{line}" if chunk else line
    if chunk:
        yield chunk
