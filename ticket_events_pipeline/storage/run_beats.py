"""Beats of runs: a process that executes a run says so every few seconds, where every host can read it.

One small file in the root holds the last beat of every run in progress, and the runs that were ended from outside. A beat is
only ever compared with an earlier one of the same run: no clock is compared with another machine's, and nothing has to be
shared but the root. A lost or damaged file harms nothing: every living run adds itself again with its next beat.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ticket_events_pipeline.storage.store import INFLIGHT, Store

BEAT_SECONDS = 10.0

PATH = f"{INFLIGHT}/runs.json"

MOST_RUNS = 500
"""Entries kept, those with the newest beats: a run that was killed and ended by something else leaves its entry behind."""

ENDED_KEPT = 50
"""Ended runs kept, the newest: a process that was stopped for longer than so many ends doesn't learn of its own from them."""


@dataclass(frozen=True)
class _Beats:
    """The content of the file.

    Attributes:
        runs: by run id, its last beat; those that beat last are last.
        ended: ids of runs that were ended from outside, the newest last.
        trials: counts the times that somebody tried whether the file can be written.
    """

    runs: Mapping[str, str] = field(default_factory=dict)
    ended: tuple[str, ...] = ()
    trials: int = 0

    @classmethod
    def parse(cls, content: bytes | None) -> _Beats:
        """Whatever can be read of the content, which a power loss or another program may have damaged."""
        try:
            found = json.loads(content or b"{}")
        except ValueError:
            return cls()
        if not isinstance(found, dict):
            return cls()
        runs, ended, trials = found.get("runs"), found.get("ended"), found.get("trials")
        return cls(
            {run_id: beat for run_id, beat in runs.items() if isinstance(beat, str)} if isinstance(runs, dict) else {},
            tuple(run_id for run_id in ended if isinstance(run_id, str)) if isinstance(ended, list) else (),
            trials if isinstance(trials, int) else 0,
        )

    @property
    def content(self) -> bytes:
        """As stored."""
        runs = dict(list(self.runs.items())[-MOST_RUNS:])
        return json.dumps({"runs": runs, "ended": self.ended[-ENDED_KEPT:], "trials": self.trials}).encode()

    def with_beat(self, run_id: str, beat: str) -> _Beats:
        return replace(self, runs={**self._without(run_id), run_id: beat})

    def without(self, run_id: str) -> _Beats:
        return replace(self, runs=self._without(run_id))

    def with_end(self, run_id: str) -> _Beats:
        return replace(self.without(run_id), ended=(*(one for one in self.ended if one != run_id), run_id))

    def _without(self, run_id: str) -> dict[str, str]:
        return {one: beat for one, beat in self.runs.items() if one != run_id}


@dataclass
class RunBeat:
    """The beat of one run.

    Attributes:
        was_ended: whether the run was ended from outside, as the last beat found. It beats no more then.
        is_stored: whether any beat was stored yet.
    """

    store: Store
    run_id: str
    was_ended: bool = field(default=False, init=False)
    is_stored: bool = field(default=False, init=False)
    _count: int = field(default=0, init=False)
    # A resumed run beats from another process: its first beat must differ from the last one before.
    _token: str = field(default_factory=lambda: uuid.uuid4().hex[:8], init=False)

    def beat(self) -> None:
        """Store one beat, or learn that the run was ended.

        Raises:
            TicketEventsError: the store can't be read or written.
        """
        self._count += 1
        beat, was_ended = f"{self._token}-{self._count}", False

        def change(before: _Beats) -> _Beats:
            nonlocal was_ended
            was_ended = self.run_id in before.ended
            return before if was_ended else before.with_beat(self.run_id, beat)

        _update(self.store, change)
        self.was_ended = was_ended
        self.is_stored = self.is_stored or not was_ended

    def remove(self) -> None:
        """Remove the entry: the run's steps are over.

        Raises:
            TicketEventsError: the store can't be read or written.
        """
        _update(self.store, lambda before: before.without(self.run_id) if self.run_id in before.runs else before)


@contextmanager
def beating(store: Store, run_id: str, *, seconds: float = BEAT_SECONDS) -> Iterator[RunBeat]:
    """The run beats in the block, the first time before it begins.

    A beat that can't be stored is left out, whatever the reason: the block has to fail or succeed by itself.
    """
    beat = RunBeat(store, run_id)
    is_over = threading.Event()

    def beat_on() -> None:
        while not (beat.was_ended or is_over.wait(seconds)):
            _attempt(beat.beat)

    _attempt(beat.beat)
    thread = threading.Thread(target=beat_on, name=f"beat of run {run_id}", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        is_over.set()
        thread.join()
        _attempt(beat.remove)


def read_beats(store: Store) -> Mapping[str, str]:
    """By run id, the last beats of the runs in progress. Two beats of a run are equal, or it has beaten in between.

    Raises:
        UsageError, TransientError: the file can't be read.
    """
    try:
        with contextlib.closing(store.reader(PATH)) as file:
            return _Beats.parse(file.read()).runs
    except FileNotFoundError:
        return {}


def try_beating(store: Store) -> None:
    """Change the file as a beat does: where this fails, runs may be alive and fail to beat.

    Raises:
        TicketEventsError: a beat couldn't be stored now; says why.
    """
    _update(store, lambda before: replace(before, trials=before.trials + 1))


def end(store: Store, run_id: str, *, unless_beaten_since: str | None) -> bool:
    """End the run from outside: its process finds that with its next beat.

    Returns:
        Whether it is ended; False if it has beaten since that beat (None: since no beat was there).

    Raises:
        TicketEventsError: the store can't be read or written.
    """
    is_ended = False

    def change(before: _Beats) -> _Beats:
        nonlocal is_ended
        beat = before.runs.get(run_id)
        is_ended = beat is None or beat == unless_beaten_since
        return before.with_end(run_id) if is_ended else before

    _update(store, change)
    return is_ended


def end_all(store: Store, run_ids: Collection[str]) -> None:
    """End runs whose processes are known to be gone.

    Raises:
        TicketEventsError: the store can't be read or written.
    """

    def change(before: _Beats) -> _Beats:
        for run_id in run_ids:
            before = before.with_end(run_id)
        return before

    _update(store, change)


def _update(store: Store, change: Callable[[_Beats], _Beats]) -> None:
    def change_content(content: bytes | None) -> bytes | None:
        before = _Beats.parse(content)
        after = change(before)
        return None if after is before else after.content

    store.update(PATH, change_content)


def _attempt(action: Callable[[], None]) -> None:
    # Any exception: a thread that died of an unforeseen one would let a healthy run be taken for dead.
    with contextlib.suppress(Exception):
        action()
