"""Runs of equal keys in sorted rows, and questions asked of all runs at once.

Here: array operations that know of no event and no rule. A row number of -1 means "no such row" everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Segments:
    """Consecutive runs that together cover `size` rows; `starts` holds the first row of each."""

    starts: Ints
    size: int

    @classmethod
    def of(cls, *keys: npt.NDArray[np.generic]) -> Segments:
        """The runs of rows that are equal in all `keys`, which are sorted alike."""
        size = len(keys[0])
        is_start = np.zeros(size, bool)
        is_start[:1] = True
        for key in keys:
            is_start[1:] |= key[1:] != key[:-1]
        return cls(np.flatnonzero(is_start), size)

    @cached_property
    def lengths(self) -> Ints:
        """Rows per run."""
        return np.diff(self.starts, append=self.size)

    @cached_property
    def lasts(self) -> Ints:
        """The last row of each run."""
        return self.starts + self.lengths - 1

    @cached_property
    def run_of_row(self) -> Ints:
        """The number of the run each row lies in."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def _rows(self) -> Ints:
        return np.arange(self.size)

    @cached_property
    def _start_of_row(self) -> Ints:
        return np.repeat(self.starts, self.lengths)

    def latest(self, mask: Bools) -> Ints:
        """Per row: the last row of its run up to and with it where `mask` holds."""
        latest = np.maximum.accumulate(np.where(mask, self._rows, -1))
        return np.where(latest >= self._start_of_row, latest, -1)

    def previous(self, values: npt.NDArray[np.generic], *, at_start: int) -> npt.NDArray[np.generic]:
        """Per row: the value of the row before it in its run; `at_start` where there is none."""
        shifted = np.empty_like(values)
        shifted[1:] = values[:-1]
        shifted[self.starts] = at_start
        return shifted

    def first(self, mask: Bools) -> Ints:
        """Per run: its first row where `mask` holds."""
        first = np.full(len(self.starts), -1)
        rows = np.flatnonzero(mask)[::-1]
        first[self.run_of_row[rows]] = rows  # of several assignments to one place, the last one stays
        return first

    def last(self, mask: Bools) -> Ints:
        """Per run: its last row where `mask` holds."""
        last = np.full(len(self.starts), -1)
        rows = np.flatnonzero(mask)
        last[self.run_of_row[rows]] = rows
        return last

    def count(self, mask: Bools) -> Ints:
        """Per run: in how many of its rows `mask` holds."""
        return np.bincount(self.run_of_row[mask], minlength=len(self.starts))
