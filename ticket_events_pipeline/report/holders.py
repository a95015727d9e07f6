"""Who holds or held a ticket: a group and an agent, by name where one is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.report.dimension_table import KnownNames, none_text
from ticket_events_pipeline.tickets.fields import DIMENSIONS, NAMES_OF

TARGET_KEY = ["ticket_id", "sla_metric", "instance_id"]

AT_BREACH = {"group": "group_id", "assignee": "assignee_id"}
AT_THE_END = {"group": "group_id_eod", "assignee": "assignee_id_eod"}
"""The columns of `sla_target_dimensions` that say who held the ticket, by dimension."""

_IDS = [*AT_BREACH.values(), *AT_THE_END.values()]

HOLDER_COLUMNS = [*_IDS, *(f"knows_{field}" for field in _IDS)]
"""What `with_holders` adds to targets: ids, and whether each is known."""

_NULL = r'"{field}":\s*null'


class NoNames:
    """No name is known: ids are shown."""

    def of(self, kind: str, number: int, /) -> str | None:
        """None."""
        return None

    def is_deleted(self, kind: str, number: int, /) -> bool:
        """False."""
        return False


NO_NAMES = NoNames()


@dataclass(frozen=True)
class Party:
    """A group or an agent; or that there was none, or that it isn't known.

    Attributes:
        number: Zendesk's id; None for none or unknown.
        is_known: false only for unknown.
        shown: its name, its id where it has no name, or a word for none and unknown. Plain text.
        is_deleted: whether Zendesk no longer lists it.
    """

    number: int | None
    is_known: bool
    shown: str
    is_deleted: bool = False

    @classmethod
    def of(cls, names: KnownNames, dimension: str, number: int | None, *, is_known: bool) -> Party:
        """The group or the agent (`dimension`) with that id."""
        if number is None:
            return cls(None, is_known, none_text(dimension, is_known=is_known))
        kind = NAMES_OF[dimension]
        return cls(number, True, names.of(kind, number) or str(number), names.is_deleted(kind, number))


@dataclass(frozen=True)
class Holder:
    """Who holds a ticket; either may be unknown."""

    group: Party
    assignee: Party

    @property
    def is_known(self) -> bool:
        """Whether anything is."""
        return self.group.is_known or self.assignee.is_known


def with_holders(targets: pa.Table, dimensions: pa.Table | None) -> pa.Table:
    """The targets with `HOLDER_COLUMNS`; NULL, and known by none, for a target without a row.

    Args:
        targets: with `TARGET_KEY`.
        dimensions: rows of `sla_target_dimensions` of the same day; None without any.
    """
    if dimensions is None:
        return _without_holders(targets)
    ours = dimensions.filter(pc.is_in(dimensions["ticket_id"], targets["ticket_id"].combine_chunks()))
    added = ours.select([*TARGET_KEY, *_IDS])
    for field in _IDS:
        added = added.append_column(f"knows_{field}", knows(ours, field))
    return targets.join(added, TARGET_KEY, join_type="left outer", use_threads=False)


def _without_holders(targets: pa.Table) -> pa.Table:
    for name in HOLDER_COLUMNS:
        kind = pa.bool_() if name.startswith("knows") else pa.int64()
        targets = targets.append_column(name, pa.nulls(targets.num_rows, kind))
    return targets


def knows(dimensions: pa.Table, field: str) -> pa.ChunkedArray:
    """Whether the field of each row is known, from its `known_by`."""
    unknown = pc.match_substring_regex(dimensions["known_by"], _NULL.format(field=field))
    return pc.invert(pc.fill_null(unknown, False))


def at_breach(row: Mapping[str, Any], names: KnownNames) -> Holder | None:
    """Who held the ticket at the moment of the breach; None where no ticket table tells of it."""
    return _holder(row, names, AT_BREACH)


def at_the_end(row: Mapping[str, Any], names: KnownNames) -> Holder | None:
    """Who holds the ticket at the end; None where no ticket table tells of it."""
    return _holder(row, names, AT_THE_END)


def _holder(row: Mapping[str, Any], names: KnownNames, fields: Mapping[str, str]) -> Holder | None:
    if row["knows_group_id"] is None:
        return None
    group, assignee = (
        Party.of(names, dimension, row[field], is_known=row[f"knows_{field}"]) for dimension, field in fields.items()
    )
    return Holder(group, assignee)


def known_by(dimensions: pa.Table, field: str, word: str) -> pa.ChunkedArray:
    """Whether the field of each row is known by that word of `known_by`, as `assumed`."""
    return pc.fill_null(pc.match_substring_regex(dimensions["known_by"], rf'"{field}":\s*"{word}"'), False)


FIELDS_SHOWN = [field for name, field in DIMENSIONS.items() if name not in ("tag", "type", "organization")]
"""The fields behind the dimensions that the report shows."""
