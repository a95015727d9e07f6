"""What a run has computed for its later steps, along with `sla_clocks`: the targets and summaries of the same days.

To read `sla_clocks` back from its files takes as long as the rules of `sla_targets`. So a run that makes all three SLA tables
encodes a day's targets and computes its summary while the clocks are in memory. Nothing of it is stored before the step of its
own table: a run that ends in between has made what its steps say, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import NamedTuple

import pyarrow as pa

from ticket_events_pipeline.day import Day

LIMIT_BYTES = 64 * 1024 * 1024
"""Of what waits for its step: days of some thirty million metric events. Further days are made as without it."""


class PrecomputedTargets(NamedTuple):
    """A day of `sla_targets`.

    Attributes:
        made_from: what the footer of the day's `sla_clocks` says if it is made from them.
        footer: the metadata in its own.
        content: the bytes of its file.
    """

    made_from: Mapping[str, str]
    footer: Mapping[str, str]
    content: bytes


class PrecomputedSummary(NamedTuple):
    """A day of `daily_sla_breach_summary`.

    Attributes:
        made_from: what the footer of the day's `sla_targets` says if it is made from them.
        rows: its rows.
    """

    made_from: Mapping[str, str]
    rows: pa.Table


class PrecomputedDays:
    """Days that wait for the steps of their tables. Each is taken once: a step that runs again makes it again.

    Attributes:
        free_bytes: how much more may wait.
    """

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.free_bytes = limit_bytes
        self._targets: dict[Day, PrecomputedTargets] = {}
        self._summaries: dict[Day, PrecomputedSummary] = {}
        self._lock = Lock()

    def add(self, day: Day, targets: PrecomputedTargets, summary: PrecomputedSummary) -> bool:
        """Keep the day, in place of an earlier one; False if it is larger than what is free, and so isn't kept."""
        self.take_targets(day)
        self.take_summary(day)
        size = len(targets.content) + int(summary.rows.nbytes)
        with self._lock:
            has_room = size <= self.free_bytes
            if has_room:
                self.free_bytes -= size
                self._targets[day], self._summaries[day] = targets, summary
        return has_room

    def take_targets(self, day: Day) -> PrecomputedTargets | None:
        """The day's targets, if they are there."""
        with self._lock:
            found = self._targets.pop(day, None)
            self.free_bytes += 0 if found is None else len(found.content)
        return found

    def take_summary(self, day: Day) -> PrecomputedSummary | None:
        """The day's summary, if it is there."""
        with self._lock:
            found = self._summaries.pop(day, None)
            self.free_bytes += 0 if found is None else int(found.rows.nbytes)
        return found
