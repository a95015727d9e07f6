"""The SLA clocks of a ticket: per metric and instance, when each was started, paused, fulfilled and given a target.

The rules are Zendesk's, simplified:
https://support.zendesk.com/hc/en-us/articles/4408829459866-Defining-SLA-policies
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ticket_events_pipeline.sandbox.policies import FIRST_REPLY, GROUP_OWNERSHIP, NEXT_REPLY, Target
from ticket_events_pipeline.sandbox.texts import SECOND_LEVEL
from ticket_events_pipeline.sandbox.ticket_life import Update

METRICS = (
    "agent_work_time",
    "pausable_update_time",
    "periodic_update_time",
    "reply_time",
    "requester_wait_time",
    "resolution_time",
    "group_ownership_time",
)

SOLVED = ("solved", "closed")

PAUSING_STATUSES: dict[str, tuple[str, ...]] = {
    "agent_work_time": ("pending", "hold"),
    "pausable_update_time": ("pending",),
    "requester_wait_time": ("pending",),
}
"""In which statuses a metric's clock stands still; those not named never pause."""

_WHOLE_TICKET_METRICS = ("agent_work_time", "requester_wait_time", "resolution_time")
_UPDATE_METRICS = ("pausable_update_time", "periodic_update_time")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something done to a clock: activate, pause, fulfill, apply (a target, or None to take it away), delete or restore.

    The last two happen to the ticket: Zendesk sends no metric event for them.
    """

    time: int
    kind: str
    target: Target | None = None


@dataclass(slots=True)
class LifeClock:
    """One clock of a ticket with its marks in order; `state` is running, paused or fulfilled."""

    metric: str
    instance_id: int
    group_id: int
    marks: list[Mark] = field(default_factory=list)
    target: Target | None = None
    state: str = "paused"


def clocks_of(updates: Iterable[Update]) -> list[LifeClock]:
    """Every clock of the ticket, in the order in which they were first started."""
    desk = _Desk()
    for update in updates:
        desk.see(update)
    return desk.clocks


class _Desk:
    """The clocks of one ticket while its updates are read."""

    def __init__(self) -> None:
        self.clocks: list[LifeClock] = []
        self._latest: dict[str, LifeClock] = {}
        self._group_id: int | None = None
        self._priority: str | None = None
        self._is_deleted = False

    def see(self, update: Update) -> None:
        if update.status == "closed":
            return
        if update.status == "deleted" or self._is_deleted:
            self._follow_deletion(update)
            return
        replied = self._latest.get("reply_time") if self._replies_and_reprioritises(update) else None
        if replied is not None:  # the reply counts first, then the new target is applied to what it has fulfilled
            self._fulfill("reply_time", update)
            self._retarget(replied, update)
        self._priority = update.priority
        for clock in self._latest.values():
            if clock.state != "fulfilled":
                self._retarget(clock, update)
        self._follow_group(update)
        self._follow_comments(update)
        self._follow_status(update)

    def _follow_deletion(self, update: Update) -> None:
        """The update deletes the ticket, or restores it and changes nothing else."""
        self._is_deleted = update.status == "deleted"
        for clock in self._latest.values():
            if clock.state == "running":
                clock.marks.append(Mark(update.time, "delete" if self._is_deleted else "restore"))

    def _replies_and_reprioritises(self, update: Update) -> bool:
        is_reply = (update.actor, update.comment) == ("agent", "public") and self._is_unfulfilled("reply_time")
        return is_reply and update.priority != self._priority

    def _follow_group(self, update: Update) -> None:
        if update.group_id != self._group_id:
            self._fulfill("group_ownership_time", update)
            self._start("group_ownership_time", update)
            self._group_id = update.group_id

    def _follow_comments(self, update: Update) -> None:
        if update.comment != "public":
            return
        if update.actor == "requester":
            if not self._is_unfulfilled("reply_time"):
                self._start("reply_time", update)
            return
        self._fulfill("reply_time", update)
        for metric in _UPDATE_METRICS:
            self._fulfill(metric, update)
            if update.status not in SOLVED:
                self._start(metric, update)

    def _follow_status(self, update: Update) -> None:
        if update.status in SOLVED:
            for metric in METRICS:
                self._fulfill(metric, update)
            return
        for metric in (*_WHOLE_TICKET_METRICS, "group_ownership_time"):
            if not self._is_unfulfilled(metric):
                self._resume(metric, update)
        for metric, statuses in PAUSING_STATUSES.items():
            clock = self._latest.get(metric)
            if clock is None or clock.state == "fulfilled":
                continue
            if update.status in statuses and clock.state == "running":
                clock.state = "paused"
                clock.marks.append(Mark(update.time, "pause"))
            elif update.status not in statuses and clock.state == "paused":
                self._resume(metric, update)

    def _is_unfulfilled(self, metric: str) -> bool:
        return metric in self._latest and self._latest[metric].state != "fulfilled"

    def _start(self, metric: str, update: Update) -> None:
        """A new instance of the metric's clock."""
        earlier = self._latest.get(metric)
        self._latest[metric] = LifeClock(metric, earlier.instance_id + 1 if earlier else 1, update.group_id)
        self.clocks.append(self._latest[metric])
        self._resume(metric, update)

    def _resume(self, metric: str, update: Update) -> None:
        """Start the same instance, or start it again: a metric of the whole ticket starts and re-opens here."""
        if metric not in self._latest:
            self._start(metric, update)
            return
        clock = self._latest[metric]
        clock.state = "running"
        clock.marks.append(Mark(update.time, "activate"))
        self._retarget(clock, update)

    def _retarget(self, clock: LifeClock, update: Update) -> None:
        target = self._target(clock, update)
        if target != clock.target:
            clock.target = target
            clock.marks.append(Mark(update.time, "apply", target))

    def _target(self, clock: LifeClock, update: Update) -> Target | None:
        if clock.metric == "group_ownership_time":
            return GROUP_OWNERSHIP.target(clock.metric, update.priority) if clock.group_id == SECOND_LEVEL else None
        if update.policy is None:
            return None
        name = clock.metric
        if name == "reply_time":
            name = FIRST_REPLY if clock.instance_id == 1 else NEXT_REPLY
        return update.policy.target(name, update.priority)

    def _fulfill(self, metric: str, update: Update) -> None:
        if self._is_unfulfilled(metric):
            clock = self._latest[metric]
            clock.state = "fulfilled"
            clock.marks.append(Mark(update.time, "fulfill"))
