"""How long tickets took on a day, with an SLA and without one, by metric and group; and the week before.

Medians of groups can't be made into one of all: a metric's own line has only the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.report.dimension_table import KnownNames
from ticket_events_pipeline.report.holders import Party
from ticket_events_pipeline.report.ticket_tables import DURATIONS
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.store import Store

DAYS_BEFORE = 7
"""What the day's mean is compared with; from fewer stored days too."""

LARGEST_GROUPS = 5
"""Groups of a metric that are shown: those with the most clocks."""

HOURS = ("calendar", "business")

_MEANS = ["sla_metric", "group_id", "is_known", "clocks", *(f"{hours}_mean_minutes" for hours in HOURS)]


@dataclass(frozen=True)
class Duration:
    """How long some clocks took, in calendar and in business hours; minutes, None where not measured.

    Attributes:
        clocks: fulfilled on the day.
        median, p90, mean: by the kind of hours; median and p90 are None over several groups.
    """

    clocks: int
    median: Mapping[str, float | None]
    p90: Mapping[str, float | None]
    mean: Mapping[str, float | None]


@dataclass(frozen=True)
class GroupDuration:
    """The clocks of a group. `mean_before` is of the days before, by the kind of hours."""

    group: Party
    day: Duration
    mean_before: Mapping[str, float | None]


@dataclass(frozen=True)
class MetricDurations:
    """The clocks of a metric.

    Attributes:
        all: over all groups.
        mean_before: of the days before, by the kind of hours.
        groups: the largest, those with the most clocks first.
        more: groups that aren't shown.
        days_before: how many of the days before are stored.
    """

    sla_metric: str
    all: Duration
    mean_before: Mapping[str, float | None]
    groups: tuple[GroupDuration, ...]
    more: int
    days_before: int


class DurationHistory:
    """The durations of the days before a report's. Of ascending days each is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Day, pa.Table | None] = {}

    def before(self, day: Day) -> list[pa.Table]:
        """The rows of those of the `DAYS_BEFORE` days that are stored."""
        days = [day.plus(-offset) for offset in range(DAYS_BEFORE, 0, -1)]
        self._known = {past: self._known[past] if past in self._known else self._read(past) for past in days}
        return [table for table in self._known.values() if table is not None]

    def _read(self, day: Day) -> pa.Table | None:
        try:
            return read_partition(self._store, DURATIONS, day, _MEANS)
        except DamagedFileError:  # a day less in the mean; `verify` names the file
            return None


def metric_durations(day: pa.Table, before: Sequence[pa.Table], names: KnownNames) -> tuple[MetricDurations, ...]:
    """The durations of each metric of the day, in the order of their names.

    Args:
        day: rows of `daily_ticket_durations`.
        before: those of the days before.
        names: for the groups.
    """
    past = pa.concat_tables(before).to_pylist() if before else []
    metrics: dict[str, list[dict[str, Any]]] = {}
    for row in day.filter(pc.greater(day["clocks"], 0)).to_pylist():
        metrics.setdefault(row["sla_metric"], []).append(row)
    return tuple(
        _metric(name, rows, [row for row in past if row["sla_metric"] == name], names, days_before=len(before))
        for name, rows in sorted(metrics.items())
    )


def _metric(
    name: str, rows: list[dict[str, Any]], past: list[dict[str, Any]], names: KnownNames, *, days_before: int
) -> MetricDurations:
    largest = sorted(rows, key=lambda row: (-row["clocks"], row["group_id"] is None, row["group_id"] or 0))
    shown = largest if len(largest) == LARGEST_GROUPS + 1 else largest[:LARGEST_GROUPS]
    return MetricDurations(
        sla_metric=name,
        all=Duration(sum(row["clocks"] for row in rows), _nothing(), _nothing(), _mean(rows)),
        mean_before=_mean(past),
        groups=tuple(_group(row, past, names) for row in shown),
        more=len(largest) - len(shown),
        days_before=days_before,
    )


def _group(row: Mapping[str, Any], past: Sequence[Mapping[str, Any]], names: KnownNames) -> GroupDuration:
    key = (row["group_id"], row["is_known"])
    return GroupDuration(
        group=Party.of(names, "group", row["group_id"], is_known=row["is_known"]),
        day=Duration(row["clocks"], _figures(row, "p50"), _figures(row, "p90"), _figures(row, "mean")),
        mean_before=_mean([found for found in past if (found["group_id"], found["is_known"]) == key]),
    )


def _figures(row: Mapping[str, Any], statistic: str) -> dict[str, float | None]:
    return {hours: row[f"{hours}_{statistic}_minutes"] for hours in HOURS}


def _nothing() -> dict[str, float | None]:
    return dict.fromkeys(HOURS)


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean over the clocks of several rows, by the kind of hours."""
    means: dict[str, float | None] = {}
    for hours in HOURS:
        measured = [(row["clocks"], row[f"{hours}_mean_minutes"]) for row in rows if row[f"{hours}_mean_minutes"] is not None]
        clocks = sum(count for count, _ in measured)
        means[hours] = sum(count * mean for count, mean in measured) / clocks if clocks else None
    return means
