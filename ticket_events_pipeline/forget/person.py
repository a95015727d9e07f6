"""What belongs to a person: their tickets and e-mail addresses, by the stored audits and what was made from them."""

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
from ticket_events_pipeline.tickets.changes import CHANGES
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.holders import HOLDERS
from ticket_events_pipeline.tickets.snapshots import read_snapshots
from ticket_events_pipeline.tickets.states import STATES

_COLUMNS = ["id", "ticket_id", "updater_id", "child_events", "system", "metadata", "extra"]

_SETS_REQUESTER = rf'"requester_id":|"event_type":"Create"|"{FORGOTTEN}":null'
"""Also what a blanked audit may have set: of a ticket whose Create was blanked, nobody else who acted is the requester."""

_SENDER, _EMAIL = ("source", "from", "address"), ("requester", "email")

_ASSIGNEE, _REQUESTER_FIELD = "assignee_id", "requester_id"

_FIELD_COLUMNS = ["ticket_id", "field", "value", "previous_value"]

SEARCHED_TABLES = {
    CHANGES: [*_FIELD_COLUMNS, "updater_id"],
    STATES: _FIELD_COLUMNS,
    DIMENSIONS: ["assignee_id", "assignee_id_eod"],
    HOLDERS: ["assignee_id"],
}
"""The tables that are made from audits, and the columns that are searched: they may be kept longer than audits."""


@dataclass
class Person:
    """What the stored files say of some users.

    Attributes:
        mentions: audits that mention one of them.
        own_tickets: whose requester is or was one of them.
        acted_in: tickets in which one of them did or wrote something.
        requester_known: tickets whose requester some row says, or said before it was blanked.
        addresses: that the users wrote from, or that an audit sets together with the requester's id.
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
        """Their tickets: by the requester; where nothing stored says who that is, those in which they acted."""
        return self.own_tickets | (self.acted_in - self.requester_known)


class PersonSearch:
    """Searches stored files for users, whose `requesters` are their ids. Adds up what it finds."""

    def __init__(self, requesters: Collection[int]) -> None:
        self._requesters = set(requesters)
        self._texts = {str(one): one for one in requesters}
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

    def search_table(self, store: Store, asset: str, day: Day) -> None:
        """Search a day of one of SEARCHED_TABLES.

        Raises:
            DamagedFileError: the file can't be read.
        """
        if not self._requesters:
            return
        with opened_partition(store, asset, day) as file:
            for batch in () if file is None else file.batches(SEARCHED_TABLES[asset]):
                rows = pa.Table.from_batches([batch])
                if "field" in rows.column_names:
                    self._take_fields(rows)
                else:
                    for name in SEARCHED_TABLES[asset]:
                        self.found.assignees |= self._requesters.intersection(pc.unique(rows[name]).to_pylist())

    def search_snapshots(self, store: Store, path: str) -> None:
        """Search a file of snapshots.

        Raises:
            DamagedFileError: the file can't be read.
        """
        rows = read_snapshots(store, path) if self._requesters else None
        if rows is not None:
            self._take_fields(rows)

    def _take_fields(self, rows: pa.Table) -> None:
        """Take rows with a ticket, a field and its value, maybe the previous one and who changed it."""
        field = rows["field"].cast(pa.string())
        ids = pa.array(list(self._texts), pa.string())
        for name in ("value", "previous_value"):
            if name not in rows.column_names:
                continue
            is_theirs = pc.is_in(rows[name].cast(pa.string()), value_set=ids)
            held = rows[name].filter(pc.and_(is_theirs, pc.equal(field, _ASSIGNEE)))
            self.found.assignees.update(self._texts[text] for text in pc.unique(held).to_pylist())
            self.found.own_tickets |= _tickets(rows, pc.and_(is_theirs, pc.equal(field, _REQUESTER_FIELD)))
        if "updater_id" in rows.column_names:
            self.found.requester_known |= _tickets(rows, pc.is_in(field, value_set=pa.array([_REQUESTER_FIELD, FORGOTTEN])))
            by_person = pc.is_in(rows["updater_id"], value_set=pa.array(sorted(self._requesters), pa.int64()))
            self.found.acted_in |= _tickets(rows, by_person)

    def _take(self, rows: pa.Table) -> None:
        sets_requester = pc.fill_null(pc.match_substring_regex(rows["child_events"], _SETS_REQUESTER), False)
        self.found.requester_known |= _tickets(rows, sets_requester)
        self.found.own_tickets |= self._blanking.tickets_of(rows)
        concerned = rows.filter(pa.array(self._blanking.concerned(rows)))
        self.found.mentions += concerned.num_rows
        for row in concerned.select(["ticket_id", "updater_id", "child_events", "extra"]).to_pylist():
            self._take_row(row)

    def _take_row(self, row: dict[str, Any]) -> None:
        by_person = row["updater_id"] in self._requesters
        extra = _read(row["extra"])
        if by_person and isinstance(extra, dict):
            self._take_address(extra.get("via"), _SENDER)
        for child in _children(row["child_events"]):
            if child.get("author_id") in self._requesters:
                by_person = True
                self._take_address(child.get("via"), _SENDER)  # of other children, it may be the account's own address
            if str(child.get(_REQUESTER_FIELD)) in self._texts:
                self._take_address(child, _EMAIL)
            held = (child[_ASSIGNEE], child.get("previous_value")) if _ASSIGNEE in child else ()
            self.found.assignees.update(self._texts[str(one)] for one in held if str(one) in self._texts)
        if by_person and row["ticket_id"] is not None:
            self.found.acted_in.add(row["ticket_id"])

    def _take_address(self, holder: Any, place: tuple[str, ...]) -> None:
        address = dig(holder, place)
        if isinstance(address, str) and "@" in address:
            self.found.addresses.add(normal_address(address))


def _tickets(rows: pa.Table, where: pa.ChunkedArray) -> set[int]:
    found = rows["ticket_id"].filter(pc.fill_null(where, False)).drop_null().to_numpy()
    return set(np.unique(found).tolist())


def _children(text: str | None) -> Iterator[dict[str, Any]]:
    listed = _read(text)
    return (child for child in (listed if isinstance(listed, list) else ()) if isinstance(child, dict))


def _read(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (RecursionError, ValueError):
        return None
