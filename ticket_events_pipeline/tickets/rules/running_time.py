"""When the clocks of targets ran: from `activate` to `pause` or `fulfill`, in every cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.sla.rules.clock_states import Timeline, ticket_deleted
from ticket_events_pipeline.sla.rules.clocks import CLOCK_KEY, grouped_by_clock, timeline_of
from ticket_events_pipeline.sla.rules.events import ACTIVATE, FULFILL, PAUSE
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, order_of, ranges

CLOCK_COLUMNS = [*CLOCK_KEY, "rank", "time", "deleted", "has_policy", "clock"]
"""The columns of `sla_clocks` that are read."""

NEVER = np.iinfo(np.int64).max
"""A time that doesn't come, or isn't known."""

Measure = Callable[[Ints, Ints], Ints]
"""Of targets (by number) and times, how many seconds of some hours lie before each time; only differences count."""


@dataclass(frozen=True)
class RunningTime:
    """When the clock of each target ran, up to the target's end: stretches, sorted by target and time, disjoint.

    Attributes:
        target: the number of the target of each stretch.
        starts: epoch seconds.
        ends: epoch seconds.
        first_activations: of each target, epoch seconds; NEVER where none is known.
        from_beginning: whether nothing switched the clock of each target before that; else it may have run earlier, too.
    """

    target: Ints
    starts: Ints
    ends: Ints
    first_activations: Ints
    from_beginning: Bools

    def seconds_between(self, targets: Ints, starts: Ints, ends: Ints, *, measure: Measure | None = None) -> Ints:
        """How many seconds the clock of each target (by number) ran in [start, end); by `measure`, in the hours it measures."""
        measure = measure or _calendar
        ran = np.concatenate([[0], np.cumsum(measure(self.target, self.ends) - measure(self.target, self.starts))])
        return self._until(targets, ends, ran, measure) - self._until(targets, starts, ran, measure)

    def _until(self, targets: Ints, times: Ints, ran: Ints, measure: Measure) -> Ints:
        """The seconds until each time, those of the targets before included; `ran` has the seconds before each stretch."""
        if not len(self.target):
            return np.zeros(len(targets), np.int64)
        begun = np.searchsorted(self._keys, self._key(targets, times), side="right")
        last = np.maximum(begun - 1, 0)
        is_cut = (begun > 0) & (self.target[last] == targets) & (self.ends[last] > times)
        unused = measure(targets, self.ends[last]) - measure(targets, times)
        until: Ints = ran[begun] - np.where(is_cut, unused, 0)
        return until

    @cached_property
    def _earliest(self) -> int:
        return int(self.starts.min())

    @cached_property
    def _span(self) -> int:
        span: int = self.ends.max() - self._earliest + 1
        return span

    @cached_property
    def _keys(self) -> Ints:
        return self._key(self.target, self.starts)

    def _key(self, targets: Ints, times: Ints) -> Ints:
        """Target and time in one number, ascending like both; times beyond all stretches are as their bounds."""
        return targets * (self._span + 1) + np.clip(times - self._earliest, -1, self._span - 1) + 1


def _calendar(_: Ints, times: Ints) -> Ints:
    return times


def running_time(clocks: pa.Table, targets: pa.Table, ends: Ints, *, runs_while_deleted: bool = False) -> RunningTime:
    """When the clocks of some targets ran before `ends`, epoch seconds.

    Args:
        clocks: `sla_clocks` of the day, with CLOCK_COLUMNS.
        targets: with the columns `ticket_id, metric, instance_id`; each once.
        ends: of each target, not after what `clocks` tell of.
        runs_while_deleted: whether a clock runs on while its ticket is deleted.
    """
    rows = grouped_by_clock(clocks)
    runs = RowRuns.of(rows["clock"].to_numpy())
    target_of_clock = _targets_of(rows.take(pa.array(runs.starts)), targets)
    target_of_row = target_of_clock[runs.run_of_row]
    wanted = np.flatnonzero(target_of_row >= 0)
    wanted = wanted[np.argsort(target_of_row[wanted], kind="stable")]  # already in order, but for files of earlier versions
    rows, target = rows.take(pa.array(wanted)), target_of_row[wanted]
    timeline, seconds = timeline_of(rows), rows["time"].cast(pa.int64()).to_numpy() // 1000
    of_clock, first = target[timeline.clocks.starts], timeline.clocks.first(timeline.rank == ACTIVATE)
    first_activations, from_beginning = np.full(targets.num_rows, NEVER), np.zeros(targets.num_rows, bool)
    first_activations[of_clock] = np.where(first >= 0, _at(seconds, first), NEVER)
    from_beginning[of_clock] = (first >= 0) & (first == timeline.clocks.first(_is_switch(timeline)))
    until = np.minimum(_until_next(timeline, seconds), ends[target])
    is_running = _running(timeline) if runs_while_deleted else _running(timeline) & ~ticket_deleted(timeline)
    ran = np.flatnonzero(is_running & (until > seconds))
    return RunningTime(target[ran], seconds[ran], until[ran], first_activations, from_beginning)


def _at(values: Ints, rows: Ints) -> Ints:
    return values[rows] if len(values) else np.zeros(len(rows), np.int64)


def _until_next(timeline: Timeline, seconds: Ints) -> Ints:
    """Per event, when the clock's next one happened; NEVER for the last."""
    until = np.append(seconds[1:], NEVER) if len(seconds) else seconds
    until[timeline.clocks.lasts] = NEVER
    return until


def _running(timeline: Timeline) -> Bools:
    """Per event, whether its clock runs after it."""
    is_activate: Bools = timeline.rank == ACTIVATE
    latest = timeline.clocks.latest(_is_switch(timeline))
    return (latest >= 0) & is_activate[latest]


def _is_switch(timeline: Timeline) -> Bools:
    return np.isin(timeline.rank, [ACTIVATE, PAUSE, FULFILL])


def _targets_of(heads: pa.Table, targets: pa.Table) -> Ints:
    """Per clock, of which `heads` have one row, the number of its target; -1 for a clock that has none."""
    order = order_of(heads["ticket_id"].to_numpy())
    tickets, wanted = heads["ticket_id"].to_numpy()[order], targets["ticket_id"].to_numpy()
    first, last = (np.searchsorted(tickets, wanted, side=side) for side in ("left", "right"))
    clock, target = order[ranges(first, last)], np.repeat(np.arange(len(wanted)), last - first)
    metric = heads["metric"].combine_chunks()
    codes = pc.fill_null(pc.index_in(targets["metric"], metric.dictionary), -1).to_numpy()
    is_same = metric.indices.to_numpy()[clock] == codes[target]
    is_same &= heads["instance_id"].to_numpy()[clock] == targets["instance_id"].to_numpy()[target]
    found = np.full(heads.num_rows, -1)
    found[clock[is_same]] = target[is_same]
    return found
