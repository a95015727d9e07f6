"""One tick: what is true goes into the memory, and at most one message goes out.

A message that nobody took stays in the memory and is tried again at growing distances, merged with what came up meanwhile. What
was taken is remembered once the memory is stored: a process that dies between the webhook's answer and that sends it once
more. More than at-least-once can't be had over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ticket_events_pipeline.alerts.message import message
from ticket_events_pipeline.alerts.observation import Observed
from ticket_events_pipeline.alerts.rules import present_facts
from ticket_events_pipeline.alerts.settings import WEBHOOK, AlertSettings
from ticket_events_pipeline.alerts.state import Memory, Outage
from ticket_events_pipeline.text import zoned_text

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.webhook import Answer

Post = Callable[[Mapping[str, str]], "Answer"]

FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 3600
"""Also after an answer that will not change: somebody may have mended it at the other end."""

LONGEST_ASKED_SECONDS = 6 * 3600
"""A server may ask for so long a wait."""


@dataclass(frozen=True)
class Ticked:
    """What came of a tick, in words for the UI, and what the next one has to know."""

    told: str
    memory: Memory


def tick(memory: Memory, observed: Observed, settings: AlertSettings, *, account: str | None, post: Post) -> Ticked:
    """Note what is true, and tell what is new, unless the webhook wants to be left alone for now."""
    now = observed.now
    memory = memory.noted(present_facts(observed, settings, memory.stalls), now)
    if not memory.has_news:
        return Ticked("Nothing new to tell.", memory)
    count = len(memory.waiting) + memory.counted
    outage = memory.outage
    if outage is not None and _is_to_wait(outage, settings, now):
        return Ticked(_waits(count, outage, observed.timezone), memory)
    answer = post(message(memory, account=account, timezone=observed.timezone))
    if answer.is_accepted:
        return Ticked(f"Told: {count}.", memory.delivered(now))
    failed = outage_after(answer, outage, mark=settings.webhook_mark, now=now)
    return Ticked(_waits(count, failed, observed.timezone), replace(memory, outage=failed))


def _is_to_wait(outage: Outage, settings: AlertSettings, now: int) -> bool:
    is_same = outage.webhook_mark == settings.webhook_mark
    # Further off than any wait: the clock was put back.
    return is_same and now < outage.next_at <= now + LONGEST_ASKED_SECONDS


def outage_after(answer: Answer, before: Outage | None, *, mark: str, now: int) -> Outage:
    """The outage, once one more message was not taken."""
    since, failures = (now, 0) if before is None else (before.since, before.failures)
    if before is not None and before.webhook_mark != mark:
        failures = 0
    distance = (
        LONGEST_RETRY_SECONDS if answer.is_final else min(FIRST_RETRY_SECONDS * 2 ** min(failures, 16), LONGEST_RETRY_SECONDS)
    )
    asked = min(answer.wait_seconds or 0, LONGEST_ASKED_SECONDS)
    reason = answer.reason
    if answer.is_final:
        reason += f"; that will not change by itself: check {WEBHOOK}, or make a new webhook (this one may have been revoked)"
    return Outage(since, failures + 1, now + max(distance, round(asked)), reason, mark)


def _waits(count: int, outage: Outage, timezone: str) -> str:
    return (
        f"{count} wait to be told. The webhook has taken nothing since {zoned_text(outage.since, timezone)} (attempts: "
        f"{outage.failures}); the last time: {outage.reason}. The next attempt is at {zoned_text(outage.next_at, timezone)}."
    )
