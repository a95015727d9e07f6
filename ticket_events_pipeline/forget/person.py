"""What belongs to a person: their tickets and e-mail addresses, by the stored audits."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.leftovers import dig
from ticket_events_pipeline.forgotten.blanking import Blanking
from ticket_events_pipeline.forgotten.kept import FORGOTTEN
from ticket_events_pipeline.forgotten.ledger import REQUESTER, Ledger
from ticket_events_pipeline.forgotten.mentions import normal_address
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import AUDITS

_COLUMNS = ["id", "ticket_id", "updater_id", "child_events", "system", "metadata", "extra"]

_SETS_REQUESTER = rf'"requester_id":|"event_type":"Create"|"{FORGOTTEN}":null'
"""Also what a blanked audit may have set: of a ticket whose Create was blanked, nobody else who acted is the requester."""

_SENDER = ("source", "from", "address")


@dataclass
class Person:
    """What the audits say of some users.

    Attributes:
        mentions: rows that mention one of them.
        own_tickets: whose requester is or was one of them.
        acted_in: tickets in which one of them did or wrote something.
        requester_known: tickets whose requester some audit says, or said before it was blanked.
        addresses: that the users wrote from.
        assignees: those of the users who held a ticket.
    """

    mentions: int = 0
    own_tickets: set[int] = field(default_factory=set)
    acted_in: set[int] = field(default_factory=set)
    requester_known: set[int] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    assignees: set[int] = field(default_factory=set)

    @property
    def tickets(self) -> set[int]:
        """Their tickets: by the requester; where no stored audit says who that is, those in which they acted."""
        return self.own_tickets | (self.acted_in - self.requester_known)


class PersonSearch:
    """Searches stored audits for users, whose `requesters` are their ids. Adds up what it finds."""

    def __init__(self, requesters: Collection[int]) -> None:
        self._requesters = set(requesters)
        self._blanking = Blanking(Ledger(secrets.token_bytes(16)).with_entries({REQUESTER: requesters}))
        self.found = Person()

    def search(self, store: Store, days: Iterable[Day]) -> None:
        """Search stored days.

        Raises:
            DamagedFileError: a file can't be read.
        """
        for day in days if self._requesters else ():
            with opened_partition(store, AUDITS, day) as file:
                for batch in () if file is None else file.batches(_COLUMNS):
                    self._take(pa.Table.from_batches([batch]))

    def _take(self, rows: pa.Table) -> None:
        sets_requester = pc.fill_null(pc.match_substring_regex(rows["child_events"], _SETS_REQUESTER), False)
        known = rows["ticket_id"].filter(sets_requester).drop_null().to_numpy()
        self.found.requester_known.update(np.unique(known).tolist())
        self.found.own_tickets |= self._blanking.tickets_of(rows)
        concerned = rows.filter(pa.array(self._blanking.concerned(rows)))
        self.found.mentions += concerned.num_rows
        for row in concerned.select(["ticket_id", "updater_id", "child_events", "extra"]).to_pylist():
            self._take_row(row)

    def _take_row(self, row: dict[str, Any]) -> None:
        by_person = row["updater_id"] in self._requesters
        extra = _read(row["extra"])
        if by_person and isinstance(extra, dict):
            self._take_sender(extra.get("via"))
        for child in _children(row["child_events"]):
            if child.get("author_id") in self._requesters:
                by_person = True
                self._take_sender(child.get("via"))  # of other children, it may be the account's own address
            held = (child["assignee_id"], child.get("previous_value")) if "assignee_id" in child else ()
            self.found.assignees |= self._requesters.intersection(one for one in held if isinstance(one, int))
        if by_person and row["ticket_id"] is not None:
            self.found.acted_in.add(row["ticket_id"])

    def _take_sender(self, via: Any) -> None:
        address = dig(via, _SENDER)
        if isinstance(address, str) and "@" in address:
            self.found.addresses.add(normal_address(address))


def _children(text: str | None) -> Iterator[dict[str, Any]]:
    listed = _read(text)
    return (child for child in (listed if isinstance(listed, list) else ()) if isinstance(child, dict))


def _read(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (RecursionError, ValueError):
        return None
