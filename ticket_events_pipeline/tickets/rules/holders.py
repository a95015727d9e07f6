"""`sla_target_holders`: who held the ticket while the clock of a target ran, up to its first counting breach or fulfilment.

A target that breached has its rows on the day of its first counting breach, whatever comes later: a breach that is superseded
afterwards took its time all the same, and no rule looks past the end of the day. A target that never breached has them on each
day on which the summary counts it as achieved; a re-opened target may have several such days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, among, order_of, union
from ticket_events_pipeline.tables.tickets import SLA_TARGET_HOLDERS_TABLE
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS, SCHEDULE_FIELD
from ticket_events_pipeline.tickets.rules.business_hours import OpenHours, Schedule, open_hours
from ticket_events_pipeline.tickets.rules.history import changes_between, pairs_once
from ticket_events_pipeline.tickets.rules.running_time import NEVER, RunningTime
from ticket_events_pipeline.tickets.rules.time_zones import find_zone
from ticket_events_pipeline.tickets.rules.values import (
    LOOK_AHEAD_SECONDS,
    KnownAudits,
    Moments,
    values_at,
)

TARGET_COLUMNS = [
    *("ticket_id", "metric", "instance_id", "sla_metric"),
    *("activated_at", "entered_at", "breached_at", "fulfilled_at", "reopen_count"),
]
"""The columns of `sla_targets` that are read."""

BREACH, FULFILMENT = "breach", "fulfilment"


@dataclass(frozen=True)
class EndedTargets:
    """The targets that first breached on a day, or were fulfilled without ever having breached.

    Attributes:
        rows: of `sla_targets`, with TARGET_COLUMNS.
        is_breach: whether the breach ended the time, else the fulfilment.
        ends: when, epoch seconds.
        is_whole: whether every change of the ticket's group and agent since the first activation is remembered: the target was
            open without a break from the day of its activation on.
    """

    rows: pa.Table
    is_breach: Bools
    ends: Ints
    is_whole: Bools

    @classmethod
    def of(cls, targets: pa.Table, day: Day) -> EndedTargets:
        """Those of the day's `sla_targets`."""
        breached_at, fulfilled_at = _seconds(targets["breached_at"]), _seconds(targets["fulfilled_at"])
        is_breach = (breached_at >= day.start) & (breached_at != NEVER)
        is_end = is_breach | ((breached_at == NEVER) & (fulfilled_at >= day.start) & (fulfilled_at != NEVER))
        rows = targets.select(TARGET_COLUMNS).filter(pa.array(is_end)).combine_chunks()
        is_breach = is_breach[is_end]
        ends = np.where(is_breach, breached_at[is_end], fulfilled_at[is_end])
        return cls(rows, is_breach, ends, _is_whole(rows, day.timezone))

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def tickets(self) -> Ints:
        """The ticket of each."""
        tickets: Ints = self.rows["ticket_id"].to_numpy()
        return tickets


