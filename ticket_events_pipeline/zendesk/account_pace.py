"""The pace of requests outside the exports: by the account's ordinary rate limit, with room left for others.

Everything that uses the account's API shares that limit, its agents' apps included. So the last part of it is never used.
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ticket_events_pipeline.text import plural
from ticket_events_pipeline.zendesk.headers import QuotaHeader, account_limit
from ticket_events_pipeline.zendesk.rate_limit import Wait

LEFT_TO_OTHERS = 0.2
"""The part of the account's limit that is never used."""

LEFT_WITHOUT_TOTAL = 40
"""Requests that are left to others where the answers don't say how many there are: a fifth of the smallest plan's."""

UNKNOWN_PACE_SECONDS = 1.0
"""Between two requests where the answers don't say what is left: a fraction of what the smallest plan allows."""

LONGEST_RESET_SECONDS = 60.0
"""The limit counts per minute; a header that states a later reset is wrong."""

Timer = Callable[[], float]
"""Monotonic seconds."""


@dataclass
class AccountPace:
    """When the next request may go, by what the newest answer said. One object for all requests of a run."""

    _limit: QuotaHeader | None = None
    _next_at: float = 0.0

    def wait(self, now: float) -> Wait | None:
        """How long to wait before the next request; None if it may go. `now` is monotonic seconds."""
        if now >= self._next_at:
            return None
        if self._limit is None:
            return Wait(self._next_at - now, "the answers don't say what is left of the account's rate limit")
        total = f" of {self._limit.total:,}" if self._limit.total else ""
        left = f"{plural(self._limit.remaining, 'request')}{total} left"
        return Wait(self._next_at - now, f"the rest of the account's rate limit is left to others ({left} of this minute)")

    def note(self, headers: Mapping[str, str], now: float) -> None:
        """Take what an answer that came at `now` says."""
        self._limit = account_limit(headers)
        self._next_at = now + self._pause_seconds()

    def _pause_seconds(self) -> float:
        limit = self._limit
        if limit is None:
            return UNKNOWN_PACE_SECONDS
        reserve = LEFT_WITHOUT_TOTAL if limit.total is None else limit.total * LEFT_TO_OTHERS
        if limit.remaining > reserve:
            return 0.0
        resets = LONGEST_RESET_SECONDS if limit.resets_seconds is None else float(limit.resets_seconds) + 1  # it may be rounded
        return min(LONGEST_RESET_SECONDS, resets)
