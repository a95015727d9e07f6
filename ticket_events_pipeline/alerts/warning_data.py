"""What warnings are made from: the open targets of today, read again only when their files change."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ticket_events_pipeline.alerts.warning_rules import BREACHED_SECONDS
from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.due_targets import DueTargets, read_due_targets

READ_SECONDS = 15.0
"""Dagster stops a tick after a minute: a store that hangs must leave time to tell that the data is stale."""

_TABLES = (TARGETS, DIMENSIONS, METRIC_EVENTS)


_Known = tuple[str, Day, Mapping[str, str]]
"""The root, the day, and the versions of the files that were read."""


class LatestTargets:
    """The open targets as they were last read. A tick without a new file costs a listing of a few folders."""

    def __init__(self, *, seconds: float = READ_SECONDS) -> None:
        self._seconds = seconds
        self._known: _Known | None = None
        self._found: DueTargets | None = None

    def read(self, store: Store, today: Day, problems: list[str]) -> DueTargets | None:
        """Those of today or yesterday; None where neither has any.

        What can't be read, or not in time, goes to `problems`, and what was read before is used: it ages, and so becomes stale.
        """
        try:
            self._known, self._found = in_time(partial(self._read, store, today), seconds=self._seconds)
        except TimeoutError:
            problems.append(f"{store.location} did not answer within {self._seconds:g} s.")
        except TicketEventsError as error:
            self._known = None
            problems.append(str(error))
        problems += [] if self._found is None else self._found.unreadable
        return self._found

    def _read(self, store: Store, today: Day) -> tuple[_Known, DueTargets | None]:
        known = (store.location, today, _versions(store, today))  # before they are read: a file replaced since is read again
        if known == self._known:
            return known, self._found
        return known, read_due_targets(store, today, breached_since=today.start - BREACHED_SECONDS)


def _versions(store: Store, today: Day) -> dict[str, str]:
    """The versions of the files that are read: of today, else of yesterday."""
    found: dict[str, str] = {}
    for day in (today, today.plus(-1)):
        for table in _TABLES:
            found |= store.versions(partition_path(table, day).rpartition("/")[0])
        if any(path.startswith(f"{TARGETS}/") for path in found):
            break
    return found
