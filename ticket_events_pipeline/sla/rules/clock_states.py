"""The state of every clock after each of its events: rules 2, 4, 5, 6, 9 and B3.

All clocks are computed at once; a state depends only on the clock's earlier events.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ticket_events_pipeline.sla.rules.events import ACTIVATE, APPLY, BREACH, DELETE, FULFILL
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns


@dataclass(frozen=True)
class Timeline:
    """Events sorted by clock, then by rule 2, with the ticket's deletions and restorations; `clocks` has one run per clock."""

    clocks: RowRuns
    rank: npt.NDArray[np.int8]
    deleted: Bools
    has_policy: Bools


@dataclass(frozen=True)
class States:
    """Per event, the state of its clock after it.

    Attributes:
        is_fulfilled: the clock has stopped until the next activate.
        policy: the row of the apply whose policy is in force; -1 without one.
        is_counting: the event is a breach that counts.
        is_open: the target is open.
    """

    is_fulfilled: Bools
    policy: Ints
    is_counting: Bools
    is_open: Bools

    def at(self, events: Ints) -> States:
        """The states after those events."""
        return States(*(getattr(self, field.name)[events] for field in fields(self)))


def replay(timeline: Timeline) -> States:
    """The states after each event."""
    is_fulfilled = _fulfilled(timeline)
    policy = _policy_in_force(timeline, is_fulfilled)
    is_deleted = ticket_deleted(timeline)
    is_counting = _counting_breaches(timeline, is_fulfilled | is_deleted)
    # Rule 5, with B4: a target breaches once, so a breach keeps its clock's target open in later cycles too.
    is_open = ~is_fulfilled & ~is_deleted & ((policy >= 0) | (timeline.clocks.latest(is_counting) >= 0))
    return States(is_fulfilled=is_fulfilled, policy=policy, is_counting=is_counting, is_open=is_open)


def before_event(timeline: Timeline, states_after: Bools) -> Bools:
    """Per event, the state before it; false before the clock's first event."""
    return timeline.clocks.previous(states_after, at_start=False).astype(bool)


def _fulfilled(timeline: Timeline) -> Bools:
    """Rule 6: fulfill stops the clock, activate starts it again; a clock runs from its first event on."""
    is_fulfill: Bools = timeline.rank == FULFILL
    latest = timeline.clocks.latest(is_fulfill | (timeline.rank == ACTIVATE))
    return (latest >= 0) & is_fulfill[latest]


def _policy_in_force(timeline: Timeline, is_fulfilled: Bools) -> Ints:
    """Rule 4: the policy of the last apply; while the clock is fulfilled, the policy at the fulfil.

    So an apply on a fulfilled clock waits for the activate.
    """
    last_apply = timeline.clocks.latest(timeline.rank == APPLY)
    fulfil = timeline.clocks.latest(is_fulfilled & ~before_event(timeline, is_fulfilled))
    apply = np.where(is_fulfilled, last_apply[fulfil], last_apply)
    return np.where((apply >= 0) & timeline.has_policy[apply], apply, -1)


def ticket_deleted(timeline: Timeline) -> Bools:
    """Rule 9: per event, whether the ticket is deleted after it: from a deletion to the restoration."""
    is_change: Bools = timeline.rank >= DELETE
    if not is_change.any():
        return is_change
    latest = timeline.clocks.latest(is_change)
    is_deletion: Bools = timeline.rank[latest] == DELETE
    return (latest >= 0) & is_deletion


def _counting_breaches(timeline: Timeline, is_stopped: Bools) -> Bools:
    """B1, B3 and rule 9: Zendesk's own breach events, except after the fulfil of their cycle and while the ticket is deleted.

    In the same second the breach comes before both, and counts.
    """
    is_breach: Bools = timeline.rank == BREACH
    return is_breach & ~timeline.deleted & ~before_event(timeline, is_stopped)
