"""The value of a ticket's field at a moment, and how it is known: TICKETS part 2.

The first of these rules that answers, and between whose evidence and the moment all audits are known, decides:

1. The newest change before the moment; a `Create` counts from the beginning. If it is stored and no change of the field lies
   before the moment, the value is empty: a `Create` lists all that was set.
2. The previous value of the oldest change after it, at most 30 days later.
3. A snapshot of the ticket, if no change of the field lies between the two.
4. Else it is unknown.

Where audits between are missing, the first rule that answers gives the value, which counts as assumed. Known to be empty and
unknown are two things: both are NULL, and `known_by` tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import LAST_EPOCH_SECOND, Day
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, union
from ticket_events_pipeline.tickets.fields import ASSUMED, AUDIT, PREVIOUS_VALUE, SNAPSHOT
from ticket_events_pipeline.tickets.rules.history import TIME_BITS, History, SnapshotsOfField
from ticket_events_pipeline.tickets.rules.tags import TAGS, TagLists, tag_lists

if TYPE_CHECKING:
    from ticket_events_pipeline.sla.provenance import AuditsKnown

Codes = npt.NDArray[np.int8]

_Scalar = TypeVar("_Scalar", bound=np.generic)

KNOWN_BY = (AUDIT, PREVIOUS_VALUE, SNAPSHOT, ASSUMED, None)
"""What the codes of `FieldValues.known_by` mean; None: unknown."""

BY_AUDIT, BY_PREVIOUS_VALUE, BY_SNAPSHOT, IS_ASSUMED, IS_UNKNOWN = range(len(KNOWN_BY))

CONSTANT_FIELDS = ("channel",)
"""Never change, so missing audits don't matter. Every ticket has a value: NULL means that it couldn't be read."""

ID_DIGITS = 18
"""No id has more digits."""

LOOK_AHEAD_SECONDS = 30 * 86_400
"""Rule 2 looks no further ahead: what happens later must not change a day for ever."""


@dataclass(frozen=True)
class Moments:
    """Moments in the lives of tickets, in any order.

    Attributes:
        ticket_id: of each moment.
        at: epoch seconds.
        includes_at: whether a change in that very second counts as before it: true for a fulfilment or closing, false for a
            breach or `as_of`.
    """

    ticket_id: Ints
    at: Ints
    includes_at: Bools

    @cached_property
    def ends(self) -> Ints:
        """The changes before these times count, epoch seconds."""
        return self.at + self.includes_at

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: Ints | Bools) -> Moments:
        """Some of them."""
        return Moments(self.ticket_id[rows], self.at[rows], self.includes_at[rows])


class KnownAudits(NamedTuple):
    """A range of time without gaps in the stored audits, epoch seconds: from `since` up to, not including, `through`."""

    since: int
    through: int

    @classmethod
    def of(cls, known: AuditsKnown, timezone: str) -> KnownAudits:
        """The range that a footer tells."""
        if known.since is None or known.through is None:
            return NO_AUDITS
        return cls(Day(known.since, timezone).start, known.through)

    def cover(self, starts: Ints, ends: Ints) -> Bools:
        """Whether each time from a start up to its end lies in the range."""
        covered: Bools = (starts >= self.since) & (ends <= self.through)
        return covered


NO_AUDITS = KnownAudits(LAST_EPOCH_SECOND, 0)


@dataclass(frozen=True)
class FieldValues:
    """The value of one field at each moment.

    Attributes:
        values: as text, or after `ids` as int64; NULL where empty or unknown.
        known_by: a code of KNOWN_BY each.
        is_undecided: where the history doesn't reach back far enough to say more, see `values_at`; they count as unknown.
        is_changed_later: where a change after the moment is stored.
    """

    values: pa.Array
    known_by: Codes
    is_undecided: Bools
    is_changed_later: Bools

    @property
    def is_known(self) -> Bools:
        """Where the value is known and no later reading changes it."""
        known: Bools = self.known_by < IS_ASSUMED
        return known

    @property
    def is_unknown(self) -> Bools:
        """Where nothing is known of the value."""
        unknown: Bools = self.known_by == IS_UNKNOWN
        return unknown

    def ids(self) -> FieldValues:
        """The same with ids as int64. The value is unknown where the text is no whole number: NULL would say none."""
        is_empty = pc.fill_null(pc.equal(self.values, ""), True)
        is_number = pc.and_(pc.ascii_is_decimal(self.values), pc.less_equal(pc.binary_length(self.values), ID_DIGITS))
        numbers = pc.if_else(pc.and_not(is_number, is_empty), self.values, None).cast(pa.int64())
        is_id = pc.or_kleene(is_empty, is_number).to_numpy(zero_copy_only=False)
        return replace(self, values=numbers, known_by=np.where(is_id, self.known_by, IS_UNKNOWN).astype(np.int8))

    def where_unknown(self, other: FieldValues) -> FieldValues:
        """These, or where they are unknown, the other's."""
        return self.chosen(~self.is_unknown, other)

    def chosen(self, mask: Bools, other: FieldValues) -> FieldValues:
        """These where `mask` holds, else the other's."""
        return FieldValues(
            pc.if_else(pa.array(mask), self.values, other.values),
            np.where(mask, self.known_by, other.known_by).astype(np.int8),
            np.where(mask, self.is_undecided, other.is_undecided),
            np.where(mask, self.is_changed_later, other.is_changed_later),
        )

    def take(self, rows: Ints) -> FieldValues:
        """Those at some of the moments; unknown for row -1."""
        is_row = rows >= 0
        no = np.zeros(len(rows), bool)
        return FieldValues(
            _picked(self.values, rows),
            np.where(is_row, _taken(self.known_by, rows), IS_UNKNOWN).astype(np.int8),
            np.where(is_row, _taken(self.is_undecided, rows), no),
            np.where(is_row, _taken(self.is_changed_later, rows), no),
        )

    def placed(self, rows: Ints, size: int) -> FieldValues:
        """The same as those of `size` moments, at these rows of them; unknown at the others."""
        places = np.full(size, -1)
        places[rows] = np.arange(len(rows))
        return self.take(places)


