"""When the access token in use ends, as `/api/v2/oauth/tokens/current.json` says. Pure: an answer in, a time out.

https://developer.zendesk.com/api-reference/ticketing/oauth/oauth_tokens/
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ticket_events_pipeline.credentials import CLIENT_CREDENTIALS
from ticket_events_pipeline.day import LAST_EPOCH_SECOND
from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline.zendesk.json_body import UnreadableJsonError, parse_json

CURRENT_TOKEN_PATH = "/api/v2/oauth/tokens/current.json"  # noqa: S105 - a path
"""Counts against the account's ordinary rate limit, not against the exports' quota."""

SOON_SECONDS = 7 * 86_400
"""A token that ends within a week may end before the next look at the pipeline."""

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_REMEDY = f"A fixed token is for a trial; for a schedule set {CLIENT_CREDENTIALS}, whose tokens are renewed."


@dataclass(frozen=True)
class TokenEnd:
    """What is known of a token's end.

    Attributes:
        is_known: whether Zendesk said anything about it.
        expires_at: epoch seconds; None where it has no end, or none is known.
    """

    is_known: bool
    expires_at: float | None = None

    def is_soon(self, now: float) -> bool:
        """Whether it lies within SOON_SECONDS of `now`, epoch seconds."""
        return self.expires_at is not None and self.expires_at - now <= SOON_SECONDS

    def sentence(self, now: float) -> str:
        """For the log and the doctor; `now` is epoch seconds."""
        if self.expires_at is not None:
            verb = "ends" if self.expires_at > now else "ended"
            when = f"{verb} at {utc_text(self.expires_at)}, {_distance(self.expires_at - now)}"
            return f"ZENDESK_OAUTH_TOKEN {when}. {_REMEDY}"
        if self.is_known:
            return f"ZENDESK_OAUTH_TOKEN has no end yet; tokens of every OAuth client end from 2027-04-01 on. {_REMEDY}"
        return f"ZENDESK_OAUTH_TOKEN: the token's end is unknown. {_REMEDY}"


def token_end(status: int, body: bytes) -> TokenEnd:
    """What an answer says; the body is never quoted, since it shows a part of the token."""
    unknown = TokenEnd(is_known=False)
    if status != 200:
        return unknown
    try:
        content = parse_json(body)
    except UnreadableJsonError:
        return unknown
    token = content.get("token", content) if isinstance(content, dict) else None
    if not isinstance(token, dict) or "expires_at" not in token:
        return unknown
    if token["expires_at"] is None:
        return TokenEnd(is_known=True)
    expires_at = _epoch_seconds(token["expires_at"])
    return unknown if expires_at is None else TokenEnd(is_known=True, expires_at=expires_at)


def _epoch_seconds(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= LAST_EPOCH_SECOND else None


def _distance(seconds: float) -> str:
    """The whole days, hours or minutes between now and a time, as words."""
    length, unit = next(((length, unit) for length, unit in _UNITS if abs(seconds) >= length), (1, "second"))
    number = abs(seconds) // length
    words = f"{number:.0f} {unit}{'' if number == 1 else 's'}"
    return f"in {words}" if seconds >= 0 else f"{words} ago"
