"""The pace: whether the next request may go, and what an answer teaches. Pure functions from state to state.

The server's own count rules, because it speaks for everybody who shares the account; ours rules where it is silent. Nothing is
assumed that the server has not said: after a reset, a refusal, or at first contact, one request goes alone and asks. That
is right whether its window is fixed or slides. Clocks, sleeping and sharing are `quota`'s and `client`'s.
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ticket_events_pipeline.zendesk.headers import QuotaHeader
from ticket_events_pipeline.zendesk.quota_state import (
    LESSON_SECONDS,
    LONGEST_CLOSURE_SECONDS,
    LONGEST_RESET_SECONDS,
    WINDOW_SECONDS,
    Bucket,
    Claim,
    Lesson,
    QuotaState,
)

POLL_SECONDS = 0.3
"""Waited for the answer to somebody else's request, which tells what is left."""

ASKING_SECONDS = 10.0
"""Who has asked and not been answered for so long is no longer waited for: it may be dead."""

BURST_SECONDS = 4.0
"""Without headers, requests are spread: a fifteenth of a minute's quota in a fifteenth of a minute."""

_BURSTS_PER_WINDOW = 15
# Catching up takes a page or three: spreading those out would serve nobody.
_SMALL_BURST = 3
# Counted from the answer, no delay on the line matters; clocks that are put right by a little do.
_MARGIN_SECONDS = 0.1
# "resets=2" may be 2.99: whole seconds, and nobody says how they were rounded.
_ROUNDING_SECONDS = 1.0
_SHARE_OF_A_BLOCK = 64
_LESSON_SHARE = 0.9


@dataclass(frozen=True)
class Wait:
    """Nothing may go now. Ask again after `seconds`; `reason` is for the log."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class Heard:
    """What an answer says of the quota.

    Attributes:
        sent_at: when its request was sent.
        count: the requests that it stands for: those of its claim that were sent.
        quota: its header, if it has one.
        refused_seconds: how long it asks to wait; None where it is no refusal.
        is_answer: False for a request that failed without one, and may have been counted.
    """

    sent_at: float
    count: int = 1
    quota: QuotaHeader | None = None
    refused_seconds: float | None = None
    is_answer: bool = True


def claim(state: QuotaState, claim_id: str, now: float, *, requests_per_minute: int) -> tuple[QuotaState, Claim | Wait]:
    """Claim the next request, which has to go at once; or, where plenty are left, the next few."""
    room = _room(state, now, requests_per_minute)
    if isinstance(room, Wait):
        return state, replace(room, seconds=max(0.001, room.seconds))
    made = Claim(claim_id, now, max(1, room // _SHARE_OF_A_BLOCK))
    return replace(state, claims=(*state.claims, made)), made


def note(state: QuotaState, claim_id: str, now: float, heard: Heard, *, requests_per_minute: int) -> QuotaState:
    """Take over what an answer says, or that there is none; the claim is settled."""
    state = replace(state, claims=tuple(other for other in state.claims if other.id != claim_id))
    if heard.refused_seconds is None:
        state = state.with_answered(now, heard.count) if heard.count else state
    elif heard.quota is None and state.bucket is None and (state.closed_until is None or heard.sent_at >= state.closed_until):
        state = _with_lesson(state, now, heard.refused_seconds, requests_per_minute)
    state = replace(state, bucket=_bucket_after(state, now, heard))
    if heard.refused_seconds is not None:
        closed_until = now + min(heard.refused_seconds, LONGEST_CLOSURE_SECONDS)
        return replace(state, closed_until=max(closed_until, state.closed_until or closed_until))
    if heard.is_answer and state.closed_until is not None and heard.sent_at >= state.closed_until:
        return replace(state, closed_until=None)
    return state


def per_minute(state: QuotaState, requests_per_minute: int) -> int:
    """Requests a minute that are let go: the server's total, if it tells one, else what was set or a refusal taught."""
    if state.bucket is not None:
        return state.bucket.total
    return min(requests_per_minute, state.lesson.per_minute) if state.lesson else requests_per_minute


def _room(state: QuotaState, now: float, requests_per_minute: int) -> int | Wait:
    bucket = state.bucket
    if state.closed_until is not None and now < state.closed_until:
        return Wait(state.closed_until - now, "the server refused a request (429) and asks everybody to wait")
    if bucket is not None and now < bucket.resets_at:
        room = _room_in(bucket, state.claims, now)
    else:
        room = _room_by_pace(state, now, per_minute(state, requests_per_minute)) if bucket is None else 1
    is_told = state.answered if bucket is None else now < bucket.resets_at
    if isinstance(room, Wait) or (is_told and state.closed_until is None):
        return room
    if any(other.at > now - ASKING_SECONDS and other.count == 1 for other in state.claims):
        return Wait(POLL_SECONDS, "another request is under way to learn what is left of the export quota")
    return 1


