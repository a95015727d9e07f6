"""The one message of a tick: everything that waits, grouped and cut, in the JSON that Slack's incoming webhooks take.

Only `text`: what else takes such messages (Mattermost, Rocket.Chat, Discord's `/slack`) knows no more of it for certain.
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

from ticket_events_pipeline.alerts.state import INTERESTING_SECONDS, Memory
from ticket_events_pipeline.text import slack_code, zoned_text

LONGEST_TEXT = 3500
"""Characters. Slack advises 4,000 at most and cuts at 40,000."""


def message(memory: Memory, *, account: str | None, timezone: str) -> dict[str, str]:
    """What is posted while the memory has news."""
    title = "*SLA alert*" if account is None else f"*SLA alert* of {slack_code(account)}"
    footing = _footing(memory, timezone)
    left = LONGEST_TEXT - len(title) - sum(len(line) + 1 for line in footing) - len("\n… and 999999999 more.")
    shown: list[str] = []
    for item in memory.waiting:
        line = f"• {item.text}"
        left -= len(line) + 1
        if left < 0 and shown:
            break
        shown.append(line)
    more = len(memory.waiting) - len(shown) + memory.counted
    further = [f"… and {more} more."] if more else []
    return {"text": "\n".join([title, *shown, *further, *footing])}


def _footing(memory: Memory, timezone: str) -> list[str]:
    lines = []
    if memory.outage is not None:
        lines.append(f"Told late: since {zoned_text(memory.outage.since, timezone)} the webhook took nothing.")
    if memory.given_up:
        days = INTERESTING_SECONDS // 86_400
        lines.append(f"Given up, as nobody took them within {days} days: {memory.given_up}.")
    return lines
