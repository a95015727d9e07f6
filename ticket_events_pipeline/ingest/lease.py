"""Leases: a day of a stream is read by one pass at a time, on whatever machines passes run.

All passes of a stream stand in one small file, each with its days and a beat that its process renews. Who comes later waits,
then refuses and names the holder. A holder is dead when its process is provably gone, or when its beat has stood still for as
long as the waiting one looked: no clock is compared with another machine's.

A process that stood still may wake. So the days are held by a token, drawn anew by whoever acquires them or takes them over,
and whatever a pass writes or removes is fenced by it. Who took over stands in the file for a while after it has ended, so that
whoever wakes can be told, and knows what has become of its journal.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from ticket_events_pipeline.day import Clock, Day, wall_clock
from ticket_events_pipeline.errors import DaysHeldError, TicketEventsError
from ticket_events_pipeline.process import Process, host_name, this_process
from ticket_events_pipeline.storage.fence import FencedStore
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.store import INFLIGHT, Fence, Store

BEAT_SECONDS = 20.0

DEAD_AFTER_SECONDS = 90.0
"""Without a beat: as long as the slowest store may take to take one, twice."""

_OVERDUE_BEATS = 2  # then the process may have stood still, and looks before it goes on

WAIT_SECONDS = 300.0
"""Then a pass refuses: a run that waits holds a place in the pool."""

_LOOK_SECONDS = 2.0
_LINE_EVERY_LOOKS = 15

# Of those that took over, and have ended: a process that wakes after more has its error without a name in it.
_ENDED_KEPT = 10
_HEIR_OF_KEPT = 20

FINISHED, HALF_WAY = "finished", "half-way"

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
        token: whose the days are: no other process, and no other time of this one, has it. Entries of the first versions have
            none; those processes know each other by `pass_id`.
        heir_of: tokens and passes that it has taken over.
        instead_of: passes that it has taken over and whose days are all among its own.
        ended: FINISHED or HALF_WAY, how it ended; empty while it holds its days.
    """

    pass_id: str
    first: str
    last: str
    process: str
    host: str
    label: str
    beat: int = 0
    token: str = ""
    heir_of: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()
    ended: str = ""

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> Holder:
        """The inverse of `asdict`, also from an entry of a version that knew less, or more.

        Raises:
            TypeError, ValueError, KeyError: it is none.
        """
        lists = {name: tuple(entry.get(name, ())) for name in ("heir_of", "instead_of")}
        known = {field.name: entry[field.name] for field in fields(cls) if field.name in entry}
        return cls(**{**known, **lists, "token": entry.get("token") or entry["pass_id"]})

    @property
    def is_gone(self) -> bool:
        """Whether its process is provably gone."""
        process = Process.parse(self.process)
        return process is not None and process.is_gone

    def overlaps(self, other: Holder) -> bool:
        """Whether both hold one of the same days."""
        return not self.ended and self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        process = Process.parse(self.process)
        number = f"process {process.pid} on " if process else ""
        return f"{number}{self.host}{f' ({self.label})' if self.label else ''}"


