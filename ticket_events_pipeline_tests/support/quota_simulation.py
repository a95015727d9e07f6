"""A simulation of several clients that share one quota, and of a server that counts, without sockets and threads."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ticket_events_pipeline.day import Instant, SharedClock
from ticket_events_pipeline.storage.store_clock import StoreClock
from ticket_events_pipeline.zendesk.rate_limit import Wait
from ticket_events_pipeline.zendesk.shared_rate_limit import Exchange, Quota, Turn, in_memory_exchange

HEADER = "zendesk-ratelimit-incremental-exports"
T = 1_800_000_000.0


class Counter(Protocol):
    """A server's count: whether a request at `now` is allowed, how many are left after it, and the seconds to the reset."""

    def take(self, now: float) -> tuple[bool, int, float]: ...

    def opens_at(self, now: float) -> float:
        """The earliest moment from `now` on at which a request is allowed."""


@dataclass
class FixedWindow:
    """Starts with a request and lasts `window` seconds; or is aligned with multiples of them."""

    total: int
    window: float
    is_aligned: bool = False
    used: int = 0
    ends_at: float = -math.inf

    def take(self, now: float) -> tuple[bool, int, float]:
        if now >= self.ends_at:
            begin = now // self.window * self.window if self.is_aligned else now
            self.used, self.ends_at = 0, begin + self.window
        allowed = self.used < self.total
        self.used += allowed
        return allowed, self.total - self.used, self.ends_at - now

    def opens_at(self, now: float) -> float:
        return now if now >= self.ends_at or self.used < self.total else self.ends_at


@dataclass
class SlidingWindow:
    """At most `total` requests in any `window` seconds; the reset is when the oldest one leaves."""

    total: int
    window: float
    taken: list[float] = field(default_factory=list)

    def take(self, now: float) -> tuple[bool, int, float]:
        self.taken = [at for at in self.taken if at > now - self.window]
        allowed = len(self.taken) < self.total
        if allowed:
            self.taken.append(now)
        return allowed, self.total - len(self.taken), self.taken[0] + self.window - now

    def opens_at(self, now: float) -> float:
        taken = [at for at in self.taken if at > now - self.window]
        return now if len(taken) < self.total else taken[-self.total] + self.window


@dataclass
class Request:
    client: int
    sent_at: float
    handled_at: float = 0.0
    allowed: bool = False


@dataclass
class Bucket:
    """A store whose clock differs from the simulation's, and which states whole seconds.

    `durations` are those of puts; a machine learns from so many `puts`.
    """

    ahead: float
    durations: Iterator[float]
    puts: int = 1_000_000

    def seen_from(self, now: Callable[[], float], *, skew: float) -> SharedClock:
        """Its clock as a machine sees it whose own one is `skew` seconds ahead, after a put each time it looks.

        The machine's time runs a little faster. A put happens when half of its duration is over.
        """
        left = self.puts
        clock = StoreClock(monotonic=lambda: (now() - T) * 1.0001 + skew, wall=lambda: now() + skew)

        def look() -> Instant:
            nonlocal left
            if left:
                left, duration = left - 1, next(self.durations)
                last_modified = dt.datetime.fromtimestamp(math.floor(now() - duration / 2 + self.ahead), dt.UTC)
                clock.note_put(last_modified, sent_at=clock.monotonic() - duration, answered_at=clock.monotonic())
            found = clock.now()
            assert found is not None
            assert found.earliest <= now() + self.ahead <= found.latest
            return found

        return look


@dataclass
class Simulation:
    """`latencies` are the seconds to the server and back, alternately; `round_` returns the header's whole seconds."""

    counter: Counter
    requests_per_minute: int
    latencies: Iterator[float]
    round_: Callable[[float], int] = math.ceil
    has_headers: bool = True
    exchange: Exchange = field(default_factory=in_memory_exchange)
    now: float = T
    requests: list[Request] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    longest_idle_seconds: float = 0.0
    """The longest time in which a client waited, no request was in flight, and the server would have allowed one."""
    longest_wait_seconds: float = 0.0
    """The longest time from a client's first asking for a request until it was sent."""

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiting: set[int] = set()
        self._in_flight: set[int] = set()
        self._idle_since: float | None = None

    def at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), action))

    def client(
        self, pauses: list[float], *, dies_at: int | None = None, skew: float = 0.0, bucket: Bucket | None = None
    ) -> None:
        """Add a client that sends a request after each pause; the request with the index `dies_at` is never answered.

        Its clock is `skew` seconds ahead; with a `bucket`, it counts by the bucket's.
        """
        number = next(self._order)
        shared_clock = None if bucket is None else bucket.seen_from(lambda: self.now, skew=skew)
        quota = Quota(
            self.requests_per_minute, exchange=self.exchange, shared_clock=shared_clock, clock=lambda: self.now + skew
        )
        left, asked_at = list(enumerate(pauses)), 0.0

        def send_next() -> None:
            if left:
                index, pause = left.pop(0)
                self.at(self.now + pause, lambda: begin(index))

        def begin(index: int) -> None:
            nonlocal asked_at
            asked_at = self.now
            ask(index)

        def ask(index: int) -> None:
            turn = quota.claim()
            if isinstance(turn, Wait):
                self._waiting.add(number)
                self.waits.append(turn)
                self.at(self.now + turn.seconds, lambda: ask(index))
                return
            self.longest_wait_seconds = max(self.longest_wait_seconds, self.now - asked_at)
            self._waiting.discard(number)
            self._in_flight.add(number)
            request = Request(number, self.now)
            self.requests.append(request)
            self.at(self.now + next(self.latencies), lambda: handle(request, turn, index))

        def handle(request: Request, turn: Turn, index: int) -> None:
            request.handled_at = self.now
            request.allowed, remaining, resets = self.counter.take(self.now)
            if index != dies_at:
                self.at(self.now + next(self.latencies), lambda: receive(request, turn, remaining, resets))

        def receive(request: Request, turn: Turn, remaining: int, resets: float) -> None:
            self._in_flight.discard(number)
            quota_header = {HEADER: f"total={self.counter.total}; remaining={remaining}; resets={self.round_(resets)}"}
            refused = {} if request.allowed else {"Retry-After": str(math.ceil(resets))}
            status = 200 if request.allowed else 429
            quota.note(turn, {**(quota_header if self.has_headers else {}), **refused}, status=status)
            send_next()

        send_next()

    def run(self, *, max_events: int = 20_000) -> None:
        for _ in range(max_events):
            if not self._events:
                return
            moment, _, action = heapq.heappop(self._events)
            self._measure_idle_time(moment)
            self.now = max(self.now, moment)
            action()
        raise AssertionError("the simulation does not end: a client waits for ever")

    def _measure_idle_time(self, until: float) -> None:
        if self._in_flight or not self._waiting:
            self._idle_since = None
            return
        if self._idle_since is None:
            self._idle_since = max(self.now, self.counter.opens_at(self.now))
        self.longest_idle_seconds = max(self.longest_idle_seconds, until - self._idle_since)

    @property
    def refused(self) -> int:
        return sum(not request.allowed for request in self.requests)

    @property
    def seconds(self) -> float:
        return self.now - T
