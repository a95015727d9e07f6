"""`daily_ticket_durations`: how long the clocks ran that were fulfilled on a day, with an SLA or without.

The durations are Zendesk's own: the minutes of a clock's last `update_status`, if it doesn't come before the fulfilment. One
that is negative is no duration; it is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clock_states import before_event
from ticket_events_pipeline.sla.rules.clocks import grouped_by_clock, timeline_of
from ticket_events_pipeline.sla.rules.daily_summary import percentile
from ticket_events_pipeline.sla.rules.events import FULFILL, UPDATE_STATUS
from ticket_events_pipeline.sla.rules.row_runs import Ints
from ticket_events_pipeline.sla.rules.targets import sla_metrics
from ticket_events_pipeline.tables.tickets import DAILY_TICKET_DURATIONS_TABLE
from ticket_events_pipeline.tickets.rules.holders import Remembered
from ticket_events_pipeline.tickets.rules.running_time import CLOCK_COLUMNS as RUNNING_COLUMNS
from ticket_events_pipeline.tickets.rules.values import FieldValues, Moments, values_at

MINUTES = {"calendar": "status_calendar_minutes", "business": "status_business_minutes"}
"""The columns of `sla_clocks` with the minutes in each kind of hours."""

CLOCK_COLUMNS = [*RUNNING_COLUMNS, "is_fulfilled", *MINUTES.values()]
"""The columns of `sla_clocks` that are read."""

GROUP_FIELD = "group_id"

KEY = list(DAILY_TICKET_DURATIONS_TABLE.key)

Statistic = Callable[[Ints], float | None]

STATISTICS: dict[str, Statistic] = {
    "p50": lambda ordered: percentile(ordered, 50),
    "p90": lambda ordered: percentile(ordered, 90),
    "mean": lambda ordered: float(np.mean(ordered)) if len(ordered) else None,
}
"""Of ascending minutes."""


@dataclass(frozen=True)
class MeasuredClocks:
    """The clocks that were fulfilled on a day with a measured duration.

    Attributes:
        rows: `ticket_id`, `sla_metric`, and the minutes in each kind of hours by its name, NULL where not measured.
        fulfilments: when, epoch seconds.
        negative: how many durations were left out because they are negative.
    """

    rows: pa.Table
    fulfilments: Ints
    negative: int

    @property
    def moments(self) -> Moments:
        """The fulfilments, at which a change in the same second counts."""
        return Moments(self.rows["ticket_id"].to_numpy(), self.fulfilments, np.ones(len(self.fulfilments), bool))


def measured_clocks(clocks: pa.Table, *, day: Day, as_of: int) -> MeasuredClocks:
    """Those of a day's `sla_clocks`, with CLOCK_COLUMNS, as of `as_of` (epoch seconds)."""
    rows = grouped_by_clock(_of_fulfilled(clocks, day=day, as_of=as_of))
    timeline, seconds = timeline_of(rows), rows["time"].cast(pa.int64()).to_numpy() // 1000
    is_fulfilled = rows["is_fulfilled"].to_numpy()
    runs = timeline.clocks
    fulfil = runs.last((timeline.rank == FULFILL) & is_fulfilled & ~before_event(timeline, is_fulfilled))
    status = runs.last(timeline.rank == UPDATE_STATUS)
    is_measured = is_fulfilled[runs.lasts] & (fulfil >= 0) & (status > fulfil) & (_at(seconds, fulfil) >= day.start)
    fulfil, status = fulfil[is_measured], status[is_measured]
    found, negative = rows.take(pa.array(status)), 0
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "ticket_id": found["ticket_id"],
        "sla_metric": sla_metrics(found["metric"].cast(pa.string()), found["instance_id"]),
    }
    for hours, name in MINUTES.items():
        is_negative = pc.fill_null(pc.less(found[name], 0), False)
        negative += pc.sum(is_negative, min_count=0).as_py()
        columns[hours] = pc.if_else(is_negative, None, found[name])
    has_any = pc.or_(*(pc.is_valid(columns[hours]) for hours in MINUTES)).to_numpy()
    return MeasuredClocks(pa.table(columns).filter(pa.array(has_any)), seconds[fulfil][has_any], negative)


def _of_fulfilled(clocks: pa.Table, *, day: Day, as_of: int) -> pa.Table:
    """The events before `as_of` of the clocks with a `fulfill` on the day."""
    numbers, milliseconds = clocks["clock"].to_numpy(), clocks["time"].cast(pa.int64()).to_numpy()
    is_past = milliseconds < as_of * 1000
    is_fulfil = is_past & (milliseconds >= day.start * 1000) & (clocks["rank"].to_numpy() == FULFILL)
    is_wanted = np.zeros(numbers.max(initial=-1) + 1, bool)
    is_wanted[numbers[is_fulfil]] = True
    return clocks.filter(pa.array(is_wanted[numbers] & is_past))


def _at(values: Ints, rows: Ints) -> Ints:
    return values[rows] if len(values) else np.zeros(len(rows), np.int64)


def groups_at(moments: Moments, remembered: Remembered) -> FieldValues:
    """The group of each ticket at its moment, an id; all moments are of the day."""
    found = values_at(
        remembered.history,
        moments,
        [GROUP_FIELD],
        known=remembered.known,
        tracked_since=remembered.tracked_since,
        snapshots=remembered.snapshots,
    )
    return found[GROUP_FIELD].ids()


def durations(measured: MeasuredClocks, groups: FieldValues) -> pa.Table:
    """The rows of `DAILY_TICKET_DURATIONS_TABLE`, sorted by its key, NULL last.

    Args:
        measured: the clocks.
        groups: the group of each ticket at the fulfilment, an id; see `MeasuredClocks.moments`.
    """
    keyed = measured.rows.append_column("group_id", groups.values).append_column("is_known", pa.array(groups.is_known))
    lists = [(hours, "list") for hours in MINUTES]
    grouped = keyed.group_by(KEY, use_threads=False).aggregate([("ticket_id", "count"), *lists])
    grouped = grouped.sort_by([(name, "ascending") for name in KEY])
    columns: dict[str, pa.Array | pa.ChunkedArray] = {name: grouped[name] for name in KEY}
    columns["clocks"] = grouped["ticket_id_count"]
    for hours in MINUTES:
        columns |= _figures(hours, grouped[f"{hours}_list"])
    schema = DAILY_TICKET_DURATIONS_TABLE.schema
    return pa.table([columns[column.name].cast(column.type) for column in schema], schema=schema)


def _figures(hours: str, minutes: pa.ChunkedArray) -> dict[str, pa.Array]:
    """The statistics of each row; there are few rows, one for each metric and group."""
    ordered = [np.sort(values.values.drop_null().to_numpy()) for values in minutes]
    return {
        f"{hours}_{name}_minutes": pa.array([statistic(values) for values in ordered], pa.float64())
        for name, statistic in STATISTICS.items()
    }
