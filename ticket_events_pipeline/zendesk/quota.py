"""The pace: when the next request may go. Pure arithmetic over a clock; who sleeps is `client`.

The server's own count rules, because it speaks for everybody who shares the account; ours rules where it is silent.
The quota of one account is shared by all streams of a process through `shared_quota`, not between processes.
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.zendesk.headers import QuotaHeader, quota_header

WINDOW_SECONDS = 60.0
"""The quota counts per minute."""

# A header that asks for more than two windows is misread or wrong, and must not put a run to sleep.
_LONGEST_RESET_SECONDS = 2 * WINDOW_SECONDS


@dataclass
class _Bucket:
    """What the server said is left: `remaining` requests from `opens_at` on, renewed at `resets_at` (epoch seconds)."""

    remaining: int
    total: int
    opens_at: float
    resets_at: float


class Quota:
    """One account's export quota. Thread-safe: both streams of a process share one."""

    def __init__(self, requests_per_minute: int, *, clock: Clock = wall_clock) -> None:
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._sent_at: deque[float] = deque()
        self._bucket: _Bucket | None = None

    def claim(self) -> float:
        """Claim the next request. Returns the seconds to wait before it goes; the claim stands, so wait only once.

        Every request counts, those that will be refused too.
        """
        with self._lock:
            now = self._clock()
            while self._sent_at and self._sent_at[0] <= now - WINDOW_SECONDS:
                self._sent_at.popleft()
            wait_seconds = self._wait_in_window(now) if self._bucket is None else self._wait_for_bucket(self._bucket, now)
            self._sent_at.append(now + wait_seconds)
            return wait_seconds

    def note(self, headers: Mapping[str, str]) -> None:
        """Take over what an answer's headers say is left; to be called after each answer."""
        quota = quota_header(headers)
        with self._lock:
            now = self._clock()
            if quota is not None:
                self._bucket = self._bucket_of(quota, now)
            elif self._bucket is not None and now >= self._bucket.resets_at:  # an error page from the edge carries none
                self._bucket = None

    def _bucket_of(self, quota: QuotaHeader, now: float) -> _Bucket:
        resets_seconds = WINDOW_SECONDS if quota.resets_seconds is None else float(quota.resets_seconds)
        return _Bucket(
            remaining=quota.remaining,
            total=max(1, self.requests_per_minute if quota.total is None else quota.total),
            opens_at=now,
            resets_at=now + min(resets_seconds, _LONGEST_RESET_SECONDS),
        )

    def _wait_for_bucket(self, bucket: _Bucket, now: float) -> float:
        if now >= bucket.resets_at:
            bucket.remaining, bucket.opens_at, bucket.resets_at = bucket.total, now, now + WINDOW_SECONDS
        if bucket.remaining <= 0:
            bucket.remaining, bucket.opens_at = bucket.total, bucket.resets_at
            bucket.resets_at += WINDOW_SECONDS
        bucket.remaining -= 1
        # Bounded, lest a clock that is set back makes it sleep for hours.
        return min(max(0.0, bucket.opens_at - now), _LONGEST_RESET_SECONDS)

    def _wait_in_window(self, now: float) -> float:
        if len(self._sent_at) < self.requests_per_minute:
            return 0.0
        return min(max(0.0, self._sent_at[-self.requests_per_minute] + WINDOW_SECONDS - now), _LONGEST_RESET_SECONDS)


_shared: dict[str, Quota] = {}
_shared_lock = threading.Lock()


def shared_quota(account: str, requests_per_minute: int) -> Quota:
    """The one quota of `account` in this process; a changed `requests_per_minute` holds from now on."""
    with _shared_lock:
        quota = _shared.setdefault(account, Quota(requests_per_minute))
        quota.requests_per_minute = requests_per_minute
        return quota
