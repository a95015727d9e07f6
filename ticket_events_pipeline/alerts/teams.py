"""Messages for Microsoft Teams: an Adaptive Card, as webhooks of Workflows (Power Automate) accept it.

Text blocks with Markdown, since links in runs of rich text don't work in every client of Teams.
https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ticket_events_pipeline.alerts.rich_text import LONGEST_SPAN, Line, Message, Span, fitted, runs
from ticket_events_pipeline.text import card_text, shortened

LONGEST_PAYLOAD = 24_000
"""Bytes. Teams refuses messages of more than 28 KB, with what it adds itself."""

_BULLET = "• "
_NOTHING = "\N{ZERO WIDTH SPACE}"
_BLOCK_BYTES = 200
"""More than the JSON around a line."""


def teams_payload(message: Message) -> dict[str, Any]:
    """The JSON of a message; as many of its lines are shown as have room."""
    shown = fitted(message, limit=LONGEST_PAYLOAD, size=lambda line: _BLOCK_BYTES + len(json.dumps(_BULLET + _line(line))))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": list(_body(shown)),
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(message: Message) -> Iterator[dict[str, Any]]:
    yield _block(_opening(message.title), size="Medium")
    for section in message.sections:
        if section.heading is not None:
            yield _block(_opening(section.heading), separator=True)
        yield from (_block(_BULLET + _line(line), spacing="Small") for line in section.lines)
    yield from (_block(_line(line), size="Small", isSubtle=True) for line in message.footer)


def _block(text: str, **more: object) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **more}


def _opening(line: Line) -> str:
    """A line without a bullet: what it begins with, text of the account maybe, is no mark of a heading or an item."""
    return f"{_NOTHING}{_line(line)}" if line and line[0].is_code else _line(line)


def _line(line: Line) -> str:
    pieces = []
    for is_bold, spans in runs(line):
        marked = "".join(map(_span, spans))
        pieces.append(f"**{marked}**" if is_bold and marked.strip() else marked)
    return "".join(pieces)


def _span(span: Span) -> str:
    if span.is_code:
        return card_text(shortened(span.text, LONGEST_SPAN)) or "-"
    words = _kept_spaces(span.text)
    return words if span.url is None else f"[{words}]({_address(span.url)})"


def _kept_spaces(words: str) -> str:
    """Words of ours; those at the edge of a span need their spaces."""
    left, right = len(words) - len(words.lstrip()), len(words) - len(words.rstrip())
    made = card_text(words)
    return f"{' ' * bool(left)}{made}{' ' * bool(right and made)}"


def _address(url: str) -> str:
    """The address with those characters encoded that would end the link."""
    return url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
