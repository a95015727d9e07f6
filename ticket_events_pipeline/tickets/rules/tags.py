"""Tags at a moment: a change of tags has the list that it sets, or only what it adds and removes, or both.

A list is JSON text with the tags sorted by code point, as in `ticket_field_changes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints
from ticket_events_pipeline.tables.tickets import STRINGS
from ticket_events_pipeline.text import valid_unicode
from ticket_events_pipeline.tickets.rules.change_rows import has_field

TAGS = "tags"

NO_TAGS = "[]"


@dataclass(frozen=True)
class TagLists:
    """What each row of a history says of its ticket's tags; rows of other fields say nothing.

    Attributes:
        rows: in the schema of `ticket_states`.
        text: the list from the row on; NULL where it isn't known.
        is_known: whether it is; a NULL list is empty there.
        since: when the oldest row happened that the list was made from, epoch seconds.
    """

    rows: pa.Table
    text: pa.Array
    is_known: Bools
    since: Ints

    def previous(self, wanted: Ints) -> tuple[pa.Array, Bools]:
        """Per row of the history: the list before it, and whether it is told; only of the `wanted` rows."""
        text: list[str | None] = [None] * self.rows.num_rows
        is_said = np.zeros(self.rows.num_rows, bool)
        for row in set(wanted.tolist()):
            text[row], is_said[row] = _list_before(self._change(row))
        return pa.array(text, pa.string()), is_said

    def _change(self, row: int) -> _Change:
        return _Change(*(self.rows[name][row].as_py() for name in _COLUMNS))


@dataclass(frozen=True)
class _Change:
    value: str | None
    had_previous: bool
    previous_value: str | None
    added: list[str] | None
    removed: list[str] | None

    @property
    def says_what_changed(self) -> bool:
        return self.added is not None or self.removed is not None


_COLUMNS = ("value", "had_previous", "previous_value", "tags_added", "tags_removed")


def _list_before(change: _Change) -> tuple[str | None, bool]:
    """The list before a change, and whether the change tells it."""
    if change.had_previous:
        return change.previous_value, True
    after = _parsed(change.value)
    if after is None or not change.says_what_changed:
        return None, False
    return _text({*after, *(change.removed or ())} - set(change.added or ())), True


def tag_lists(rows: pa.Table, seconds: Ints) -> TagLists:
    """The tags from each row of a history on.

    Args:
        rows: in the schema of `ticket_states`, sorted by its key. No change is missing between a list and those after it.
        seconds: when each happened, epoch seconds.
    """
    is_tags = has_field(rows["field"], [TAGS])
    says_changes = pc.or_(pc.is_valid(rows["tags_added"]), pc.is_valid(rows["tags_removed"])).to_numpy()
    only_changes = is_tags & says_changes & pc.is_null(rows["value"]).to_numpy()
    lists = TagLists(rows, rows["value"].combine_chunks(), is_tags, seconds)
    return _with_applied(lists, only_changes) if only_changes.any() else lists


def _with_applied(lists: TagLists, only_changes: Bools) -> TagLists:
    """The lists with each of the `only_changes` applied to the list before it. Hardly any change comes without its list."""
    rows, tickets = lists.rows, lists.rows["ticket_id"].to_numpy()
    text, is_known, since = lists.text.to_pylist(), lists.is_known.copy(), lists.since.copy()
    is_create = rows["is_create"].to_numpy()
    created = {int(tickets[row]): int(since[row]) for row in np.flatnonzero(is_create)}
    of_tags = np.flatnonzero(lists.is_known)
    in_order = of_tags[np.lexsort([~is_create[of_tags], tickets[of_tags]])].tolist()  # a Create counts from the beginning
    for before, row in zip([-1, *in_order], in_order, strict=False):
        if not only_changes[row]:
            continue
        change = lists._change(row)
        if change.had_previous:
            base: str | None = change.previous_value
        elif before >= 0 and tickets[before] == tickets[row]:
            base, is_known[row], since[row] = text[before], is_known[before], min(since[before], since[row])
        else:  # the ticket's first known change of tags
            base, is_known[row] = None, int(tickets[row]) in created
            since[row] = min(created.get(int(tickets[row]), since[row]), since[row])
        tags = _parsed(base) or []
        text[row] = _text({*tags, *(change.added or ())} - set(change.removed or ())) if is_known[row] else None
    return TagLists(rows, pa.array(text, pa.string()), is_known, since)


def tags_of(texts: pa.Array) -> pa.Array:
    """Lists of tags as `list<string>`, each tag once; NULL where the text is NULL or no list of texts."""
    encoded = texts.dictionary_encode()
    lists = pa.array([_valid(_parsed(text)) for text in encoded.dictionary.to_pylist()], STRINGS)
    return lists.take(encoded.indices)


def _valid(tags: list[str] | None) -> list[str] | None:
    """Each tag once: a target counts once under each of its tags."""
    return None if tags is None else sorted({valid_unicode(tag) for tag in tags})


def _parsed(text: str | None) -> list[str] | None:
    try:
        tags = json.loads(text) if text is not None else None
    except (RecursionError, ValueError):
        return None
    return tags if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else None


def _text(tags: Iterable[str]) -> str:
    return compact_json(sorted(tags))
