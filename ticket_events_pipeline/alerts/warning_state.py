"""What each destination has been told, and when it is tried again: the state between two ticks, kept in the cursor.

A due time is told to a destination once. What it has not been told is worked out anew at every tick from what is true then, so
that after an outage one message holds everything that still is, and nothing that was met meanwhile. The state is bounded,
whatever the account does: a due time is remembered only as long as it can come up again. A process that dies between the
answer and the storing of the cursor tells once more: HTTP gives no more than at-least-once.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from ticket_events_pipeline.alerts.state import GREATEST_NUMBER, Outage, checked, outage_after
from ticket_events_pipeline.alerts.warning_rules import (
    INTERVALS_UNTIL_STALE,
    OVERDUE_SECONDS,
    Freshness,
    Outlook,
    UrgentTarget,
)
from ticket_events_pipeline.text import duration_text, plural, zoned_text

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.webhook import Answer

VERSION = 1

MOST_REMEMBERED = 2000
"""Targets per destination: some 35 bytes of the cursor each. Beyond, everything due before those counts as told."""

MOST_DUE_TIMES = 4
"""Remembered of one target: it has a new one after each pause, and an earlier one may come back with a corrected schedule."""

SAME_BREACH_SECONDS = 900
"""A breach so close to a due time that was told is the one that was foretold: due times are estimates."""

LATE_EVENTS_SECONDS = 300
"""An event may be delivered so long after others that are newer."""

PAUSE_SECONDS = 300
"""No tick for so long: the daemon was down, or the sensor off."""

LONGEST_RETRY_SECONDS = 600
"""A warning that waits an hour for a webhook that works again is no warning."""

STALE_AGAIN_SECONDS = 6 * 3600
"""Stale data is not told again within it: with a fetch an hour, it would be told every hour."""

_TOLD, _OVER = "told", "over"


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
        return len(self.due) + len(self.breached) + self.is_stale


Send = Callable[[Mapping[str, WarningNews]], Mapping[str, "Answer"]]
"""Delivers to each destination, by its mark, its message; returns their answers."""


@dataclass(frozen=True)
class Recipient:
    """What a destination has been told.

    Attributes:
        told: by target, the due times that it was told, ascending; a breach that it was told counts as one.
        told_through: due times up to this one count as told.
        seen_through: the `as_of` of the data of which it was told everything; 0 before the first.
        stale: `told` while it knows of stale data, `over` once the data is fresh and that is still to be said, else empty.
        stale_told_at: when it was last told of stale data, epoch seconds; 0 if never.
        outage: None while it works.
    """

    told: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    told_through: int = 0
    seen_through: int = 0
    stale: str = ""
    stale_told_at: int = 0
    outage: Outage | None = None

    def news(self, seen: Outlook) -> WarningNews:
        """What it has not been told of what is true now."""
        return WarningNews(
            tuple(target for target in seen.due if not self._knows_due(target)),
            tuple(target for target in seen.breached if self._misses_breach(target, seen.freshness)),
            is_stale=self._misses_stale(seen.freshness),
            is_fresh_again=self.stale == _OVER and not seen.freshness.is_stale,
            undelivered_since=None if self.outage is None else self.outage.since,
        )

    def _knows_due(self, target: UrgentTarget) -> bool:
        return target.at <= self.told_through or target.at in self.told.get(target.mark, ())

    def _misses_breach(self, target: UrgentTarget, freshness: Freshness) -> bool:
        """Whether it breached while no warning could be sent. Else the estimate was wrong, which is no warning either."""
        since = max(self.seen_through - LATE_EVENTS_SECONDS, self.told_through + 1)
        if not self._has_gap(freshness) or target.at < since:
            return False
        return all(abs(target.at - told) > SAME_BREACH_SECONDS for told in self.told.get(target.mark, ()))

    def _has_gap(self, freshness: Freshness) -> bool:
        """Whether this data follows on what it was told of without a break."""
        if not self.seen_through or freshness.as_of is None:
            return False
        step = freshness.as_of - self.seen_through
        return self.outage is not None or step > INTERVALS_UNTIL_STALE * freshness.interval_seconds

    def _misses_stale(self, freshness: Freshness) -> bool:
        if not freshness.is_stale or self.stale == _TOLD:
            return False
        return not self.stale_told_at <= freshness.now < self.stale_told_at + STALE_AGAIN_SECONDS

    def looked(self, freshness: Freshness) -> Recipient:
        """After a look at the data: a stale time that it was told of may be over."""
        is_over = self.stale == _TOLD and not freshness.is_stale
        return replace(self, stale=_OVER) if is_over else self

    def delivered(self, news: WarningNews, freshness: Freshness) -> Recipient:
        """After it has accepted the news, or there were none."""
        told = dict(self.told)
        for target in (*news.due, *news.breached):
            times = sorted({*told.get(target.mark, ()), target.at})
            told[target.mark] = tuple(times[-MOST_DUE_TIMES:])
        as_of = freshness.as_of or self.seen_through
        stale = _TOLD if news.is_stale else "" if news.is_fresh_again and news.number else self.stale
        stale_told_at = freshness.now if news.is_stale else self.stale_told_at
        after = Recipient(told, self.told_through, as_of, stale, stale_told_at)
        return after._with_needed(freshness.now)

    def _with_needed(self, now: int) -> Recipient:
        """Without the due times that can't come up again, and no more than MOST_REMEMBERED targets."""
        oldest = min(now - OVERDUE_SECONDS, self.seen_through - LATE_EVENTS_SECONDS - SAME_BREACH_SECONDS)
        kept = {mark: times for mark, times in self.told.items() if times[-1] > oldest}
        if len(kept) <= MOST_REMEMBERED:
            return replace(self, told=kept)
        newest = sorted(kept, key=lambda mark: kept[mark][-1])[-MOST_REMEMBERED:]
        through = max(times[-1] for mark, times in kept.items() if mark not in set(newest))
        return replace(self, told={mark: kept[mark] for mark in newest}, told_through=through)


