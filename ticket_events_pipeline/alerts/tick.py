"""A tick of the alert sensor: what is pending goes to each destination in one message, unless it is in back-off.

Each destination has a state of its own: one that is down keeps no other from its messages, and makes none of them get anything
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ticket_events_pipeline.alerts.cursor import AlertState
from ticket_events_pipeline.alerts.destinations import Destination
from ticket_events_pipeline.alerts.observe import Observed
from ticket_events_pipeline.alerts.rules import Fact, present_facts
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.alerts.state import DestinationState, News, Outage, outage_after, outage_text
from ticket_events_pipeline.text import plural

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.webhook import Answer

NOTHING = "Nothing new to post."

Post = Callable[[Mapping[Destination, News]], "Mapping[str, Answer]"]
"""Posts its news to each destination; the answers by mark."""


@dataclass(frozen=True)
class Ticked:
    """The result of a tick: a summary for the UI, and the next state."""

    summary: str
    state: AlertState


@dataclass(frozen=True)
class _Turn:
    """What a tick has for a destination: the state as of now, the pending facts, and how many more were pending."""

    destination: Destination
    state: DestinationState
    pending: tuple[Fact, ...]
    missed: int

    @property
    def count(self) -> int:
        return len(self.pending) + self.missed

    def is_due(self, now: int) -> bool:
        outage = self.state.outage
        return self.count > 0 and (outage is None or not outage.is_backing_off(now))

    @property
    def news(self) -> News:
        outage = self.state.outage
        return News(self.pending, None if outage is None else outage.since, self.missed)


def tick(state: AlertState, observed: Observed, settings: AlertSettings, *, post: Post) -> Ticked:
    """Post what is pending, to all destinations at once."""
    turns = [_turn(destination, state.by_mark[destination.mark], observed, settings) for destination in settings.destinations]
    due = {turn.destination: turn.news for turn in turns if turn.is_due(observed.now)}
    answers = post(due) if due else {}
    ended = {turn.destination: _ended(turn, answers.get(turn.destination.mark), observed) for turn in turns}
    states = {destination.mark: after for destination, (_, after) in ended.items()}
    return Ticked(_summary({destination: summary for destination, (summary, _) in ended.items()}), AlertState(states))


def _turn(destination: Destination, state: DestinationState, observed: Observed, settings: AlertSettings) -> _Turn:
    facts = present_facts(observed, settings, state.stalls)
    state = state.updated(facts, observed.now)
    pending = state.pending(facts)
    missed = state.missed + len(state.waiting - {fact.subject for fact in pending})
    return _Turn(destination, state, pending, missed)


def _ended(turn: _Turn, answer: Answer | None, observed: Observed) -> tuple[str, DestinationState]:
    """A summary of the turn, and the state after it; without an answer, nothing was posted."""
    state, outage = turn.state, turn.state.outage
    if not turn.count:
        return NOTHING, state
    if answer is not None and answer.is_accepted:
        return f"Posted {plural(turn.count, 'alert')}.", state.delivered(turn.pending, observed.now)
    if answer is not None:
        outage = outage_after(answer, outage, destination=turn.destination, now=observed.now)
    if outage is None:
        return NOTHING, state
    return _outage_summary(turn.count, outage, observed.timezone), state.undelivered(turn.pending, outage)


def _summary(summaries: Mapping[Destination, str]) -> str:
    if set(summaries.values()) == {NOTHING}:
        return NOTHING
    return "\n".join(f"{destination.name}: {summary}" for destination, summary in summaries.items())


def _outage_summary(count: int, outage: Outage, timezone: str) -> str:
    are = "is" if count == 1 else "are"
    return f"{plural(count, 'alert')} {are} pending. {outage_text(outage, timezone)}"
