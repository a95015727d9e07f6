"""When an open target in business hours will breach if nothing happens: an estimate, as that of `due_dates` for calendar hours.

Zendesk measures in the business hours of the ticket's schedule, and tells no date. So the time that has run is counted in those
hours, and what is left of the target is laid along them. The date doesn't depend on as_of: it stays the same until the clock is
switched, or the policy, the ticket's schedule or the hours of that schedule change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among, ranges, union
from ticket_events_pipeline.tickets.rules.business_hours import Schedule, default_schedule, open_hours, times_after
from ticket_events_pipeline.tickets.rules.running_time import NEVER, RunningTime, running_time
from ticket_events_pipeline.tickets.rules.time_zones import find_zone
from ticket_events_pipeline.tickets.rules.values import FieldValues

DUE_COLUMNS = ["business_hours", "target_seconds", "outcome", "is_paused"]
"""The columns of `sla_targets` that are read in addition to the key, `as_of` and `due_at`."""

CALENDAR, BUSINESS_HOURS = "calendar", "business_hours"
"""The values of `due_by`."""

NO_SCHEDULE = -1


@dataclass(frozen=True)
class RunningTargets:
    """The targets in business hours that run at as_of: open, neither paused nor breached.

    Attributes:
        rows: their rows in the day's targets, ascending.
        seconds: the target of each, in business seconds.
        ran: when their clocks ran before as_of.
    """

    rows: Ints
    seconds: Ints
    ran: RunningTime

    @classmethod
    def of(cls, targets: pa.Table, rows: Ints, clocks: pa.Table) -> RunningTargets:
        """Those of `rows_without_date`; `clocks` are the day's `sla_clocks` with CLOCK_COLUMNS.

        The time while a ticket was deleted counts, as for calendar hours: whether Zendesk stops its clocks is unknown.
        """
        found = targets.take(pa.array(rows))
        is_theirs = among(clocks["ticket_id"].to_numpy(), union(found["ticket_id"].to_numpy()))
        as_of = found["as_of"].cast(pa.int64()).to_numpy() // 1000
        ran = running_time(clocks.filter(pa.array(is_theirs)), found, as_of, runs_while_deleted=True)
        return cls(rows, found["target_seconds"].to_numpy(), ran)


def rows_without_date(targets: pa.Table) -> Ints:
    """The targets that run in business hours at as_of, which `sla_targets` has no date for: row numbers."""
    is_running = pc.and_not(pc.equal(targets["outcome"], "active"), targets["is_paused"])
    in_business_hours = pc.and_(pc.fill_null(targets["business_hours"], False), pc.is_valid(targets["target_seconds"]))
    rows: Ints = np.flatnonzero(pc.and_(is_running, in_business_hours).to_numpy())
    return rows


def assumed_schedules(schedules: Mapping[int, Schedule]) -> tuple[int | None, int | None]:
    """The ids of the schedule of a ticket that has none, and of one of which that isn't known: see `schedules_of`."""
    default = default_schedule(schedules)
    return default, default if len(schedules) == 1 else None


def schedules_of(said: FieldValues, schedules: Mapping[int, Schedule]) -> Ints:
    """The schedule of each ticket by its field, ids as int64.

    A ticket without one has the account's default. Where it is unknown whether it has one, the account's if there is just one.
    NO_SCHEDULE where neither is known.
    """
    of_none, of_unknown = (NO_SCHEDULE if id_ is None else id_ for id_ in assumed_schedules(schedules))
    return np.where(said.is_unknown, of_unknown, pc.fill_null(said.values, of_none).to_numpy())


def due_times(running: RunningTargets, schedule: Ints, schedules: Mapping[int, Schedule]) -> Ints:
    """When each target is reached, epoch seconds; it may be before as_of.

    NEVER where that isn't known: the clock was running before its first known event, the schedule is none of the account's, its
    zone is unknown, or it has too few hours in the next years.

    Args:
        running: the targets.
        schedule: the id of each target's schedule, see `schedules_of`.
        schedules: of the account, by id.
    """
    due = np.full(len(running.rows), NEVER)
    for number, known in schedules.items():
        targets, zone = np.flatnonzero((schedule == number) & running.ran.from_beginning), find_zone(known.time_zone)
        if zone is not None and len(targets):
            due[targets] = _due_times(running, targets, known, zone)
    return due


def _due_times(running: RunningTargets, targets: Ints, schedule: Schedule, zone: ZoneInfo) -> Ints:
    """The same for some targets, numbers, of one schedule; each has run."""
    ran, seconds = running.ran, running.seconds[targets]
    rows = ranges(*(np.searchsorted(ran.target, targets, side=side) for side in ("left", "right")))
    starts, ends, runs = ran.starts[rows], ran.ends[rows], RowRuns.of(ran.target[rows])
    hours = open_hours(schedule, zone, first=int(starts.min()), last=int(ends.max()))
    after = np.cumsum(hours.seconds_between(starts, ends))
    before = np.concatenate([[0], after[:-1]])
    whole, earlier = seconds[runs.run_of_row], before[runs.starts][runs.run_of_row]
    is_reached = after - earlier >= whole
    is_reached[runs.lasts] = True  # that stretch goes on
    reached = runs.first(is_reached)
    left = seconds - (before - earlier)[reached]
    return np.where(left > 0, times_after(schedule, zone, starts[reached], np.maximum(left, 1)), starts[reached])


def with_due_times(targets: pa.Table, rows: Ints, due: Ints) -> pa.Table:
    """The targets with `due_by`, and with a due time (epoch seconds; NEVER for none) in some rows."""
    times = np.full(targets.num_rows, NEVER)
    times[rows] = due
    is_date = times != NEVER
    estimates = pa.array(np.where(is_date, times, 0) * 1000, mask=~is_date).cast(targets["due_at"].type)
    in_calendar_hours = pc.if_else(pc.is_valid(targets["due_at"]), CALENDAR, pa.scalar(None, pa.string()))
    due_by = pc.if_else(pa.array(is_date), BUSINESS_HOURS, in_calendar_hours)
    place = targets.column_names.index("due_at")
    due_at = pc.coalesce(targets["due_at"], estimates)
    return targets.set_column(place, "due_at", due_at).append_column("due_by", due_by)
