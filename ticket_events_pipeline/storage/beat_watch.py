"""For how long the beats of runs have stood still, counted over looks at them: what a sensor remembers between its ticks.

Only time between two looks of one machine is counted, on a clock that stands still while the machine sleeps and that nobody
sets; and never more than a usual pause and one that was left out. So a run is never taken for dead because the looking machine
slept, started late or got another time: a beat has to be missing in several looks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ticket_events_pipeline.process import this_process
from ticket_events_pipeline.storage.run_beats import MOST_RUNS

LOOK_SECONDS = 20.0
"""The usual pause between two looks: two beats."""

DEAD_AFTER_SECONDS = 70.0
"""A run whose beat stood still for so long is dead: several times as long as the slowest store may take to store a beat."""

_MOST_SECONDS = 2 * LOOK_SECONDS


@dataclass(frozen=True)
class Moment:
    """A time on one machine.

    Attributes:
        boot: of the machine; empty if unknown.
        seconds: since some time before; they don't go on while the machine sleeps.
    """

    boot: str
    seconds: float


Timer = Callable[[], Moment]


def moment_here() -> Moment:
    """Now, on this machine."""
    return Moment(this_process().boot, time.monotonic())


@dataclass(frozen=True)
class BeatWatch:
    """What was seen in the looks so far.

    Attributes:
        looked_at: the last look; None before the first one.
        still: by run id, its last beat (None: it has none), and for how many counted seconds it stood still.
    """

    looked_at: Moment | None = None
    still: Mapping[str, tuple[str | None, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> BeatWatch:
        """The inverse of `str`; a new watch if the text is none of ours, which costs only time."""
        try:
            found = json.loads(text or "")
            still = {str(run_id): (beat, float(seconds)) for run_id, (beat, seconds) in found["still"].items()}
            return cls(Moment(str(found["boot"]), float(found["at"])), still)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def __str__(self) -> str:
        if self.looked_at is None:
            return ""
        still = {run_id: [beat, round(seconds, 3)] for run_id, (beat, seconds) in list(self.still.items())[:MOST_RUNS]}
        return json.dumps({"boot": self.looked_at.boot, "at": round(self.looked_at.seconds, 3), "still": still})

    def after(self, beats: Mapping[str, str | None], now: Moment) -> BeatWatch:
        """The watch after a look that found these beats of the watched runs."""
        elapsed = self._elapsed(now)

        def seconds(run_id: str, beat: str | None) -> float:
            last, before = self.still.get(run_id, (None, -1.0))
            return before + elapsed if beat == last and before >= 0 else 0.0

        return BeatWatch(now, {run_id: (beat, seconds(run_id, beat)) for run_id, beat in beats.items()})

    def seconds_still(self, run_id: str) -> float:
        """For how long the run's beat is known to stand still."""
        return self.still.get(run_id, (None, 0.0))[1]

    @property
    def has_still_beats(self) -> bool:
        """Whether any watched run has not beaten between the last two looks."""
        return any(seconds > 0 for _, seconds in self.still.values())

    def _elapsed(self, now: Moment) -> float:
        if self.looked_at is None:
            return 0.0
        if self.looked_at.boot != now.boot:  # another machine looked last, or this one has booted since
            return LOOK_SECONDS
        return min(max(0.0, now.seconds - self.looked_at.seconds), _MOST_SECONDS)