def _seconds(column: pa.ChunkedArray) -> Ints:
    """Times as epoch seconds; NEVER for NULL."""
    seconds: Ints = pc.fill_null(pc.floor_temporal(column, unit="second").cast(pa.int64()), NEVER).to_numpy()
    return np.where(seconds == NEVER, NEVER, seconds // 1000)


def _is_whole(rows: pa.Table, timezone: str) -> Bools:
    """See `EndedTargets.is_whole`: it entered on the day of its activation at the latest, and never closed before its end."""
    activated_at, entered_at = _seconds(rows["activated_at"]), _seconds(rows["entered_at"])
    activated = activated_at[activated_at != NEVER]
    if not len(activated):
        return np.zeros(len(rows), bool)
    first, last = (Day.containing(int(second), timezone) for second in (activated.min(), activated.max()))
    midnights = np.array([day.end for day in days_between(first, last)] + [NEVER])
    next_midnight = midnights[np.searchsorted(midnights[:-1], activated_at, side="right")]
    is_whole: Bools = (activated_at != NEVER) & (entered_at < next_midnight) & (rows["reopen_count"].to_numpy() == 0)
    return is_whole


@dataclass(frozen=True)
class Remembered:
    """What is known of tickets.

    Attributes:
        history: changes, as in `values_at`.
        known: the range in which all audits are known.
        complete_from: epoch seconds; earlier changes of tickets with targets that aren't whole may be missing from the history.
        tracked_since: as in `values_at`.
        snapshots: of tickets, as in `values_at`.
        looked_up: tickets of which the changes before `complete_from` aren't missing either, ascending.
    """

    history: pa.Table
    known: KnownAudits
    complete_from: int
    tracked_since: Mapping[str, int]
    snapshots: pa.Table | None = None
    looked_up: Ints = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Held:
    """Stretches of time in which one group and one agent held the ticket of a target, sorted by target and time.

    Attributes:
        target: the number of the target of each.
        starts: epoch seconds.
        ends: epoch seconds; where the next stretch of the target begins, if it has one.
        group: ids; NULL for none and for unknown.
        assignee: likewise.
        is_known: whether both are known.
        is_undecided: whether the history doesn't reach back far enough to know both.
    """

    target: Ints
    starts: Ints
    ends: Ints
    group: pa.Array
    assignee: pa.Array
    is_known: Bools
    is_undecided: Bools

    def targets_where(self, mask: Bools) -> Ints:
        """The numbers of the targets with such a stretch, ascending."""
        return union(self.target[mask])

    def replaced(self, other: Held) -> Held:
        """The same, with the other's stretches for the targets that it has."""
        own = np.flatnonzero(~among(self.target, union(other.target)))
        target, starts = (np.concatenate([mine[own], theirs]) for mine, theirs in _pairs(self, other, "target", "starts"))
        order = order_of(target, starts)
        ends, is_known, is_undecided = (
            np.concatenate([mine[own], theirs])[order]
            for mine, theirs in _pairs(self, other, "ends", "is_known", "is_undecided")
        )
        group, assignee = (
            pa.concat_arrays([mine.take(pa.array(own)), theirs]).take(pa.array(order))
            for mine, theirs in _pairs(self, other, "group", "assignee")
        )
        return Held(target[order], starts[order], ends, group, assignee, is_known, is_undecided)


def _pairs(one: Held, other: Held, *names: str) -> list[tuple[Any, Any]]:
    return [(getattr(one, name), getattr(other, name)) for name in names]


def held(ended: EndedTargets, ran: RunningTime, remembered: Remembered, targets: Ints) -> Held:
    """Who held the tickets of these targets (numbers, ascending) from their first activation to their end.

    A change counts from its very second on.
    """
    targets = targets[ran.first_activations[targets] < ended.ends[targets]]
    target, starts = _boundaries(ended, targets, ran.first_activations[targets], remembered)
    moments = Moments(ended.tickets[target], starts, np.ones(len(target), bool))
    is_complete = ended.is_whole[target] | among(moments.ticket_id, remembered.looked_up)
    values = values_at(
        remembered.history,
        moments,
        HISTORY_FIELDS,
        known=remembered.known,
        complete_from=np.where(is_complete, 0, remembered.complete_from),
        tracked_since=remembered.tracked_since,
        snapshots=remembered.snapshots,
    )
    group, assignee = (values[name].ids() for name in HISTORY_FIELDS)
    is_known = group.is_known & assignee.is_known
    is_undecided = group.is_undecided | assignee.is_undecided
    first = RowRuns.of(target, _codes(group.values), _codes(assignee.values), is_known, is_undecided).starts
    return Held(
        target=target[first],
        starts=starts[first],
        ends=_next_starts(target[first], starts[first], ended.ends),
        group=group.values.take(pa.array(first)),
        assignee=assignee.values.take(pa.array(first)),
        is_known=is_known[first],
        is_undecided=is_undecided[first],
    )


def first_activations(ended: EndedTargets, ran: RunningTime, tickets: Ints) -> Ints:
    """Of each of these ascending tickets, all of which have such a target, the first activation of any; epoch seconds."""
    starts = np.full(len(tickets), NEVER)
    is_of = among(ended.tickets, tickets)
    np.minimum.at(starts, np.searchsorted(tickets, ended.tickets[is_of]), ran.first_activations[is_of])
    return starts


def _boundaries(ended: EndedTargets, targets: Ints, starts: Ints, remembered: Remembered) -> tuple[Ints, Ints]:
    """Of each target, when another value or another way of knowing it may begin: target and time, sorted, each once."""
    tickets, ends = ended.tickets[targets], ended.ends[targets]
    places, times = changes_between(remembered.history, tickets, starts, ends, HISTORY_FIELDS)
    # From then on, the previous value of a change is near enough.
    early_places, changed = changes_between(
        remembered.history, tickets, starts + LOOK_AHEAD_SECONDS, ends + LOOK_AHEAD_SECONDS, HISTORY_FIELDS
    )
    found = [(places, times), (early_places, changed - LOOK_AHEAD_SECONDS)]
    for bound in remembered.known:
        within = np.flatnonzero((starts < bound) & (bound < ends))
        found.append((within, np.full(len(within), bound)))
    places, times = pairs_once(*(np.concatenate([pair[side] for pair in found]) for side in (0, 1)))
    return targets[places], times


def _codes(column: pa.Array) -> Ints:
    """Numbers that are equal where the values are; NULLs are equal to each other."""
    codes: Ints = pc.fill_null(column.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    return codes


def _next_starts(target: Ints, starts: Ints, ends: Ints) -> Ints:
    """Per stretch, when the target's next one begins; for its last one, the target's end."""
    until = ends[target]
    follows = np.flatnonzero(target[1:] == target[:-1])
    until[follows] = starts[follows + 1]
    return until


def holders(ended: EndedTargets, ran: RunningTime, stretches: Held, hours: TargetHours) -> pa.Table:
    """The rows of `SLA_TARGET_HOLDERS_TABLE`, sorted by its key; stretches in which the clock didn't run are left out."""
    seconds = ran.seconds_between(stretches.target, stretches.starts, stretches.ends)
    rows = np.flatnonzero(seconds > 0)
    target, starts, ends = stretches.target[rows], stretches.starts[rows], stretches.ends[rows]
    business = ran.seconds_between(target, starts, ends, measure=hours.business_seconds)
    targets = ended.rows.take(pa.array(target))
    columns: dict[str, pa.Array | pa.ChunkedArray | npt.NDArray[np.generic]] = {
        **{name: targets[name] for name in SLA_TARGET_HOLDERS_TABLE.schema.names if name in targets.column_names},
        "ended_by": pc.if_else(pa.array(ended.is_breach[target]), BREACH, FULFILMENT),
        "group_id": stretches.group.take(pa.array(rows)),
        "assignee_id": stretches.assignee.take(pa.array(rows)),
        "is_known": stretches.is_known[rows],
        "held_from": starts * 1000,
        "held_to": ends * 1000,
        "calendar_seconds": seconds[rows],
        "business_seconds": pa.array(business, mask=~hours.is_known[target]),
    }
    schema = SLA_TARGET_HOLDERS_TABLE.schema
    typed = [_typed(columns[column.name], column.type) for column in schema]
    return pa.table(typed, schema=schema)


def _typed(column: pa.Array | pa.ChunkedArray | npt.NDArray[np.generic], wanted: pa.DataType) -> pa.Array | pa.ChunkedArray:
    return (pa.array(column) if isinstance(column, np.ndarray) else column).cast(wanted)


@dataclass(frozen=True)
class TargetHours:
    """The business hours of targets.

    Attributes:
        hours: when each schedule is open.
        schedule: of each target, the number of its schedule among them; -1 where it isn't known.
    """

    hours: list[OpenHours]
    schedule: Ints

    @property
    def is_known(self) -> Bools:
        """Which targets have a known schedule."""
        known: Bools = self.schedule >= 0
        return known

    def business_seconds(self, targets: Ints, times: Ints) -> Ints:
        """A `Measure`; 0 for targets without a known schedule."""
        seconds, schedule = np.zeros(len(times), np.int64), self.schedule[targets]
        for number, hours in enumerate(self.hours):
            rows = np.flatnonzero(schedule == number)
            seconds[rows] = hours.seconds_until(times[rows])
        return seconds


def target_hours(
    ended: EndedTargets, ran: RunningTime, remembered: Remembered, schedules: Mapping[int, Schedule]
) -> TargetHours:
    """The hours of each target: those of the ticket's schedule at the target's end, else of the account's only schedule.

    A schedule that isn't among `schedules`, or whose zone isn't known, has no hours: the targets' are unknown then.
    """
    if not len(ran.starts):
        return TargetHours([], np.full(len(ended), -1))
    moments = Moments(ended.tickets, ended.ends, ~ended.is_breach)
    said = values_at(
        remembered.history, moments, [SCHEDULE_FIELD], known=remembered.known, tracked_since=remembered.tracked_since
    )[SCHEDULE_FIELD].ids()
    found = {number: find_zone(schedule.time_zone) for number, schedule in schedules.items()}
    first, last = int(ran.starts.min()), int(ran.ends.max())
    hours = {
        number: open_hours(schedules[number], zone, first=first, last=last)
        for number, zone in found.items()
        if zone is not None
    }
    places = {number: place for place, number in enumerate(hours)}
    only = places.get(next(iter(schedules)), -1) if len(schedules) == 1 else -1
    own = pc.fill_null(pc.index_in(said.values, pa.array(list(hours), pa.int64())), -1).to_numpy().astype(np.int64)
    has_own = said.is_known & said.values.is_valid().to_numpy(zero_copy_only=False)
    return TargetHours(list(hours.values()), np.where(has_own, own, only))
