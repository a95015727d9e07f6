"""What was posted, what is pending, and when the webhook is tried again: the state between two ticks, kept in the cursor.

A fact that is true and was not posted is pending. Of pending facts only their subjects are kept: those that stop being true
before the webhook is back are counted in the next message. The state is bounded, whatever the account does, and the webhook's
URL is not in it. A process that dies between the webhook's answer and the storing of the
cursor posts once more: HTTP gives no more than at-least-once.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ticket_events_pipeline.alerts.observe import Observed
from ticket_events_pipeline.alerts.rules import Fact, present_facts, stall_of
from ticket_events_pipeline.alerts.destinations import WEBHOOK
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.text import plural, zoned_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ticket_events_pipeline.alerts.webhook import Answer

VERSION = 2

REMEMBERED_SECONDS = 3 * 86_400
"""A posted fact is forgotten so long after it was last true: later than it can come back, as only two days are read."""

MOST_REMEMBERED = 1000
"""More than can be true at once; beyond, those that were true the longest time ago are forgotten."""

FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 3600
"""Also after an answer that a retry cannot change: the webhook may be repaired at the other end."""

LONGEST_ASKED_SECONDS = 6 * 3600
"""The longest wait that is granted to a server."""

GREATEST_NUMBER = 10**11
"""Epoch seconds that still are a date."""

_V = TypeVar("_V", bound="DataclassInstance")


@dataclass(frozen=True)
class Posted:
    """A subject that was posted up to `level`, last true at `at` (epoch seconds)."""

    level: int
    at: int


@dataclass(frozen=True)
class Outage:
    """The webhook accepts nothing.

    Attributes:
        since: the first attempt, epoch seconds.
        failures: attempts so far.
        next_at: time of the next attempt, epoch seconds.
        reason: the last answer, in our words.
        webhook_mark: identifies the webhook: another one is tried at once.
    """

    since: int
    failures: int
    next_at: int
    reason: str
    webhook_mark: str

    def is_backing_off(self, mark: str, now: int) -> bool:
        """Whether the next attempt at the webhook of that mark is still to come."""
        is_same = self.webhook_mark == mark
        # Further off than any wait: the clock was put back.
        return is_same and now < self.next_at <= now + LONGEST_ASKED_SECONDS


@dataclass(frozen=True)
class News:
    """What one message holds.

    Attributes:
        facts: the pending facts.
        undelivered_since: since when nothing could be posted, epoch seconds; None if the webhook works.
        missed: how many facts were pending and are no longer true.
    """

    facts: tuple[Fact, ...]
    undelivered_since: int | None
    missed: int = 0


Post = Callable[[News], "Answer"]


@dataclass(frozen=True)
class AlertState:
    """Everything that one tick leaves to the next.

    Attributes:
        posted: by subject.
        outage: None while the webhook works.
        waiting: subjects that are pending since an earlier tick.
        missed: pending facts that are no longer known by their subject.
        is_new: there is no earlier tick: past facts count as posted.
    """

    posted: dict[str, Posted] = field(default_factory=dict)
    outage: Outage | None = None
    is_new: bool = False
    waiting: frozenset[str] = frozenset()
    missed: int = 0

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """The inverse of `to_cursor`; a new state where there is no cursor, or an unreadable one."""
        try:
            read = json.loads(cursor or "")
            posted = {subject: checked(Posted(level, at)) for subject, (level, at) in _posted_entries(read).items()}
            outage = None if read["outage"] is None else checked(Outage(**read["outage"]))
            waiting, missed = _waiting_entries(read)
            return checked(cls(posted, outage, waiting=waiting, missed=missed))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(is_new=True)

    def to_cursor(self) -> str:
        """The state as JSON."""
        posted = {subject: [item.level, item.at] for subject, item in self.posted.items()}
        outage = None if self.outage is None else dataclasses.asdict(self.outage)
        waiting = {"waiting": sorted(self.waiting), "missed": self.missed}
        return json.dumps({"version": VERSION, "posted": posted, "outage": outage, **waiting}, separators=(",", ":"))

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

    def updated(self, facts: Iterable[Fact], now: int) -> AlertState:
        """The state after a look at the facts that are true now: posted ones are remembered for longer, old ones forgotten."""
        posted = dict(self.posted)
        for fact in facts:
            before = posted.get(fact.subject)
            if before is not None:
                posted[fact.subject] = Posted(before.level, now)
            elif self.is_new and fact.is_past:
                posted[fact.subject] = Posted(fact.level, now)
        return replace(self, posted=_newest(posted, now), is_new=False)

    def undelivered(self, pending: Iterable[Fact], outage: Outage) -> AlertState:
        """The state while the webhook accepts nothing: the pending facts wait, and those that no longer do are missed."""
        now_pending = {fact.subject for fact in pending}
        kept = sorted(now_pending)[:MOST_REMEMBERED]
        gone = self.waiting - now_pending
        return replace(self, outage=outage, waiting=frozenset(kept), missed=min(self.missed + len(gone), GREATEST_NUMBER))

    def delivered(self, facts: Iterable[Fact], now: int) -> AlertState:
        """The state after the webhook has accepted these facts."""
        return AlertState(_newest(self.posted | {fact.subject: Posted(fact.level, now) for fact in facts}, now))


@dataclass(frozen=True)
class Ticked:
    """The result of a tick: a summary for the UI, and the next state."""

    summary: str
    state: AlertState


def tick(state: AlertState, observed: Observed, settings: AlertSettings, *, post: Post) -> Ticked:
    """Post what is pending in one message, unless the webhook is in back-off."""
    now = observed.now
    facts = present_facts(observed, settings, state.stalls)
    state = state.updated(facts, now)
    pending, outage = state.pending(facts), state.outage
    missed = state.missed + len(state.waiting - {fact.subject for fact in pending})
    if not pending and not missed:
        return Ticked("Nothing new to post.", state)
    if outage is not None and outage.is_backing_off(settings.webhook_mark, now):
        return Ticked(_outage_summary(len(pending) + missed, outage, observed.timezone), state.undelivered(pending, outage))
    answer = post(News(pending, None if outage is None else outage.since, missed))
    if answer.is_accepted:
        return Ticked(f"Posted {plural(len(pending) + missed, 'alert')}.", state.delivered(pending, now))
    failed = outage_after(answer, outage, mark=settings.webhook_mark, now=now)
    return Ticked(_outage_summary(len(pending) + missed, failed, observed.timezone), state.undelivered(pending, failed))


def outage_after(
    answer: Answer, before: Outage | None, *, mark: str, now: int, longest_seconds: int = LONGEST_RETRY_SECONDS
) -> Outage:
    """The outage after one more message was not accepted; a retry that may succeed is made within `longest_seconds`."""
    since, failures = (now, 0) if before is None else (before.since, before.failures)
    if before is not None and before.webhook_mark != mark:
        failures = 0
    wait = LONGEST_RETRY_SECONDS
    if not answer.is_final:
        wait = min(FIRST_RETRY_SECONDS * 2 ** min(failures, 16), longest_seconds)
    asked = min(answer.wait_seconds or 0, LONGEST_ASKED_SECONDS)
    reason = answer.reason
    if answer.is_final:
        reason += f"; a retry cannot change that: check {WEBHOOK}, or make a new webhook (this one may have been revoked)"
    return Outage(since, failures + 1, now + max(wait, round(asked)), reason, mark)


def _outage_summary(count: int, outage: Outage, timezone: str) -> str:
    are = "is" if count == 1 else "are"
    return (
        f"{plural(count, 'alert')} {are} pending. The webhook has accepted nothing since {zoned_text(outage.since, timezone)} "
        f"(attempts: {outage.failures}); its last answer: {outage.reason}. The next attempt is at "
        f"{zoned_text(outage.next_at, timezone)}."
    )


def _posted_entries(read: dict[str, Any]) -> dict[str, list[int]]:
    """The posted subjects of a cursor.

    Raises:
        ValueError: a version that this program doesn't know.
    """
    names = {1: "told", VERSION: "posted"}
    if read["version"] not in names:
        raise ValueError("unknown version")
    found: dict[str, list[int]] = read[names[read["version"]]]
    return found


def _waiting_entries(read: dict[str, Any]) -> tuple[frozenset[str], int]:
    """The subjects that a cursor has as pending, and how many more; version 1 also has their texts."""
    if read["version"] == 1:
        return frozenset(str(item["subject"]) for item in read["waiting"]), read["counted"] + read["given_up"]
    waiting = read.get("waiting", [])
    if not all(isinstance(subject, str) for subject in waiting):
        raise ValueError("a subject is no text")
    return frozenset(waiting), read.get("missed", 0)


def _newest(posted: dict[str, Posted], now: int) -> dict[str, Posted]:
    kept = [(subject, item) for subject, item in posted.items() if now - item.at <= REMEMBERED_SECONDS]
    return dict(sorted(kept, key=lambda item: item[1].at)[-MOST_REMEMBERED:])


def checked(made: _V) -> _V:
    """The value, if its numbers are in range and its texts are texts.

    Raises:
        ValueError: they aren't.
    """
    for item in dataclasses.fields(made):
        value = getattr(made, item.name)
        if item.type == "int" and not (type(value) is int and 0 <= value <= GREATEST_NUMBER):
            raise ValueError(f"{item.name} is out of range")
        if item.type == "str" and not isinstance(value, str):
            raise ValueError(f"{item.name} is no text")
    return made
