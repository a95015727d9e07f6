"""A day's figures by group, agent or another dimension, added up as asked, with names for ids; and their Markdown tables.

Dagster's UI shows Markdown of less than 1,000 characters in place, and longer text behind a click.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.text import markdown_text, plural, shortened
from ticket_events_pipeline.tickets.fields import NAMES_OF

LARGEST = 10
"""Values of a dimension that are shown one by one."""

NOBODY, NONE, UNKNOWN = "nobody", "none", "unknown"
"""Shown where there is no value: no agent, no group (brand …), and where the value isn't known."""

TITLES = {
    "group": "Group",
    "assignee": "Agent",
    "priority": "Priority",
    "type": "Type",
    "brand": "Brand",
    "form": "Form",
    "organization": "Organization",
    "channel": "Channel",
    "tag": "Tag",
}
"""The dimensions in words; a custom field is shown with its id."""

NO_FIGURE = "-"

_KEY = ["value", "is_known"]
_COUNTS = ("breaches", "achieved", "completed_breached", "active_eod", "breached_open_eod")
_LONGEST_IN_TABLE = 24
_WHOLE_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


class KnownNames(Protocol):
    """The names behind ids; the kinds are those of `zendesk_names`."""

    def of(self, kind: str, number: int, /) -> str | None:
        """The newest name; None where none is known."""

    def is_deleted(self, kind: str, number: int, /) -> bool:
        """Whether Zendesk no longer lists it."""


@dataclass(frozen=True)
class Decided:
    """The targets of one metric that breached on the day, and those that were met."""

    breaches: int
    achieved: int

    @property
    def targets(self) -> int:
        """What the rate is a share of."""
        return self.breaches + self.achieved

    @property
    def achievement_rate(self) -> float | None:
        """Share from 0 to 1; None where nothing was decided."""
        return self.achieved / self.targets if self.targets else None


@dataclass(frozen=True)
class DimensionRow:
    """The figures of one value of a dimension.

    Attributes:
        value: as stored, ids as text; None for none or unknown.
        is_known: with the value None: true for none (nobody), false for unknown. True with a value, assumed ones included.
        shown: the name of the value, the value itself where it has no name, or a word for none and unknown. Plain text.
        is_deleted: whether its name is that of something that Zendesk no longer lists.
        breaches, achieved, completed_breached: targets first breached, met, and fulfilled late on the day.
        breached_tickets: distinct tickets of the breaches; None where rows were added up, since a ticket may be in several.
        open: targets open at the end, late ones included.
        late: late and open at the end.
        by_metric: the decided targets of each metric that has any.
    """

    value: str | None
    is_known: bool
    shown: str
    is_deleted: bool
    breaches: int
    achieved: int
    completed_breached: int
    breached_tickets: int | None
    open: int
    late: int
    by_metric: Mapping[str, Decided]

    @property
    def decided(self) -> int:
        """Targets achieved or breached: what the rate is a share of."""
        return self.achieved + self.breaches

    @property
    def achievement_rate(self) -> float | None:
        """Share from 0 to 1; None where nothing was decided. Over several metrics it misleads."""
        return self.achieved / self.decided if self.decided else None


def dimension_title(dimension: str) -> str:
    """The dimension in words."""
    return TITLES.get(dimension) or f"Custom field {dimension.rpartition(':')[2]}"


def dimension_rows(table: pa.Table, names: KnownNames, dimension: str, metrics: Collection[str] = ()) -> list[DimensionRow]:
    """The values of a dimension: those with the most breaches first, then nobody or none, and last unknown.

    Args:
        table: rows of `daily_sla_breaches_by_dimension`, of one day or of several, which are added up.
        names: for the ids.
        dimension: as in the table.
        metrics: those that count; all by default. Breaches add up over metrics; a rate over several of them misleads.
    """
    wanted = pc.equal(table["dimension"], dimension)
    if metrics:
        wanted = pc.and_(wanted, pc.is_in(table["sla_metric"], pa.array(sorted(metrics), pa.string())))
    key = [*_KEY, "sla_metric"]
    sums = [(name, "sum") for name in (*_COUNTS, "breached_tickets")]
    added = _assumed_with_known(table.filter(wanted)).group_by(key, use_threads=False).aggregate([*sums, ([], "count_all")])
    per_value: dict[tuple[str | None, bool], list[dict[str, Any]]] = {}
    for row in added.to_pylist():
        per_value.setdefault((row["value"], row["is_known"]), []).append(row)
    rows = (_row(value, found, names, dimension, is_known=is_known) for (value, is_known), found in per_value.items())
    return sorted(rows, key=_most_breaches_first)


def _assumed_with_known(rows: pa.Table) -> pa.Table:
    """A value that is assumed counts with the same value where it is known: the report says how many are assumed."""
    is_known = pc.or_(rows["is_known"], pc.is_valid(rows["value"]))
    return rows.set_column(rows.column_names.index("is_known"), "is_known", is_known)


