"""Files of a later step of a run, written by an earlier one.

To read `sla_clocks` back from its files takes as long as the rules of `sla_targets`. So a run that makes all three SLA tables
writes a day's targets and summary right after its clocks, from what is in memory, and the later steps find them written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ticket_events_pipeline.day import Day


class WrittenFile(NamedTuple):
    """A day's file of a table: its footer's metadata, which identify it, and its size."""

    metadata: Mapping[str, str]
    size_bytes: int


class MadeAhead:
    """What one run has written for its later steps. Each file is taken once: a step that runs again makes it again."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, Day], WrittenFile] = {}

    def add(self, asset: str, day: Day, file: WrittenFile) -> None:
        """Keep the file for the step that makes `asset`."""
        self._files[asset, day] = file

    def take(self, asset: str, day: Day) -> WrittenFile | None:
        """The file that was written for this step; None if there is none."""
        return self._files.pop((asset, day), None)
