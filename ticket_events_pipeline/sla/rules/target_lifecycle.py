"""The lifecycle of every clock's target up to `as_of`: the rest of rules 4 and 5, B4 to B6, rules 8 to 10.

For all clocks at once, it finds which event opened, breached and closed the target.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.sla.rules.clock_states import States, Timeline, before_event
from ticket_events_pipeline.sla.rules.events import ACTIVATE, DELETE, FULFILL, PAUSE, UPDATE_STATUS
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints

SAME_TARGET = ["target_seconds", "business_hours", "policy_id"]
"""Rule 4: policies that agree in these columns are the same; a title may change."""


@dataclass(frozen=True)
class Lifecycles:
    """The lifecycles of targets, one element per clock. Integers are rows of the timeline, -1 where there was no such event.

    Attributes:
        entry: opened the target for the first time; -1: the clock is no target.
        breach: the earliest counting breach (B4).
        policy: the apply whose policy is in force, else the last one that was.
        target_changes: how many policies that came into force differed from the one before (a count, not a row).
        closing: the fulfil, apply or deletion that closed the target, -1 while it is open.
        is_open, is_paused, is_fulfilled, is_superseded: the target's current state.
        is_deleted: it was closed by the deletion of its ticket.
        is_contradicted: its outcome and its measured duration disagree (rule 10).
        openings: how many times it went from closed to open, the entry included (a count).
        elapsed_minutes: how long a fulfilled target took by the last update_status, in the hours of its policy; 0 where
            `has_elapsed` is false.
    """

    entry: Ints
    breach: Ints
    policy: Ints
    target_changes: Ints
    closing: Ints
    is_open: Bools
    is_paused: Bools
    is_fulfilled: Bools
    is_deleted: Bools
    is_superseded: Bools
    is_contradicted: Bools
    openings: Ints
    elapsed_minutes: Ints
    has_elapsed: Bools

    def at(self, clocks: Ints) -> Lifecycles:
        """The lifecycles of those clocks."""
        return Lifecycles(*(getattr(self, field.name)[clocks] for field in fields(self)))


def lifecycles(rows: pa.Table, timeline: Timeline, states: States) -> Lifecycles:
    """The lifecycles so far; `rows` are the timeline's, in its order."""
    clocks, was_open = timeline.clocks, before_event(timeline, states.is_open)
    opens = states.is_open & ~was_open
    is_open = states.is_open[clocks.lasts]
    closing = np.where(is_open, -1, clocks.last(was_open & ~states.is_open))
    is_fulfilled = (closing >= 0) & (timeline.rank[closing] == FULFILL)
    breach = clocks.first(states.is_counting)
    comes, is_change = _policy_changes(rows, timeline, states)
    # While a ticket is deleted, an activate opens no target, so a fulfilled target doesn't change (rules 5 and 9).
    counts = np.arange(clocks.size) <= np.where(is_fulfilled, closing, clocks.size)[clocks.run_of_row]
    last_come = clocks.last(comes & counts)
    policy = np.where(last_come >= 0, states.policy[last_come], -1)
    status = clocks.last(timeline.rank == UPDATE_STATUS)
    # An update_status before the fulfil belongs to an earlier cycle. In the same second it comes after the fulfil.
    elapsed_minutes, has_elapsed = _elapsed(rows, np.where(is_fulfilled & (status > closing), status, -1), policy)
    meets, speaks_against_breach, speaks_against_met = _against_target(rows, policy, elapsed_minutes)
    is_measured = has_elapsed & (states.policy[closing] >= 0)
    # B5: fulfilled with a policy in force, the target changed after the breach, and the elapsed minutes within it.
    is_changed_late = (breach >= 0) & (_last_change(timeline, comes & counts, is_change & counts) > breach)
    is_superseded = is_measured & is_changed_late & meets
    return Lifecycles(
        entry=clocks.first(opens),
        breach=breach,
        policy=policy,
        target_changes=clocks.count(is_change),
        closing=closing,
        is_open=is_open,
        is_paused=is_open & _paused(timeline),
        is_fulfilled=is_fulfilled,
        is_deleted=(closing >= 0) & (timeline.rank[closing] == DELETE),
        is_superseded=is_superseded,
        is_contradicted=is_measured & ~is_superseded & np.where(breach >= 0, speaks_against_breach, speaks_against_met),
        openings=clocks.count(opens),
        elapsed_minutes=elapsed_minutes,
        has_elapsed=has_elapsed,
    )


