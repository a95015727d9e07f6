"""What warnings are made from: the open targets of today, read again only when their files change."""

from __future__ import annotations

from collections.abc import Mapping

from ticket_events_pipeline.alerts.warning_rules import BREACHED_SECONDS
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import METRIC_EVENTS
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.due_targets import DueTargets, read_due_targets

_TABLES = (TARGETS, DIMENSIONS, METRIC_EVENTS)


class LatestTargets:
    """The open targets as they were last read. A tick without a new file costs a listing of a few folders."""

    def __init__(self) -> None:
        self._known: tuple[str, Day, Mapping[str, str]] | None = None
        self._found: DueTargets | None = None

    def read(self, store: Store, today: Day, problems: list[str]) -> DueTargets | None:
        """Those of today or yesterday; None where neither has any.

        What can't be read goes to `problems`, and what was read before is used: it ages, and so becomes stale.
        """
        try:
            known = (store.location, today, _versions(store, today))
            if known != self._known:
                self._found = read_due_targets(store, today, breached_since=today.start - BREACHED_SECONDS)
                self._known = known  # listed before it was read: a file that was replaced since is read again
        except TicketEventsError as error:
            self._known = None
            problems.append(str(error))
        problems += [] if self._found is None else self._found.unreadable
        return self._found


def _versions(store: Store, today: Day) -> dict[str, str]:
    """The versions of the files that are read: of today, else of yesterday."""
    found: dict[str, str] = {}
    for day in (today, today.plus(-1)):
        for table in _TABLES:
            found |= store.versions(partition_path(table, day).rpartition("/")[0])
        if any(path.startswith(f"{TARGETS}/") for path in found):
            break
    return found