@dataclass(frozen=True)
class WarningState:
    """Everything that one tick leaves to the next.

    Attributes:
        recipients: by the destination's mark.
        ticked_at: when the last tick was, epoch seconds; 0 if there was none.
        resumed_at: when the ticks went on after a pause, epoch seconds; 0 if they never paused.
    """

    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    ticked_at: int = 0
    resumed_at: int = 0

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """The inverse of `to_cursor`; a new state where there is no cursor, or an unreadable one."""
        try:
            read = json.loads(cursor or "")
            if read.pop("version") != VERSION:
                raise ValueError("unknown version")
            recipients = {str(mark): _recipient(item) for mark, item in read.pop("recipients").items()}
            return checked(cls(recipients, **read))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()

    def to_cursor(self) -> str:
        """The state as JSON."""
        read = {"version": VERSION, **dataclasses.asdict(self)}
        return json.dumps(read, separators=(",", ":"))

    def ticked(self, now: int) -> WarningState:
        """The state at a tick."""
        has_paused = bool(self.ticked_at) and now - self.ticked_at > PAUSE_SECONDS
        return replace(self, ticked_at=now, resumed_at=now if has_paused else self.resumed_at)

    def awaits_fetch(self, freshness: Freshness) -> bool:
        """Whether the first fetch after a pause is still to come: until then nobody knows what was met during the pause."""
        waits = INTERVALS_UNTIL_STALE * freshness.interval_seconds
        return freshness.is_old and self.resumed_at <= freshness.now < self.resumed_at + waits


@dataclass(frozen=True)
class Ticked:
    """The result of a tick: a summary for the UI, and the next state."""

    summary: str
    state: WarningState


def tick(state: WarningState, seen: Outlook, marks: Sequence[str], *, send: Send) -> Ticked:
    """Tell every destination what it has not been told, in one message each, unless it is in back-off."""
    now, freshness = seen.freshness.now, seen.freshness
    state = state.ticked(now)
    known = {mark: state.recipients.get(mark, Recipient()).looked(freshness) for mark in marks}
    if state.awaits_fetch(freshness):
        summary = f"Nothing is told before the first fetch after a pause. {_data_text(seen)}"
        return Ticked(summary, replace(state, recipients=known))
    news = {mark: recipient.news(seen) for mark, recipient in known.items()}
    to_send = {mark: item for mark, item in news.items() if item.number and not _is_backing_off(known[mark], mark, now)}
    answers = send(to_send) if to_send else {}
    after: dict[str, Recipient] = {}
    for mark, recipient in known.items():
        answer = answers.get(mark)
        if not news[mark].number or (answer is not None and answer.is_accepted):
            after[mark] = recipient.delivered(news[mark], freshness)
        elif answer is not None:
            outage = outage_after(answer, recipient.outage, mark=mark, now=now, longest_seconds=LONGEST_RETRY_SECONDS)
            after[mark] = replace(recipient, outage=outage)
        else:
            after[mark] = recipient
    accepted = [news[mark] for mark, answer in answers.items() if answer.is_accepted]
    return Ticked(_summary(seen, accepted, after.values()), replace(state, recipients=after))


def _is_backing_off(recipient: Recipient, mark: str, now: int) -> bool:
    return recipient.outage is not None and recipient.outage.is_backing_off(mark, now)


def _summary(seen: Outlook, accepted: Sequence[WarningNews], recipients: Iterable[Recipient]) -> str:
    """What a tick did, for the UI; no name of a destination."""
    done = _accepted_text(accepted) if accepted else "Nothing new to tell."
    down = [
        f"A destination has accepted nothing since {zoned_text(outage.since, seen.today.timezone)} (attempts: "
        f"{outage.failures}); its last answer: {outage.reason}. The next attempt is at "
        f"{zoned_text(outage.next_at, seen.today.timezone)}."
        for outage in (recipient.outage for recipient in recipients)
        if outage is not None
    ]
    return " ".join([done, *down, _data_text(seen)])


def _accepted_text(accepted: Sequence[WarningNews]) -> str:
    due, breached = max(len(news.due) for news in accepted), max(len(news.breached) for news in accepted)
    told = [plural(due, "target due soon", "targets due soon")] if due else []
    told += [plural(breached, "breach without a warning", "breaches without a warning")] if breached else []
    told += ["stale data"] if any(news.is_stale for news in accepted) else []
    to = "" if len(accepted) == 1 else f" to {len(accepted)} destinations"
    return f"Told{to}: {', '.join(told)}."


def _data_text(seen: Outlook) -> str:
    as_of, age = seen.freshness.as_of, seen.freshness.age_seconds
    if as_of is None or age is None:
        return "There is no SLA table of today or yesterday."
    return f"The data is as of {zoned_text(as_of, seen.today.timezone)}, {duration_text(age)} old."


def _recipient(read: dict[str, Any]) -> Recipient:
    """A recipient of a cursor.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    outage = None if read["outage"] is None else checked(Outage(**read["outage"]))
    told = {str(mark): _due_times(times) for mark, times in read["told"].items()}
    return checked(Recipient(**{**read, "told": told, "outage": outage}))


def _due_times(times: list[int]) -> tuple[int, ...]:
    if not times or not all(type(time) is int and abs(time) <= GREATEST_NUMBER for time in times):
        raise ValueError("no due times")
    return tuple(sorted(times))
