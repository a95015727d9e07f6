"""The clock of an object store, as far as a machine with another clock knows it.

A put happens between its request and its answer. By the store's clock it happens at the object's `last_modified`, which states
whole seconds. So every put bounds the difference of the clocks, to a second and its duration; several puts bound it more
closely, as they fall on different parts of a second. This machine's side is its monotonic clock: setting its wall clock changes
nothing.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ticket_events_pipeline.day import Clock, Instant, wall_clock

STATED_SECONDS = 1.0
"""`last_modified` leaves out the fraction of a second."""

_STORE_SECONDS = 0.1
"""The servers of one store may differ by so much."""

_DRIFT = 0.0002
"""Seconds a second by which two undisciplined clocks drift apart at most: a quartz is ten times better than that."""

_STEP_SECONDS = 1.0
"""When the wall clock has moved by more than that against the monotonic one, the machine may have been suspended, and most
monotonic clocks stand still meanwhile."""


class _Difference(NamedTuple):
    """The store's clock minus the monotonic one: its bounds, when they were known, and how far the wall clock was ahead."""

    least: float
    most: float
    at: float
    wall: float


class StoreClock:
    """The time by a store's clock, from the `last_modified` of its objects. Thread-safe."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, wall: Clock = wall_clock) -> None:
        self.monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._difference: _Difference | None = None

    def now(self) -> Instant | None:
        """Now by the store's clock; None before the first put, and after this machine may have been suspended."""
        with self._lock:
            known = self._known()
        return None if known is None else Instant(known.at + known.least, known.at + known.most)

    def note_put(self, last_modified: dt.datetime, *, sent_at: float, answered_at: float) -> None:
        """Learn from a put of this process, which lasted from `sent_at` to `answered_at` by `monotonic`."""
        moment = last_modified.timestamp()
        self._narrow(moment - answered_at, moment + STATED_SECONDS - sent_at)

    def note_seen(self, last_modified: dt.datetime) -> None:
        """Learn from an object that another process has put: it is not newer than now."""
        self._narrow(last_modified.timestamp() - self.monotonic(), math.inf)

    def _narrow(self, least: float, most: float) -> None:
        least, most = least - _STORE_SECONDS, most + _STORE_SECONDS
        with self._lock:
            known = self._known()
            if known is not None and max(least, known.least) <= min(most, known.most):
                least, most = max(least, known.least), min(most, known.most)
            elif math.isinf(most):
                if known is None:
                    return  # another process's put alone says too little
                # Put just now by another server, or the store's clock was set: a put of this process will decide.
                least, most = known.least, least + STATED_SECONDS + 2 * _STORE_SECONDS
            now = self.monotonic()
            self._difference = _Difference(least, most, now, self._wall() - now)

    def _known(self) -> _Difference | None:
        """What is known by now."""
        known, now = self._difference, self.monotonic()
        if known is None or abs(self._wall() - now - known.wall) > _STEP_SECONDS:
            return None
        drift = _DRIFT * (now - known.at)
        return known._replace(least=known.least - drift, most=known.most + drift, at=now)
