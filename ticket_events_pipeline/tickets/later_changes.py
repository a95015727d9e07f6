"""What is stored of the days after: the next change of a field says what was there before, and which snapshots came too late.

Only tickets that were created before the days in question can need it: for all others, the Create answers. So of each day only
the changes of tickets stay that weren't created shortly before, and of each field the day's first. Each file is read once for a
range of days.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among, union
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.changes import DayChanges, read_changes
from ticket_events_pipeline.tickets.rules.values import LOOK_AHEAD_SECONDS, KnownAudits, merged

LOOK_AHEAD_DAYS = LOOK_AHEAD_SECONDS // 86_400


class LaterChanges:
    """The first change of each field on every day after one of a range of days; read when it is needed for the first time."""

    def __init__(self, store: Store, days: Sequence[Day]) -> None:
        """Those of the days after the first of `days` and up to LOOK_AHEAD_DAYS after the last."""
        self._store = store
        self._days = [days[0].plus(offset) for offset in range(1, len(days) + LOOK_AHEAD_DAYS)]

    def after(self, day: Day, tickets: Ints, fields: Sequence[str]) -> pa.Table:
        """Changes of the fields after the day, of some ascending tickets; in the schema and order of `ticket_states`."""
        read = self._read(tuple(fields))
        parts = [_of(read[later].rows, tickets) for later in _next(day) if later in read]
        return merged(TICKET_STATES_TABLE.schema.empty_table(), *parts)

    def known(self, day: Day, known: KnownAudits, fields: Sequence[str]) -> KnownAudits:
        """The range of known audits at the end of the day, and as far beyond as it goes without a gap."""
        read = self._read(tuple(fields))
        through = known.through
        for later in _next(day):
            if through < later.start or later not in read:
                break
            through = read[later].read_up_to
        return known._replace(through=through)

    @lru_cache(maxsize=1)  # noqa: B019  # lives as long as a run
    def _read(self, fields: tuple[str, ...]) -> Mapping[Day, _LaterDay]:
        """The days that have landed; one whose file can't be read counts as missing."""
        read: dict[Day, _LaterDay] = {}
        created: deque[Ints] = deque(maxlen=LOOK_AHEAD_DAYS)
        for day in self._days:
            found = self._changes_on(day)
            rows = TICKET_STATES_TABLE.schema.empty_table() if found is None else found.tracked(fields)
            created.append(union(rows["ticket_id"].filter(rows["is_create"]).to_numpy()))
            if found is not None:
                read[day] = _LaterDay(_first_of_each_field(_without(rows, union(*created))), found.read_up_to)
        return read

    def _changes_on(self, day: Day) -> DayChanges | None:
        try:
            return read_changes(self._store, day)
        except DamagedFileError:
            return None


@dataclass(frozen=True)
class _LaterDay:
    """Changes of a day, and up to when its audits were read, epoch seconds."""

    rows: pa.Table
    read_up_to: int


def _next(day: Day) -> list[Day]:
    return days_between(day.plus(1), day.plus(LOOK_AHEAD_DAYS))


def _first_of_each_field(rows: pa.Table) -> pa.Table:
    rows = rows.combine_chunks()
    if not rows.num_rows:
        return rows
    runs = RowRuns.of(rows["ticket_id"].to_numpy(), rows["field"].combine_chunks().indices.to_numpy())
    return rows.take(pa.array(runs.starts))


def _of(rows: pa.Table, tickets: Ints) -> pa.Table:
    return rows.filter(pa.array(among(rows["ticket_id"].to_numpy(), tickets)))


def _without(rows: pa.Table, tickets: Ints) -> pa.Table:
    return rows.filter(pa.array(~among(rows["ticket_id"].to_numpy(), tickets)))
