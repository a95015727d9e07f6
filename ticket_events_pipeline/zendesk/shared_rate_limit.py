"""The rate limit that an account's processes share: the state of its quota in one small shared file.

Moments in it are of a clock that the processes share, too: the clocks of several machines may differ.

The file is a convenience, not a record: unreadable content, or that of another version, counts as nothing known.
"""

from __future__ import annotations

import itertools
import json
import math
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from ticket_events_pipeline.day import Clock, Instant, SharedClock, wall_clock
from ticket_events_pipeline.errors import LockHeldError, TicketEventsError
from ticket_events_pipeline.zendesk import rate_limit
from ticket_events_pipeline.zendesk.headers import quota_header, rate_limit_wait_seconds
from ticket_events_pipeline.zendesk.rate_limit import (
    LONGEST_CLOSURE_SECONDS,
    LONGEST_RESET_SECONDS,
    NOTHING_KNOWN,
    Bucket,
    Claim,
    Outcome,
    QuotaState,
    Wait,
    Waiting,
)

Change = Callable[[bytes | None], bytes | None]
"""From what the shared file holds (None: there is none) to what it shall hold; None leaves it as it is."""

Exchange = Callable[[Change], None]
"""Applies a change to the shared file so that no other process's change is lost; may call the change again."""

PLENTY = 1_000
"""With so many requests left, processes don't share claims: the answers show soon enough when fewer remain.

Zendesk grants 10 or 30 a minute; a sandbox or a benchmark grants so many that changing the file twice for each would take
longer than the requests."""

ALONE_SECONDS = 600.0
"""How long the file is left alone after its lock was found held by a stopped process: each try waits a minute for it."""

_VERSION = 3
# The shared clock may be set back by so much; then a wait is that much longer. Moments that lie further ahead say nothing.
_SET_BACK_SECONDS = 60.0
_MOST_REQUESTS = 10**9
_TOO_MANY_REQUESTS = 429


@dataclass
class Turn:
    """Permission to send one request, now. To be ended by `Quota.note` or `Quota.release`.

    Attributes:
        claim_id: of its claim in the shared file; None where so many requests are left that none is made.
        sent_at: epoch seconds, by this process's own clock.
        is_settled: whether the outcome of the request is recorded.
    """

    claim_id: str | None
    sent_at: float
    is_settled: bool = False


