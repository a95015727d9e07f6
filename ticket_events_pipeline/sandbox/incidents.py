"""Incidents of a few tickets: one is deleted, restored, or raised to urgent in its reply; one lies for weeks; one is handed on.

Each function changes the life of a ticket, and returns None where the incident does not fit it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ticket_events_pipeline.sandbox.policies import FIRST_REPLY, NEXT_REPLY, OFFICE_HOURS, PRIORITIES, Policy
from ticket_events_pipeline.sandbox.schedule import DAY_SECONDS, WEEK_SECONDS
from ticket_events_pipeline.sandbox.texts import BILLING, FIRST_LEVEL, SECOND_LEVEL
from ticket_events_pipeline.sandbox.ticket_life import LIFE_DAYS, Update

Life = Sequence[Update]

_HOUR_SECONDS = 3600
_SPAM_MEDIAN_LOG = 6.8  # of the time until an agent deletes it: about a quarter of an hour
_SPAM_SIGMA = 0.8
_LATE_SECONDS = 20 * 60
"""A late ticket stays open at least that long before it is deleted, so that its breach has been delivered."""
_WEEKS_WAITED = (3, 4, 5, 6)
_LATEST_REPLY_DAYS = 4
"""A reply after those weeks is late by at most that much."""

LONG_LIFE_DAYS = LIFE_DAYS + 7 * _WEEKS_WAITED[-1] + _LATEST_REPLY_DAYS
"""As `LIFE_DAYS`, for a ticket that lay for weeks."""

_NEVER = 2**62
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


def left_waiting(rng: random.Random, life: Life) -> Life | None:
    """The requester answers a pending ticket weeks later, and the next reply to it is late.

    So a breach can be of a ticket that was created, and last assigned, long before. The weeks are whole ones: what was on
    a weekday stays on it. Only where they make nothing late by themselves: the clocks of office hours stand still meanwhile.
    """
    for place, (asked, answered) in enumerate(pairwise(life), start=1):
        is_pending = (asked.actor, asked.status, asked.policy) == ("agent", "pending", OFFICE_HOURS)
        reply = next((n for n in range(place, len(life)) if (life[n].actor, life[n].comment) == ("agent", "public")), None)
        if not is_pending or (answered.actor, answered.comment) != ("requester", "public") or reply is None:
            continue
        if any(update.policy is not OFFICE_HOURS or update.status == "deleted" for update in life):
            return None
        shift = rng.choice(_WEEKS_WAITED) * WEEK_SECONDS
        late = max(0, _due(OFFICE_HOURS, answered, NEXT_REPLY) + rng.randrange(_HOUR_SECONDS, DAY_SECONDS) - life[reply].time)
        if late > _LATEST_REPLY_DAYS * DAY_SECONDS:
            return None
        waited = [replace(update, time=update.time + shift) for update in life[place:reply]]
        return (*life[:place], *waited, *(replace(update, time=update.time + shift + late) for update in life[reply:]))
    return None


def handed_on(rng: random.Random, life: Life) -> Life | None:
    """The first reply is late while Billing has the ticket; first level has it at the day's end, and second level afterwards.

    For one in three of them, the ticket leaves Billing in the very second of the breach.
    """
    first, second, *_ = life
    solved = next((update.time for update in life if update.status in ("solved", "closed", "deleted")), life[-1].time)
    if first.policy is None or any(update.group_id != FIRST_LEVEL for update in life):
        return None
    due = _due(first.policy, first, FIRST_REPLY)
    day_end = due - due % DAY_SECONDS + DAY_SECONDS
    is_late_enough = due - first.time > _HOUR_SECONDS and due + _HOUR_SECONDS < min(second.time, day_end)
    if not is_late_enough or day_end + 2 * _HOUR_SECONDS > solved:
        return None
    left = due if rng.random() < 1 / 3 else rng.randrange(due + 1, min(second.time, day_end))
    hops = {
        rng.randrange(first.time + 60, due - 60): BILLING,
        left: FIRST_LEVEL,
        rng.randrange(day_end + _HOUR_SECONDS, solved): SECOND_LEVEL,
    }
    return None if hops.keys() & {update.time for update in life} else _moved(life, hops)


def _moved(life: Life, hops: dict[int, int]) -> Life:
    """The life with a change of group at each of those times."""
    moved: list[Update] = []
    updates = iter(
        sorted([*((update.time, update) for update in life), *((time, None) for time in hops)], key=lambda at: at[0])
    )
    for time, update in updates:
        before = update or replace(moved[-1], time=time, actor="agent", comment=None)
        moved.append(replace(before, group_id=hops.get(time, moved[-1].group_id if moved else before.group_id)))
    return tuple(moved)


def _due(policy: Policy, update: Update, name: str) -> int:
    """When the reply to it is late; never, if the policy has no target for it."""
    target = policy.target(name, update.priority)
    return _NEVER if target is None else policy.later(update.time, target.seconds)


def _deletion(before: Update, time: int) -> Update:
    return replace(before, time=time, actor="agent", comment=None, status="deleted")