def unknown_values(size: int, kind: pa.DataType | None = None) -> FieldValues:
    """Nothing is known."""
    no = np.zeros(size, bool)
    return FieldValues(pa.nulls(size, kind or pa.string()), np.full(size, IS_UNKNOWN, np.int8), no, no)


def values_at(
    history: pa.Table | History,
    moments: Moments,
    fields: Sequence[str],
    *,
    known: KnownAudits,
    complete_from: int | Ints = 0,
    tracked_since: Mapping[str, int] | None = None,
    snapshots: pa.Table | None = None,
) -> dict[str, FieldValues]:
    """The values of the fields at the moments, by field.

    Args:
        history: changes in the schema of `ticket_states`, sorted by its key, also those after the moments: every change from
            `complete_from` on and, of each field, some of the newest before. Any row with `is_create` says that the ticket's
            Create is stored. Or what `History.of` makes of it, for several calls.
        moments: of any tickets; of those of the history, where that is one.
        fields: names of tracked fields.
        known: the range in which all audits are known.
        complete_from: epoch seconds, one for all moments or one each. Where a moment before it precedes all that the history
            has of a field, and the field was changed before `complete_from`, the value is undecided.
        tracked_since: of some fields, from when on the history has their changes, epoch seconds.
        snapshots: of tickets, in the long format of `tickets.snapshots`; None for none.
    """
    seen = None if snapshots is None or not snapshots.num_rows else snapshots
    whole = history if isinstance(history, History) else History.of(history, union(moments.ticket_id))
    searched, since = _Searched(whole, moments), tracked_since or {}
    found = {}
    for field in fields:
        tracked = KnownAudits(max(known.since, since.get(field, 0)), known.through)
        found[field] = _LookUp(searched, tracked, complete_from, since.get(field, 0)).values(field, seen)
    return found


@dataclass(frozen=True)
class _Answer:
    """What one rule says at each moment: `holds` where the evidence is whole, `answers` where there is any."""

    text: pa.Array
    answers: Bools
    holds: Bools
    code: int


