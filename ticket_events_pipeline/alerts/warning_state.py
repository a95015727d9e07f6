"""What was sent to each destination, and when it is tried again: the state between two ticks, kept in the cursor.

A warning of a due time is sent to a destination once. What is still to be sent is worked out anew at every tick from what is
true then. So after an outage, one message holds everything that still is true, and nothing that was met meanwhile. The state is
bounded, whatever the account does: a due time is remembered only as long as it can come up again. A process that dies between
the answer and the storing of the cursor sends once more: HTTP gives no more than at-least-once.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ticket_events_pipeline.alerts.cursor import checked
from ticket_events_pipeline.alerts.state import GREATEST_NUMBER, Outage
from ticket_events_pipeline.alerts.warning_rules import (
    INTERVALS_UNTIL_STALE,
    OVERDUE_SECONDS,
    Freshness,
    Outlook,
    UrgentTarget,
)

VERSION = 1

MOST_REMEMBERED = 2000
"""Targets per destination: some 35 bytes of the cursor each. Beyond, everything due before those counts as sent."""

MOST_DUE_TIMES = 4
"""Remembered of one target: it has a new one after each pause, and an earlier one may come back with a corrected schedule."""

SAME_BREACH_SECONDS = 900
"""A breach so close to a due time that a warning was sent for is the one that was foretold: due times are estimates."""

LATE_EVENTS_SECONDS = 300
"""An event may be delivered so long after others that are newer."""

PAUSE_SECONDS = 300
"""No tick for so long: the daemon was down, or the sensor off."""

INTERVALS_UNTIL_GAP = 1.5
"""Data that is so much newer than the last has left a fetch out."""

STALE_AGAIN_SECONDS = 6 * 3600
"""Stale data is not reported again within it: with a fetch an hour, it would be reported every hour."""

_SENT, _OVER = "sent", "over"


@dataclass(frozen=True)
class WarningNews:
    """What one message to one destination holds.

    Attributes:
        due: targets that are due soon, the first one first.
        breached: targets that breached before a warning got through, the newest breach first.
        is_stale: it tells that the data is stale.
        is_fresh_again: it tells that the data is no longer stale.
        undelivered_since: since when nothing could be delivered, epoch seconds; None if the destination works.
    """

    due: tuple[UrgentTarget, ...] = ()
    breached: tuple[UrgentTarget, ...] = ()
    is_stale: bool = False
    is_fresh_again: bool = False
    undelivered_since: int | None = None

    @property
    def number(self) -> int:
        """How many things it tells; 0 needs no message."""
        return len(self.due) + len(self.breached) + self.is_stale + self.is_fresh_again


@dataclass(frozen=True)
class Recipient:
    """What was sent to a destination.

    Attributes:
        sent: by target, the due times that were sent, ascending; a breach that was sent counts as one.
        sent_through: due times up to this one count as sent.
        seen_through: the `as_of` of the data of which everything was sent to it; 0 before the first.
        stale: `sent` while it knows of stale data, `over` once the data is fresh and that is still to be said, else empty.
        stale_sent_at: when stale data was last reported to it, epoch seconds; 0 if never.
        outage: None while it works.
    """

    sent: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sent_through: int = 0
    seen_through: int = 0
    stale: str = ""
    stale_sent_at: int = 0
    outage: Outage | None = None

    def news(self, seen: Outlook) -> WarningNews:
        """What is true now and was not sent to it yet."""
        return WarningNews(
            tuple(target for target in seen.due if not self._knows_due(target)),
            tuple(target for target in seen.breached if self._misses_breach(target, seen.freshness)),
            is_stale=self._misses_stale(seen.freshness),
            is_fresh_again=self.stale == _OVER and not seen.freshness.is_stale,
            undelivered_since=None if self.outage is None else self.outage.since,
        )

    def _knows_due(self, target: UrgentTarget) -> bool:
        return target.at <= self.sent_through or target.at in self.sent.get(target.mark, ())

    def _misses_breach(self, target: UrgentTarget, freshness: Freshness) -> bool:
        """Whether it breached while no warning could be sent. Else the estimate was wrong, which is no warning either."""
        since = max(self.seen_through - LATE_EVENTS_SECONDS, self.sent_through + 1)
        if not self._has_gap(freshness) or target.at < since:
            return False
        return all(abs(target.at - sent) > SAME_BREACH_SECONDS for sent in self.sent.get(target.mark, ()))

    def _has_gap(self, freshness: Freshness) -> bool:
        """Whether it missed something since the data of its last message: a message, or a fetch."""
        if not self.seen_through or freshness.as_of is None:
            return False
        step = freshness.as_of - self.seen_through
        return self.outage is not None or step > INTERVALS_UNTIL_GAP * freshness.interval_seconds

    def _misses_stale(self, freshness: Freshness) -> bool:
        if not freshness.is_stale or self.stale == _SENT:
            return False
        return not self.stale_sent_at <= freshness.now < self.stale_sent_at + STALE_AGAIN_SECONDS

    def elsewhere(self) -> Recipient:
        """The state of a destination that has another URL now."""
        return replace(self, outage=None if self.outage is None else self.outage.elsewhere())

    def looked(self, freshness: Freshness) -> Recipient:
        """After a look at the data: a stale time that was reported to it may be over."""
        is_over = self.stale == _SENT and not freshness.is_stale
        return replace(self, stale=_OVER) if is_over else self

    def delivered(self, news: WarningNews, freshness: Freshness) -> Recipient:
        """After it has accepted the news, or there were none."""
        sent = dict(self.sent)
        for target in (*news.due, *news.breached):
            times = sorted({*sent.get(target.mark, ()), target.at})
            sent[target.mark] = tuple(times[-MOST_DUE_TIMES:])
        as_of = freshness.as_of or self.seen_through
        stale = _SENT if news.is_stale else "" if news.is_fresh_again else self.stale
        stale_sent_at = freshness.now if news.is_stale else self.stale_sent_at
        after = Recipient(sent, self.sent_through, as_of, stale, stale_sent_at)
        return after._with_needed(freshness.now)

    def _with_needed(self, now: int) -> Recipient:
        """Without the due times that can't come up again, and no more than MOST_REMEMBERED targets."""
        oldest = min(now - OVERDUE_SECONDS, self.seen_through - LATE_EVENTS_SECONDS - SAME_BREACH_SECONDS)
        kept = {mark: times for mark, times in self.sent.items() if times[-1] > oldest}
        if len(kept) <= MOST_REMEMBERED:
            return replace(self, sent=kept)
        newest = sorted(kept, key=lambda mark: kept[mark][-1])[-MOST_REMEMBERED:]
        forgotten = kept.keys() - newest
        through = max(kept[mark][-1] for mark in forgotten)
        return replace(self, sent={mark: kept[mark] for mark in newest}, sent_through=through)