class Lease:
    """Days of a stream, held by this process until `release`."""

    def __init__(
        self, store: Store, stream: str, holder: Holder, *, clock: Clock = wall_clock, log: Log = lambda _: None
    ) -> None:
        self._store = store
        self._stream = stream
        self._holder = holder
        self._own_pass_id = holder.pass_id
        self._clock = clock
        self._log = log
        self._beaten_at = clock()
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._lost = ""
        self._beating = threading.Thread(target=self._beat_on, name=f"lease of {stream}", daemon=True)
        self._beating.start()

    @property
    def pass_id(self) -> str:
        """The pass that the days are held for."""
        return self._holder.pass_id

    @property
    def is_heir(self) -> bool:
        """Whether another pass, or what it had left, was taken over."""
        return bool(self._holder.heir_of)

    def fenced(self) -> FencedStore:
        """The store to write to as the holder: once another pass has taken over, writing and removing raise DaysHeldError."""
        return FencedStore(self._store, Fence(_path(self._stream), self._check_content, self._stream, self._log))

    def check(self) -> None:
        """Look whether the days are still held, where that is in doubt; costs nothing while the beats go on.

        It spares a process that stood still requests that would be wasted. Nothing is proved by it: what is written
        goes through `fenced`.

        Raises:
            DaysHeldError: another pass has taken over; says which.
        """
        if not 0 <= self._clock() - self._beaten_at < _OVERDUE_BEATS * BEAT_SECONDS:
            self.look()  # the thread may have stood still as well
        self._raise_if_lost()

    def look(self) -> None:
        """Look whether the days are still held; see `check`. Where the store can't be read, nothing is raised."""
        with suppress(TicketEventsError):
            self._beat()
        self._raise_if_lost()

    def hold_from(self, day: Day) -> None:
        """Let go of the days before `day`, with the next beat: they are done."""
        with self._changing:
            self._holder = replace(self._holder, first=str(day))

    def take_over(self, pass_id: str) -> bool:
        """Go on as the dead pass `pass_id`; False where another one does already."""
        with self._changing:
            before = self._holder
            adopted = () if pass_id == self._own_pass_id else (pass_id,)
            taken = replace(before, pass_id=pass_id, token=_new_token(), heir_of=_newest((*before.heir_of, *adopted)))

            def change(holders: list[Holder]) -> list[Holder]:
                if any(one.pass_id == pass_id and not one.ended and one.token != before.token for one in holders):
                    return holders
                return [taken if one.token == before.token else one for one in holders]

            is_taken = taken in self._exchange(change)
            self._holder = taken if is_taken else before
            return is_taken

    def release(self, *, is_finished: bool = False) -> None:
        """Let go of the days; `is_finished` where nothing is left of the pass to go on from.

        Where the store can't be written any more, the lease ends with the process.
        """
        self._ended.set()
        self._beating.join()
        own = self._holder
        left = [replace(own, ended=FINISHED if is_finished else HALF_WAY)] if own.heir_of else []
        with suppress(TicketEventsError):
            self._exchange(lambda holders: _without_old(_replaced(holders, own.token, left)))

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(TicketEventsError):  # the store can't be written just now: the fence tells it where it matters
                self._beat()

    def _beat(self) -> None:
        with self._changing:
            self._holder = renewed = replace(self._holder, beat=self._holder.beat + 1)
            holders = self._exchange(lambda holders: _replaced(holders, renewed.token, [renewed]))
            if renewed not in holders:
                self._lost = self._told_lost(holders)
            self._beaten_at = self._clock()

    def _check_content(self, content: bytes | None) -> None:
        """The fence's. Not to wait for `_changing`: a beat may hold that, and wait for the lock that is held here."""
        holders = _holders_of(content)
        if not any(one.token == self._holder.token and not one.ended for one in holders):
            self._lost = self._told_lost(holders)
        self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self._lost:
            raise DaysHeldError(self._lost)

    def _told_lost(self, holders: list[Holder]) -> str:
        lost = {self._holder.token, self._holder.pass_id}
        heir = next((one for one in reversed(holders) if lost.intersection(one.heir_of)), None)
        if heir is None:
            url = self._store.url(_path(self._stream))
            return (
                f"{self._stream}: this pass is no longer named in {url}: another pass has taken over its days and has "
                "ended by now, or the file was removed or damaged. Nothing more is written by this one. "
                "Run it again if days are missing."
            )
        has_ended = " and has ended by now" if heir.ended else ""
        return (
            f"{self._stream}: this pass stood still for so long that {heir} has taken over its days{has_ended}. Nothing more "
            "is written by this one. Run it again when the other has ended, if days are missing."
        )

    def _exchange(self, change: Callable[[list[Holder]], list[Holder]]) -> list[Holder]:
        return _exchange(self._store, self._stream, change, log=self._log)


