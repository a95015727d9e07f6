"""The names that a report shows: the stored ones, and which of them are of things that Zendesk no longer lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tickets.fields import NAMES_OF
from ticket_events_pipeline.tickets.names import Names, fetched_at, read_kind, read_names

SHOWN_KINDS = tuple(NAMES_OF.values())


@dataclass(frozen=True)
class ShownNames:
    """The newest name of everything whose id a report shows.

    Attributes:
        names: by kind and id.
        deleted: by kind, the ids that Zendesk no longer lists.
        fetched_at: when the names of groups were fetched last, else those of agents: epoch seconds; None without any.
    """

    names: Names
    deleted: Mapping[str, frozenset[int]]
    fetched_at: int | None

    def of(self, kind: str, number: int, /) -> str | None:
        """The newest name; None where none is known."""
        return self.names.of(kind, number)

    def is_deleted(self, kind: str, number: int, /) -> bool:
        """Whether Zendesk no longer lists it."""
        return number in self.deleted.get(kind, ())


def read_shown_names(store: Store) -> ShownNames:
    """The stored names; what was never fetched or can't be read has none, and ids are shown for it."""
    times = (fetched_at(store, kind) for kind in SHOWN_KINDS)
    return ShownNames(
        names=read_names(store, kinds=SHOWN_KINDS),
        deleted={kind: _deleted(store, kind) for kind in SHOWN_KINDS},
        fetched_at=next((time for time in times if time is not None), None),
    )


def _deleted(store: Store, kind: str) -> frozenset[int]:
    """The ids of which no row is of something that is there."""
    try:
        rows = read_kind(store, kind)
    except TicketEventsError:
        return frozenset()
    if rows is None:
        return frozenset()
    listed = rows.filter(pc.invert(rows["is_deleted"]))["id"].to_pylist()
    return frozenset(rows["id"].to_pylist()) - frozenset(listed)
