"""The day's breaches by group, agent, priority, brand, form and channel at the moment of the breach, as values.

Everything here is counted from the ticket tables of the day; nothing is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.dimension_table import DimensionRow, KnownNames, Split, dimension_rows, split_of
from ticket_events_pipeline.report.holders import TARGET_KEY, Party, known_by, knows
from ticket_events_pipeline.report.ticket_tables import BY_DIMENSION_COLUMNS, TicketTables
from ticket_events_pipeline.report.time_used import TimeUsed, ValueKey, time_used
from ticket_events_pipeline.tickets.fields import ASSUMED, AUDIT, field_of

SHOWN_DIMENSIONS = ("group", "assignee", "priority", "brand", "form", "channel")
"""In the order of the page; the account's custom fields follow."""

MOST_GROUPS = 40
"""Groups with a section of their own: those with the most breaches and late targets."""

MOST_HOLDERS = 3
"""Of those who used up the time of a group's breaches, so many are named."""

UNKNOWN = "unknown"
"""Beside the words of `known_by`, for a value that isn't known."""


@dataclass(frozen=True)
class DimensionSplit:
    """A dimension on the day.

    Attributes:
        dimension: as in `daily_sla_breaches_by_dimension`.
        split: its values as they are shown.
        assumed: breaches whose value is assumed, by value.
        time: the share of the time of the day's breached targets that each value used up; None where that isn't measured.
    """

    dimension: str
    split: Split
    assumed: Mapping[str, int] = field(default_factory=dict)
    time: Mapping[ValueKey, float] | None = None

    def assumed_of(self, row: DimensionRow) -> int:
        """How many of the row's breaches have their value assumed."""
        return sum(self.assumed.get(one.value or "", 0) for one in self._values(row))

    def time_of(self, row: DimensionRow) -> float | None:
        """The row's share of the time; None where it isn't measured."""
        return None if self.time is None else sum(self.time.get((one.value, one.is_known), 0.0) for one in self._values(row))

    def _values(self, row: DimensionRow) -> Sequence[DimensionRow]:
        return self.split.rest if row is self.split.rest_row else (row,)


@dataclass(frozen=True)
class Known:
    """How the group at the moment of the breach is known.

    Attributes:
        breaches: of the day, by each word of `known_by`, with `audit` and `unknown`.
        targets: of the day.
        unknown_targets: those whose group is unknown.
    """

    breaches: Mapping[str, int]
    targets: int
    unknown_targets: int


@dataclass(frozen=True)
class GroupFigures:
    """A group's part of the page.

    Attributes:
        group: which.
        breaches, decided: over all metrics.
        agents: those with a breach or an achieved target of the group.
        time: who used the time of its breaches up; None where that isn't measured.
        used_by: the groups that used most of it, and their shares, the largest first.
    """

    group: Party
    breaches: int
    decided: int
    agents: Split
    time: TimeUsed | None
    used_by: tuple[tuple[Party, float], ...]


@dataclass(frozen=True)
class Breakdown:
    """What the page shows of the day's ticket tables, but for the lists of tickets.

    Attributes:
        splits: of each dimension with a row.
        time: of all breaches of the day; None where it isn't measured.
        groups: those with a section of their own.
        known: how the groups are known; None where that isn't stored.
        min_targets: decided targets without which nothing is compared with others.
    """

    splits: tuple[DimensionSplit, ...]
    time: TimeUsed | None
    groups: tuple[GroupFigures, ...]
    known: Known | None
    min_targets: int


@dataclass(frozen=True)
class BreakdownSource:
    """What a breakdown is made from.

    Attributes:
        day: whose.
        tables: its ticket tables.
        hours: `TARGET_KEY` and `business_hours` of the targets that breached on the day.
        names: for the ids.
        min_targets: see `Breakdown`.
        custom_fields: dimensions of the account.
        late_now: how many late and open targets each group holds at the end of the day.
    """

    day: Day
    tables: TicketTables
    hours: pa.Table
    names: KnownNames
    min_targets: int
    custom_fields: tuple[str, ...] = ()
    late_now: Mapping[int, int] = field(default_factory=dict)


def breakdown_of(source: BreakdownSource) -> Breakdown | None:
    """The day's breakdown; None where `daily_sla_breaches_by_dimension` isn't there."""
    table = source.tables.by_dimension
    if table is None:
        return None
    breached = _breached(source)
    time = _time(source, breached)
    splits = [_split(source, table, dimension, breached, time) for dimension in (*SHOWN_DIMENSIONS, *source.custom_fields)]
    return Breakdown(
        splits=tuple(split for split in splits if split.split.rows),
        time=time,
        groups=_groups(source, table, breached),
        known=_known(source, breached),
        min_targets=source.min_targets,
    )


def _breached(source: BreakdownSource) -> pa.Table | None:
    """The targets that breached on the day, with their dimensions; None where those aren't stored."""
    rows = source.tables.dimensions
    return None if rows is None else _on_day(rows, "breach", source.day)


def _on_day(rows: pa.Table, kind: str, day: Day) -> pa.Table:
    at = rows["at"].cast(pa.int64())
    return rows.filter(pc.and_(pc.equal(rows["at_kind"], kind), pc.greater_equal(at, day.start * 1000)))


