"""What is stored of tickets' groups and agents, for a day of a table: first the day's memory, then whatever else tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among, union
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tickets.changes import CHANNEL, changes_of
from ticket_events_pipeline.tickets.dimensions import MISSING
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS, SCHEDULE_FIELD
from ticket_events_pipeline.tickets.later_changes import LaterChanges
from ticket_events_pipeline.tickets.rules.change_rows import merged, of_fields, of_tickets
from ticket_events_pipeline.tickets.rules.holders import Remembered
from ticket_events_pipeline.tickets.rules.values import NO_AUDITS, KnownAudits
from ticket_events_pipeline.tickets.states import StatesDay

LOOK_BACK_DAYS = 7
"""How far back changes are looked up that the memory doesn't have any more: while no target of a ticket was open, it needed
only the newest. Such a target was re-opened, and its ticket had audits in between. What lies before stays unknown; each of
these days costs the reading of a file."""

SNAPSHOT_DAYS = HISTORY_DAYS
"""How many days before the day snapshots are looked up."""


EARLIER_FIELDS = (*HISTORY_FIELDS, CHANNEL)

ASKED_FIELDS = (*EARLIER_FIELDS, SCHEDULE_FIELD)
"""The channel says that a ticket's Create is stored."""


class StoredSnapshots(Protocol):
    """Snapshots of tickets; see `tickets.snapshots`."""

    def stored(self, tickets: Sequence[int], *, since: Day | None = None) -> pa.Table:
        """The stored ones of some tickets."""


class EarlierChanges:
    """The changes of groups and agents on the days before; those of the days that a range has made already are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[Day, pa.Table] = {}

    def keep(self, day: Day, states: pa.Table) -> None:
        """Keep those of a day, of which `ticket_states` has all."""
        self._kept = {other: rows for other, rows in self._kept.items() if other >= day.plus(-LOOK_BACK_DAYS)}
        is_on_day = states["changed_at"].cast(pa.int64()).to_numpy() >= day.start * 1000
        self._kept[day] = of_fields(states.filter(pa.array(is_on_day)), EARLIER_FIELDS)

    def of(self, tickets: Ints, day: Day) -> pa.Table:
        """Those of ascending tickets on a day, in the schema and order of `ticket_states`."""
        if day not in self._kept:
            return changes_of(self._store, tickets, day, day, EARLIER_FIELDS)
        return of_tickets(self._kept[day], tickets)


@dataclass(frozen=True)
class Evidence:
    """What is stored of tickets, seen from a day.

    Attributes:
        states: of the day.
        earlier: the changes before it.
        later: the changes after it.
        snapshots: None for none.
    """

    day: Day
    states: StatesDay
    earlier: EarlierChanges
    later: LaterChanges
    snapshots: StoredSnapshots | None

    @property
    def is_missing(self) -> bool:
        """Whether the day's audits have not landed. Nothing is known then: what is stored may be outdated."""
        return self.states.provenance.audits == MISSING

    def remembered(self, tickets: Ints) -> Remembered:
        """What the day's memory tells of ascending tickets."""
        zone = self.day.timezone
        if self.is_missing:
            return Remembered(self.states.rows.slice(0, 0), NO_AUDITS, complete_from=0, tracked_since={})
        known = KnownAudits.of(self.states.provenance.known_audits, zone)
        first = Day(self.states.remembered_since, zone).start
        tracked = {name: Day(date, zone).start for name, date in self.states.tracked_since.items()}
        return Remembered(
            of_tickets(of_fields(self.states.rows, ASKED_FIELDS), tickets),
            known._replace(since=max(known.since, first)),
            complete_from=self.day.start,
            tracked_since=tracked,
        )

    def with_earlier_changes(self, remembered: Remembered, tickets: Ints, starts: Ints) -> Remembered:
        """With all changes of ascending tickets since their Create, else since `starts` (epoch seconds)."""
        starts = _since_creation(remembered.history, tickets, starts)
        is_near = starts >= self.day.plus(-LOOK_BACK_DAYS).start
        tickets, starts = tickets[is_near], starts[is_near]
        if not len(tickets):
            return remembered
        first = Day.containing(int(starts.min()), self.day.timezone)
        earlier = [self.earlier.of(tickets, day) for day in days_between(first, self.day.plus(-1))]
        return replace(remembered, history=_each_once(merged(remembered.history, *earlier)), looked_up=tickets)

    def with_newest(self, remembered: Remembered, tickets: Ints, field: str) -> Remembered:
        """With the newest change of a field before the day of those ascending tickets that the memory doesn't name.

        It names all with an audit on the day or a target that was open on it.
        """
        wanted = tickets[~among(tickets, union(remembered.history["ticket_id"].to_numpy()))]
        parts = [remembered.history]
        for day in (self.day.plus(-offset) for offset in range(1, LOOK_BACK_DAYS + 1)):
            if self.is_missing or not len(wanted):
                break
            parts.append(self.earlier.of(wanted, day))
            telling = of_fields(parts[-1], [field, CHANNEL])
            wanted = wanted[~among(wanted, union(telling["ticket_id"].to_numpy()))]
        return replace(remembered, history=merged(*parts)) if len(parts) > 1 else remembered

    def with_all(self, remembered: Remembered, tickets: Ints) -> Remembered:
        """Of some ascending tickets alone, with the changes after the day and the snapshots."""
        if self.is_missing:
            return remembered
        after = self.later.after(self.day, tickets, HISTORY_FIELDS)
        known = self.later.known(self.day, remembered.known, HISTORY_FIELDS)
        stored = None
        if self.snapshots is not None:
            stored = self.snapshots.stored(tickets.tolist(), since=self.day.plus(-SNAPSHOT_DAYS))
        history = merged(of_tickets(remembered.history, tickets), after)
        return replace(remembered, history=history, known=known, snapshots=stored)


def _since_creation(history: pa.Table, tickets: Ints, starts: Ints) -> Ints:
    """Per ticket, when it was created, where that is stored; else its start."""
    created = of_fields(of_tickets(history, tickets), [CHANNEL])
    since = starts.copy()
    places = np.searchsorted(tickets, created["ticket_id"].to_numpy())
    np.minimum.at(since, places, created["changed_at"].cast(pa.int64()).to_numpy() // 1000)
    return since


def _each_once(rows: pa.Table) -> pa.Table:
    """The rows without repetitions, which are adjacent."""
    fields = rows["field"].combine_chunks().indices.to_numpy()
    keys = [rows[name].cast(pa.int64()).to_numpy() for name in ("ticket_id", "changed_at", "audit_id", "position")]
    return rows.take(pa.array(RowRuns.of(fields, *keys).starts))