class Quota:
    """One account's export quota, shared by every process that uses the same `exchange`. Thread-safe.

    `shared_clock` is the clock of all processes that use the exchange; without it, `clock` is, this process's own. If the
    exchange fails, this process counts only its own requests, and `log` gets one line about it.
    """

    def __init__(
        self,
        requests_per_minute: int,
        *,
        exchange: Exchange | None = None,
        shared_clock: SharedClock | None = None,
        clock: Clock = wall_clock,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.requests_per_minute = requests_per_minute
        self._own = in_memory_exchange()
        self._exchange = exchange or self._own
        self._shared_clock = shared_clock or self._own_instant
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._has_logged_failure = False
        self._alone_until = self._plenty_until = -math.inf
        self._name = uuid.uuid4().hex[:12]
        self._numbers = itertools.count()

    def claim(self) -> Turn | Wait:
        """Permission to send the next request at once, or how long to wait before asking again.

        Every request counts, also one that fails. End each turn by `note` or `release`.
        """
        with self._lock:
            own_now = self._clock()
            if own_now < self._plenty_until:
                return Turn(None, own_now)
            claim_id = f"{self._name}-{next(self._numbers)}"
            outcome: Turn | Wait = Turn(claim_id, own_now)

            def change(state: QuotaState, now: Instant) -> QuotaState:
                nonlocal outcome
                after, wait = rate_limit.claim(
                    state, claim_id, now, process=self._name, requests_per_minute=self.requests_per_minute
                )
                outcome = wait or Turn(claim_id, self._clock())
                return after

            self._change(change)
            return outcome

    def note(self, turn: Turn, headers: Mapping[str, str], *, status: int = 200) -> None:
        """Record what an answer's headers say is left, for every process."""
        refused_seconds = rate_limit_wait_seconds(headers) if status == _TOO_MANY_REQUESTS else None
        self._settle(turn, Outcome(turn.sent_at, quota=quota_header(headers), refused_seconds=refused_seconds))

    def release(self, turn: Turn) -> None:
        """Record that there was no answer. Does nothing if there was one."""
        if not turn.is_settled:
            self._settle(turn, Outcome(turn.sent_at, has_answer=False))

    def known_per_minute(self) -> int:
        """Requests a minute: the server's total if its header stated one, else what is configured."""
        found = NOTHING_KNOWN

        def change(state: QuotaState, _: Instant) -> QuotaState:
            nonlocal found
            found = state
            return state

        with self._lock:
            self._change(change)
            return rate_limit.per_minute(found, self.requests_per_minute)

    def _settle(self, turn: Turn, outcome: Outcome) -> None:
        with self._lock:
            turn.is_settled = True
            self._plenty_until = _plenty_until(outcome, self.requests_per_minute)
            if turn.claim_id is None and self._plenty_until > turn.sent_at:
                return

            def change(state: QuotaState, now: Instant) -> QuotaState:
                sent_at = now.earliest - max(0.0, self._clock() - turn.sent_at)
                return rate_limit.record(
                    state,
                    turn.claim_id,
                    now,
                    replace(outcome, sent_at=sent_at),
                    requests_per_minute=self.requests_per_minute,
                )

            self._change(change)

    def _change(self, change: Callable[[QuotaState, Instant], QuotaState]) -> None:
        if self._clock() >= self._alone_until:
            try:
                self._exchange(_bytes_change(change, self._shared_clock))
                return
            except TicketEventsError as error:
                self._note_failure(error)
        self._own(_bytes_change(change, self._own_instant))

    def _note_failure(self, error: TicketEventsError) -> None:
        if isinstance(error, LockHeldError):
            self._alone_until = self._clock() + ALONE_SECONDS
        if not self._has_logged_failure:
            self._log(f"can't share the export quota with other processes; this one counts only its own requests: {error}")
        self._has_logged_failure = True

    def _own_instant(self) -> Instant:
        return Instant.exactly(self._clock())


def _bytes_change(change: Callable[[QuotaState, Instant], QuotaState], clock: SharedClock) -> Change:
    """`change` for what the shared file holds."""

    def change_bytes(content: bytes | None) -> bytes | None:
        now = clock()  # not before: waiting for the lock may have taken a while
        before = read_state(content, now)
        after = change(before, now)
        return None if after == before else state_bytes(after)

    return change_bytes


def in_memory_exchange() -> Exchange:
    """An exchange between the threads of this process."""
    lock = threading.Lock()
    held: list[bytes | None] = [None]

    def exchange(change: Change) -> None:
        with lock:
            held[0] = change(held[0]) or held[0]

    return exchange


def _plenty_until(outcome: Outcome, requests_per_minute: int) -> float:
    """Until when requests need no claims: as an answer shows, or without its header as configured."""
    quota = outcome.quota
    remaining, seconds = (requests_per_minute // 60, 1) if quota is None else (quota.remaining, quota.resets_seconds or 0)
    if outcome.refused_seconds is not None or remaining < PLENTY:
        return -math.inf
    return outcome.sent_at + min(float(seconds), LONGEST_RESET_SECONDS)


def read_state(content: bytes | None, now: Instant) -> QuotaState:
    """The state that `content` holds, without what has expired by `now`; NOTHING_KNOWN if it can't be read."""
    if content is None:
        return NOTHING_KNOWN
    try:
        return _parsed(json.loads(content), now.latest + _SET_BACK_SECONDS).without_expired(now)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return NOTHING_KNOWN


def state_bytes(state: QuotaState) -> bytes:
    """The inverse of `read_state`."""
    fields = {
        "version": _VERSION,
        "claims": [astuple(claim) for claim in state.claims],
        "answered": state.answered,
        "bucket": state.bucket and astuple(state.bucket),
        "closed_until": state.closed_until,
        "waiting": [astuple(one) for one in state.waiting],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _parsed(fields: Any, latest: float) -> QuotaState:
    """Raises ValueError, or one of the errors that `read_state` catches, for content that this version doesn't write."""
    if fields["version"] != _VERSION:
        raise ValueError("another version")
    bucket, closed_until = fields["bucket"], fields["closed_until"]
    latest_closure = latest + LONGEST_CLOSURE_SECONDS
    return QuotaState(
        claims=tuple(Claim(_text(id_), _moment(at, latest)) for id_, at in fields["claims"]),
        answered=tuple(_moment(at, latest) for at in fields["answered"]),
        bucket=None if bucket is None else _bucket(latest, *bucket),
        closed_until=None if closed_until is None else _moment(closed_until, latest_closure),
        waiting=tuple(Waiting(_text(process), _moment(until, latest_closure)) for process, until in fields["waiting"]),
    )


def _bucket(
    latest: float, remaining: object, total: object, answered_at: object, resets_from: object, resets_at: object
) -> Bucket:
    latest_reset = latest + LONGEST_RESET_SECONDS
    return Bucket(
        _count(remaining),
        max(1, _count(total)),
        _moment(answered_at, latest),
        _moment(resets_from, latest_reset),
        _moment(resets_at, latest_reset),
    )


def _moment(value: object, latest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value > latest:
        raise ValueError("not a moment")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_REQUESTS:
        raise ValueError("not a number of requests")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not an id")
    return value