def _policy_changes(rows: pa.Table, timeline: Timeline, states: States) -> tuple[Bools, Bools]:
    """Rule 4: the events at which a policy comes into force, and those among them at which it differs from the one before.

    A policy is compared with the last one in force, even if there was none in between. A clock's first policy is not a change.
    """
    policy = states.policy
    comes = (policy >= 0) & (policy != timeline.clocks.previous(policy, at_start=-1))
    come_rows = np.flatnonzero(comes)
    applies = rows.select(SAME_TARGET).take(pa.array(policy[come_rows]))
    differs = np.zeros(len(come_rows), bool)
    for column in applies.columns:
        code = _codes(column.combine_chunks())
        differs[1:] |= code[1:] != code[:-1]
    clock = timeline.clocks.run_of_row[come_rows]
    differs[1:] &= clock[1:] == clock[:-1]
    differs[:1] = False
    is_change = np.zeros_like(comes)
    is_change[come_rows[differs]] = True
    return comes, is_change


def _last_change(timeline: Timeline, comes: Bools, is_change: Bools) -> Ints:
    """B5: per clock, the last event that changed its target; a first policy is a change where a breach came before it."""
    return np.maximum(timeline.clocks.last(is_change), timeline.clocks.first(comes))


def _paused(timeline: Timeline) -> Bools:
    """Rule 6: per clock, whether its last activate, pause or fulfil was a pause; ignore it for a fulfilled clock."""
    sets = np.isin(timeline.rank, [ACTIVATE, PAUSE, FULFILL])
    last = timeline.clocks.last(sets)
    is_pause: Bools = timeline.rank[last] == PAUSE
    return is_pause & (last >= 0)


def _elapsed(rows: pa.Table, status: Ints, policy: Ints) -> tuple[Ints, Bools]:
    """B5: per clock, the minutes of that update_status in the hours of its policy, and whether they are known.

    It is unknown whether Zendesk sends it only at the fulfil, and whether it adds up the cycles of a re-opened clock: the last
    one counts. A negative duration is ignored.
    """
    business_hours = pc.fill_null(values_at(rows, "business_hours", policy), False)
    minutes = pc.if_else(
        business_hours, values_at(rows, "status_business_minutes", status), values_at(rows, "status_calendar_minutes", status)
    )
    return filled(pc.if_else(pc.greater_equal(minutes, 0), minutes, None))


def _against_target(rows: pa.Table, policy: Ints, elapsed_minutes: Ints) -> tuple[Bools, Bools, Bools]:
    """B5 and rule 10: whether the elapsed minutes are within the target; within it, or beyond it, by a minute or more.

    Elapsed time comes in whole minutes: a reply 20 seconds late has the same minutes as its target, which is no contradiction.
    All three are false where the target is unknown. Minutes are compared, since stored minutes times 60 may not fit into int64.
    """
    target_seconds, is_known = filled(values_at(rows, "target_seconds", policy))
    whole_minutes = target_seconds // 60
    is_within = elapsed_minutes <= whole_minutes
    is_surely_within = elapsed_minutes < whole_minutes
    is_surely_beyond = elapsed_minutes - 1 >= whole_minutes + (target_seconds % 60 > 0)
    return is_known & is_within, is_known & is_surely_within, is_known & is_surely_beyond


def _codes(column: pa.Array) -> Ints:
    """Numbers that are equal where the values are; nulls are equal to each other."""
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes: Ints = pc.fill_null(coded.indices, -1).to_numpy()
    return codes


def values_at(rows: pa.Table, name: str, numbers: Ints) -> pa.Array:
    """The values of a column at those row numbers; null at -1."""
    column = rows[name].combine_chunks()
    return column.take(pa.array(numbers, mask=numbers < 0))


def filled(column: pa.Array) -> tuple[Ints, Bools]:
    """An integer column with its nulls replaced by 0, and which values were not null."""
    return pc.fill_null(column, 0).to_numpy(), pc.is_valid(column).to_numpy(zero_copy_only=False)
