"""The changes of fields in many audits at once: `ticket_field_changes`.

What a child event sets doesn't depend on its id, and most say what others say too. So the child events of a batch are cut apart
at their ids, each text without its id is read once however often it comes, most of these by a regular expression, and the
audits get their rows by number. An audit that can't be cut like that is read for itself; the rows are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import map_ahead
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, ranges
from ticket_events_pipeline.tables.tickets import TICKET_FIELD_CHANGES_TABLE
from ticket_events_pipeline.tickets.rules.child_event import (
    CREATE,
    NO_FIELDS,
    FieldChange,
    children_of,
    fields_set,
    json_of,
)

AUDIT_COLUMNS = ["id", "ticket_id", "time", "updater_id", "via", "child_events"]
"""The columns that changes are read from."""

SET_COLUMNS = FieldChange._fields
"""Those that a child event fills."""

SET_SCHEMA = pa.schema([TICKET_FIELD_CHANGES_TABLE.schema.field(name) for name in SET_COLUMNS])

_OPENS, _CUTS, _CLOSES = '[{"id":', '},{"id":', "}]"
"""How the list of child events begins, where it is cut, and how it ends."""

_TEXT = r'[^"\\\x00-\x1f]*'
_INTEGER = r"-?[1-9][0-9]{0,17}|0"
_SCALAR = rf'"{_TEXT}"|{_INTEGER}|true|false|null'
_SETS_ONE = (
    rf'^"via":"{_TEXT}","via_reference_id":(?:{_INTEGER}|null),'
    rf'"(?P<field>{_TEXT})":(?P<value>{_SCALAR}),"event_type":"(?P<kind>Create|Change)"'
    rf'(?:,"previous_value":(?P<previous>{_SCALAR}))?$'
)
"""A child event that sets one field to a plain value: nine in ten of those that set something. RE2 is twice as fast up to four
groups."""

_MAY_SET = r"Create|Change|ScheduleAssignment|\\"
_VALUE = rf"(?:{_SCALAR}|\[(?:(?:{_SCALAR})(?:,(?:{_SCALAR}))*)?\]|\{{\}})"
_PLAIN = rf'^"{_TEXT}":{_VALUE}(?:,"{_TEXT}":{_VALUE})*$'
"""JSON of names with plain values or lists of such."""

_TEXTS_KEPT = 4096
"""Audits of all days say what the latest ones say."""


@dataclass(frozen=True)
class FieldChanges:
    """What the audits of a day changed.

    Attributes:
        rows: as in `ticket_field_changes`, sorted by its key.
        unreadable: how many audits have child events that can't be read.
    """

    rows: pa.Table
    unreadable: int


def field_changes(audits: Iterable[pa.RecordBatch]) -> FieldChanges:
    """Every change of a field in the audits.

    Args:
        audits: rows of raw `ticket_events` with `AUDIT_COLUMNS`, unique by id; rows that are no audits have no child events.
    """
    found = list(map_ahead(_changes_in, audits))
    schema = TICKET_FIELD_CHANGES_TABLE.schema
    rows = pa.concat_tables([schema.empty_table(), *(changes.rows for changes in found)])
    return FieldChanges(_in_order(rows), sum(changes.unreadable for changes in found))


def _in_order(changes: pa.Table) -> pa.Table:
    """Sorted by the key; `position` and `field` ascend within each audit already, and the audits by time and id most often."""
    ticket, time, audit = (changes[name].cast(pa.int64()).to_numpy() for name in ("ticket_id", "changed_at", "audit_id"))
    later = (time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (audit[1:] >= audit[:-1]))
    order = np.argsort(ticket, kind="stable") if later.all() else np.lexsort([audit, time, ticket])
    return changes.take(pa.array(order)).combine_chunks()


@dataclass(frozen=True)
class _Children:
    """Child events of some audits.

    Attributes:
        audits: the row of each one's audit, ascending.
        positions: its place in the audit.
        texts: the number of what it says.
    """

    audits: Ints
    positions: Ints
    texts: Ints

    def where(self, mask: Bools) -> _Children:
        """Some of them."""
        return _Children(self.audits[mask], self.positions[mask], self.texts[mask])


@dataclass(frozen=True)
class _Texts:
    """What different child events set.

    Attributes:
        rows: in SET_SCHEMA.
        starts, counts: of each text, where its rows begin and how many it has.
        is_valid: whether it is the inside of a JSON object.
    """

    rows: pa.Table
    starts: Ints
    counts: Ints
    is_valid: Bools


def _changes_in(audits: pa.RecordBatch) -> FieldChanges:
    if audits["child_events"].null_count or audits["ticket_id"].null_count:
        audits = audits.filter(pc.and_(pc.is_valid(audits["child_events"]), pc.is_valid(audits["ticket_id"])))
    children, texts, is_cut = _cut(audits["child_events"])
    read = _read(texts)
    is_cut[children.audits[~read.is_valid[children.texts]]] = False
    rows = _rows(audits, children.where(is_cut[children.audits]), read)
    if is_cut.all():
        return FieldChanges(rows, 0)
    others, unreadable = _one_by_one(audits.filter(pa.array(~is_cut)))
    return FieldChanges(pa.concat_tables([rows, others]), unreadable)


def _cut(audits: pa.StringArray) -> tuple[_Children, pa.StringArray, Bools]:
    """The child events of the audits, what they say without their ids, and which audits could be cut."""
    is_cut = pc.and_(pc.starts_with(audits, _OPENS), pc.ends_with(audits, _CLOSES)).to_numpy(zero_copy_only=False).copy()
    parts = pc.split_pattern(audits.filter(pa.array(is_cut)), _CUTS)
    counts = parts.value_lengths().to_numpy()
    lasts = np.cumsum(counts, dtype=np.int64) - 1
    firsts = lasts - counts + 1
    rows = np.repeat(np.flatnonzero(is_cut), counts)
    said, has_id = _without_ids(parts.flatten(), firsts, lasts)
    is_cut[rows[~has_id]] = False
    texts = said.dictionary_encode()
    children = _Children(rows, np.arange(len(rows)) - np.repeat(firsts, counts), texts.indices.to_numpy().astype(np.int64))
    return children, texts.dictionary, is_cut


def _without_ids(parts: pa.StringArray, firsts: Ints, lasts: Ints) -> tuple[pa.StringArray, Bools]:
    """What stands behind the first comma of each part, and whether a number stands before it.

    The `firsts` and `lasts` parts of the audits still have what opens and closes the list.
    """
    offsets = np.frombuffer(parts.buffers()[1], np.int32)[parts.offset : parts.offset + len(parts) + 1]
    ids, ends = offsets[:-1].copy(), offsets[1:].copy()
    ids[firsts] += len(_OPENS)
    ends[lasts] -= len(_CLOSES)
    commas = np.maximum(offsets[:-1] + pc.find_substring(parts, ",").to_numpy(), ids).astype(np.int32)
    has_id = pc.ascii_is_decimal(_between(parts, ids, commas)).to_numpy(zero_copy_only=False)
    starts = np.minimum(commas + 1, ends)
    return _between(parts, starts, ends), has_id


def _between(parts: pa.StringArray, starts: npt.NDArray[np.int32], ends: npt.NDArray[np.int32]) -> pa.StringArray:
    """A piece of each part, by its place in their text."""
    offsets = np.append(np.stack([starts, ends], axis=1), ends[-1:])  # every second piece lies between two that are wanted
    pieces = pa.StringArray.from_buffers(2 * len(parts), pa.py_buffer(offsets), parts.buffers()[2])
    return pieces.take(pa.array(np.arange(len(parts)) * 2))


def _read(texts: pa.StringArray) -> _Texts:
    """What the different texts set."""
    found = pc.extract_regex(texts, _SETS_ONE)
    is_other = pc.is_in(pc.struct_field(found, "field"), pa.array(list(NO_FIELDS)))
    sets_one = pc.and_(pc.is_valid(found), pc.invert(is_other)).to_numpy(zero_copy_only=False)
    plain = _plain_rows(found.filter(pa.array(sets_one)))
    counts, is_valid = sets_one.astype(np.int64), np.ones(len(texts), bool)
    starts = np.cumsum(counts) - counts
    changes: list[FieldChange] = []
    others = np.flatnonzero(~sets_one)
    others = others[_may_matter(texts.take(pa.array(others)))]
    for number, text in zip(others.tolist(), texts.take(pa.array(others)).to_pylist(), strict=True):
        fields = _fields_set(text)
        is_valid[number] = fields is not None
        starts[number], counts[number] = plain.num_rows + len(changes), len(fields or ())
        changes.extend(fields or ())
    return _Texts(pa.concat_tables([plain, _table(changes)]), starts, counts, is_valid)


@lru_cache(_TEXTS_KEPT)
def _fields_set(text: str) -> list[FieldChange] | None:
    """By the inside of an object's JSON; None if it isn't one."""
    child = json_of(f"{{{text}}}")
    return None if child is None else fields_set(child)


def _may_matter(texts: pa.StringArray) -> Bools:
    """Which texts may set something, or may be no JSON."""
    may_set, is_plain = (pc.match_substring_regex(texts, pattern) for pattern in (_MAY_SET, _PLAIN))
    found: Bools = pc.or_(may_set, pc.invert(is_plain)).to_numpy(zero_copy_only=False)
    return found


def _plain_rows(found: pa.StructArray) -> pa.Table:
    """The rows of matches of _SETS_ONE."""
    field, value, kind, previous = found.flatten()
    size = len(found)
    columns = {
        "field": field,
        "value": _plain_values(value),
        "had_previous": pc.not_equal(previous, ""),
        "previous_value": _plain_values(previous),
        "is_create": pc.equal(kind, CREATE),
    }
    arrays = [columns.get(item.name, pa.nulls(size, item.type)) for item in SET_SCHEMA]
    return pa.table(arrays, schema=SET_SCHEMA)


def _plain_values(values: pa.StringArray) -> pa.StringArray:
    """From JSON; NULL for null and for a group that didn't match."""
    is_null = pc.is_in(values, pa.array(["null", ""]))
    return pc.if_else(is_null, None, pc.ascii_trim(values, '"'))


