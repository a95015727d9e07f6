"""The blanking of rows that hold what was forgotten: of pages as they are fetched, of stored days, and of ticket tables.

A row is blanked if it belongs to a forgotten ticket, or mentions a forgotten user's id, address or ticket anywhere. It keeps
what `kept` lists. Blanking a blanked row changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.decoding.decode import EventBatch
from ticket_events_pipeline.decoding.json_values import as_int64, compact_json
from ticket_events_pipeline.forgotten.kept import FORGOTTEN, KEPT_COLUMNS, TAGS, KeptValues
from ticket_events_pipeline.forgotten.ledger import REQUESTER, TICKET, Ledger, add_to_ledger, read_ledger
from ticket_events_pipeline.forgotten.mentions import Bools, Mentions
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_EVENT_COLUMNS, metric_shaped
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD

Log = Callable[[str], None]

MARK = compact_json({FORGOTTEN: True})
"""The column `extra` of a row that was blanked, unless a metric event keeps more there."""

_IDS, _PLAIN_TEXTS = ("updater_id", "via_reference_id"), ("via", "event_type")
_JSON = ("child_events", "system", "metadata", "extra")

_VALUES, _TAG_LISTS = ("value", "previous_value"), ("tags_added", "tags_removed")

_REQUESTER_FIELD = "requester_id"

_METRIC_COLUMNS = frozenset(column.name for column in METRIC_EVENT_COLUMNS)


class Blanking:
    """Blanks rows by a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._mentions = Mentions(ledger)
        self._kept = KeptValues(ledger)

    def raw(self, rows: pa.Table) -> pa.Table:
        """Rows of a raw table, those concerned blanked; the same object if nothing changes."""
        is_concerned = self.concerned(rows)
        return self._blanked(rows, is_concerned) if is_concerned.any() else rows

    def concerned(self, rows: pa.Table) -> Bools:
        """Which rows of a raw table belong to a forgotten ticket, or mention what was forgotten."""
        found = self._mentions.of_values(TICKET, _whole(rows["ticket_id"]))
        for name in rows.column_names:
            column = rows[name]
            if name in _IDS:
                found |= self._mentions.of_values(REQUESTER, _whole(column))
            elif name in _PLAIN_TEXTS:
                found |= self._of_few_values(_whole(column))
            elif name in _JSON:
                found |= self._mentions.of_column(_whole(column))
            elif name == "merged_ticket_ids":
                found |= self._merged(_whole(column))
        if {"via", "via_reference_id"} <= set(rows.column_names):
            found |= self._mentions.of_links(_whole(rows["via"]), _whole(rows["via_reference_id"]))
        return found

    def tickets_of(self, rows: pa.Table) -> set[int]:
        """The tickets whose requester is or was a forgotten user, by those of the raw rows that set the requester."""
        if "child_events" not in rows.column_names or not self.ledger.has(REQUESTER):
            return set()
        column = _whole(rows["child_events"])
        may_set = pc.fill_null(pc.match_substring(column, f'"{_REQUESTER_FIELD}":'), False)
        candidates = rows.filter(may_set)
        candidates = candidates.filter(pa.array(self._mentions.of_column(_whole(candidates["child_events"]))))
        tickets = zip(candidates["ticket_id"].to_pylist(), candidates["child_events"].to_pylist(), strict=True)
        return {ticket for ticket, text in tickets if ticket is not None and self._sets_forgotten_requester(text)}

    def is_rejected_forgotten(self, row: Any) -> bool:
        """Whether a row that belongs to no day is of a forgotten ticket, or mentions what was forgotten."""
        ticket = as_int64(row.get("ticket_id")) if isinstance(row, dict) else None
        if ticket is not None and self.ledger.holds(TICKET, ticket):
            return True
        return self._mentions.is_in(compact_json(row))

    def mentions(self, text: str) -> bool:
        """Whether a text mentions anything forgotten."""
        return self._mentions.is_in(text)

    def mentions_person(self, text: str) -> bool:
        """Whether a text mentions a forgotten user's id or address."""
        content = text.encode(errors="surrogatepass")
        return bool(self._mentions.ids_in(content) or self._mentions.addresses_in(content))

    def changes(self, rows: pa.Table) -> pa.Table:
        """Rows of `ticket_field_changes`: as `fields`, and without who made them. The same object if nothing changes.

        An audit is blanked whole, so all changes of an audit with one that is concerned are.
        """
        is_concerned = self._concerned_fields(rows) | self._mentions.of_values(REQUESTER, _whole(rows["updater_id"]))
        audits = pc.unique(rows["audit_id"].filter(pa.array(is_concerned)))
        is_concerned = pc.is_in(rows["audit_id"], value_set=audits).to_numpy().copy()
        is_mark = pc.and_(pc.equal(rows["field"].cast(pa.string()), FORGOTTEN), pc.is_null(rows["value"]))
        is_concerned &= ~is_mark.to_numpy()  # from blanked audits: its previous value is that of a field that was kept
        nobody = {"updater_id": [None] * int(is_concerned.sum())}
        return _replaced(rows, is_concerned, {**self._field_columns(rows, is_concerned), **nobody})

    def fields(self, rows: pa.Table) -> pa.Table:
        """Rows with a ticket, a field and its value, maybe the previous one: those concerned keep what is kept.

        The same object if nothing changes.
        """
        is_concerned = self._concerned_fields(rows)
        return _replaced(rows, is_concerned, self._field_columns(rows, is_concerned))

    def _concerned_fields(self, rows: pa.Table) -> Bools:
        found = self._mentions.of_values(TICKET, _whole(rows["ticket_id"]))
        for name in _VALUES:
            if name in rows.column_names:
                found |= self._of_few_values(_whole(rows[name]))
        for name in _TAG_LISTS:
            if name in rows.column_names:
                found |= self._of_lists(_whole(rows[name]))
        return found

    def _field_columns(self, rows: pa.Table, where: Bools) -> dict[str, list[Any]]:
        concerned = rows.filter(pa.array(where))
        names = concerned["field"].to_pylist()
        texts = {name: concerned[name].to_pylist() for name in _VALUES if name in rows.column_names}
        lists = {name: concerned[name].to_pylist() for name in _TAG_LISTS if name in rows.column_names}
        return {
            **{name: _kept_texts(self._kept, names, found) for name, found in texts.items()},
            **{name: [None if tags is None else self._kept.tags(tags) for tags in found] for name, found in lists.items()},
        }

    def dimensions(self, rows: pa.Table) -> pa.Table:
        """Rows of `sla_target_dimensions`: tags and custom fields of forgotten tickets keep what is kept.

        The same object if nothing changes.
        """
        is_concerned = self._mentions.of_values(TICKET, _whole(rows["ticket_id"]))
        is_concerned |= self._of_lists(_whole(rows[TAGS]))
        customs = [name for name in rows.column_names if name.startswith(CUSTOM_FIELD)]
        for name in customs:
            is_concerned |= self._of_few_values(_whole(rows[name]))
        concerned = rows.filter(pa.array(is_concerned))
        columns = {name: [self._kept.field_text(name, one) for one in concerned[name].to_pylist()] for name in customs}
        columns[TAGS] = [None if tags is None else self._kept.tags(tags) for tags in concerned[TAGS].to_pylist()]
        return _replaced(rows, is_concerned, columns)

    def names(self, rows: pa.Table) -> pa.Table:
        """Rows with a user's id, without those of forgotten users."""
        return rows.filter(pa.array(~self._mentions.of_values(REQUESTER, _whole(rows["id"]))))

    def _of_few_values(self, column: pa.Array) -> Bools:
        different = pc.unique(column).drop_null()
        found = [text for text in different.to_pylist() if self._mentions.is_in(text)]
        if not found:
            return np.zeros(len(column), bool)
        is_found: Bools = pc.fill_null(pc.is_in(column, value_set=pa.array(found, column.type)), False).to_numpy(
            zero_copy_only=False
        )
        return is_found

    def _of_lists(self, column: pa.Array) -> Bools:
        found = np.zeros(len(column), bool)
        found[pc.list_parent_indices(column).to_numpy()[self._of_few_values(column.flatten())]] = True
        return found

    def _merged(self, column: pa.Array) -> Bools:
        """Which lists of merged tickets name a forgotten one."""
        found = np.zeros(len(column), bool)
        if self.ledger.has(TICKET):
            lists = pc.fill_null(pc.not_equal(column, "[]"), False).to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(lists):
                numbers = json.loads(self._kept.ticket_numbers(column[int(row)].as_py()) or "[]")
                found[row] = any(self.ledger.holds(TICKET, number) for number in numbers)
        return found

    def _sets_forgotten_requester(self, text: str) -> bool:
        try:
            children = json.loads(text)
        except (RecursionError, ValueError):
            return False
        listed = children if isinstance(children, list) else []
        return any(
            isinstance(child, dict)
            and _REQUESTER_FIELD in child
            and any(
                isinstance(value, int | str) and self.ledger.holds(REQUESTER, value)
                for value in (child[_REQUESTER_FIELD], child.get("previous_value"))
            )
            for child in listed
        )

    def _blanked(self, rows: pa.Table, is_concerned: Bools) -> pa.Table:
        is_metric = metric_shaped(rows).to_numpy()[is_concerned]
        concerned = rows.filter(pa.array(is_concerned))
        columns: dict[str, list[Any]] = {}
        for name in rows.column_names:
            if name in KEPT_COLUMNS:
                continue
            values = concerned[name].to_pylist()
            rule = self._rules.get(name)
            if name == "extra":
                columns[name] = [
                    self._kept.metric_extra(one) if metric else self._kept.audit_extra(one)
                    for one, metric in zip(values, is_metric, strict=True)
                ]
            elif name in _METRIC_COLUMNS:
                columns[name] = [one if metric else None for one, metric in zip(values, is_metric, strict=True)]
            else:
                columns[name] = [None if rule is None or one is None else rule(one) for one in values]
        return _replaced(rows, is_concerned, columns)

    @property
    def _rules(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "via": self._kept.phrase,
            "event_type": self._kept.phrase,
            "merged_ticket_ids": self._kept.ticket_numbers,
            "child_events": self._kept.child_events,
        }


