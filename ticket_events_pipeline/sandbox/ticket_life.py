"""The life of one simulated ticket: its updates from creation to closing, with the delays of agents and requesters."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from ticket_events_pipeline.sandbox.policies import FIRST_REPLY, NEXT_REPLY, OFFICE_HOURS, PRIORITIES, STANDARD, VIP, Policy
from ticket_events_pipeline.sandbox.schedule import DAY_SECONDS
from ticket_events_pipeline.sandbox.texts import FIRST_LEVEL, SECOND_LEVEL

LIFE_DAYS = 21
"""No ticket has an event later than that many days after its creation, but for the few of `LONG_LIFE_DAYS`.

Bounds what a window of time depends on."""

_SOLVED_BY_SECONDS = 20 * DAY_SECONDS
_CLOSED_AFTER_SECONDS = 4 * DAY_SECONDS

_PRIORITY_WEIGHTS = (22, 50, 20, 8)
_CYCLE_WEIGHTS = (38, 30, 18, 9, 5)
"""How often agent and requester take turns until the ticket is solved: once to five times."""

# Agents aim at the target: the median delay is 0.3 of it, and about one reply in twelve is late.
_REPLY_MEDIAN_LOG = -1.2
_REPLY_SIGMA = 0.87
_WRITER_MEDIAN_LOG = 8.6  # of the requester's delays: about an hour and a half
_WRITER_SIGMA = 1.15


@dataclass(frozen=True, slots=True)
class Update:
    """One update of a ticket, and the ticket after it; `time` is epoch seconds.

    Attributes:
        actor: requester, agent or rule.
        comment: public, private, or None.
        status: new, open, pending, hold, solved, closed or deleted.
        policy: the SLA policy that applies from now on; None for no policy.
    """

    time: int
    actor: str
    comment: str | None
    status: str
    priority: str
    group_id: int
    policy: Policy | None


def ticket_life(rng: random.Random, *, created: int, channel: str, load: float) -> tuple[Update, ...]:
    """The updates of a ticket made at `created`; `load` above 1 makes agents slower than they aim to be."""
    priority = rng.choices(PRIORITIES, _PRIORITY_WEIGHTS)[0]
    policy = VIP if rng.random() < 0.14 else OFFICE_HOURS if channel == "Mail" else STANDARD
    first = Update(created, "requester", "public", "new", priority, FIRST_LEVEL, policy if rng.random() > 0.05 else None)
    teller = _Life(rng, first, home_policy=policy, load=load)
    teller.tell_until_solved(rng.choices((1, 2, 3, 4, 5), _CYCLE_WEIGHTS)[0])
    if rng.random() < 0.07 and teller.wait_for_requester(sigma=0.8, median_log=10.4):
        teller.tell_until_solved(1)
    closed = teller.last.time + _CLOSED_AFTER_SECONDS
    if closed < created + LIFE_DAYS * DAY_SECONDS:
        teller.updates.append(replace(teller.last, time=closed, actor="rule", comment=None, status="closed"))
    return tuple(teller.updates)


def answered_by_ai(rng: random.Random, *, created: int) -> tuple[Update, ...]:
    """The updates of a ticket that an AI agent solves in its first answer; it has no policy and no priority of its own."""
    first = Update(created, "requester", "public", "new", "normal", FIRST_LEVEL, None)
    solved = replace(first, time=created + rng.randrange(5, 60), actor="agent", status="solved")
    return (
        first,
        solved,
        replace(solved, time=solved.time + _CLOSED_AFTER_SECONDS, actor="rule", comment=None, status="closed"),
    )


class _Life:
    """Adds updates, each after the last one and none after the ticket must be solved."""

    def __init__(self, rng: random.Random, first: Update, *, home_policy: Policy, load: float) -> None:
        self._rng = rng
        self._home_policy = home_policy
        self._load = load
        self._solved_by = first.time + _SOLVED_BY_SECONDS
        self._replies = 0
        self.updates = [first]

    @property
    def last(self) -> Update:
        return self.updates[-1]

    def tell_until_solved(self, cycles: int) -> None:
        for cycle in range(1, cycles + 1):
            status = "solved" if cycle == cycles else self._rng.choices(("pending", "open", "hold"), (60, 28, 12))[0]
            self._agent_replies(status)
            if self.last.status == "solved":
                return
            if not self.wait_for_requester(sigma=_WRITER_SIGMA, median_log=_WRITER_MEDIAN_LOG):
                break
        self._write(self._solved_by, actor="agent", comment="public", status="solved")

    def wait_for_requester(self, *, sigma: float, median_log: float) -> bool:
        """The requester writes, unless that would be too late in the ticket's life."""
        time = self.last.time + max(20, int(self._rng.lognormvariate(median_log, sigma)))
        return self._write(time, actor="requester", comment="public", status="open")

    def _agent_replies(self, status: str) -> None:
        asked = self.last.time
        target = self._home_policy.target(NEXT_REPLY if self._replies else FIRST_REPLY, self.last.priority)
        seconds = target.seconds if target else DAY_SECONDS
        delay = seconds * self._load * self._rng.lognormvariate(_REPLY_MEDIAN_LOG, _REPLY_SIGMA)
        time = self._home_policy.later(asked, max(45, int(delay)))
        self._something_happens(before=time, due=self._home_policy.later(asked, seconds))
        if self._rng.random() < 0.22:
            self._write(self._between(self.last.time, time), actor="agent", comment="private", status="open")
        self._replies += self._write(time, actor="agent", comment="public", status=status)

    def _something_happens(self, *, before: int, due: int) -> None:
        """Now and then priority, policy or group change while the requester waits."""
        chance = self._rng.random()
        time = self._between(self.last.time, before)
        priority = PRIORITIES.index(self.last.priority)
        if self.last.policy is None and chance < 0.35:
            self._write(time, actor="agent", comment=None, policy=self._home_policy)
        elif chance < 0.05 and priority < len(PRIORITIES) - 1:
            self._write(time, actor="agent", comment=None, priority=PRIORITIES[priority + 1])
        elif due < before and chance < 0.22 and priority > 0:
            # The target was missed and turns out to have been too strict.
            self._write(self._between(due, before), actor="agent", comment=None, priority=PRIORITIES[priority - 1])
        elif chance < 0.065 and self.last.policy is not None:
            self._write(time, actor="rule", comment=None, policy=None)
        elif chance < 0.16 and self.last.group_id == FIRST_LEVEL:
            self._write(time, actor="agent", comment="private", group_id=SECOND_LEVEL)

    def _between(self, start: int, end: int) -> int:
        return start + int((end - start) * self._rng.uniform(0.1, 0.9))

    def _write(self, time: int, *, actor: str, comment: str | None, **changes: Any) -> bool:
        """Adds an update, unless the ticket must be solved before it; a solution itself is brought forward instead."""
        time = max(time, self.last.time + 1)
        if changes.get("status") == "solved":
            time = min(time, self._solved_by)
        elif time >= self._solved_by:
            return False
        self.updates.append(replace(self.last, time=time, actor=actor, comment=comment, **changes))
        return True