def _time(source: BreakdownSource, breached: pa.Table | None) -> TimeUsed | None:
    holders = source.tables.holders
    if holders is None or breached is None or not breached.num_rows:
        return None
    keyed = breached.select([*TARGET_KEY, "group_id"]).append_column("knows_group_id", knows(breached, "group_id"))
    found = time_used(holders, keyed.join(source.hours, TARGET_KEY, use_threads=False))
    return found if found.targets else None


def _split(
    source: BreakdownSource, table: pa.Table, dimension: str, breached: pa.Table | None, time: TimeUsed | None
) -> DimensionSplit:
    rows = dimension_rows(table, source.names, dimension)
    shares = {} if time is None else {"group": time.groups, "assignee": time.agents}
    return DimensionSplit(
        dimension=dimension,
        split=split_of(rows, min_targets=source.min_targets),
        assumed=_assumed(breached, field_of(dimension)),
        time=shares.get(dimension),
    )


def _assumed(breached: pa.Table | None, name: str) -> dict[str, int]:
    """The breaches whose value of the field is assumed, by value as text; none that is assumed counts as unknown."""
    if breached is None or name not in breached.column_names:
        return {}
    counts = breached.filter(known_by(breached, name, ASSUMED))[name].cast(pa.string()).value_counts()
    return {row["values"]: row["counts"] for row in counts.to_pylist() if row["values"] is not None}


def _known(source: BreakdownSource, breached: pa.Table | None) -> Known | None:
    targets = source.tables.dimensions
    if targets is None or breached is None:
        return None
    found: dict[str, int] = {}
    for row in breached["known_by"].value_counts().to_pylist():
        word = json.loads(row["values"] or "{}").get("group_id", AUDIT) or UNKNOWN
        found[word] = found.get(word, 0) + row["counts"]
    unknown = pc.sum(pc.invert(knows(targets, "group_id")), min_count=0).as_py()
    return Known(breaches=found, targets=targets.num_rows, unknown_targets=unknown)


def _groups(source: BreakdownSource, table: pa.Table, breached: pa.Table | None) -> tuple[GroupFigures, ...]:
    """The groups with a section of their own: those with the most breaches and late targets; by name."""
    rows = {int(row.value): row for row in dimension_rows(table, source.names, "group") if row.value is not None}
    weights = {number: source.late_now.get(number, 0) for number in {*rows, *source.late_now}}
    for number, row in rows.items():
        weights[number] += row.breaches + row.late
    chosen = sorted(weights, key=lambda number: (-weights[number], number))[:MOST_GROUPS]
    agents = _agents_by_group(source)
    found = [_group(source, number, rows.get(number), breached, agents.get(number, [])) for number in chosen]
    return tuple(sorted(found, key=lambda group: (group.group.shown.casefold(), group.group.number)))


def _group(
    source: BreakdownSource,
    number: int,
    row: DimensionRow | None,
    breached: pa.Table | None,
    agents: Sequence[DimensionRow],
) -> GroupFigures:
    """One group; without a row of its own it only holds late targets of others now."""
    time = None if breached is None else _time(source, breached.filter(pc.equal(breached["group_id"], number)))
    return GroupFigures(
        group=Party.of(source.names, "group", number, is_known=True),
        breaches=0 if row is None else row.breaches,
        decided=0 if row is None else row.decided,
        agents=split_of(agents, min_targets=source.min_targets),
        time=time,
        used_by=() if time is None else _used_by(time, source.names),
    )


def _used_by(time: TimeUsed, names: KnownNames) -> tuple[tuple[Party, float], ...]:
    parties = (
        (Party.of(names, "group", None if value is None else int(value), is_known=is_known), share)
        for (value, is_known), share in time.groups.items()
    )
    return tuple(parties)[:MOST_HOLDERS]


def _agents_by_group(source: BreakdownSource) -> dict[int, list[DimensionRow]]:
    """The breaches and achieved targets of each group by agent, as rows of the dimension `assignee`."""
    rows = source.tables.dimensions
    if rows is None:
        return {}
    key = ["group_id", "assignee_id", "is_known"]
    counted = []
    for figure, kind in (("breaches", "breach"), ("achieved", "fulfilment")):
        ours = _on_day(rows, kind, source.day)
        ours = ours.append_column("is_known", knows(ours, "assignee_id"))
        found = ours.group_by([*key, "sla_metric"], use_threads=False).aggregate([([], "count_all")])
        counted.append(found.rename_columns([*key, "sla_metric", figure]))
    groups = pa.concat_tables(counted, promote_options="default")
    return {
        number: dimension_rows(_as_stored(groups.filter(pc.equal(groups["group_id"], number))), source.names, "assignee")
        for number in groups["group_id"].drop_null().unique().to_pylist()
    }


def _as_stored(agents: pa.Table) -> pa.Table:
    """The rows as `daily_sla_breaches_by_dimension` has them; what isn't counted is 0."""
    nothing = pa.array([0] * agents.num_rows, pa.int64())
    counted = {name: agents[name] if name in agents.column_names else nothing for name in BY_DIMENSION_COLUMNS[4:]}
    return pa.table(
        {
            "dimension": pa.array(["assignee"] * agents.num_rows, pa.string()),
            "value": agents["assignee_id"].cast(pa.string()),
            "is_known": agents["is_known"],
            "sla_metric": agents["sla_metric"],
            **counted,
        }
    )