@dataclass(frozen=True)
class _Neighbours:
    """The changes next to each moment; -1 for none.

    Attributes:
        before: the row of the newest change that counts.
        after: the row of the oldest change that doesn't.
        before_at: when, epoch seconds; -1 for none.
        after_at: when, epoch seconds; LAST_EPOCH_SECOND for none.
    """

    before: Ints
    after: Ints
    before_at: Ints
    after_at: Ints


@dataclass(frozen=True)
class _Searched:
    """A history, and the moments that are searched for in it."""

    history: History
    moments: Moments

    @cached_property
    def created(self) -> Ints:
        """When each moment's ticket was created, epoch seconds; -1 where its Create isn't stored."""
        created: Ints = self.history.created[np.searchsorted(self.history.tickets, self.moments.ticket_id)]
        return created

    @cached_property
    def keys(self) -> Ints:
        """See `History.keys_of`."""
        return self.history.keys_of(self.moments.ticket_id, self.moments.ends)

    @cached_property
    def _tickets(self) -> Ints:
        tickets: Ints = self.keys >> TIME_BITS
        return tickets

    def row_at(self, keys: Ints, rows: Ints, places: Ints) -> Ints:
        """The rows at these places, if they are of the moments' tickets; else -1."""
        if not len(keys):
            return np.full(len(places), -1)
        inside = np.clip(places, 0, len(keys) - 1)
        is_found = (inside == places) & (keys[inside] >> TIME_BITS == self._tickets)
        return np.where(is_found, rows[inside], -1)


