"""`sla_target_dimensions`: one file a day, made from the day's targets and what is remembered of their tickets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Protocol

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.provenance import SlaDay, read_sla_day
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, among, union
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tickets.changes import changes_of
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS, SCHEDULE_FIELD, UNTOLD_BY_SNAPSHOTS
from ticket_events_pipeline.tickets.later_changes import LaterChanges
from ticket_events_pipeline.tickets.names import SCHEDULES, fetched_at
from ticket_events_pipeline.tickets.provenance import MADE_FROM_CLOCKS, MadeTicketDay, write_ticket_day
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.rules.change_rows import merged, of_tickets
from ticket_events_pipeline.tickets.rules.due_times import (
    DUE_COLUMNS,
    RunningTargets,
    due_times,
    rows_without_date,
    schedules_of,
    with_due_times,
)
from ticket_events_pipeline.tickets.rules.history import History
from ticket_events_pipeline.tickets.rules.running_time import CLOCK_COLUMNS
from ticket_events_pipeline.tickets.rules.target_dimensions import (
    TARGET_COLUMNS,
    ends_of_day,
    moments_of,
    rows_before,
    stored_values,
    target_dimensions,
    with_moments,
)
from ticket_events_pipeline.tickets.rules.values import (
    FieldValues,
    KnownAudits,
    Moments,
    unknown_values,
    values_at,
)
from ticket_events_pipeline.tickets.states import StatesDay, read_states

DIMENSIONS = "sla_target_dimensions"

MADE_FROM_STATES = "made_from_states"
"""Footer key: the content hash of the day's `ticket_states`."""

SCHEDULES_FETCHED_AT = "schedules_fetched_at"
"""Footer key: when the account's schedules were fetched, by which due times are estimated, epoch seconds; missing if never."""

AUDITS, MISSING = "audits", "missing"
"""Footer key: whether the day's audits were there; and its value where they were not."""

MARKS_CREATE = "channel"
"""The field of which every Create has a change."""

LOOK_BACK_DAYS = 30
"""Where neither the day before nor the day's memory tells, a moment is looked up that is at most so many days old, in the
changes of as many days before it."""


class Snapshots(Protocol):
    """Snapshots of tickets; see `tickets.snapshots`."""

    def stored(self, tickets: Sequence[int], *, since: Day | None = None) -> pa.Table:
        """The stored ones of some tickets."""

    def ask(self, tickets: Sequence[int], fields: Sequence[str]) -> None:
        """Ask for new ones, and store them."""


def make_dimensions(
    store: Store, days: list[Day], *, snapshots: Snapshots, schedules: Mapping[int, Schedule]
) -> Iterator[MadeTicketDay]:
    """Make `sla_target_dimensions` of contiguous, ascending days.

    Values at a moment before a day are those of the day before where that knows them. Only for values that no stored audit
    tells, snapshots are looked up and asked for.

    Args:
        store: where the files are.
        days: the days.
        snapshots: of tickets.
        schedules: of the account, by id, for due times in business hours.

    Raises:
        DayNotFetchedError: a day has no `sla_targets` or no `ticket_states` yet, or no `sla_clocks` where it needs them.
        DamagedFileError: a stored file can't be read.
    """
    for day, table, footer in prefetch(_tables(store, days, snapshots, schedules)):
        yield write_ticket_day(store, DIMENSIONS, day, table, footer, counts={"targets": table.num_rows})


def _tables(
    store: Store, days: list[Day], snapshots: Snapshots, schedules: Mapping[int, Schedule]
) -> Iterator[tuple[Day, pa.Table, dict[str, str]]]:
    later, fetched = LaterChanges(store, days), fetched_at(store, SCHEDULES)
    before = _stored(store, days[0].plus(-1))
    # Only what comes after the memory needs the day before: meanwhile, the next day's memory is searched.
    for remembered in prefetch(starmap(_remembered, prefetch(_inputs(store, days, has_schedules=bool(schedules))))):
        table = _DayOfTargets(store, remembered, before, later, snapshots, schedules).table()
        footer = remembered.footer() | ({} if fetched is None else {SCHEDULES_FETCHED_AT: str(fetched)})
        yield remembered.day, table, footer
        before = None if remembered.is_missing else table


def _inputs(
    store: Store, days: list[Day], *, has_schedules: bool
) -> Iterator[tuple[Day, pa.Table, StatesDay, Ints, SlaDay | None]]:
    """Of each day its targets, states, and which targets want a date; and its clocks, if any does."""
    for day in days:
        targets = read_sla_day(store, TARGETS, day, [*TARGET_COLUMNS, *DUE_COLUMNS]).rows
        rows = rows_without_date(targets) if has_schedules else np.empty(0, np.int64)
        clocks = read_sla_day(store, CLOCKS, day, CLOCK_COLUMNS, table=SLA_CLOCKS_TABLE) if len(rows) else None
        yield day, targets, read_states(store, day), rows, clocks


def _stored(store: Store, day: Day) -> pa.Table | None:
    """The table of a day; None where it isn't stored, can't be read, or knows nothing since the day's audits were missing."""
    try:
        found = read_partition_and_metadata(store, DIMENSIONS, day)
    except DamagedFileError:
        return None
    return None if found is None or _are_audits_missing(found[1]) else found[0]


