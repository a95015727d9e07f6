"""The clock of an object store, seen from a machine whose own clocks are wrong."""

from __future__ import annotations

import datetime as dt
import math

from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.storage.store_clock import StoreClock

T = 1_800_000_000.25


class Machine:
    """A machine whose clocks are `skew` seconds ahead of the truth and run `drift` faster, and a store that is right."""

    def __init__(self, *, skew: float = 0.0, drift: float = 0.0) -> None:
        self.now = T
        self._skew, self._drift, self.set_by, self.store_set_by = skew, drift, 0.0, 0.0
        self.clock = StoreClock(monotonic=self._monotonic, wall=lambda: self._monotonic() + self.set_by)

    def _monotonic(self) -> float:
        return T + self._skew + (self.now - T) * (1 + self._drift)

    def last_modified(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(math.floor(self.now + self.store_set_by), dt.UTC)

    def put(self, there: float = 0.05, back: float = 0.05) -> None:
        """A put that takes these seconds to the store and back."""
        sent_at = self._monotonic()
        self.now += there
        last_modified = self.last_modified()
        self.now += back
        self.clock.note_put(last_modified, sent_at=sent_at, answered_at=self._monotonic())

    def width(self) -> float:
        now = self.clock.now()
        assert now is not None
        assert now.earliest <= self.now + self.store_set_by <= now.latest
        return now.latest - now.earliest


seconds = st.floats(0.001, 3)


@given(
    st.floats(-300, 300),
    st.floats(-1e-4, 1e-4),
    st.lists(st.tuples(st.floats(0, 5000), seconds, seconds), min_size=1, max_size=20),
)
def test_the_bounds_hold_the_stores_time(skew: float, drift: float, puts: list[tuple[float, float, float]]) -> None:
    """However far ahead the machine's clock is: one put shows a second and its duration, and later ones no less."""
    machine = Machine(skew=skew, drift=drift)
    for pause, there, back in puts:
        machine.now += pause
        machine.put(there, back)
        assert machine.width() <= 1.21 + there + back


def test_several_puts_show_more_than_one() -> None:
    """They fall on different parts of a second."""
    machine = Machine(skew=-30)
    machine.put()
    assert 1 < machine.width() < 1.31
    for _ in range(20):
        machine.now += 0.33
        machine.put()
    assert machine.width() < 0.5


def test_a_file_of_another_process_shows_that_it_is_not_earlier() -> None:
    """It was put before it was read. Alone, it says too little: it may be old."""
    machine = Machine()
    machine.clock.note_seen(machine.last_modified())
    assert machine.clock.now() is None
    machine.put()
    before = machine.width()
    machine.now = math.ceil(machine.now) + 0.01
    machine.clock.note_seen(machine.last_modified())
    assert machine.width() < before - 0.1


def test_a_machine_that_may_have_been_suspended_looks_again() -> None:
    """Its monotonic clock stood still, its wall clock did not. A small correction of the wall clock changes nothing."""
    machine = Machine()
    machine.put()
    machine.set_by = 0.5
    machine.width()
    machine.set_by += 30
    assert machine.clock.now() is None
    machine.put()
    machine.width()


def test_a_clock_of_the_store_that_was_set_is_believed() -> None:
    """By the next put; if another process's put shows it first, both are possible until then."""
    machine = Machine()
    machine.put()
    for set_by in (-30.0, 600.0):
        machine.store_set_by = set_by
        machine.put()
        assert machine.width() < 1.5
    machine.store_set_by = 900.0
    machine.clock.note_seen(machine.last_modified())
    assert 299 < machine.width() + 1 < 303
    machine.put()
    assert machine.width() < 1.5
