"""Delivers messages: each destination gets them in its own form, all at once and in bounded time.

Nothing here raises, and no answer holds anything of a URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ticket_events_pipeline.alerts import other_services
from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.rich_text import Message
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.alerts.slack import slack_payload
from ticket_events_pipeline.alerts.teams import teams_payload
from ticket_events_pipeline.alerts.webhook import TOTAL_SECONDS, Answer, post

RETRY_WAITS = (5.0, 30.0)
"""Seconds before the second and the third attempt."""

LONGEST_WAIT_SECONDS = 120.0
"""Granted to a server that asks for a wait."""


def destinations(settings: AlertSettings) -> tuple[Destination, ...]:
    """Where messages go, each once; the webhook of TICKET_EVENTS_ALERT_WEBHOOK first."""
    return settings.destinations


def deliver(destination: Destination, message: Message, *, total_seconds: float = TOTAL_SECONDS) -> Answer:
    """Send the message once; never raises. After a timeout, it may still have arrived."""
    if destination.problem:
        return Answer(is_accepted=False, reason=f"it can't be used: {destination.variable}: {destination.problem}")
    try:
        match destination.kind:
            case Kind.OTHER:
                return other_services.send(destination.url, message, total_seconds=total_seconds)
            case Kind.TEAMS:
                payload = teams_payload(message)
            case _:
                payload = slack_payload(message, has_blocks=destination.kind == Kind.SLACK)
        return post(destination.url, payload, total_seconds=total_seconds)
    except Exception as error:  # its text may quote the URL
        return Answer(is_accepted=False, reason=f"can't be sent ({type(error).__name__})")


def deliver_all(destinations: Iterable[Destination], message: Message) -> dict[str, Answer]:
    """Send one message to all destinations side by side; the answer of each by its mark."""
    return deliver_each(dict.fromkeys(destinations, message))


def deliver_each(messages: Mapping[Destination, Message]) -> dict[str, Answer]:
    """Send each destination its own message, side by side; the answer of each by its mark."""
    if not messages:
        return {}
    with ThreadPoolExecutor(len(messages)) as threads:
        answers = threads.map(deliver, messages.keys(), messages.values())
        return {destination.mark: answer for destination, answer in zip(messages, answers, strict=True)}


def deliver_patiently(
    destinations: Sequence[Destination], message: Message, *, sleep: Callable[[float], None] = time.sleep
) -> dict[Destination, Answer]:
    """Send one message to all destinations, again to those that accept it later than at once; the last answer of each.

    None that has accepted it gets it again. An answer that a retry cannot change ends the attempts.
    """
    answers: dict[Destination, Answer] = {}
    left = list(destinations)
    for wait in (*RETRY_WAITS, None):
        found = deliver_all(left, message)
        answers |= {destination: found[destination.mark] for destination in left}
        left = [destination for destination in left if _may_accept_later(destination, answers[destination])]
        if wait is None or not left:
            break
        asked = max(answers[destination].wait_seconds or 0 for destination in left)
        sleep(max(wait, min(asked, LONGEST_WAIT_SECONDS)))
    return {destination: answers[destination] for destination in destinations}


def _may_accept_later(destination: Destination, answer: Answer) -> bool:
    return not (destination.problem or answer.is_accepted or answer.is_final)
