"""The rate limit: what is known of an account's export quota, and whether the next request may go. Pure functions.

The server's count rules, since it covers everything that uses the account; the configured pace rules where answers carry no
count. Before the first answer, after a reset and after a refusal, one request goes alone: its answer shows what is left. That
is right for fixed windows and for sliding ones.

Processes take turns: one that had to wait goes before those that ask later, so that none waits for ever.

Times are epoch seconds of a clock that all processes share. Each knows it within bounds only: it records the latest moment
that may be now, and decides by the earliest. So a process may wait a little too long, but no request is sent too early.
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from ticket_events_pipeline.day import Instant
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

LATE_SECONDS = 5.0
"""A process that doesn't ask again so long after its wait has given up, or is dead: the others no longer wait for it."""

BURST_SECONDS = 4.0
"""Without headers, requests are spread: a fifteenth of a minute's quota in a fifteenth of a minute."""

_BURSTS_PER_WINDOW = 15
# A fetch of a few new events takes up to three pages; spreading those would only delay it.
_SMALL_BURST = 3
# Windows are counted from the answer, so delays on the network don't matter; small corrections of the clock do.
_MARGIN_SECONDS = 0.1
# A waiting process is recorded again when the end of its wait has moved by so much: not with every poll.
_MOVED_SECONDS = 1.0
# "resets=2" may stand for 1.01 to 2.99: how the server rounds is not documented.
_ROUNDING_SECONDS = 1.0


@dataclass(frozen=True)
class Claim:
    """A request that was allowed at a moment and has no answer yet."""

    id: str
    at: float


@dataclass(frozen=True)
class Waiting:
    """A process that wants to send a request, and will ask again at a moment."""

    process: str
    until: float


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
        waiting: processes that have to wait, the one that has waited longest first.
    """

    claims: tuple[Claim, ...] = ()
    answered: tuple[float, ...] = ()
    bucket: Bucket | None = None
    closed_until: float | None = None
    waiting: tuple[Waiting, ...] = ()

    def without_expired(self, now: Instant) -> QuotaState:
        """The state without claims, answers and waiting processes that no longer count."""
        return replace(
            self,
            claims=tuple(claim for claim in self.claims if claim.at > now.earliest - CLAIM_SECONDS),
            answered=tuple(at for at in self.answered if at > now.earliest - WINDOW_SECONDS - _MARGIN_SECONDS),
            waiting=tuple(one for one in self.waiting if one.until > now.earliest - LATE_SECONDS),
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
        sent_at: the earliest moment at which it was sent.
        quota: the answer's header, if it has one.
        refused_seconds: how long the server asks to wait; None if it did not refuse the request.
        has_answer: False for a request that failed without an answer; the server may have counted it.
    """

    sent_at: float
    quota: QuotaHeader | None = None
    refused_seconds: float | None = None
    has_answer: bool = True


def claim(
    state: QuotaState, claim_id: str, now: Instant, *, process: str, requests_per_minute: int
) -> tuple[QuotaState, Wait | None]:
    """The state with a claim for one request, which `process` is to send at once; or with its wait."""
    wait = _wait(state, now, _asking_before(state, process, now), requests_per_minute)
    if wait is None:
        waiting = tuple(one for one in state.waiting if one.process != process)
        return replace(state, claims=(*state.claims, Claim(claim_id, now.latest)), waiting=waiting), None
    wait = replace(wait, seconds=max(0.001, wait.seconds))
    return replace(state, waiting=_with_waiting(state.waiting, Waiting(process, now.earliest + wait.seconds))), wait


def record(state: QuotaState, claim_id: str | None, now: Instant, outcome: Outcome, *, requests_per_minute: int) -> QuotaState:
    """The state after the outcome of a request, and without its claim if there is one."""
    is_refused = outcome.refused_seconds is not None
    return replace(
        state,
        claims=tuple(other for other in state.claims if other.id != claim_id),
        # More than a minute's worth decide nothing.
        answered=state.answered if is_refused else (*state.answered, now.latest)[-requests_per_minute:],
        bucket=_bucket_after(state.bucket, now, outcome),
        closed_until=_closed_until_after(state.closed_until, now, outcome),
    )


def per_minute(state: QuotaState, requests_per_minute: int) -> int:
    """Requests a minute: the server's total if its header states one, else what is configured."""
    return requests_per_minute if state.bucket is None else state.bucket.total


def _with_waiting(waiting: tuple[Waiting, ...], new: Waiting) -> tuple[Waiting, ...]:
    """The waiting processes with `new`, which keeps its place if it has one."""
    known = next((one for one in waiting if one.process == new.process), None)
    if known is None:
        return (*waiting, new)
    if abs(known.until - new.until) < _MOVED_SECONDS:
        return waiting
    return tuple(new if one is known else one for one in waiting)