def _are_audits_missing(footer: Mapping[str, str]) -> bool:
    return footer.get(AUDITS) == MISSING


@dataclass
class _Wanted:
    """Values that are wanted, and what is known of them so far.

    Attributes:
        moments: one for each target.
        values: by field, as text.
    """

    moments: Moments
    values: dict[str, FieldValues]

    def unknown(self, fields: Sequence[str]) -> Bools:
        """At which moments one of the fields is unknown."""
        return _any([self.values[field].is_unknown for field in fields if field in self.values])

    def unknown_to_audits(self, fields: Sequence[str]) -> Bools:
        """The same, but for values that changed since: a snapshot taken now doesn't tell those."""
        found = [self.values[field] for field in fields if field in self.values]
        return _any([values.is_unknown & ~values.is_changed_later for values in found])

    def fill_in(self, rows: Ints, found: Mapping[str, FieldValues]) -> None:
        """Take what was found for some of the moments where nothing is known."""
        for field, values in found.items():
            self.values[field] = self.values[field].where_unknown(values.placed(rows, len(self.moments)))


def _any(masks: Sequence[Bools]) -> Bools:
    found: Bools = np.logical_or.reduce(masks)
    return found


@dataclass(frozen=True)
class _Remembered:
    """A day's targets, and what its memory alone tells of their tickets.

    Attributes:
        targets: with TARGET_COLUMNS, `at` and `at_kind`.
        states: of the day.
        known: the range in which all audits are known.
        tracked_since: see `values_at`.
        at: the values at the moments of the targets.
        ends: those of HISTORY_FIELDS at the end of the day.
        running: the targets that want a due time in business hours; None without any.
        clocks_hash: identifies the clocks that they were read from; None for none.
    """

    day: Day
    targets: pa.Table
    states: StatesDay
    known: KnownAudits
    tracked_since: Mapping[str, int]
    at: _Wanted
    ends: _Wanted
    running: RunningTargets | None
    clocks_hash: str | None

    @property
    def is_missing(self) -> bool:
        """Whether the day's audits were missing. Nothing is known then."""
        return self.states.provenance.audits == MISSING

    def footer(self) -> dict[str, str]:
        """What the table's footer says of how it was made."""
        clocks = {} if self.clocks_hash is None else {MADE_FROM_CLOCKS: self.clocks_hash}
        return {**self.states.provenance.to_metadata(), MADE_FROM_STATES: self.states.content_hash, **clocks}


def _remembered(day: Day, rows: pa.Table, states: StatesDay, undated: Ints, clocks: SlaDay | None) -> _Remembered:
    targets = with_moments(rows)
    at_moments, at_ends = moments_of(targets), ends_of_day(targets)
    known = KnownAudits.of(states.provenance.known_audits, day.timezone)
    tracked_since = {field: Day(date, day.timezone).start for field, date in states.tracked_since.items()}
    history = History.of(states.rows, union(at_moments.ticket_id))
    wanted = []
    for moments, fields in ((at_moments, states.provenance.fields), (at_ends, HISTORY_FIELDS)):
        if states.provenance.audits == MISSING:
            values = {field: unknown_values(len(moments)) for field in fields}
        else:
            values = values_at(history, moments, fields, known=known, complete_from=day.start, tracked_since=tracked_since)
        wanted.append(_Wanted(moments, values))
    at, ends = wanted
    running = None if clocks is None else RunningTargets.of(targets, undated, clocks.rows)
    clocks_hash = None if clocks is None else clocks.content_hash
    return _Remembered(day, targets, states, known, tracked_since, at, ends, running, clocks_hash)


