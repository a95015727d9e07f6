"""Leases: one fetch at a time reads a day of a stream, also when fetches run on several machines.

A small file per stream lists its fetches, each with its days and a heartbeat counter. A later fetch waits for the holder, and
fails after some minutes with its name. A holder is dead when its process has provably ended, or when its heartbeat has not
changed for DEAD_AFTER_SECONDS of waiting: no clock is compared with another machine's.

A process that was suspended may continue. So days are held by a fencing token, new at every acquisition and take-over, which
every write and removal of a fetch checks. A fetch that took over stays in the file for a while after its end, so that the
error of the process that lost its days can name it.
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
"""Twice as long as the slowest store may take to store a heartbeat."""

_OVERDUE_BEATS = 2  # then the process may have been stopped, and checks its lease before it continues

WAIT_SECONDS = 300.0
"""Then a fetch fails: a run that waits occupies a slot of the pool."""

_POLL_SECONDS = 2.0
_POLLS_PER_LOG_LINE = 15

# How many are kept; a process that lost its days to an older one gets an error without a name.
_ENDED_KEPT = 10
_TOOK_OVER_KEPT = 20

# On disk, attributes keep the names of earlier versions, whose processes may still run.
_NAMES_ON_DISK = {"fetch_id": "pass_id", "took_over": "heir_of", "replaces": "instead_of"}

FINISHED, HALF_WAY = "finished", "half-way"

Sleep = Callable[[float], object]


@dataclass(frozen=True)
class Holder:
    """A fetch and the days that it holds.

    Attributes:
        fetch_id: of the fetch; its journal has the same name.
        first, last: dates of the days, YYYY-MM-DD, both included; finished days are no longer held.
        process: that reads them.
        host: the machine's name, for messages.
        label: what identifies the process in messages: a Dagster run.
        beat: the heartbeat, which counts up while the process runs.
        token: the fencing token. Entries of the first versions have none; there `fetch_id` takes its place.
        took_over: tokens and ids of fetches whose days it has taken over.
        replaces: ids of fetches that it has taken over and whose days are all among its own.
        ended: FINISHED or HALF_WAY, how it ended; empty while it holds its days.
    """

    fetch_id: str
    first: str
    last: str
    process: str
    host: str
    label: str
    beat: int = 0
    token: str = ""
    took_over: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    ended: str = ""

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> Holder:
        """The inverse of `entry`, also for an entry of an older or newer version.

        Raises:
            TypeError, ValueError, KeyError: it is not an entry.
        """
        on_disk = {field.name: _NAMES_ON_DISK.get(field.name, field.name) for field in fields(cls)}
        known = {name: entry[key] for name, key in on_disk.items() if key in entry}
        lists = {name: tuple(known.get(name, ())) for name in ("took_over", "replaces")}
        return cls(**{**known, **lists, "token": known.get("token") or known["fetch_id"]})

    @property
    def entry(self) -> dict[str, Any]:
        """As stored in the file of leases."""
        return {_NAMES_ON_DISK.get(name, name): value for name, value in asdict(self).items()}

    @property
    def is_gone(self) -> bool:
        """Whether its process has provably ended."""
        process = Process.parse(self.process)
        return process is not None and process.is_gone

    def overlaps(self, other: Holder) -> bool:
        """Whether both hold a common day."""
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
        self._own_fetch_id = holder.fetch_id
        self._clock = clock
        self._log = log
        self._beaten_at = clock()
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._lost = ""
        self._beating = threading.Thread(target=self._beat_on, name=f"lease of {stream}", daemon=True)
        self._beating.start()

    @property
    def fetch_id(self) -> str:
        """The id of the fetch that the days are held for."""
        return self._holder.fetch_id

    @property
    def has_taken_over(self) -> bool:
        """Whether the days or the journal of another fetch were taken over."""
        return bool(self._holder.took_over)

    def fenced(self) -> FencedStore:
        """The store to write to as the holder: after a take-over by another fetch, writes and removals raise DaysHeldError."""
        return FencedStore(self._store, Fence(_path(self._stream), self._check_content, self._stream, self._log))

    def check(self) -> None:
        """Check that the days are still held if the last heartbeat is overdue.

        It saves a process that was stopped useless requests. It proves nothing: writes go through `fenced`.

        Raises:
            DaysHeldError: another fetch has taken over; names it.
        """
        if not 0 <= self._clock() - self._beaten_at < _OVERDUE_BEATS * BEAT_SECONDS:
            self.check_now()  # the thread may have been stopped as well
        self._raise_if_lost()

    def check_now(self) -> None:
        """Check that the days are still held; see `check`. Raises nothing if the store can't be read."""
        with suppress(TicketEventsError):
            self._beat()
        self._raise_if_lost()

    def hold_from(self, day: Day) -> None:
        """Release the days before `day`, which are finished, with the next heartbeat."""
        with self._changing:
            self._holder = replace(self._holder, first=str(day))

    def take_over(self, fetch_id: str) -> bool:
        """Resume the dead fetch `fetch_id`; False if another fetch has resumed it already."""
        with self._changing:
            before = self._holder
            adopted = () if fetch_id == self._own_fetch_id else (fetch_id,)
            taken = replace(before, fetch_id=fetch_id, token=_new_token(), took_over=_newest((*before.took_over, *adopted)))

            def change(holders: list[Holder]) -> list[Holder]:
                if any(one.fetch_id == fetch_id and not one.ended and one.token != before.token for one in holders):
                    return holders
                return [taken if one.token == before.token else one for one in holders]

            is_taken = taken in self._update_holders(change)
            self._holder = taken if is_taken else before
            return is_taken

    def release(self, *, is_finished: bool = False) -> None:
        """Release the days; `is_finished` if nothing is left to resume.

        If the store can't be written any more, the lease ends with the process.
        """
        self._ended.set()
        self._beating.join()
        own = self._holder
        left = [replace(own, ended=FINISHED if is_finished else HALF_WAY)] if own.took_over else []
        with suppress(TicketEventsError):
            self._update_holders(lambda holders: _without_old(_replaced(holders, own.token, left)))

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(TicketEventsError):  # the store can't be written now; the fence reports it where it matters
                self._beat()

    def _beat(self) -> None:
        with self._changing:
            self._holder = renewed = replace(self._holder, beat=self._holder.beat + 1)
            holders = self._update_holders(lambda holders: _replaced(holders, renewed.token, [renewed]))
            if renewed not in holders:
                self._lost = self._lost_message(holders)
            self._beaten_at = self._clock()

    def _check_content(self, content: bytes | None) -> None:
        """For the fence. Must not wait for `_changing`: a heartbeat may hold it and wait for the lock that is held here."""
        holders = _holders_of(content)
        if not any(one.token == self._holder.token and not one.ended for one in holders):
            self._lost = self._lost_message(holders)
        self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self._lost:
            raise DaysHeldError(self._lost)

    def _lost_message(self, holders: list[Holder]) -> str:
        lost = {self._holder.token, self._holder.fetch_id}
        new_holder = next((one for one in reversed(holders) if lost.intersection(one.took_over)), None)
        if new_holder is None:
            url = self._store.url(_path(self._stream))
            return (
                f"{self._stream}: this fetch is no longer named in {url}: another fetch has taken over its days and has ended, "
                "or the file was removed or damaged. This fetch writes nothing more. Run it again if days are missing."
            )
        has_ended = " and has ended since" if new_holder.ended else ""
        return (
            f"{self._stream}: this fetch was stopped for so long that {new_holder} has taken over its days{has_ended}. It "
            "writes nothing more. If days are missing, run it again after the other fetch has ended."
        )

    def _update_holders(self, change: Callable[[list[Holder]], list[Holder]]) -> list[Holder]:
        return _update_holders(self._store, self._stream, change, log=self._log)


def hold_days(store: Store, stream: str, days: list[Day], *, label: str, log: Log, sleep: Sleep | None = None) -> Lease:
    """Hold the contiguous, ascending `days` of `stream`; wait up to WAIT_SECONDS for a fetch that holds one of them.

    Raises:
        DaysHeldError: another fetch still holds one of them; names it.
        LockHeldError: another process was stopped in the middle of a write; names it.
    """
    wait = sleep or threading.Event().wait
    own = Holder(uuid.uuid4().hex, str(days[0]), str(days[-1]), str(this_process()), host_name(), label, token=_new_token())
    beats: dict[str, tuple[int, float]] = {}  # by token: the last heartbeat, and for how long it has not changed
    polls = 0
    while True:
        dead = {(token, beat) for token, (beat, still) in beats.items() if still >= DEAD_AFTER_SECONDS}
        holders = _update_holders(store, stream, partial(_with_own, own, dead), log=log)
        held = next((one for one in holders if one.token == own.token), None)
        if held is not None:
            return Lease(store, stream, held, log=log)
        blocking = [one for one in _living(holders, dead) if one.overlaps(own)] or [one for one in holders if one.overlaps(own)]
        message = f"{stream}: {blocking[0].first} to {blocking[0].last} are being fetched by {blocking[0]}"
        if polls * _POLL_SECONDS >= WAIT_SECONDS:
            raise DaysHeldError(
                f"{message}, for more than {WAIT_SECONDS:.0f} s by now. Wait until that fetch has ended, or end it."
            )
        if polls % _POLLS_PER_LOG_LINE == 0:
            log(f"{message}; waiting for it, up to {WAIT_SECONDS - polls * _POLL_SECONDS:.0f} s")
        wait(_POLL_SECONDS)
        polls += 1
        for one in blocking:
            beat, still = beats.get(one.token, (one.beat, 0.0))
            beats[one.token] = (one.beat, still + _POLL_SECONDS if beat == one.beat else 0.0)


@dataclass(frozen=True)
class KnownFetches:
    """The fetches of a stream, by their ids.

    Attributes:
        alive: those that may be running.
        over: those that a new holder has finished: what is left of their journals arrived late, and must not be resumed.
    """

    alive: set[str]
    over: set[str]


def known_fetches(store: Store, stream: str) -> KnownFetches:
    """What is known of the fetches of `stream`."""
    holders = _update_holders(store, stream, lambda holders: holders, log=lambda _: None)
    return KnownFetches(
        alive={one.fetch_id for one in holders if not (one.ended or one.is_gone)},
        over={fetch_id for one in holders if one.ended == FINISHED for fetch_id in (one.fetch_id, *one.replaces)},
    )


def _with_own(own: Holder, dead: set[tuple[str, int]], holders: list[Holder]) -> list[Holder]:
    """The holders with `own` in place of the dead ones; unchanged if a living one holds one of its days."""
    living = _living(holders, dead)
    if any(one.overlaps(own) for one in living):
        return holders
    dropped = [one for one in holders if one not in living]
    # A process that has provably ended never continues; but those from which it had taken over may.
    took_over = [name for one in dropped for name in (*(() if one.is_gone else (one.token,)), *one.took_over)]
    replaces = [one.fetch_id for one in dropped if own.first <= one.first and one.last <= own.last and not one.is_gone]
    return [*living, replace(own, took_over=_newest(took_over), replaces=tuple(replaces))]


def _living(holders: list[Holder], dead: set[tuple[str, int]]) -> list[Holder]:
    return [one for one in holders if one.ended or not (one.is_gone or (one.token, one.beat) in dead)]


def _replaced(holders: list[Holder], token: str, by: list[Holder]) -> list[Holder]:
    return [after for one in holders for after in (by if one.token == token else [one])]


def _without_old(holders: list[Holder]) -> list[Holder]:
    forgotten = [one for one in holders if one.ended][:-_ENDED_KEPT]
    return [one for one in holders if one not in forgotten]


def _newest(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))[-_TOOK_OVER_KEPT:]


def _new_token() -> str:
    return uuid.uuid4().hex


def _path(stream: str) -> str:
    return f"{INFLIGHT}/passes/{stream}.json"


def _update_holders(store: Store, stream: str, change: Callable[[list[Holder]], list[Holder]], *, log: Log) -> list[Holder]:
    """Change who holds days of `stream`; returns who holds them afterwards."""
    after: list[Holder] = []

    def change_text(text: bytes | None) -> bytes | None:
        before = _holders_of(text)
        after[:] = change(before)
        return None if after == before else json.dumps([holder.entry for holder in after]).encode()

    store.update(_path(stream), change_text, log=log)
    return after


def _holders_of(text: bytes | None) -> list[Holder]:
    try:
        return [Holder.parse(entry) for entry in json.loads(text or b"[]")]
    except (ValueError, TypeError, KeyError, AttributeError):  # damaged by a power loss, which ended the processes in it too
        return []
