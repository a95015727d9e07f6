"""When an open target will breach if nothing happens: an estimate, for calendar hours only.

It makes no breach: only Zendesk's own event does (B1), and no figure of the summary depends on the estimate.
"""

from __future__ import annotations

import numpy as np

from ticket_events_pipeline.decoding.row_times import NEWEST_EPOCH_SECOND
from ticket_events_pipeline.sla.rules.clock_states import Timeline
from ticket_events_pipeline.sla.rules.events import ACTIVATE, FULFILL, PAUSE
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints


def due(running_seconds: Ints, target_seconds: Ints, *, as_of: int) -> tuple[Ints, Bools]:
    """When running clocks will reach their target, epoch seconds, and whether that is a valid date.

    It may be before `as_of`: Zendesk has yet to deliver the breach then.
    """
    began = as_of - running_seconds  # as if the clock had never stopped
    is_date = (target_seconds >= -began) & (target_seconds <= NEWEST_EPOCH_SECOND - began)
    return began + np.where(is_date, target_seconds, 0), is_date


def running(timeline: Timeline, seconds: Ints, *, as_of: int) -> tuple[Ints, Bools]:
    """Per clock, how many seconds it ran before `as_of`, and whether that is known.

    Earlier cycles count. Whether Zendesk does the same is unknown: if a re-opened clock starts at 0, count from the `activate`
    that re-opened it. The time is unknown for a clock that was running before its first known event.

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
