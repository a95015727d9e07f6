"""Drawn lives of targets, second by second, and a simulated day of fetches, ticks and outages that warnings are told in.

Plain and slow: what was true at a moment is looked up in the life of each target, and nothing is remembered but a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from ticket_events_pipeline_tests.support.warning_desk import (
    ACCEPTED,
    DAY,
    DOWN,
    HOUR,
    MINUTE,
    Desk,
    due,
    found,
    late,
)

START = DAY.start + 6 * HOUR
TICK = 60
END = START + 7 * HOUR

AT_REST_SECONDS = HOUR
"""At the end, everything works for so long."""


@dataclass(frozen=True)
class Life:
    """A target: it begins to run, is paused and goes on, and may be met; if it isn't, it breaches when its time is up.

    Attributes:
        begins: epoch seconds.
        target: seconds that it may run.
        pauses: beginnings and ends, ascending, without overlap.
        met: epoch seconds; None for never.
    """

    ticket: int
    begins: int
    target: int
    pauses: tuple[tuple[int, int], ...]
    met: int | None

    def due_at(self, now: int) -> int | None:
        """The due time as it is foreseen then; None unless it runs and is in time."""
        if now < self.begins or self.is_over(now) or any(start <= now < end for start, end in self.pauses):
            return None
        at = self.begins + self.target + sum(end - start for start, end in self.pauses if end <= now)
        return at if now < at else None

    @property
    def breached_at(self) -> int | None:
        """None if it was met in time."""
        at = self.begins + self.target
        for start, end in self.pauses:
            at += end - start if start < at else 0
        return at if self.met is None or at < self.met else None

    def is_over(self, now: int) -> bool:
        """Whether it was met."""
        return self.met is not None and self.met <= now

    def row(self, now: int):
        """Its row in the tables then; None without one."""
        at, breached = self.due_at(now), self.breached_at
        if breached is not None and breached <= now:
            return None if self.is_over(now) else late(self.ticket, breached)
        return None if at is None else due(self.ticket, at)


@dataclass(frozen=True)
class Told:
    """A target in a delivered message, at a tick whose data was `as_of`."""

    at_tick: int
    as_of: int
    to: str
    ticket: int
    at: int
    is_breached: bool


@dataclass
class World:
    """A simulated stretch of time.

    Attributes:
        lives: of all targets.
        daemon_down: when neither a tick nor a fetch happens.
        down: by destination, when it accepts nothing.
        interval: of the fetches, seconds.
    """

    lives: list[Life]
    daemon_down: list[tuple[int, int]]
    down: dict[str, list[tuple[int, int]]]
    interval: int
    told: list[Told] = field(default_factory=list)
    shown: list[tuple[int, int]] = field(default_factory=list)

    def run(self) -> World:
        """Simulate; `told` is everything that was delivered, `shown` each tick with the as_of of its data."""
        desk = Desk({}, interval_seconds=self.interval)
        as_of, tables = None, None
        for now in range(START, END, TICK):
            if _within(self.daemon_down, now):
                continue
            if (now - START) % self.interval == 0:
                rows = [row for life in self.lives if (row := life.row(now)) is not None]
                as_of, tables = now, found(*rows, as_of=now)
            if as_of is None:
                continue
            desk.answers = {to: DOWN if _within(down, now) else ACCEPTED for to, down in self.down.items()}
            for to, news in desk.tick(now, tables).items():
                for target in (*news.due, *news.breached):
                    self.told.append(Told(now, as_of, to, target.ticket_id, target.at, target.is_breached))
            self.shown.append((now, as_of))
        return self

    def works(self, to: str, since: int, until: int) -> bool:
        """Whether neither the daemon nor the destination was down at any time in between."""
        return not any(start < until and end > since for start, end in (*self.daemon_down, *self.down[to]))


def _within(stretches: list[tuple[int, int]], now: int) -> bool:
    return any(start <= now < end for start, end in stretches)


@st.composite
def lives(draw, ticket: int) -> Life:
    """A life that mostly plays while the world is watched."""
    begins = draw(st.integers(START - 2 * HOUR, END - 3 * HOUR))
    target = draw(st.integers(30 * MINUTE, 4 * HOUR))
    edges = sorted(draw(st.lists(st.integers(begins + 1, begins + target + HOUR), max_size=4, unique=True)))
    pauses = tuple(zip(edges[::2], edges[1::2], strict=False))
    met = draw(st.none() | st.integers(begins + 1, begins + target + 2 * HOUR))
    return Life(ticket, begins, target, pauses, met)


@st.composite
def outages(draw) -> list[tuple[int, int]]:
    """Up to two stretches, over before the end."""
    found = []
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(START, END - AT_REST_SECONDS - 1))
        found.append((start, min(END - AT_REST_SECONDS, start + draw(st.integers(1, 2 * HOUR)))))
    return found


@st.composite
def worlds(draw) -> World:
    """A world with two destinations."""
    drawn = [draw(lives(number)) for number in range(1, draw(st.integers(2, 6)))]
    down = {to: draw(outages()) for to in ("a", "b")}
    return World(drawn, draw(outages()), down, draw(st.sampled_from([5, 10, 15])) * MINUTE)