def _table(changes: Sequence[FieldChange]) -> pa.Table:
    columns = zip(*changes, strict=True) if changes else ([] for _ in SET_SCHEMA)
    return pa.table([pa.array(column, item.type) for column, item in zip(columns, SET_SCHEMA, strict=True)], schema=SET_SCHEMA)


def _rows(audits: pa.RecordBatch, children: _Children, read: _Texts) -> pa.Table:
    starts, counts = read.starts[children.texts], read.counts[children.texts]
    of_text = read.rows.take(pa.array(ranges(starts, starts + counts)))
    return _of_audits(audits, np.repeat(children.audits, counts), np.repeat(children.positions, counts), of_text)


def _one_by_one(audits: pa.RecordBatch) -> tuple[pa.Table, int]:
    """The changes of audits that are read one by one, and how many can't be read."""
    rows: list[int] = []
    positions: list[int] = []
    changes: list[FieldChange] = []
    unreadable = 0
    for row, text in enumerate(audits["child_events"].to_pylist()):
        children = children_of(text)
        unreadable += children is None
        for position, child in enumerate(children or ()):
            fields = fields_set(child)
            rows.extend([row] * len(fields))
            positions.extend([position] * len(fields))
            changes.extend(fields)
    return _of_audits(audits, np.array(rows, np.int64), np.array(positions, np.int64), _table(changes)), unreadable


def _of_audits(audits: pa.RecordBatch, rows: Ints, positions: Ints, changes: pa.Table) -> pa.Table:
    """Changes with what their audits say; `rows` are the rows of those."""
    of_audit = audits.select(AUDIT_COLUMNS[:-1]).take(pa.array(rows))
    columns = {
        **{name: changes[name] for name in SET_COLUMNS},
        **{name: of_audit[name] for name in ("ticket_id", "updater_id", "via")},
        "audit_id": of_audit["id"],
        "changed_at": of_audit["time"],
        "position": pa.array(positions),
    }
    schema = TICKET_FIELD_CHANGES_TABLE.schema
    return pa.table([columns[item.name].cast(item.type) for item in schema], schema=schema)
