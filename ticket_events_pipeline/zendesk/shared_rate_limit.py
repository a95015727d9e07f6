"""The quota that an account's processes share: claims the next request and notes the answers, through an exchange.

What may go when is decided in `pace`, over the small state of `quota_state`. Here are the clock, the exchange with other
processes, and the blocks that spare it where plenty are left. Who sleeps is `client`.
"""

from __future__ import annotations

import itertools
import math
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.errors import LockHeldError, TicketEventsError
from ticket_events_pipeline.zendesk import rate_limit
from ticket_events_pipeline.zendesk.headers import QuotaHeader, quota_header, retry_after_seconds
from ticket_events_pipeline.zendesk.quota_state import WINDOW_SECONDS, Claim, QuotaState, read_state, state_bytes
from ticket_events_pipeline.zendesk.rate_limit import Heard, Wait

Change = Callable[[bytes | None], bytes | None]
"""From what the shared bytes are (None: there are none) to what they shall be; None leaves them."""

Exchange = Callable[[Change], None]
"""Changes the shared bytes so that no other process's change is lost in between; may call the change again."""

# A block is given back by then, so that others learn what is left.
_BLOCK_SECONDS = 5.0
# A block is spent without asking anybody while the server has that many blocks more to give.
_BLOCKS_LEFT = 32

ALONE_SECONDS = 600.0
"""After another process was found to stand still with the lock of the exchange: each try to share waits a minute for it."""

TOO_MANY_REQUESTS = 429


@dataclass
class Turn:
    """Leave to send one request, now. To be noted or released."""

    claim: Claim
    sent_at: float
    is_settled: bool = False


@dataclass
class _Block:
    """Requests claimed together, of which some are spent."""

    claim: Claim
    closes_at: float
    spent: int = 0
    heard: Heard | None = None


class Quota:
    """One account's export quota, shared with everybody who uses the same `exchange`. Thread-safe.

    Where the exchange fails, the process counts for itself, and `log` is told so once.
    """

    def __init__(
        self,
        requests_per_minute: int,
        *,
        exchange: Exchange | None = None,
        clock: Clock = wall_clock,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.requests_per_minute = requests_per_minute
        self._own = in_memory_exchange()
        self._exchange = exchange or self._own
        self._clock = clock
        self._log = log
        self._lock = threading.Lock()
        self._block: _Block | None = None
        self._has_told = False
        self._alone_until = -math.inf
        self._name = uuid.uuid4().hex[:12]
        self._numbers = itertools.count()

    def claim(self) -> Turn | Wait:
        """Leave to send the next request at once, or how long to wait before asking again.

        Every request counts, those that fail too. Settle each turn by `note` or `release`.
        """
        with self._lock:
            block, now = self._block, self._clock()
            if block and block.spent < block.claim.count and block.claim.at <= now < block.closes_at:
                block.spent += 1
                return Turn(block.claim, now)
            claim_id = f"{self._name}-{next(self._numbers)}"
            outcome: list[tuple[QuotaState, Claim | Wait]] = []

            def change(state: QuotaState, now: float) -> QuotaState:
                outcome[:] = [rate_limit.claim(state, claim_id, now, requests_per_minute=self.requests_per_minute)]
                return outcome[0][0]

            self._change(change)
            [(state, claimed)] = outcome
            if isinstance(claimed, Wait):
                return claimed
            if claimed.count > 1:
                resets_at = state.bucket.resets_at if state.bucket else math.inf
                self._block = _Block(claimed, min(claimed.at + _BLOCK_SECONDS, resets_at), spent=1)
            return Turn(claimed, claimed.at)

    def note(self, turn: Turn, headers: Mapping[str, str], *, status: int = 200) -> None:
        """Take over what the answer's headers say is left; everybody learns it."""
        quota = quota_header(headers)
        refused_seconds = _refused_seconds(headers, quota) if status == TOO_MANY_REQUESTS else None
        self._settle(turn, Heard(turn.sent_at, quota=quota, refused_seconds=refused_seconds))

    def release(self, turn: Turn) -> None:
        """There was no answer. Does nothing where there was one."""
        if not turn.is_settled:
            self._settle(turn, Heard(turn.sent_at, is_answer=False))

    def known_per_minute(self) -> int:
        """Requests a minute: what the server told last, else what was set, or less where a refusal taught it."""
        found: list[QuotaState] = []

        def change(state: QuotaState, _: float) -> QuotaState:
            found[:] = [state]
            return state

        with self._lock:
            self._change(change)
            return rate_limit.per_minute(found[0], self.requests_per_minute)

    def _settle(self, turn: Turn, heard: Heard) -> None:
        with self._lock:
            turn.is_settled = True
            block = self._block
            if block is not None and turn.claim is block.claim:
                block.heard = heard
                if not _is_quiet(block.claim, heard):
                    self._change(lambda state, _: state)  # gives the block back
                return
            # Of a block that was given back, the request is counted already.
            counted = heard if turn.claim.count == 1 else replace(heard, count=0)
            self._change(lambda state, now: self._noted(state, turn.claim, now, counted))

    def _change(self, change: Callable[[QuotaState, float], QuotaState]) -> None:
        """Change the shared state; a block that is open is given back with it."""
        block, self._block = self._block, None

        def change_bytes(content: bytes | None) -> bytes | None:
            now = self._clock()  # not before: others may have held the exchange for a while
            before = state = read_state(content, now)
            if block is not None:
                heard = block.heard or Heard(block.claim.at, is_answer=False)
                state = self._noted(state, block.claim, now, replace(heard, count=block.spent))
            after = change(state, now)
            return None if after == before else state_bytes(after, now)

        if self._clock() < self._alone_until:
            self._own(change_bytes)
            return
        try:
            self._exchange(change_bytes)
        except TicketEventsError as error:
            if isinstance(error, LockHeldError):
                self._alone_until = self._clock() + ALONE_SECONDS
            if not self._has_told:
                self._log(f"the export quota can't be shared with other processes, this one counts for itself: {error}")
            self._has_told = True
            self._own(change_bytes)

    def _noted(self, state: QuotaState, claim: Claim, now: float, heard: Heard) -> QuotaState:
        return rate_limit.note(state, claim.id, now, heard, requests_per_minute=self.requests_per_minute)


def in_memory_exchange() -> Exchange:
    """An exchange between the threads of this process."""
    lock = threading.Lock()
    held: list[bytes | None] = [None]

    def exchange(change: Change) -> None:
        with lock:
            held[0] = change(held[0]) or held[0]

    return exchange


def _is_quiet(claim: Claim, heard: Heard) -> bool:
    """Whether an answer says nothing that others must know at once."""
    if heard.refused_seconds is not None or not heard.is_answer:
        return False
    return heard.quota is None or heard.quota.remaining >= _BLOCKS_LEFT * claim.count


def _refused_seconds(headers: Mapping[str, str], quota: QuotaHeader | None) -> float:
    asked_for = retry_after_seconds(headers)
    if asked_for is not None:
        return asked_for
    return WINDOW_SECONDS if quota is None or quota.resets_seconds is None else float(quota.resets_seconds)
