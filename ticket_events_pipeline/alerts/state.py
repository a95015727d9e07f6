"""What was posted to a destination, what is pending, and when it is tried again: the state between two ticks.

A fact that is true and was not posted is pending. Of pending facts only their subjects are kept: those that stop being true
before the destination is back are counted in its next message. The state is bounded, whatever the account does, and no URL is
in it. A process that dies between the answer and the storing of the cursor posts once more: HTTP gives no more than at least
once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ticket_events_pipeline.alerts.rules import Fact, stall_of
from ticket_events_pipeline.text import zoned_text

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.destinations import Destination
    from ticket_events_pipeline.alerts.webhook import Answer

REMEMBERED_SECONDS = 3 * 86_400
"""A posted fact is forgotten so long after it was last true: later than it can come back, as only two days are read."""

MOST_REMEMBERED = 1000
"""More than can be true at once; beyond, those that were true the longest time ago are forgotten."""

FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 3600
"""Also after an answer that a retry cannot change: the receiver may be repaired at the other end."""

LONGEST_ASKED_SECONDS = 6 * 3600
"""The longest wait that is granted to a server."""

GREATEST_NUMBER = 10**11
"""Epoch seconds that still are a date."""


@dataclass(frozen=True)
class Posted:
    """A subject that was posted up to `level`, last true at `at` (epoch seconds)."""

    level: int
    at: int


@dataclass(frozen=True)
class Outage:
    """A destination accepts nothing.

    Attributes:
        since: the first attempt, epoch seconds.
        failures: attempts so far.
        next_at: time of the next attempt, epoch seconds.
        reason: the last answer, in our words.
    """

    since: int
    failures: int
    next_at: int
    reason: str

    def is_backing_off(self, now: int) -> bool:
        """Whether the next attempt is still to come."""
        # Further off than any wait: the clock was put back.
        return now < self.next_at <= now + LONGEST_ASKED_SECONDS

    def elsewhere(self) -> Outage:
        """The same outage with another URL, which is tried at once."""
        return replace(self, failures=0, next_at=0)


def outage_text(outage: Outage, timezone: str) -> str:
    """What the UI says of an outage, for both sensors."""
    return (
        f"Nothing was accepted since {zoned_text(outage.since, timezone)} (attempts: {outage.failures}); the last answer: "
        f"{outage.reason}. The next attempt is at {zoned_text(outage.next_at, timezone)}."
    )


def outage_after(
    answer: Answer,
    before: Outage | None,
    *,
    destination: Destination,
    now: int,
    longest_seconds: int = LONGEST_RETRY_SECONDS,
) -> Outage:
    """The outage after one more message was not accepted; a retry that may succeed is made within `longest_seconds`."""
    since, failures = (now, 0) if before is None else (before.since, before.failures)
    wait = LONGEST_RETRY_SECONDS
    if not answer.is_final:
        wait = min(FIRST_RETRY_SECONDS * 2 ** min(failures, 16), longest_seconds)
    asked = min(answer.wait_seconds or 0, LONGEST_ASKED_SECONDS)
    reason = answer.reason
    if answer.is_final:
        check = f"check {destination.variable}, or make a new webhook (this one may have been revoked)"
        reason += f"; {check}; it is tried again once an hour in case it is repaired"
    return Outage(since, failures + 1, now + max(wait, round(asked)), reason)


@dataclass(frozen=True)
class News:
    """What one message holds.

    Attributes:
        facts: the pending facts.
        undelivered_since: since when nothing could be posted, epoch seconds; None if it works.
        missed: how many facts were pending and are no longer true.
    """

    facts: tuple[Fact, ...]
    undelivered_since: int | None
    missed: int = 0


@dataclass(frozen=True)
class DestinationState:
    """Everything of one destination that one tick leaves to the next.

    Attributes:
        posted: by subject.
        outage: None while it works.
        waiting: subjects that are pending since an earlier tick.
        missed: pending facts that are no longer known by their subject.
        is_new: there is no earlier tick: past facts count as posted.
    """

    posted: dict[str, Posted] = field(default_factory=dict)
    outage: Outage | None = None
    is_new: bool = False
    waiting: frozenset[str] = frozenset()
    missed: int = 0

    @property
    def stalls(self) -> dict[str, int]:
        """For each stream whose stall was posted: its last reading before the newest stall, epoch seconds."""
        return dict(sorted(stall for subject in self.posted if (stall := stall_of(subject)) is not None))

    def has_posted(self, subject: str) -> bool:
        """Whether the subject was posted, at any level."""
        return subject in self.posted

    def pending(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """The facts that were not posted at their level."""
        return tuple(fact for fact in facts if fact.subject not in self.posted or fact.level > self.posted[fact.subject].level)

    def updated(self, facts: Iterable[Fact], now: int) -> DestinationState:
        """The state after a look at the facts that are true now: posted ones are remembered for longer, old ones forgotten."""
        posted = dict(self.posted)
        for fact in facts:
            before = posted.get(fact.subject)
            if before is not None:
                posted[fact.subject] = Posted(before.level, now)
            elif self.is_new and fact.is_past:
                posted[fact.subject] = Posted(fact.level, now)
        return replace(self, posted=_newest(posted, now), is_new=False)

    def undelivered(self, pending: Iterable[Fact], outage: Outage) -> DestinationState:
        """The state while it accepts nothing: the pending facts wait, and those that no longer do are missed."""
        now_pending = {fact.subject for fact in pending}
        kept = sorted(now_pending)[:MOST_REMEMBERED]
        gone = self.waiting - now_pending
        return replace(self, outage=outage, waiting=frozenset(kept), missed=min(self.missed + len(gone), GREATEST_NUMBER))

    def delivered(self, facts: Iterable[Fact], now: int) -> DestinationState:
        """The state after it has accepted these facts."""
        return DestinationState(_newest(self.posted | {fact.subject: Posted(fact.level, now) for fact in facts}, now))

    def elsewhere(self) -> DestinationState:
        """The state of a destination that has another URL now."""
        return replace(self, outage=None if self.outage is None else self.outage.elsewhere())


def _newest(posted: dict[str, Posted], now: int) -> dict[str, Posted]:
    kept = [(subject, item) for subject, item in posted.items() if now - item.at <= REMEMBERED_SECONDS]
    return dict(sorted(kept, key=lambda item: item[1].at)[-MOST_REMEMBERED:])
