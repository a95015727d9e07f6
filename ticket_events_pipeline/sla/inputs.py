"""What an SLA day is made from: which raw files speak for it, whether they are whole, and up to when they were read.

Told from the raw files' footers, when a day is made and when the sensor asks whether it is stale: both by the one rule here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, SLA_STREAMS

NOT_LANDED = "none"
"""Stands for the hash of a file that isn't there."""

HISTORY_DAYS = 30
"""Where the day before was never made, this many days of stored events are replayed to know the open clocks."""

MADE_FROM_RAW = tuple(f"made_from_{stream}" for stream in SLA_STREAMS)
"""Footer keys of what a day is made from, in the order of SLA_STREAMS."""

_HISTORY = "history "


@dataclass(frozen=True)
class RawState:
    """What matters of a raw file to those that are made from it.

    Attributes:
        content_hash: of its rows.
        complete: whether the day was read to its end.
        fetched_at: server time of its last page, epoch seconds.
        metric_rows: how many rows have the metric-event shape.
    """

    content_hash: str
    complete: bool
    fetched_at: int
    metric_rows: int

    def read_up_to(self, day: Day) -> int:
        """Up to when the file of `day` was read, epoch seconds."""
        return day.end if self.complete else min(day.end, self.fetched_at)


@dataclass(frozen=True)
class DayInputs:
    """What one SLA day is made from; two equal ones make equal tables.

    Attributes:
        raw_files: of each of SLA_STREAMS, hash of the raw file and `complete` or `open`; NOT_LANDED without one.
        complete: whether every file that speaks for the day is.
        as_of: the end of the day, or while it is open the server time up to which it was read; epoch seconds.
        previous_clocks: hash of `sla_clocks` of the day before. Without one, fingerprint of the raw files whose events were
            replayed instead, see `history_before`; NOT_LANDED without those, too.
    """

    raw_files: tuple[str, ...]
    complete: bool
    as_of: int
    previous_clocks: str

    @property
    def begins_anew(self) -> bool:
        """Whether there was no `sla_clocks` of the day before."""
        return self.previous_clocks == NOT_LANDED or self.previous_clocks.startswith(_HISTORY)

    def has_equal_files(self, other: DayInputs) -> bool:
        """Whether both are of the same raw files, read equally far."""
        return self.raw_files == other.raw_files

    def to_metadata(self) -> dict[str, str]:
        """As footers and materialisations hold it."""
        return {
            **dict(zip(MADE_FROM_RAW, self.raw_files, strict=True)),
            "made_from_previous_clocks": self.previous_clocks,
            "complete": str(self.complete).lower(),
            "as_of": str(self.as_of),
        }


def day_inputs(day: Day, states: Mapping[str, RawState | None], *, previous_clocks: str | None) -> DayInputs | None:
    """The inputs of `day`, or None while it can't be summarised.

    A day is spoken for by METRIC_EVENTS once it has landed, and by a stream that holds audits, too, if it has a metric-shaped
    row: audits alone would make a false zero. `states` are those of the raw files, by stream; None for one that isn't there.
    """
    found = [(stream, state) for stream in SLA_STREAMS if (state := states.get(stream)) is not None]
    speaking = [state for stream, state in found if stream == METRIC_EVENTS or state.metric_rows]
    if not speaking:
        return None
    read_up_to = [state.read_up_to(day) for state in speaking]
    return DayInputs(
        raw_files=tuple(_told(states.get(stream)) for stream in SLA_STREAMS),
        complete=all(state.complete for state in speaking),
        as_of=max(day.start, min(read_up_to)),
        previous_clocks=previous_clocks or NOT_LANDED,
    )


def history_before(day: Day, inputs_of: Callable[[Day], DayInputs | None]) -> str | None:
    """What stands for `sla_clocks` of the day before where it was never made: the raw files of the HISTORY_DAYS before.

    `inputs_of` a day is None while that day can't be summarised. None if that holds of all of them.
    """
    told = []
    for past in (day.plus(-offset) for offset in range(HISTORY_DAYS, 0, -1)):
        inputs = inputs_of(past)
        if inputs is not None:
            told.append(" ".join([str(past), *inputs.raw_files]))
    return _HISTORY + hashlib.sha256("\n".join(told).encode()).hexdigest() if told else None


def _told(state: RawState | None) -> str:
    if state is None:
        return NOT_LANDED
    return f"{state.content_hash} {'complete' if state.complete else 'open'}"