class FetchBlanking:
    """Blanks the pages of a fetch. A ticket that turns out to be a forgotten user's is entered in the ledger at once.

    Days that are stored are not blanked again: `log` gets a line that says so, once.
    """

    def __init__(self, store: Store, ledger: Ledger, log: Log) -> None:
        self._store = store
        self._log = log
        self._blanking = Blanking(ledger)
        self._has_learned = False

    def page(self, batch: EventBatch) -> EventBatch:
        """The rows of a page, those concerned blanked, and its rejected rows without those concerned."""
        self._learn(batch.table)
        kept = [one for one in batch.rejected if not self._blanking.is_rejected_forgotten(one.row)]
        return EventBatch(self._blanking.raw(batch.table), kept)

    def _learn(self, rows: pa.Table) -> None:
        new = {one for one in self._blanking.tickets_of(rows) if not self._blanking.ledger.holds(TICKET, one)}
        if new:
            self._blanking = Blanking(add_to_ledger(self._store, {TICKET: new}, log=self._log))
            if not self._has_learned:
                self._has_learned = True
                self._log(
                    "The fetch shows tickets of a forgotten user that were not known before. It blanks them; days that are "
                    "stored already may hold more of them: run the same `ticket-events forget --requester …` again."
                )


@dataclass(frozen=True)
class Changed:
    """What the blanking of a file changed.

    Attributes:
        rows: how many.
        values: the single ones in them.
        subjects_of: tickets whose subject one of the rows had set.
    """

    rows: int = 0
    values: int = 0
    subjects_of: frozenset[int] = frozenset()

    def __add__(self, other: Changed) -> Changed:
        return Changed(self.rows + other.rows, self.values + other.values, self.subjects_of | other.subjects_of)


