"""The rate limit: what is known of an account's export quota, and whether the next request may go. Pure functions.

The server's count rules, since it covers everything that uses the account; the configured pace rules where answers carry no
count. Before the first answer, after a reset and after a refusal, one request goes alone: its answer shows what is left. That
is right for fixed windows and for sliding ones. Times are epoch seconds.
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ticket_events_pipeline.text import plural
from ticket_events_pipeline.zendesk.headers import QuotaHeader

WINDOW_SECONDS = 60.0
"""The quota counts per minute."""

CLAIM_SECONDS = WINDOW_SECONDS
"""A request without an answer no longer counts after this time: its process has ended, or the server's window has."""

LONGEST_RESET_SECONDS = 2 * WINDOW_SECONDS
"""A header that states a later reset is wrong, and must not stop a run."""

LONGEST_CLOSURE_SECONDS = 15 * WINDOW_SECONDS
"""The longest wait after a refusal: as long as a fetch retries."""

POLL_SECONDS = 0.3
"""Wait before asking again whether another request was answered."""

ASKING_SECONDS = 10.0
"""Wait at most this long for the answer that shows what is left: the process that sent the request may be dead."""

BURST_SECONDS = 4.0
"""Without headers, requests are spread: a fifteenth of a minute's quota in a fifteenth of a minute."""

_BURSTS_PER_WINDOW = 15
# A fetch of a few new events takes up to three pages; spreading those would only delay it.
_SMALL_BURST = 3
# Windows are counted from the answer, so delays on the network don't matter; small corrections of the clock do.
_MARGIN_SECONDS = 0.1
# "resets=2" may stand for 1.01 to 2.99: how the server rounds is not documented.
_ROUNDING_SECONDS = 1.0


@dataclass(frozen=True)
class Claim:
    """A request that was allowed at a moment and has no answer yet."""

    id: str
    at: float


@dataclass(frozen=True)
class Bucket:
    """What the server's header said is left.

    Attributes:
        remaining: requests, without those that have no answer yet taken off.
        total: requests that a full bucket holds.
        answered_at: when the newest answer about it came.
        resets_from, resets_at: the earliest and the latest moment of its reset.
    """

    remaining: int
    total: int
    answered_at: float
    resets_from: float
    resets_at: float


@dataclass(frozen=True)
class QuotaState:
    """Everything that is known of the quota.

    Attributes:
        claims: requests without an answer.
        answered: when the newest answers came, refusals left out: a late bound of when the server counted them.
        bucket: None where answers carry no header.
        closed_until: the server refused a request until then; None again after the next answer.
    """

    claims: tuple[Claim, ...] = ()
    answered: tuple[float, ...] = ()
    bucket: Bucket | None = None
    closed_until: float | None = None

    def without_expired(self, now: float) -> QuotaState:
        """The state without claims and answers that no longer count."""
        return replace(
            self,
            claims=tuple(claim for claim in self.claims if claim.at > now - CLAIM_SECONDS),
            answered=tuple(at for at in self.answered if at > now - WINDOW_SECONDS - _MARGIN_SECONDS),
        )


NOTHING_KNOWN = QuotaState()


@dataclass(frozen=True)
class Wait:
    """No request may go now. Ask again after `seconds`; `reason` is for the log."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What came of a request.

    Attributes:
        sent_at: when it was sent.
        quota: the answer's header, if it has one.
        refused_seconds: how long the server asks to wait; None if it did not refuse the request.
        has_answer: False for a request that failed without an answer; the server may have counted it.
    """

    sent_at: float
    quota: QuotaHeader | None = None
    refused_seconds: float | None = None
    has_answer: bool = True


def claim(state: QuotaState, claim_id: str, now: float, *, requests_per_minute: int) -> QuotaState | Wait:
    """The state with a claim for one request, which is to be sent at once; or how long to wait."""
    wait = _wait(state, now, requests_per_minute)
    if wait is not None:
        return replace(wait, seconds=max(0.001, wait.seconds))
    return replace(state, claims=(*state.claims, Claim(claim_id, now)))


def record(state: QuotaState, claim_id: str | None, now: float, outcome: Outcome, *, requests_per_minute: int) -> QuotaState:
    """The state after the outcome of a request, and without its claim if there is one."""
    is_refused = outcome.refused_seconds is not None
    return QuotaState(
        claims=tuple(other for other in state.claims if other.id != claim_id),
        # More than a minute's worth decide nothing.
        answered=state.answered if is_refused else (*state.answered, now)[-requests_per_minute:],
        bucket=_bucket_after(state.bucket, now, outcome),
        closed_until=_closed_until_after(state.closed_until, now, outcome),
    )


