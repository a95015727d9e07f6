"""What is stored of the days after: the next change of a field says what was there before, and which snapshots came too late.

Only tickets that were created before the days in question can need it: for all others, the Create answers. So of each day only
the changes of tickets stay that weren't created shortly before, and of each field the day's first. Each file is read once for a
range of days.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, union
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.changes import CHANNEL, read_rows, tracked_rows
from ticket_events_pipeline.tickets.rules.change_rows import merged, of_fields, of_tickets, without_tickets
from ticket_events_pipeline.tickets.rules.values import LOOK_AHEAD_SECONDS, KnownAudits

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
        parts = [of_tickets(read[later].rows, tickets) for later in _next(day) if later in read]
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
        for day, found in zip(self._days, prefetch(map(self._rows_on, self._days)), strict=True):
            created.append(_created_in(None if found is None else found[0], fields))
            if found is not None:
                rows, read_up_to = found
                older = merged(tracked_rows(without_tickets(rows, union(*created)), fields))
                read[day] = _LaterDay(_first_of_each_field(older), read_up_to)
        return read

    def _rows_on(self, day: Day) -> tuple[pa.Table, int] | None:
        try:
            return read_rows(self._store, day)
        except DamagedFileError:
            return None


def _created_in(rows: pa.Table | None, fields: Collection[str]) -> Ints:
    """The tickets that were created with one of the fields, ascending."""
    if rows is None:
        return np.empty(0, np.int64)
    created = rows.select(["ticket_id", "field"]).filter(rows["is_create"])
    return union((created if CHANNEL in fields else of_fields(created, fields))["ticket_id"].to_numpy())


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