def _row(
    value: str | None, found: Sequence[Mapping[str, Any]], names: KnownNames, dimension: str, *, is_known: bool
) -> DimensionRow:
    """The row of a value, from its rows by metric."""
    shown, is_deleted = _shown(value, names, dimension, is_known=is_known)
    breaches, achieved, late_done, open_, late = (sum(row[f"{name}_sum"] or 0 for row in found) for name in _COUNTS)
    decided = {row["sla_metric"]: Decided(row["breaches_sum"] or 0, row["achieved_sum"] or 0) for row in found}
    return DimensionRow(
        value=value,
        is_known=is_known,
        shown=shown,
        is_deleted=is_deleted,
        breaches=breaches,
        achieved=achieved,
        completed_breached=late_done,
        breached_tickets=found[0]["breached_tickets_sum"] if [row["count_all"] for row in found] == [1] else None,
        open=open_,
        late=late,
        by_metric={name: counts for name, counts in decided.items() if counts.targets},
    )


def _shown(value: str | None, names: KnownNames, dimension: str, *, is_known: bool) -> tuple[str, bool]:
    """How a value is shown, and whether it is that of something that Zendesk no longer lists."""
    kind = NAMES_OF.get(dimension)
    if value is None:
        return none_text(dimension, is_known=is_known), False
    if kind is None or not _WHOLE_NUMBER.fullmatch(value):
        return value, False
    return names.of(kind, int(value)) or value, names.is_deleted(kind, int(value))


def none_text(dimension: str, *, is_known: bool) -> str:
    """What is shown where there is no value."""
    if not is_known:
        return UNKNOWN
    return NOBODY if dimension == "assignee" else NONE


def _most_breaches_first(row: DimensionRow) -> tuple[int, int, int, str, str]:
    place = 0 if row.value is not None else 1 if row.is_known else 2
    return place, -row.breaches, -row.decided, row.shown.casefold(), row.value or ""


@dataclass(frozen=True)
class Split:
    """The rows of a dimension as they are shown.

    Attributes:
        compared: with enough decided targets, those with the most breaches first.
        others: with fewer, by name: so few targets make no order.
        rest: the other values.
        rest_row: those added up; None without any.
        without: nobody or none, and unknown; never left out.
    """

    compared: tuple[DimensionRow, ...]
    others: tuple[DimensionRow, ...]
    rest: tuple[DimensionRow, ...]
    rest_row: DimensionRow | None
    without: tuple[DimensionRow, ...]

    @property
    def rows(self) -> tuple[DimensionRow, ...]:
        """All of them, as they are shown."""
        return (*self.compared, *self.others, *([self.rest_row] if self.rest_row else []), *self.without)

    def leading(self, count: int) -> frozenset[str | None]:
        """Of the values that are shown one by one, those with the most breaches: on paper there is no room for more."""
        return frozenset(row.value for row in sorted((*self.compared, *self.others), key=_most_breaches_first)[:count])


def split_of(rows: Sequence[DimensionRow], *, min_targets: int, largest: int = LARGEST) -> Split:
    """The largest values one by one and the rest in one row.

    Args:
        rows: of `dimension_rows`.
        min_targets: decided targets without which a value is not compared with others.
        largest: how many values are shown one by one: those with the most breaches.
    """
    valued = [row for row in rows if row.value is not None]
    shown, rest = valued[:largest], valued[largest:]
    if len(rest) == 1:
        shown, rest = valued, []  # a row for one value says less than the value
    few = [row for row in shown if row.decided < min_targets]
    return Split(
        compared=tuple(row for row in shown if row.decided >= min_targets),
        others=tuple(sorted(few, key=lambda row: (row.shown.casefold(), row.value or ""))),
        rest=tuple(rest),
        rest_row=_added(rest) if rest else None,
        without=tuple(row for row in rows if row.value is None),
    )


def _added(rows: Sequence[DimensionRow]) -> DimensionRow:
    metrics = dict.fromkeys(name for row in rows for name in row.by_metric)
    return DimensionRow(
        value=None,
        is_known=True,
        shown=f"{len(rows):,} more",
        is_deleted=False,
        breaches=sum(row.breaches for row in rows),
        achieved=sum(row.achieved for row in rows),
        completed_breached=sum(row.completed_breached for row in rows),
        breached_tickets=None,
        open=sum(row.open for row in rows),
        late=sum(row.late for row in rows),
        by_metric={name: _decided([row.by_metric[name] for row in rows if name in row.by_metric]) for name in metrics},
    )


def _decided(counts: Sequence[Decided]) -> Decided:
    return Decided(sum(count.breaches for count in counts), sum(count.achieved for count in counts))


def dimension_markdown(table: pa.Table, names: KnownNames, dimension: str, *, min_targets: int) -> str:
    """A dimension of a day as a Markdown table, a row per value.

    Args:
        table: rows of `daily_sla_breaches_by_dimension`.
        names: for the ids.
        dimension: as in the table.
        min_targets: decided targets without which a value has no place in the order.
    """
    rows = dimension_rows(table, names, dimension)
    if not rows:
        return "No target was open on this day."
    split = split_of(rows, min_targets=min_targets)
    header = (dimension_title(dimension), "Breaches", "Decided", "Late and open")
    lines = [header, ("---", "---:", "---:", "---:"), *(_cells(row) for row in split.rows)]
    shown = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if not split.others:
        return shown
    return f"{shown}\n\nBy name, not by breaches: those with fewer than {plural(min_targets, 'decided target')}."


def _cells(row: DimensionRow) -> tuple[str, ...]:
    name = markdown_text(shortened(row.shown, _LONGEST_IN_TABLE)) + (" (deleted)" if row.is_deleted else "")
    shown = name if row.value is not None else f"*{name}*"
    return shown, f"{row.breaches:,}", f"{row.decided:,}", f"{row.late:,}"