@dataclass(frozen=True)
class WarningState:
    """Everything that one tick leaves to the next.

    Attributes:
        recipients: the state of each destination, by its mark.
        ticked_at: when the last tick was, epoch seconds; 0 if there was none.
        resumed_at: when the ticks went on after a pause, epoch seconds; 0 if they haven't paused since the data was new.
    """

    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    ticked_at: int = 0
    resumed_at: int = 0

    @classmethod
    def parse(cls, cursor: str | None, marks: Iterable[str]) -> Self:
        """The state of the destinations of these marks.

        One that the cursor doesn't know takes over the state of one that is gone, as the alerts do, else it is new; all are
        where there is no cursor, or an unreadable one.
        """
        try:
            known = cls._read(json.loads(cursor or ""))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            known = cls()
        wanted = list(marks)
        gone = [recipient.elsewhere() for mark, recipient in known.recipients.items() if mark not in wanted]
        new = [*gone, *(Recipient() for _ in wanted)]
        recipients = {mark: known.recipients[mark] if mark in known.recipients else new.pop(0) for mark in wanted}
        return replace(known, recipients=recipients)

    @classmethod
    def _read(cls, read: dict[str, Any]) -> Self:
        if read.pop("version") != VERSION:
            raise ValueError("unknown version")
        recipients = {str(mark): _recipient(item) for mark, item in read.pop("recipients").items()}
        return checked(cls(recipients, **read))

    def to_cursor(self) -> str:
        """The inverse of `parse`."""
        return json.dumps({"version": VERSION, **dataclasses.asdict(self)}, separators=(",", ":"))

    def ticked(self, freshness: Freshness) -> WarningState:
        """The state at a tick.

        A further pause before the first fetch prolongs nothing: ticks that are always far apart would never tell anything.
        """
        now = freshness.now
        has_paused = bool(self.ticked_at) and now - self.ticked_at > PAUSE_SECONDS
        resumed_at = self.resumed_at if self.resumed_at or not has_paused else now
        return replace(self, ticked_at=now, resumed_at=resumed_at if freshness.is_old else 0)

    def awaits_fetch(self, freshness: Freshness) -> bool:
        """Whether the first fetch after a pause is still to come: until then nobody knows what was met during the pause."""
        waits = INTERVALS_UNTIL_STALE * freshness.interval_seconds
        return freshness.is_old and self.resumed_at <= freshness.now < self.resumed_at + waits


def _recipient(read: dict[str, Any]) -> Recipient:
    """A recipient of a cursor.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    outage = None if read["outage"] is None else checked(Outage(**read["outage"]))
    sent = {str(mark): _due_times(times) for mark, times in read["sent"].items()}
    return checked(Recipient(**{**read, "sent": sent, "outage": outage}))


def _due_times(times: list[int]) -> tuple[int, ...]:
    if not times or not all(type(time) is int and abs(time) <= GREATEST_NUMBER for time in times):
        raise ValueError("no due times")
    return tuple(sorted(times))
