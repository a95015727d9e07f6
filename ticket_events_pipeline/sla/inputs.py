"""What an SLA day is made from: which raw files count, whether they are complete, and up to when they were read.

One rule, computed from the raw files' footers, serves both making a day and asking whether it is stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.streams import METRIC_EVENTS, SLA_STREAMS

NOT_LANDED = "none"
"""In place of the hash of a file that doesn't exist."""

HISTORY_DAYS = 30
"""Where the day before was never made, this many days of stored events are replayed to find the open clocks."""

MADE_FROM_RAW = tuple(f"made_from_{stream}" for stream in SLA_STREAMS)
"""Footer keys of the raw files that a day is made from, in the order of SLA_STREAMS."""

_HISTORY = "history "


@dataclass(frozen=True)
class RawState:
    """What the SLA tables need to know of a raw file.

    Attributes:
        content_hash: of its rows.
        complete: whether the day was read past its end.
        fetched_at: server time of its last page, or how far the stream was read if not to its end; epoch seconds.
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
    """What one SLA day is made from; equal inputs make equal tables.

    Attributes:
        raw_files: of each of SLA_STREAMS, hash of the raw file and `complete` or `open`; NOT_LANDED without one.
        complete: whether every file that counts for the day is.
        as_of: the end of the day, or while it is open the server time up to which it was read; epoch seconds.
        previous_clocks: hash of `sla_clocks` of the day before. Without one, the fingerprint of the raw files whose events were
            replayed instead, see `history_before`; NOT_LANDED without those.
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
        """Whether both have the same raw files, read equally far."""
        return self.raw_files == other.raw_files

    def to_metadata(self) -> dict[str, str]:
        """As stored in footers and materialisations."""
        return {
            **dict(zip(MADE_FROM_RAW, self.raw_files, strict=True)),
            "made_from_previous_clocks": self.previous_clocks,
            "complete": str(self.complete).lower(),
            "as_of": str(self.as_of),
        }


def day_inputs(day: Day, states: Mapping[str, RawState | None], *, previous_clocks: str | None) -> DayInputs | None:
    """The inputs of `day`, or None while it can't be summarised.

    METRIC_EVENTS counts once it has landed; a stream that also has audits counts if it has a metric-shaped row: audits alone
    would make a false zero. `states` are those of the raw files, by stream; None for a missing one.
    """
    found = [(stream, state) for stream in SLA_STREAMS if (state := states.get(stream)) is not None]
    counting = [state for stream, state in found if stream == METRIC_EVENTS or state.metric_rows]
    if not counting:
        return None
    read_up_to = [state.read_up_to(day) for state in counting]
    return DayInputs(
        raw_files=tuple(state_text(states.get(stream)) for stream in SLA_STREAMS),
        complete=all(state.complete for state in counting),
        as_of=max(day.start, min(read_up_to)),
        previous_clocks=previous_clocks or NOT_LANDED,
    )


def history_before(day: Day, inputs_of: Callable[[Day], DayInputs | None]) -> str | None:
    """Fingerprint of the raw files of the HISTORY_DAYS before, used where `sla_clocks` of the day before was never made.

    `inputs_of` returns None for a day that can't be summarised; if it does for all days, so does this.
    """
    found = {past: inputs_of(past) for past in (day.plus(-offset) for offset in range(HISTORY_DAYS, 0, -1))}
    return history_of({past: " ".join(inputs.raw_files) for past, inputs in found.items() if inputs is not None})


def history_of(files: Mapping[Day, str]) -> str | None:
    """Fingerprint of the files of some days, in order, from what identifies those of a day; None for no days."""
    lines = [f"{day} {text}" for day, text in files.items()]
    return _HISTORY + hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else None


def state_text(state: RawState | None) -> str:
    """The state as it stands in the footers of what is made from the file."""
    if state is None:
        return NOT_LANDED
    return f"{state.content_hash} {'complete' if state.complete else 'open'}"