def hold_days(store: Store, stream: str, days: list[Day], *, label: str, log: Log, sleep: Sleep | None = None) -> Lease:
    """Hold the contiguous, ascending `days` of `stream`; wait for a pass that holds one of them, WAIT_SECONDS at most.

    Raises:
        DaysHeldError: another pass goes on holding them; says who it is.
        LockHeldError: another process stands still in the middle of a write; says which.
    """
    wait = sleep or threading.Event().wait
    own = Holder(uuid.uuid4().hex, str(days[0]), str(days[-1]), str(this_process()), host_name(), label, token=_new_token())
    beats: dict[str, tuple[int, float]] = {}  # by token: the beat last seen, and how long it has stood still
    looks = 0
    while True:
        dead = {(token, beat) for token, (beat, still) in beats.items() if still >= DEAD_AFTER_SECONDS}
        holders = _exchange(store, stream, partial(_with_own, own, dead), log=log)
        held = next((one for one in holders if one.token == own.token), None)
        if held is not None:
            return Lease(store, stream, held, log=log)
        blocking = [one for one in _living(holders, dead) if one.overlaps(own)] or [one for one in holders if one.overlaps(own)]
        said = f"{stream}: {blocking[0].first} to {blocking[0].last} are being fetched by {blocking[0]}"
        if looks * _LOOK_SECONDS >= WAIT_SECONDS:
            raise DaysHeldError(f"{said}, for more than {WAIT_SECONDS:.0f} s by now. Wait until that has ended, or end it.")
        if looks % _LINE_EVERY_LOOKS == 0:
            log(f"{said}; waiting for it, up to {WAIT_SECONDS - looks * _LOOK_SECONDS:.0f} s")
        wait(_LOOK_SECONDS)
        looks += 1
        for one in blocking:
            beat, still = beats.get(one.token, (one.beat, 0.0))
            beats[one.token] = (one.beat, still + _LOOK_SECONDS if beat == one.beat else 0.0)


@dataclass(frozen=True)
class Passes:
    """The passes of a stream, by their ids.

    Attributes:
        alive: those that may be at work.
        over: those that an heir has finished: what lies of their journals is a late put, and nobody is to go on from it.
    """

    alive: set[str]
    over: set[str]


def known_passes(store: Store, stream: str) -> Passes:
    """What is known of the passes of `stream`."""
    holders = _exchange(store, stream, lambda holders: holders, log=lambda _: None)
    return Passes(
        alive={one.pass_id for one in holders if not (one.ended or one.is_gone)},
        over={pass_id for one in holders if one.ended == FINISHED for pass_id in (one.pass_id, *one.instead_of)},
    )


def _with_own(own: Holder, dead: set[tuple[str, int]], holders: list[Holder]) -> list[Holder]:
    """The holders with `own` in place of the dead; as they are where a living one holds one of its days."""
    living = _living(holders, dead)
    if any(one.overlaps(own) for one in living):
        return holders
    dropped = [one for one in holders if one not in living]
    # A process that is provably gone never wakes; but those from which it had taken over may.
    heir_of = [name for one in dropped for name in (*(() if one.is_gone else (one.token,)), *one.heir_of)]
    instead_of = [one.pass_id for one in dropped if own.first <= one.first and one.last <= own.last and not one.is_gone]
    return [*living, replace(own, heir_of=_newest(heir_of), instead_of=tuple(instead_of))]


def _living(holders: list[Holder], dead: set[tuple[str, int]]) -> list[Holder]:
    return [one for one in holders if one.ended or not (one.is_gone or (one.token, one.beat) in dead)]


def _replaced(holders: list[Holder], token: str, by: list[Holder]) -> list[Holder]:
    return [after for one in holders for after in (by if one.token == token else [one])]


def _without_old(holders: list[Holder]) -> list[Holder]:
    forgotten = [one for one in holders if one.ended][:-_ENDED_KEPT]
    return [one for one in holders if one not in forgotten]


def _newest(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))[-_HEIR_OF_KEPT:]


def _new_token() -> str:
    return uuid.uuid4().hex


def _path(stream: str) -> str:
    return f"{INFLIGHT}/passes/{stream}.json"


def _exchange(store: Store, stream: str, change: Callable[[list[Holder]], list[Holder]], *, log: Log) -> list[Holder]:
    """Change who holds days of `stream`; who holds them afterwards."""
    after: list[Holder] = []

    def change_text(text: bytes | None) -> bytes | None:
        before = _holders_of(text)
        after[:] = change(before)
        return None if after == before else json.dumps([asdict(holder) for holder in after]).encode()

    store.update(_path(stream), change_text, log=log)
    return after


def _holders_of(text: bytes | None) -> list[Holder]:
    try:
        return [Holder.parse(entry) for entry in json.loads(text or b"[]")]
    except (ValueError, TypeError, KeyError, AttributeError):  # damaged by a power loss, and so are the processes in it
        return []
