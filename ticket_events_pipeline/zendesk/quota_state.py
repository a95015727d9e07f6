"""What is known of an account's export quota, as a value and as the few bytes that processes exchange.

What follows from it is decided in `pace`; who exchanges it is `quota`'s. Times are epoch seconds by the clock of whoever wrote
them. It is a convenience, not a record: bytes that can't be read are worth nothing, and do no harm.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

WINDOW_SECONDS = 60.0
"""The quota counts per minute."""

CLAIM_SECONDS = WINDOW_SECONDS
"""A request that has no answer by then counts no longer: its process is gone, or the server has forgotten it."""

LONGEST_RESET_SECONDS = 2 * WINDOW_SECONDS
"""A header that asks for more is misread or wrong, and must not put a run to sleep."""

LONGEST_CLOSURE_SECONDS = 15 * WINDOW_SECONDS
"""As long as a pass retries: whoever has waited that long asks again."""

LESSON_SECONDS = 30 * WINDOW_SECONDS
"""Trying the set pace again costs a refusal: seldom enough to be one in a hundred requests at ten a minute, or fewer."""

# Clocks of several machines differ by seconds, and their moments are taken as they are; one that differs by more was set back.
_CLOCK_DIFFERENCE_SECONDS = 10.0
_MOST_REQUESTS = 10**9
_VERSION = 1
# Answers of a quarter of a second are counted together, as of the last: the state stays small at any pace.
_BIN_SECONDS = 0.25


@dataclass(frozen=True)
class Claim:
    """Requests that were let go at a moment and have no answer yet; more than one where plenty are left."""

    id: str
    at: float
    count: int = 1


@dataclass(frozen=True)
class Bucket:
    """What the server said is left.

    Attributes:
        remaining: requests, claims without an answer not taken off.
        total: requests that a full bucket holds.
        told_at: when the newest answer that speaks of it came.
        resets_from, resets_at: the earliest and the latest moment of its reset.
    """

    remaining: int
    total: int
    told_at: float
    resets_from: float
    resets_at: float


@dataclass(frozen=True)
class Lesson:
    """What a refusal taught where no header does: no more than `per_minute` requests, until that moment."""

    per_minute: int
    until: float


@dataclass(frozen=True)
class QuotaState:
    """Everything that is known.

    Attributes:
        claims: what is under way.
        answered: moment and number of the answers of the last window, refusals left out; a later bound of when they counted.
        bucket: None where the server tells nothing.
        closed_until: the server refused a request and wants everybody to wait until then; None after the next answer.
    """

    claims: tuple[Claim, ...] = ()
    answered: tuple[tuple[float, int], ...] = ()
    bucket: Bucket | None = None
    closed_until: float | None = None
    lesson: Lesson | None = None

    def with_answered(self, now: float, count: int) -> QuotaState:
        """The state after that many answers more."""
        *earlier, last = (*self.answered,) or ((0.0, 0),)
        if last[0] // _BIN_SECONDS == now // _BIN_SECONDS:
            return replace(self, answered=(*earlier, (now, last[1] + count)))
        return replace(self, answered=(*self.answered, (now, count)))


NOTHING_KNOWN = QuotaState()


def read_state(content: bytes | None, now: float) -> QuotaState:
    """The state that `content` holds, without what is over by `now`; nothing known where it can't be read."""
    if content is None:
        return NOTHING_KNOWN
    try:
        written_at, state = _parsed(json.loads(content))
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return NOTHING_KNOWN
    if written_at - now > _CLOCK_DIFFERENCE_SECONDS:  # no time is taken to have passed, or one would wait for it to come again
        state = _moved(state, now - written_at)
    return replace(
        state,
        claims=tuple(claim for claim in state.claims if claim.at > now - CLAIM_SECONDS),
        answered=tuple(bin_ for bin_ in state.answered if bin_[0] > now - WINDOW_SECONDS - 1),
        lesson=state.lesson if state.lesson and now < state.lesson.until else None,
    )


def state_bytes(state: QuotaState, now: float) -> bytes:
    """The inverse of `read_state`."""
    bucket, lesson = state.bucket, state.lesson
    fields = {
        "version": _VERSION,
        "written_at": now,
        "claims": [[claim.id, claim.at, claim.count] for claim in state.claims],
        "answered": state.answered,
        "bucket": bucket and [bucket.remaining, bucket.total, bucket.told_at, bucket.resets_from, bucket.resets_at],
        "closed_until": state.closed_until,
        "lesson": lesson and [lesson.per_minute, lesson.until],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _parsed(fields: Any) -> tuple[float, QuotaState]:
    """When it was written, and what; whatever we would not have written is a ValueError (or a relative of it)."""
    if fields["version"] != _VERSION:
        raise ValueError("another version's")
    written_at = _moment(fields["written_at"], math.inf)
    # Answers and claims of a clock that goes ahead were merged by one that goes behind.
    latest = written_at + _CLOCK_DIFFERENCE_SECONDS
    bucket, closed_until, lesson = fields["bucket"], fields["closed_until"], fields["lesson"]
    return written_at, QuotaState(
        claims=tuple(Claim(_text(id_), _moment(at, latest), _count(count)) for id_, at, count in fields["claims"]),
        answered=tuple((_moment(at, latest), _count(count)) for at, count in fields["answered"]),
        bucket=None if bucket is None else _bucket(latest, *bucket),
        closed_until=None if closed_until is None else _moment(closed_until, latest + LONGEST_CLOSURE_SECONDS),
        lesson=None if lesson is None else Lesson(max(1, _count(lesson[0])), _moment(lesson[1], latest + LESSON_SECONDS)),
    )


def _bucket(latest: float, remaining: object, total: object, told_at: object, resets_from: object, resets_at: object) -> Bucket:
    latest_reset = latest + LONGEST_RESET_SECONDS
    return Bucket(
        _count(remaining),
        max(1, _count(total)),
        _moment(told_at, latest),
        _moment(resets_from, latest_reset),
        _moment(resets_at, latest_reset),
    )


def _moved(state: QuotaState, seconds: float) -> QuotaState:
    bucket, closed_until = state.bucket, state.closed_until
    return QuotaState(
        claims=tuple(replace(claim, at=claim.at + seconds) for claim in state.claims),
        answered=tuple((at + seconds, count) for at, count in state.answered),
        bucket=bucket
        and replace(
            bucket,
            told_at=bucket.told_at + seconds,
            resets_from=bucket.resets_from + seconds,
            resets_at=bucket.resets_at + seconds,
        ),
        closed_until=None if closed_until is None else closed_until + seconds,
        lesson=state.lesson and replace(state.lesson, until=state.lesson.until + seconds),
    )


def _moment(value: object, latest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value > latest:
        raise ValueError("no moment")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_REQUESTS:
        raise ValueError("no number of requests")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no id")
    return value