@dataclass(frozen=True)
class _LookUp:
    """The look-up of one field at some moments; times are epoch seconds."""

    _searched: _Searched
    _known: KnownAudits
    _complete_from: int | Ints
    _tracked_since: int

    @property
    def _history(self) -> History:
        return self._searched.history

    @property
    def _moments(self) -> Moments:
        return self._searched.moments

    def values(self, field: str, snapshots: pa.Table | None) -> FieldValues:
        """The values of one field."""
        near = self._neighbours(field)
        is_undecided = (near.before < 0) & (self._moments.at < self._complete_from) & (near.after_at < self._complete_from)
        lists = tag_lists(self._history.rows, self._history.seconds) if field == TAGS else None
        newest, nothing = self._newest_change(near, lists), self._nothing_set(near, ~is_undecided)
        is_left = ~(newest.holds | nothing.holds | is_undecided)
        answers = [newest, nothing, self._previous_value(near, lists, is_left)]
        if snapshots is not None:
            answers += self._snapshots(snapshots, near, field, is_undecided)
        if field in CONSTANT_FIELDS:
            answers = [_of_constant(answer) for answer in answers if answer is not answers[1]]
        found = _first_that_answers(answers, len(self._moments))
        return replace(found, is_undecided=is_undecided & found.is_unknown, is_changed_later=near.after >= 0)

    def _neighbours(self, field: str) -> _Neighbours:
        keys, rows = self._history.of_field(field)
        places = np.searchsorted(keys, self._searched.keys)
        before, after = (self._searched.row_at(keys, rows, places + step) for step in (-1, 0))
        seconds = self._history.seconds
        return _Neighbours(
            before,
            after,
            before_at=np.where(before >= 0, _taken(seconds, before), -1),
            after_at=np.where(after >= 0, _taken(seconds, after), LAST_EPOCH_SECOND),
        )

    def _newest_change(self, near: _Neighbours, lists: TagLists | None) -> _Answer:
        """Rule 1: the value of the newest change before."""
        text = _picked(self._history.rows["value"], near.before) if lists is None else _picked(lists.text, near.before)
        answers, evidence = near.before >= 0, near.before_at
        if lists is not None:
            answers = answers & _taken(lists.is_known, near.before)
            evidence = np.minimum(evidence, _taken(lists.since, near.before))
        return _Answer(text, answers, answers & self._is_covered_since(evidence), BY_AUDIT)

    def _is_covered_since(self, evidence: Ints) -> Bools:
        """Whether all audits between the evidence and the moment are known. Before a ticket was created, there are none."""
        is_after = evidence >= self._moments.ends
        return is_after | self._known.cover(evidence, self._moments.ends)

    def _nothing_set(self, near: _Neighbours, is_decided: Bools) -> _Answer:
        """Rule 1: empty, since the Create set nothing."""
        answers = (near.before < 0) & (self._searched.created >= self._tracked_since) & is_decided
        text = pa.nulls(len(self._moments), pa.string())
        return _Answer(text, answers, answers & self._is_covered_since(self._searched.created), BY_AUDIT)

    def _previous_value(self, near: _Neighbours, lists: TagLists | None, is_left: Bools) -> _Answer:
        """Rule 2: the value that the next change replaced; only for the moments that are left."""
        rows = self._history.rows
        is_wanted = is_left & (near.after >= 0) & (near.after_at - self._moments.at <= LOOK_AHEAD_SECONDS)
        if not is_wanted.any():
            return _Answer(pa.nulls(len(is_wanted), pa.string()), is_wanted, is_wanted, BY_PREVIOUS_VALUE)
        if lists is None:
            text, is_said = rows["previous_value"], rows["had_previous"].to_numpy()
        else:
            text, is_said = lists.previous(near.after[is_wanted])
        answers = is_wanted & _taken(is_said, near.after)
        holds = answers & self._known.cover(self._moments.ends, near.after_at)
        return _Answer(_picked(text, near.after), answers, holds, BY_PREVIOUS_VALUE)

    def _snapshots(self, snapshots: pa.Table, near: _Neighbours, field: str, is_undecided: Bools) -> list[_Answer]:
        """Rule 3: the first snapshot at or after the moment, and the last one before it."""
        seen = SnapshotsOfField.of(snapshots, field, self._history)
        places = np.searchsorted(seen.keys, self._searched.keys)
        later, earlier = (self._searched.row_at(seen.keys, seen.rows, places + step) for step in (0, -1))
        later_at, earlier_at = _taken(seen.seconds, later), _taken(seen.seconds, earlier)
        updated = _taken(seen.updated, later)
        is_untouched = updated < self._moments.ends
        is_unchanged = (later >= 0) & (near.after_at > later_at) & (is_untouched | ~is_undecided)
        # Every audit of a ticket updates it: there is none between its last update and the snapshot.
        is_covered = self._known.cover(self._moments.ends, np.minimum(later_at, updated) + 1)
        was_unchanged = (earlier >= 0) & (near.before_at < earlier_at) & ~is_undecided
        was_covered = self._known.cover(earlier_at, self._moments.ends)
        return [
            _Answer(_picked(seen.text, later), is_unchanged, is_unchanged & (is_untouched | is_covered), BY_SNAPSHOT),
            _Answer(_picked(seen.text, earlier), was_unchanged, was_unchanged & was_covered, BY_SNAPSHOT),
        ]


def _of_constant(answer: _Answer) -> _Answer:
    """What a rule says of a field that never changes."""
    answers = answer.answers & pc.is_valid(answer.text).to_numpy(zero_copy_only=False)
    return _Answer(answer.text, answers, answers, answer.code)


def _first_that_answers(answers: Sequence[_Answer], size: int) -> FieldValues:
    """At each moment, the first rule that holds; else the first that answers, assumed; else unknown."""
    found = unknown_values(size)
    for kind in ("holds", "answers"):
        for answer in answers:
            mask = found.is_unknown & getattr(answer, kind)
            if mask.any():
                code = answer.code if kind == "holds" else IS_ASSUMED
                said = replace(found, values=answer.text, known_by=np.full(size, code, np.int8))
                found = said.chosen(mask, found)
    return found


def _taken(values: npt.NDArray[_Scalar], rows: Ints) -> npt.NDArray[_Scalar]:
    """The values of the rows; anything for row -1."""
    return values[rows] if len(values) else np.zeros(len(rows), values.dtype)


def _picked(column: pa.ChunkedArray | pa.Array, rows: Ints) -> pa.Array:
    """The values of the rows; NULL for row -1."""
    taken = column.take(pa.array(rows, mask=rows < 0))
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken
