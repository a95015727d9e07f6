"""Runs of equal keys in sorted rows, and questions asked of all runs at once; sorting, and looking up in what is sorted.

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
class RowRuns:
    """Consecutive runs that together cover `size` rows; `starts` holds the first row of each."""

    starts: Ints
    size: int

    @classmethod
    def of(cls, *keys: npt.NDArray[np.generic]) -> RowRuns:
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


def order_of(*keys: npt.NDArray[np.generic]) -> Ints:
    """The rows sorted by integer `keys`, of which the first counts most; equal ones stay in their order.

    Quick for rows that are nearly sorted by the last keys already, as events of a day are by time: those are looked at only
    where the first ones are equal, and sort only the runs that aren't in order.
    """
    if not len(keys[0]):
        return np.empty(0, np.int64)
    wide = [key.astype(np.int64, copy=False) for key in keys]
    bits = len(wide[0]).bit_length()
    head, used = _packed(wide, limit=2 ** (63 - bits))
    if not used:
        return np.lexsort(wide[::-1])
    # With the row's own number in its last bits, what is sorted are plain numbers, which is three times as fast as rows.
    order = np.sort(head << bits | np.arange(len(head))) & (2**bits - 1)
    return _in_order_within(order, head[order], wide[used:])


def _packed(keys: list[Ints], *, limit: int) -> tuple[Ints, int]:
    """One key in place of the first ones, of less than `most` values; and how many it stands for."""
    packed, values = np.zeros(len(keys[0]), np.int64), 1
    for used, key in enumerate(keys):
        lowest = int(key.min())
        span = int(key.max()) - lowest + 1
        values *= span
        if values >= limit:
            return packed, used
        packed = packed * span + (key - lowest)
    return packed, len(keys)


def _in_order_within(order: Ints, head: Ints, keys: list[Ints]) -> Ints:
    """`order`, in which equal rows of `head` stand together, with those also sorted by `keys`."""
    is_same, is_wrong = head[1:] == head[:-1], np.zeros(len(head) - 1, bool)
    for key in keys:
        ordered = key[order]
        is_wrong |= is_same & (ordered[:-1] > ordered[1:])
        is_same &= ordered[:-1] == ordered[1:]
    if not is_wrong.any():
        return order
    runs = RowRuns.of(head)
    is_wrong_run = np.zeros(len(runs.starts), bool)
    is_wrong_run[runs.run_of_row[1:][is_wrong]] = True
    places = np.flatnonzero(is_wrong_run[runs.run_of_row])
    rows = order[places]
    order[places] = rows[np.lexsort([*(key[rows] for key in keys[::-1]), head[places]])]
    return order


def among(values: Ints, ascending: Ints) -> Bools:
    """Per value, whether it is one of `ascending`."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    places = np.searchsorted(ascending, values)
    found: Bools = ascending[np.minimum(places, len(ascending) - 1)] == values
    return found


def once(values: Ints) -> Ints:
    """The values without those that follow upon their like: of ascending ones, each once."""
    return values[RowRuns.of(values).starts]


def union(*values: Ints) -> Ints:
    """Each value of any of them once, ascending. numpy's own looks for equal ones by hashes, which takes five times as long."""
    return once(np.sort(np.concatenate(values)))


def between(ascending: Ints, least: int, greatest: int) -> Ints:
    """Those of the values that lie between the two, or are one of them."""
    first, last = np.searchsorted(ascending, least, side="left"), np.searchsorted(ascending, greatest, side="right")
    return ascending[first:last]


def ranges(starts: Ints, ends: Ints) -> Ints:
    """The numbers from each start up to, and without, its end; one range after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
