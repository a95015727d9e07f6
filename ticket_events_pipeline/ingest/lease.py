"""Leases: a day of a stream is read by one pass at a time, on whatever machines passes run.

All passes of a stream stand in one small file, each with its days and a beat that its process renews. Who comes later waits,
then refuses and names the holder. A holder is dead when its process is provably gone, or when its beat has stood still for as
long as the waiting one looked: no clock is compared with another machine's.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from ticket_events_pipeline.day import Clock, Day, wall_clock
from ticket_events_pipeline.errors import DaysHeldError, TicketEventsError
from ticket_events_pipeline.lake.store import INFLIGHT, Store
from ticket_events_pipeline.process import Process, host_name, this_process

BEAT_SECONDS = 20.0

DEAD_AFTER_SECONDS = 90.0
"""Without a beat: as long as the slowest store may take to take one, twice."""

WAIT_SECONDS = 300.0
"""Then a pass refuses: a run that waits holds a place in the pool."""

_LOOK_SECONDS = 2.0
_LINE_EVERY_LOOKS = 15

Log = Callable[[str], None]
Sleep = Callable[[float], object]


@dataclass(frozen=True)
class Holder:
    """A pass and the days that it holds.

    Attributes:
        pass_id: of the pass; its journal has the same name.
        first, last: dates of the days, YYYY-MM-DD, both included; the days that are done are no longer held.
        process: that reads them.
        host: the machine's name, for messages.
        label: what the process says of itself, for messages: a Dagster run.
        beat: counts up while the process lives.
    """

    pass_id: str
    first: str
    last: str
    process: str
    host: str
    label: str
    beat: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether its process is provably gone."""
        process = Process.parse(self.process)
        return process is not None and process.is_gone

    def overlaps(self, other: Holder) -> bool:
        """Whether both hold one of the same days."""
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        process = Process.parse(self.process)
        number = f"process {process.pid} on " if process else ""
        return f"{number}{self.host}{f' ({self.label})' if self.label else ''}"


class Lease:
    """Days of a stream, held by this process until `release`."""

    def __init__(self, store: Store, stream: str, holder: Holder, *, clock: Clock = wall_clock) -> None:
        self._store = store
        self._stream = stream
        self._holder = holder
        self._clock = clock
        self._beaten_at = clock()
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._is_lost = False
        self._beating = threading.Thread(target=self._beat_on, name=f"lease of {stream}", daemon=True)
        self._beating.start()

    @property
    def pass_id(self) -> str:
        """The pass that the days are held for."""
        return self._holder.pass_id

    def check(self) -> None:
        """Be sure before writing anything.

        Raises:
            DaysHeldError: the process stood still for so long that another pass has taken over.
        """
        if not 0 <= self._clock() - self._beaten_at < DEAD_AFTER_SECONDS / 2:
            self._beat()  # the thread may have stood still as well
        if self._is_lost:
            raise DaysHeldError(
                f"{self._stream}: this pass stood still for so long that another one may have taken over its days. "
                "Nothing more is written by it. Run it again."
            )

    def hold_from(self, day: Day) -> None:
        """Let go of the days before `day`, with the next beat: they are done."""
        with self._changing:
            self._holder = replace(self._holder, first=str(day))

    def take_over(self, pass_id: str) -> bool:
        """Go on as the dead pass `pass_id`; False where another one does already."""
        with self._changing:
            before, taken = self._holder, replace(self._holder, pass_id=pass_id)

            def change(holders: list[Holder]) -> list[Holder]:
                if any(holder.pass_id == pass_id for holder in holders):
                    return holders
                return [taken if holder.pass_id == before.pass_id else holder for holder in holders]

            is_taken = taken in _exchange(self._store, self._stream, change)
            self._holder = taken if is_taken else before
            return is_taken

    def release(self) -> None:
        """Let go of the days. Where the store can't be written any more, the lease ends with the process."""
        self._ended.set()
        self._beating.join()
        with suppress(TicketEventsError):
            _exchange(self._store, self._stream, lambda holders: [one for one in holders if one.pass_id != self.pass_id])

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(TicketEventsError):  # the store can't be written just now: `check` tells it where it matters
                self._beat()

    def _beat(self) -> None:
        with self._changing:
            self._holder = renewed = replace(self._holder, beat=self._holder.beat + 1)

            def change(holders: list[Holder]) -> list[Holder]:
                return [renewed if holder.pass_id == renewed.pass_id else holder for holder in holders]

            if renewed not in _exchange(self._store, self._stream, change):
                self._is_lost = True
            self._beaten_at = self._clock()


def hold_days(store: Store, stream: str, days: list[Day], *, label: str, log: Log, sleep: Sleep | None = None) -> Lease:
    """Hold the contiguous, ascending `days` of `stream`; wait for a pass that holds one of them, WAIT_SECONDS at most.

    Raises:
        DaysHeldError: another pass goes on holding them; says who it is.
    """
    wait = sleep or threading.Event().wait
    own = Holder(uuid.uuid4().hex, str(days[0]), str(days[-1]), str(this_process()), host_name(), label)
    beats: dict[str, tuple[int, float]] = {}  # by pass: the beat last seen, and how long it has stood still
    looks = 0
    while True:
        dead = {(pass_id, beat) for pass_id, (beat, still) in beats.items() if still >= DEAD_AFTER_SECONDS}

        def change(holders: list[Holder], dead: set[tuple[str, int]] = dead) -> list[Holder]:
            living = [holder for holder in holders if not holder.is_gone and (holder.pass_id, holder.beat) not in dead]
            return living if any(holder.overlaps(own) for holder in living) else [*living, own]

        holders = _exchange(store, stream, change)
        if own in holders:
            return Lease(store, stream, own)
        blocking = [holder for holder in holders if holder.overlaps(own)]
        said = f"{stream}: {blocking[0].first} to {blocking[0].last} are being fetched by {blocking[0]}"
        if looks * _LOOK_SECONDS >= WAIT_SECONDS:
            raise DaysHeldError(f"{said}, for more than {WAIT_SECONDS:.0f} s by now. Wait until that has ended, or end it.")
        if looks % _LINE_EVERY_LOOKS == 0:
            log(f"{said}; waiting for it, up to {WAIT_SECONDS - looks * _LOOK_SECONDS:.0f} s")
        wait(_LOOK_SECONDS)
        looks += 1
        for holder in blocking:
            beat, still = beats.get(holder.pass_id, (holder.beat, 0.0))
            beats[holder.pass_id] = (holder.beat, still + _LOOK_SECONDS if beat == holder.beat else 0.0)


def passes_alive(store: Store, stream: str) -> set[str]:
    """The passes of `stream` that may be at work."""
    return {holder.pass_id for holder in _exchange(store, stream, lambda holders: holders) if not holder.is_gone}


def _exchange(store: Store, stream: str, change: Callable[[list[Holder]], list[Holder]]) -> list[Holder]:
    """Change who holds days of `stream`; who holds them afterwards."""
    after: list[Holder] = []

    def change_text(text: bytes | None) -> bytes | None:
        before = _holders_of(text)
        after[:] = change(before)
        return None if after == before else json.dumps([asdict(holder) for holder in after]).encode()

    store.exchange(f"{INFLIGHT}/passes/{stream}.json", change_text)
    return after


def _holders_of(text: bytes | None) -> list[Holder]:
    try:
        entries: list[dict[str, Any]] = json.loads(text or b"[]")
        return [Holder(**entry) for entry in entries]
    except (ValueError, TypeError):  # damaged by a power loss, and so are the processes that it spoke of
        return []
