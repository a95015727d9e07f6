"""Array operations on sorted rows: runs of equal keys, computed for all runs at once; sorting and lookup.

A row number of -1 means "no such row" everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RowRuns:
    """Runs of equal keys that together cover `size` rows; `starts` has the first row of each run."""

    starts: Ints
    size: int

    @classmethod
    def of(cls, *keys: npt.NDArray[np.generic]) -> RowRuns:
        """The runs of rows that are equal in all `keys`; rows with equal keys are adjacent."""
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
        """The run number of each row."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @cached_property
    def _is_start(self) -> Bools:
        is_start = np.zeros(self.size, bool)
        is_start[self.starts] = True
        return is_start

    def latest(self, mask: Bools) -> Ints:
        """Per row: the last row of its run, up to and including it, where `mask` holds."""
        places = np.flatnonzero(mask | self._is_start)  # only there does it change
        return np.repeat(np.where(mask[places], places, -1), np.diff(places, append=self.size))

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
        first[self.run_of_row[rows]] = rows  # of several assignments to one index, the last one wins
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
    """A stable order of the rows by integer `keys`, the first of which is the primary key.

    Fast for rows that are nearly sorted by the last keys, as events of a day are by time: the last keys are compared only where
    the first ones are equal, and only runs that aren't in order are sorted by them.
    """
    if not len(keys[0]):
        return np.empty(0, np.int64)
    wide = [key.astype(np.int64, copy=False) for key in keys]
    bits = len(wide[0]).bit_length()
    head, used = _packed(wide, limit=2 ** (63 - bits))
    if not used:
        return np.lexsort(wide[::-1])
    # With the row number in its last bits, plain integers are sorted, three times as fast as sorting indices.
    head <<= bits
    head |= np.arange(len(head))
    head.sort()
    order = head & (2**bits - 1)
    head >>= bits
    return _in_order_within(order, head, wide[used:])


def _packed(keys: list[Ints], *, limit: int) -> tuple[Ints, int]:
    """The first keys packed into one key of less than `limit` values, and how many keys that are."""
    packed, values = np.zeros(len(keys[0]), np.int64), 1
    for used, key in enumerate(keys):
        lowest = int(key.min())
        span = int(key.max()) - lowest + 1
        values *= span
        if values >= limit:
            return packed, used
        if span > 1:
            packed *= span
            packed += key - lowest
    return packed, len(keys)


def _in_order_within(order: Ints, head: Ints, keys: list[Ints]) -> Ints:
    """`order`, with equal rows of `head`, which are adjacent in it, also sorted by `keys`."""
    equal, wrong = np.flatnonzero(head[1:] == head[:-1]), []  # rows that are equal to the one after them, in the keys so far
    for key in keys:
        here, after = key[order[equal]], key[order[equal + 1]]
        wrong.append(equal[here > after])
        equal = equal[here == after]
    if not any(len(rows) for rows in wrong):
        return order
    runs = RowRuns.of(head)
    is_wrong_run = np.zeros(len(runs.starts), bool)
    is_wrong_run[runs.run_of_row[np.concatenate(wrong)]] = True
    places = np.flatnonzero(is_wrong_run[runs.run_of_row])
    rows = order[places]
    order[places] = rows[np.lexsort([*(key[rows] for key in keys[::-1]), head[places]])]
    return order


def among(values: Ints, ascending: Ints) -> Bools:
    """Per value, whether it is in `ascending`."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    places = np.searchsorted(ascending, values)
    found: Bools = ascending[np.minimum(places, len(ascending) - 1)] == values
    return found


def places_of(wanted: Ints, *, within: Ints) -> Ints:
    """At which places one of the wanted values is; fast for few of them, whose last bits most other values don't have."""
    has_last_bits = np.zeros(2**16, bool)
    has_last_bits[wanted & 0xFFFF] = True
    places = np.flatnonzero(has_last_bits[within & 0xFFFF])
    is_wanted: Bools = pc.is_in(pa.array(within[places]), pa.array(wanted)).to_numpy(zero_copy_only=False)
    return places[is_wanted]


def once(values: Ints) -> Ints:
    """The values without adjacent duplicates: each of ascending values once."""
    return values[RowRuns.of(values).starts]


def union(*values: Ints) -> Ints:
    """Each value of any array once, ascending. `np.unique` uses hashes, which takes five times as long."""
    return once(np.sort(np.concatenate(values)))


def between(ascending: Ints, least: int, greatest: int) -> Ints:
    """The values between the two, inclusive."""
    first, last = np.searchsorted(ascending, least, side="left"), np.searchsorted(ascending, greatest, side="right")
    return ascending[first:last]


def ranges(starts: Ints, ends: Ints) -> Ints:
    """The numbers from each start up to, but not including, its end; one range after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())
