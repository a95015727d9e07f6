"""When an open target will breach if nothing happens: an estimate, for hours of the calendar alone.

Here: how long a clock has run, and when its target's time is up. Not here: any breach. Only Zendesk's own event makes one
(B1), and no figure of the summary depends on what is estimated here.
"""

from __future__ import annotations

import numpy as np

from ticket_events_pipeline.decoding.row_times import NEWEST_EPOCH_SECOND
from ticket_events_pipeline.sla.rules.events import ACTIVATE, FULFILL, PAUSE
from ticket_events_pipeline.sla.rules.replay import Timeline
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints


def due(running_seconds: Ints, target_seconds: Ints, *, as_of: int) -> tuple[Ints, Bools]:
    """When clocks that run on will have run for as long as their target allows, epoch seconds; and whether a calendar has it.

    It may lie before `as_of`: Zendesk then has yet to deliver its breach.
    """
    began = as_of - running_seconds  # as if the clock had never stood still
    is_date = (target_seconds >= -began) & (target_seconds <= NEWEST_EPOCH_SECOND - began)
    return began + np.where(is_date, target_seconds, 0), is_date


def running(timeline: Timeline, seconds: Ints, *, as_of: int) -> tuple[Ints, Bools]:
    """Per clock, for how many seconds it has run before `as_of`, and whether that is known.

    All of its life counts, earlier cycles included. Zendesk is not known to do so: should a re-opened clock begin at 0, count
    from the `activate` that re-opened it. Unknown is the time of a clock that was running before the first event known of it.

    Args:
        timeline: events before `as_of`, at least one.
        seconds: when each of them happened, epoch seconds.
        as_of: epoch seconds.
    """
    clocks = timeline.clocks
    switches = np.isin(timeline.rank, [ACTIVATE, PAUSE, FULFILL])
    is_activated: Bools = timeline.rank == ACTIVATE
    latest, first = clocks.latest(switches), clocks.first(switches)
    until = np.append(seconds[1:], as_of)
    until[clocks.lasts] = as_of
    ran = np.where((latest >= 0) & is_activated[latest], until - seconds, 0)
    return np.add.reduceat(ran, clocks.starts), (first >= 0) & is_activated[first]