def _room_in(bucket: Bucket, claims: tuple[Claim, ...], now: float) -> int | Wait:
    under_way = sum(other.count for other in claims)
    if bucket.remaining > under_way:
        return bucket.remaining - under_way
    until_reset = bucket.resets_at - now
    if bucket.remaining > 0:
        return Wait(min(POLL_SECONDS, until_reset), "what is left of the export quota is under way")
    return Wait(until_reset, f"the export quota is used up (0 of {bucket.total} requests left)")


def _room_by_pace(state: QuotaState, now: float, limit: int) -> int | Wait:
    burst = max(round(limit / _BURSTS_PER_WINDOW), min(limit, _SMALL_BURST))
    reason = (
        f"keeping to {limit} requests a minute ({'a refusal taught it' if state.lesson else 'ZENDESK_REQUESTS_PER_MINUTE'})"
    )
    rooms = [
        _room_in_window(state, now, window=seconds + _MARGIN_SECONDS, limit=most, reason=reason)
        for seconds, most in ((BURST_SECONDS, burst), (WINDOW_SECONDS, limit))
    ]
    waits = [room for room in rooms if isinstance(room, Wait)]
    if waits:
        return max(waits, key=lambda wait: wait.seconds)
    return min(room for room in rooms if isinstance(room, int))


def _room_in_window(state: QuotaState, now: float, *, window: float, limit: int, reason: str) -> int | Wait:
    """How many more may go while no more than `limit` have been under way or answered within the last `window` seconds."""
    counted = sorted((at, count) for at, count in state.answered if at > now - window)
    used = sum(other.count for other in state.claims) + sum(count for _, count in counted)
    if used < limit:
        return limit - used
    for at, count in counted:
        used -= count
        if used < limit:
            return Wait(min(at, now) + window - now, reason)
    return Wait(POLL_SECONDS, reason)


def _bucket_after(state: QuotaState, now: float, heard: Heard) -> Bucket | None:
    bucket = state.bucket
    if heard.quota is not None:
        return _merged(bucket, _bucket_of(heard.quota, heard.sent_at, now), heard.sent_at)
    if bucket is None:
        return None
    if now >= bucket.resets_at and heard.is_answer:
        return None  # the server no longer says: our own count rules
    # An error page from the edge, or no answer at all: it may have been counted, and the window goes on.
    return replace(bucket, remaining=max(0, bucket.remaining - heard.count))


def _bucket_of(quota: QuotaHeader, sent_at: float, now: float) -> Bucket:
    total = max(1, quota.remaining if quota.total is None else quota.total)
    if quota.resets_seconds is None:
        return Bucket(quota.remaining, total, told_at=now, resets_from=sent_at, resets_at=now + WINDOW_SECONDS)
    seconds = min(float(quota.resets_seconds), LONGEST_RESET_SECONDS - _ROUNDING_SECONDS)
    resets_from = min(sent_at, now) + seconds - _ROUNDING_SECONDS
    return Bucket(quota.remaining, total, told_at=now, resets_from=resets_from, resets_at=now + seconds + _ROUNDING_SECONDS)


def _merged(known: Bucket | None, told: Bucket, sent_at: float) -> Bucket:
    """What holds of two sayings. Answers overtake each other: the later one may tell of an earlier moment."""
    if known is None or sent_at >= known.told_at or told.resets_from > known.resets_at:
        return told  # asked after the other was answered, or of a later window
    if told.resets_at < known.resets_from:
        return known  # of a window that is over
    return Bucket(
        min(known.remaining, told.remaining),
        told.total,
        told_at=told.told_at,
        resets_from=min(known.resets_from, told.resets_from),
        resets_at=max(known.resets_at, told.resets_at),
    )


def _with_lesson(state: QuotaState, now: float, refused_seconds: float, requests_per_minute: int) -> QuotaState:
    """So many went through since the first of the last window, and none will until the wait is over: that is the pace."""
    if not state.answered:
        return state  # it was used up by somebody else
    passed = sum(count for _, count in state.answered)
    seconds = max(1.0, now - state.answered[0][0] + refused_seconds)
    slower = int(per_minute(state, requests_per_minute) * _LESSON_SHARE)  # whatever else: not into the same wall again
    return replace(state, lesson=Lesson(max(1, min(slower, int(passed * WINDOW_SECONDS / seconds))), now + LESSON_SECONDS))