class _DayOfTargets:
    """The making of one day.

    Args:
        remembered: what the day's memory tells.
        before: `sla_target_dimensions` of the day before; None without a usable one.
        schedules: of the account, by id.
    """

    def __init__(
        self,
        store: Store,
        remembered: _Remembered,
        before: pa.Table | None,
        later: LaterChanges,
        snapshots: Snapshots,
        schedules: Mapping[int, Schedule],
    ) -> None:
        self._store, self._remembered, self._day = store, remembered, remembered.day
        self._states, self._targets, self._known = remembered.states, remembered.targets, remembered.known
        self._tracked_since = remembered.tracked_since
        self._before, self._later, self._snapshots, self._schedules = before, later, snapshots, schedules
        self._fields = self._states.provenance.fields
        self._told = [field for field in self._fields if field not in UNTOLD_BY_SNAPSHOTS]

    def table(self) -> pa.Table:
        """The day's rows."""
        at, ends = self._remembered.at, self._remembered.ends
        if not self._remembered.is_missing:
            self._take_over(at)
            self._look_up(at)
            self._look_further([at, ends])
            self._ask([at, ends])
        return target_dimensions(self._with_due_times(), at.values, ends.values, self._fields)

    def _with_due_times(self) -> pa.Table:
        """The targets with `due_by`, and with due times in business hours. The moment of a running target is as_of."""
        running = self._remembered.running
        if running is None:
            return with_due_times(self._targets, np.empty(0, np.int64), np.empty(0, np.int64))
        said = self._remembered.at.values[SCHEDULE_FIELD].take(running.rows).ids()
        due = due_times(running, schedules_of(said, self._schedules), self._schedules)
        return with_due_times(self._targets, running.rows, due)

    def _take_over(self, wanted: _Wanted) -> None:
        """What the day before says of moments before the day: where it knows, and where the memory doesn't reach back."""
        rows = np.flatnonzero(wanted.moments.at < self._day.start)
        if self._before is None or not len(rows):
            return
        found = rows_before(self._targets.take(pa.array(rows)), self._before)
        rows, found = rows[found >= 0], found[found >= 0]
        is_same = np.zeros(len(wanted.moments), bool)
        is_same[rows] = True
        for field, values in stored_values(self._before.take(pa.array(found)), self._fields).items():
            earlier, current = values.placed(rows, len(wanted.moments)), wanted.values[field]
            taken = earlier.chosen(earlier.is_known | (is_same & current.is_undecided), current)
            wanted.values[field] = replace(taken, is_changed_later=current.is_changed_later)

    def _look_up(self, wanted: _Wanted) -> None:
        """Values before the day that neither its memory nor the day before tells, from the changes of the days before."""
        is_recent = wanted.moments.at >= self._day.plus(-LOOK_BACK_DAYS).start
        undecided = {field: values.is_undecided & is_recent for field, values in wanted.values.items()}
        rows = np.flatnonzero(_any(list(undecided.values())))
        if not len(rows):
            return
        moments, fields = wanted.moments.take(rows), [field for field, mask in undecided.items() if mask.any()]
        first = Day.containing(float(moments.at.min()), self._day.timezone).plus(-LOOK_BACK_DAYS)
        earlier = self._changes_before(union(moments.ticket_id), first, {*fields, MARKS_CREATE})
        found = values_at(
            merged(*earlier, self._rows_of(moments, since=self._day.start)),
            moments,
            fields,
            known=self._known,
            complete_from=first.start,
        )
        for field, values in found.items():
            placed = values.placed(rows, len(wanted.moments))
            wanted.values[field] = placed.chosen(undecided[field], wanted.values[field])

    def _changes_before(self, tickets: Ints, first: Day, fields: Collection[str]) -> list[pa.Table]:
        """The changes of ascending tickets before the day: since they were created, where that is remembered, else `first`."""
        created = History.of(of_tickets(self._states.rows, tickets), tickets).created
        is_stored, parts = created >= 0, []
        for some, since in ((tickets[~is_stored], first), (tickets[is_stored], self._day_before(created[is_stored], first))):
            parts.append(changes_of(self._store, some, since, self._day.plus(-1), fields))
        return parts

    def _day_before(self, seconds: Ints, first: Day) -> Day:
        """The day before the first of these times, but not before `first`: a Create may have been stamped a moment too late."""
        if not len(seconds):
            return first
        return max(first, Day.containing(int(seconds.min()), self._day.timezone).plus(-1))

    def _rows_of(self, moments: Moments, *, since: int = 0) -> pa.Table:
        """What is remembered of the moments' tickets, of changes from an epoch second on."""
        rows = of_tickets(self._states.rows, union(moments.ticket_id))
        return rows.filter(pa.array(rows["changed_at"].cast(pa.int64()).to_numpy() >= since * 1000)) if since else rows

    def _look_further(self, every: Sequence[_Wanted], tickets: Ints | None = None) -> None:
        """Unknown values by the changes after the day, and by snapshots; of all tickets or some."""
        for wanted in every:
            is_wanted = wanted.unknown(self._fields)
            if tickets is not None:
                is_wanted &= among(wanted.moments.ticket_id, tickets)
            rows = np.flatnonzero(is_wanted)
            if len(rows):
                wanted.fill_in(rows, self._with_all_evidence(wanted.moments.take(rows), list(wanted.values)))

    def _with_all_evidence(self, moments: Moments, fields: Sequence[str]) -> dict[str, FieldValues]:
        tickets = union(moments.ticket_id)
        return values_at(
            merged(self._rows_of(moments), self._later.after(self._day, tickets, self._fields)),
            moments,
            fields,
            known=self._later.known(self._day, self._known, self._fields),
            complete_from=self._day.start,
            tracked_since=self._tracked_since,
            snapshots=self._stored_snapshots(tickets),
        )

    def _ask(self, every: Sequence[_Wanted]) -> None:
        """Ask for the tickets of which a value is still unknown, and look again at those that came."""
        found = [wanted.moments.ticket_id[wanted.unknown_to_audits(self._told)] for wanted in every]
        tickets = union(*found)
        if len(tickets):
            self._snapshots.ask(tickets.tolist(), self._told)
            self._look_further(every, union(self._stored_snapshots(tickets)["ticket_id"].to_numpy()))

    def _stored_snapshots(self, tickets: Ints) -> pa.Table:
        return self._snapshots.stored(tickets.tolist(), since=self._day.plus(-LOOK_BACK_DAYS))
