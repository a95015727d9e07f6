"""The chats that alerts can be posted to: how each marks text up, and the JSON that its webhooks accept.

A further chat is one more `Chat` in CHATS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from ticket_events_pipeline.text import LONGEST_NAME, slack_code, slack_text


class Code(Protocol):
    """How a chat marks up text of the account."""

    def __call__(self, text: str, *, limit: int = LONGEST_NAME) -> str:
        """The text, or its first `limit` characters, as one line in which nothing is markup."""


@dataclass(frozen=True)
class Chat:
    """A chat.

    Attributes:
        hosts: what the hosts of its webhooks end in.
        bold: marks up a part of a line, which may hold code.
        code: marks up text of the account, or a name of ours.
        link: marks up an address and the text to click on.
        message: the JSON of a message of these lines.
    """

    hosts: tuple[str, ...]
    bold: Callable[[str], str]
    code: Code
    link: Callable[[str, str], str]
    message: Callable[[Sequence[str]], Mapping[str, Any]]


def chat_of(webhook: str) -> Chat:
    """The chat that a webhook belongs to, by its host; Slack unless another one is known."""
    host = urlsplit(webhook).hostname or ""
    return next((chat for chat in CHATS if host.endswith(chat.hosts)), SLACK)


SLACK = Chat(
    hosts=("hooks.slack.com",),
    bold=lambda text: f"*{text}*",
    code=slack_code,
    link=lambda url, text: f"<{slack_text(url)}|{text}>",
    message=lambda lines: {"text": "\n".join(lines)},
)
"""Only `text`: other chats that accept such messages (Mattermost, Rocket.Chat, Discord's `/slack`) may know no more of it.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
https://docs.slack.dev/messaging/formatting-message-text
"""

CHATS = (SLACK,)
"""All that are known. A webhook of none of them gets Slack's messages."""