def per_minute(state: QuotaState, requests_per_minute: int) -> int:
    """Requests a minute: the server's total if its header states one, else what is configured."""
    return requests_per_minute if state.bucket is None else state.bucket.total


def _wait(state: QuotaState, now: float, requests_per_minute: int) -> Wait | None:
    bucket, closed_until = state.bucket, state.closed_until
    if closed_until is not None and now < closed_until:
        return Wait(closed_until - now, "the server refused a request (429) and asks every client of the account to wait")
    if bucket is None:
        wait, is_known = _wait_for_pace(state, now, requests_per_minute), bool(state.answered)
    elif now < bucket.resets_at:
        wait, is_known = _wait_for_bucket(bucket, len(state.claims), now), True
    else:
        wait, is_known = None, False
    if wait is not None or (is_known and closed_until is None):
        return wait
    if any(other.at > now - ASKING_SECONDS for other in state.claims):
        return Wait(POLL_SECONDS, "another request is in flight, and its answer will show what is left of the export quota")
    return None


def _wait_for_bucket(bucket: Bucket, in_flight: int, now: float) -> Wait | None:
    if bucket.remaining > in_flight:
        return None
    until_reset = bucket.resets_at - now
    if bucket.remaining > 0:
        return Wait(min(POLL_SECONDS, until_reset), "requests in flight may use up what is left of the export quota")
    return Wait(until_reset, f"the export quota is used up (0 of {plural(bucket.total, 'request')} left)")


def _wait_for_pace(state: QuotaState, now: float, limit: int) -> Wait | None:
    burst = max(round(limit / _BURSTS_PER_WINDOW), min(limit, _SMALL_BURST))
    seconds = max(
        _seconds_until_below(state, now, limit=requests, window=window + _MARGIN_SECONDS)
        for window, requests in ((BURST_SECONDS, burst), (WINDOW_SECONDS, limit))
    )
    return Wait(seconds, f"limited to {plural(limit, 'request')} a minute (ZENDESK_REQUESTS_PER_MINUTE)") if seconds else None


def _seconds_until_below(state: QuotaState, now: float, *, limit: int, window: float) -> float:
    """How long until fewer than `limit` requests are in flight or were answered within the last `window` seconds."""
    recent = sorted(at for at in state.answered if at > now - window)
    excess = len(state.claims) + len(recent) - limit
    if excess < 0:
        return 0.0
    return min(recent[excess], now) + window - now if excess < len(recent) else POLL_SECONDS


def _closed_until_after(closed_until: float | None, now: float, outcome: Outcome) -> float | None:
    if outcome.refused_seconds is not None:
        asked_until = now + min(outcome.refused_seconds, LONGEST_CLOSURE_SECONDS)
        return max(asked_until, closed_until or asked_until)
    is_over = closed_until is not None and outcome.has_answer and outcome.sent_at >= closed_until
    return None if is_over else closed_until


def _bucket_after(bucket: Bucket | None, now: float, outcome: Outcome) -> Bucket | None:
    if outcome.quota is not None:
        return _merged(bucket, _bucket_of(outcome.quota, outcome.sent_at, now), outcome.sent_at)
    if bucket is None or (now >= bucket.resets_at and outcome.has_answer):
        return None  # the server no longer sends its count: the configured pace rules again
    # An error page from the edge, or no answer: the server may have counted the request, and its window is not over.
    return replace(bucket, remaining=max(0, bucket.remaining - 1))


def _bucket_of(quota: QuotaHeader, sent_at: float, now: float) -> Bucket:
    total = max(1, quota.remaining if quota.total is None else quota.total)
    if quota.resets_seconds is None:
        return Bucket(quota.remaining, total, answered_at=now, resets_from=sent_at, resets_at=now + WINDOW_SECONDS)
    seconds = min(float(quota.resets_seconds), LONGEST_RESET_SECONDS - _ROUNDING_SECONDS)
    resets_from = min(sent_at, now) + seconds - _ROUNDING_SECONDS
    return Bucket(quota.remaining, total, answered_at=now, resets_from=resets_from, resets_at=now + seconds + _ROUNDING_SECONDS)


def _merged(known: Bucket | None, new: Bucket, sent_at: float) -> Bucket:
    """What two answers state together. Answers overtake each other: the later one may describe an earlier moment."""
    if known is None or sent_at >= known.answered_at or new.resets_from > known.resets_at:
        return new  # its request was sent after the other's answer, or it describes a later window
    if new.resets_at < known.resets_from:
        return known  # it describes a window that is over
    return Bucket(
        min(known.remaining, new.remaining),
        new.total,
        answered_at=new.answered_at,
        resets_from=min(known.resets_from, new.resets_from),
        resets_at=max(known.resets_at, new.resets_at),
    )