def changed(before: pa.Table, after: pa.Table) -> Changed:
    """How two tables of equal length differ."""
    differs = [_differing(before[name], after[name]) for name in before.column_names if before[name] is not after[name]]
    if not differs:
        return Changed()
    where = np.any(differs, axis=0)
    return Changed(int(where.sum()), int(np.sum(differs)), _subjects_of(before.filter(pa.array(where))))


def _subjects_of(rows: pa.Table) -> frozenset[int]:
    """The tickets whose subject one of the rows sets, of audits or of changed fields."""
    if "child_events" in rows.column_names:
        sets_subject = pc.match_substring(rows["child_events"], '"subject":')
    elif "field" in rows.column_names:
        sets_subject = pc.equal(rows["field"].cast(pa.string()), "subject")
    else:
        return frozenset()
    return frozenset(rows["ticket_id"].filter(pc.fill_null(sets_subject, False)).drop_null().to_pylist())


def blanking_of(store: Store) -> Blanking | None:
    """What blanks rows of a root; None where nothing was ever forgotten.

    Raises:
        DamagedFileError: the ledger can't be read.
    """
    ledger = read_ledger(store)
    return None if ledger is None else Blanking(ledger)


def fetch_blanking(store: Store, log: Log) -> FetchBlanking | None:
    """The same for the pages of a fetch that begins; to be called while it holds its days.

    Raises:
        DamagedFileError: the ledger can't be read.
    """
    ledger = read_ledger(store)
    return None if ledger is None else FetchBlanking(store, ledger, log)


def is_blanked(extra: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Which rows were blanked, by their column `extra`."""
    return pc.fill_null(pc.match_substring(extra, f'"{FORGOTTEN}":true'), False)


def _kept_texts(kept: KeptValues, names: list[str | None], texts: list[str | None]) -> list[str | None]:
    return [text if name is None else kept.field_text(name, text) for name, text in zip(names, texts, strict=True)]


def _replaced(rows: pa.Table, where: Bools, columns: dict[str, list[Any]]) -> pa.Table:
    """The rows with new values in some columns where the mask says so; the same object if none differs."""
    if not where.any():
        return rows
    mask, changed = pa.array(where), rows
    for name, values in columns.items():
        place, kind = rows.schema.get_field_index(name), rows.schema.field(name)
        plain = kind.type.value_type if pa.types.is_dictionary(kind.type) else kind.type
        before = _whole(rows[name].cast(plain))
        if pa.array(values, plain).equals(before.filter(mask)):
            continue
        # Lists can't be replaced by a mask.
        positions = np.where(where, len(rows) + np.cumsum(where) - 1, np.arange(len(rows)))
        after = pa.concat_arrays([before, pa.array(values, plain)]).take(pa.array(positions))
        changed = changed.set_column(place, kind, after.cast(kind.type))
    return changed


def _differing(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Bools:
    if before.equals(after):
        return np.zeros(len(before), bool)
    return np.array([one != other for one, other in zip(before.to_pylist(), after.to_pylist(), strict=True)], bool)


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
