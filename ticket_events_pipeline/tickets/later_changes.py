"""What is stored of the days after: the first change of a field tells by its previous value what was there before (rule 2).

Only tickets that were created before the days in question can need it: for all others, the Create answers. So from the last day
back, whatever comes after a Create is dropped, and of each field the first change stays. Each file is read once for a range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among, union
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.changes import read_changes
from ticket_events_pipeline.tickets.rules.values import LOOK_AHEAD_SECONDS, KnownAudits, merged

LOOK_AHEAD_DAYS = LOOK_AHEAD_SECONDS // 86_400


class LaterChanges:
    """The first change of each field after a day, for the days of a range. Nothing is read before it is asked for."""

    def __init__(self, store: Store, days: Sequence[Day]) -> None:
        """Those of the days after the first of `days` and up to LOOK_AHEAD_DAYS after the last."""
        self._store = store
        self._days = [days[0].plus(offset) for offset in range(1, len(days) + LOOK_AHEAD_DAYS)]

    def after(self, day: Day, tickets: Ints, fields: Sequence[str]) -> pa.Table:
        """Changes of the fields after the day, of some ascending tickets; in the schema and order of `ticket_states`."""
        rows, _ = self._read(tuple(fields))
        is_later = rows["changed_at"].cast(pa.int64()).to_numpy() >= day.end * 1000
        return rows.filter(pa.array(is_later & among(rows["ticket_id"].to_numpy(), tickets)))

    def known(self, day: Day, known: KnownAudits, fields: Sequence[str]) -> KnownAudits:
        """The range of known audits at the end of the day, and as far beyond as it goes without a gap."""
        _, read_up_to = self._read(tuple(fields))
        through = known.through
        while through >= day.end and day.plus(1) in read_up_to:
            day = day.plus(1)
            through = read_up_to[day]
        return known._replace(through=through)

    @lru_cache(maxsize=1)  # noqa: B019  # lives as long as a run
    def _read(self, fields: tuple[str, ...]) -> tuple[pa.Table, Mapping[Day, int]]:
        """The changes, and up to when each day was read that has landed; a day whose file can't be read counts as missing."""
        read_up_to: dict[Day, int] = {}
        rows = TICKET_STATES_TABLE.schema.empty_table()
        for day in reversed(self._days):
            with suppress(DamagedFileError):
                found = read_changes(self._store, day)
                if found is not None:
                    read_up_to[day] = found.read_up_to
                    rows = _followed_by(found.tracked(fields), rows)
        return rows, read_up_to


def _followed_by(rows: pa.Table, later: pa.Table) -> pa.Table:
    """The first change of each field, of a day and the days after it, but for tickets that the day or a later one creates."""
    created = union(rows["ticket_id"].filter(rows["is_create"]).to_numpy())
    found = merged(*(_without(part, created) for part in (rows, later)))
    if not found.num_rows:
        return found
    runs = RowRuns.of(found["ticket_id"].to_numpy(), found["field"].combine_chunks().indices.to_numpy())
    return found.take(pa.array(runs.starts))


def _without(rows: pa.Table, tickets: Ints) -> pa.Table:
    return rows.filter(pa.array(~among(rows["ticket_id"].to_numpy(), tickets))) if len(tickets) else rows
