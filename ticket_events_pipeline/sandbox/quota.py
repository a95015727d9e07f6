"""Quotas: requests per minute, in a window from its first request on.

The incremental exports share one, all other requests another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """Whether a request is allowed, and the state of the window after it."""

    allowed: bool
    total: int
    remaining: int
    resets_in_seconds: int

    @property
    def header(self) -> str:
        """The value of `zendesk-ratelimit-incremental-exports`."""
        return f"total={self.total}; remaining={self.remaining}; resets={self.resets_in_seconds}"

    @property
    def account_headers(self) -> dict[str, str]:
        """The headers that tell the account's other quota."""
        total, remaining = str(self.total), str(self.remaining)
        counted = {"x-rate-limit": total, "x-rate-limit-remaining": remaining}
        named = {"ratelimit-limit": total, "ratelimit-remaining": remaining, "ratelimit-reset": str(self.resets_in_seconds)}
        return {**counted, **named}


class Quota:
    """Counts requests against a window's budget. Not thread-safe: the server's event loop is its only user."""

    def __init__(self, requests_per_window: int, *, window_seconds: float = WINDOW_SECONDS) -> None:
        self._total = requests_per_window
        self._window_seconds = window_seconds
        self._used = 0
        self._window_end = -math.inf

    def take(self, now: float) -> QuotaResult:
        """One request at `now` (epoch seconds); a refused one costs nothing."""
        # After the clock was set back, requests must not be refused for longer than a window.
        if not self._window_end - self._window_seconds <= now < self._window_end:
            self._window_end = now + self._window_seconds
            self._used = 0
        allowed = self._used < self._total
        self._used += allowed
        return QuotaResult(allowed, self._total, self._total - self._used, math.ceil(self._window_end - now))