def _asking_before(state: QuotaState, process: str, now: Instant) -> int:
    """How many processes have waited longer than `process` and ask about now. One that still has to wait holds up nobody."""
    earlier = takewhile(lambda one: one.process != process, state.waiting)
    return sum(one.until <= now.latest + POLL_SECONDS for one in earlier)


def _wait(state: QuotaState, now: Instant, asking_before: int, requests_per_minute: int) -> Wait | None:
    """How long to wait; the processes that asked before have a request each, as if it were in flight."""
    bucket, closed_until, taken = state.bucket, state.closed_until, len(state.claims) + asking_before
    if closed_until is not None and now.earliest < closed_until:
        seconds = closed_until - now.earliest
        return Wait(seconds, "the server refused a request (429) and asks every client of the account to wait")
    if bucket is None:
        wait, is_known = _wait_for_pace(state, now.earliest, taken, requests_per_minute), bool(state.answered)
    elif now.earliest < bucket.resets_at:
        wait, is_known = _wait_for_bucket(bucket, taken, now.earliest), True
    else:
        wait, is_known = None, False
    if wait is not None or (is_known and closed_until is None):
        return wait
    if any(other.at > now.earliest - ASKING_SECONDS for other in state.claims):
        return Wait(POLL_SECONDS, "another request is in flight, and its answer will show what is left of the export quota")
    if asking_before:
        return Wait(POLL_SECONDS, "another process has waited longer for the export quota")
    return None


def _wait_for_bucket(bucket: Bucket, taken: int, now: float) -> Wait | None:
    if bucket.remaining > taken:
        return None
    until_reset = bucket.resets_at - now
    if bucket.remaining > 0:
        return Wait(min(POLL_SECONDS, until_reset), "other requests may use up what is left of the export quota")
    return Wait(until_reset, f"the export quota is used up (0 of {plural(bucket.total, 'request')} left)")


def _wait_for_pace(state: QuotaState, now: float, taken: int, limit: int) -> Wait | None:
    burst = max(round(limit / _BURSTS_PER_WINDOW), min(limit, _SMALL_BURST))
    seconds = max(
        _seconds_until_below(state.answered, now, taken, limit=requests, window=window + _MARGIN_SECONDS)
        for window, requests in ((BURST_SECONDS, burst), (WINDOW_SECONDS, limit))
    )
    return Wait(seconds, f"limited to {plural(limit, 'request')} a minute (ZENDESK_REQUESTS_PER_MINUTE)") if seconds else None


def _seconds_until_below(answered: tuple[float, ...], now: float, taken: int, *, limit: int, window: float) -> float:
    """How long until fewer than `limit` requests are taken or were answered within the last `window` seconds."""
    recent = sorted(at for at in answered if at > now - window)
    excess = taken + len(recent) - limit
    if excess < 0:
        return 0.0
    return min(recent[excess], now) + window - now if excess < len(recent) else POLL_SECONDS


def _closed_until_after(closed_until: float | None, now: Instant, outcome: Outcome) -> float | None:
    if outcome.refused_seconds is not None:
        asked_until = now.latest + min(outcome.refused_seconds, LONGEST_CLOSURE_SECONDS)
        return max(asked_until, closed_until or asked_until)
    is_over = closed_until is not None and outcome.has_answer and outcome.sent_at >= closed_until
    return None if is_over else closed_until


def _bucket_after(bucket: Bucket | None, now: Instant, outcome: Outcome) -> Bucket | None:
    if outcome.quota is not None:
        return _merged(bucket, _bucket_of(outcome.quota, outcome.sent_at, now), outcome.sent_at)
    if bucket is None or (now.earliest >= bucket.resets_at and outcome.has_answer):
        return None  # the server no longer sends its count: the configured pace rules again
    # An error page from the edge, or no answer: the server may have counted the request, and its window is not over.
    return replace(bucket, remaining=max(0, bucket.remaining - 1))


def _bucket_of(quota: QuotaHeader, sent_at: float, now: Instant) -> Bucket:
    total = max(1, quota.remaining if quota.total is None else quota.total)
    if quota.resets_seconds is None:
        latest, resets_from = now.latest + WINDOW_SECONDS, sent_at
    else:
        seconds = min(float(quota.resets_seconds), LONGEST_RESET_SECONDS - _ROUNDING_SECONDS)
        latest = now.latest + seconds + _ROUNDING_SECONDS
        resets_from = min(sent_at, now.earliest) + seconds - _ROUNDING_SECONDS
    return Bucket(quota.remaining, total, answered_at=now.latest, resets_from=resets_from, resets_at=latest)


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
