"""Incidents of a few tickets: an agent deletes one, restores one, or raises one to urgent in the update that replies.

Each function changes the life of a ticket, and returns None where the incident does not fit it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ticket_events_pipeline.sandbox.policies import FIRST_REPLY, PRIORITIES
from ticket_events_pipeline.sandbox.schedule import DAY_SECONDS
from ticket_events_pipeline.sandbox.ticket_life import Update

Life = Sequence[Update]

_HOUR_SECONDS = 3600
_SPAM_MEDIAN_LOG = 6.8  # of the time until an agent deletes it: about a quarter of an hour
_SPAM_SIGMA = 0.8
_LATE_SECONDS = 20 * 60
"""A late ticket stays open at least that long before it is deleted, so that its breach has been delivered."""
_UNSOLVED = ("new", "open", "pending", "hold")


def deleted_as_spam(rng: random.Random, life: Life) -> Life | None:
    """An agent deletes the ticket before the first reply, on the day it was created: spam, or a duplicate."""
    first, second, *_ = life
    time = first.time + max(40, int(rng.lognormvariate(_SPAM_MEDIAN_LOG, _SPAM_SIGMA)))
    ends_first = min(second.time, first.time - first.time % DAY_SECONDS + DAY_SECONDS)
    if first.policy is None or time >= ends_first:
        return None
    return (first, _deletion(first, time))


def deleted_late(rng: random.Random, life: Life) -> Life | None:
    """An agent deletes the ticket while its first reply is late: it was a duplicate."""
    first, second, *_ = life
    target = first.policy.target(FIRST_REPLY, first.priority) if first.policy else None
    if first.policy is None or target is None:
        return None
    earliest = first.policy.later(first.time, target.seconds) + _LATE_SECONDS
    if earliest >= second.time:
        return None
    return (first, _deletion(first, rng.randrange(earliest, second.time)))


def deleted_and_restored(rng: random.Random, life: Life) -> Life | None:
    """An agent deletes an unsolved ticket by mistake; it is restored some hours to two days later, and continues."""
    for place, (before, after) in enumerate(pairwise(life), start=1):
        time = before.time + rng.randrange(10 * 60, 40 * 60)
        longest = min(after.time - 10 * 60 - time, 2 * DAY_SECONDS)
        if before.status in _UNSOLVED and longest > 4 * _HOUR_SECONDS:
            restored = replace(before, time=time + rng.randrange(3 * _HOUR_SECONDS, longest), actor="agent", comment=None)
            return (*life[:place], _deletion(before, time), restored, *life[place:])
    return None


def raised_in_the_reply(_: random.Random, life: Life) -> Life | None:
    """The agent replies in time and makes the ticket urgent in the same update; by the urgent target the reply was late.

    Zendesk takes the reply first: the clock is fulfilled and no breach follows, then the new target is applied, in the same
    second. By the documented order of events in one second the target that was met is the urgent one, which the clock's
    duration contradicts. Real accounts show such targets, and others whose breach was dated before its policy was applied.
    """
    first, reply, *_rest = life
    urgent = PRIORITIES[-1]
    if first.policy is None or first.priority == urgent or (reply.actor, reply.comment) != ("agent", "public"):
        return None
    met, missed = first.policy.target(FIRST_REPLY, first.priority), first.policy.target(FIRST_REPLY, urgent)
    ran = first.policy.elapsed(first.time, reply.time)
    if met is None or missed is None or not missed.seconds + 300 < ran < met.seconds:
        return None
    return (first, *(replace(update, priority=urgent) for update in life[1:]))


def _deletion(before: Update, time: int) -> Update:
    return replace(before, time=time, actor="agent", comment=None, status="deleted")
