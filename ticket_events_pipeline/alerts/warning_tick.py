"""A tick of the warnings: what was not sent yet goes to each destination in one message, unless it is in back-off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ticket_events_pipeline.alerts.destinations import Destination
from ticket_events_pipeline.alerts.state import outage_after, outage_text
from ticket_events_pipeline.alerts.warning_rules import Freshness, Outlook
from ticket_events_pipeline.alerts.warning_state import Recipient, WarningNews, WarningState
from ticket_events_pipeline.text import duration_text, plural, zoned_text

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.webhook import Answer

LONGEST_RETRY_SECONDS = 600
"""A warning that waits an hour for a destination that works again is no warning."""

NOTHING = "Nothing new to send."

Send = Callable[[Mapping[Destination, WarningNews]], "Mapping[str, Answer]"]
"""Delivers its news to each destination; the answers by mark."""


@dataclass(frozen=True)
class Ticked:
    """The result of a tick: a summary for the UI, and the next state."""

    summary: str
    state: WarningState


@dataclass(frozen=True)
class _Turn:
    """What a tick has for a destination."""

    destination: Destination
    recipient: Recipient
    news: WarningNews

    def is_due(self, now: int) -> bool:
        outage = self.recipient.outage
        return self.news.number > 0 and (outage is None or not outage.is_backing_off(now))


def tick(state: WarningState, seen: Outlook, destinations: Sequence[Destination], *, send: Send) -> Ticked:
    """Tell what is new, to all destinations at once; nothing before the first fetch after a pause."""
    freshness, state = seen.freshness, state.ticked(seen.freshness)
    known = {destination: state.recipients[destination.mark].looked(freshness) for destination in destinations}
    if state.awaits_fetch(freshness):
        recipients = {destination.mark: recipient for destination, recipient in known.items()}
        summary = f"No warning is sent before the first fetch after a pause. {_data_text(seen)}"
        return Ticked(summary, replace(state, recipients=recipients))
    turns = [_Turn(destination, recipient, recipient.news(seen)) for destination, recipient in known.items()]
    due = {turn.destination: turn.news for turn in turns if turn.is_due(freshness.now)}
    answers = send(due) if due else {}
    ended = {turn.destination: _ended(turn, answers.get(turn.destination.mark), freshness) for turn in turns}
    summaries = {
        turn.destination: _summary(turn, ended[turn.destination], seen, was_sent=turn.destination in due) for turn in turns
    }
    after = replace(state, recipients={destination.mark: recipient for destination, recipient in ended.items()})
    return Ticked(f"{_joined(summaries)} {_data_text(seen)}", after)


def _ended(turn: _Turn, answer: Answer | None, freshness: Freshness) -> Recipient:
    """The state after the turn; without an answer, nothing was sent."""
    if not turn.news.number or (answer is not None and answer.is_accepted):
        return turn.recipient.delivered(turn.news, freshness)
    if answer is None:
        return turn.recipient
    outage = outage_after(
        answer,
        turn.recipient.outage,
        destination=turn.destination,
        now=freshness.now,
        longest_seconds=LONGEST_RETRY_SECONDS,
    )
    return replace(turn.recipient, outage=outage)


def _summary(turn: _Turn, after: Recipient, seen: Outlook, *, was_sent: bool) -> str:
    if after.outage is not None:
        return f"Pending: {_news_text(turn.news)}. {outage_text(after.outage, seen.today.timezone)}"
    return f"Sent: {_news_text(turn.news)}." if was_sent else NOTHING


def _joined(summaries: Mapping[Destination, str]) -> str:
    """One text for all destinations if it is the same for all."""
    if len(set(summaries.values())) == 1:
        return next(iter(summaries.values()))
    return " ".join(f"{destination.name}: {summary}" for destination, summary in summaries.items())


def _news_text(news: WarningNews) -> str:
    parts = [plural(len(news.due), "target due soon", "targets due soon")] if news.due else []
    parts += [plural(len(news.breached), "breach without a warning", "breaches without a warning")] if news.breached else []
    parts += ["stale data"] if news.is_stale else []
    parts += ["fresh data again"] if news.is_fresh_again else []
    return ", ".join(parts)


def _data_text(seen: Outlook) -> str:
    as_of, age = seen.freshness.as_of, seen.freshness.age_seconds
    if as_of is None or age is None:
        return "There is no SLA table of today or yesterday."
    return f"The data is as of {zoned_text(as_of, seen.today.timezone)}, {duration_text(age)} old."
