"""What was foretold at a moment against what then happened: recall, precision, and the cause of everything that isn't a hit.

Recall: of the breaches within a horizon after the moment whose target was open at it, how many were foretold within 5 minutes
of their time. Precision: of the targets with a due time within the horizon that nothing happened to until then but the breach,
how many breached within 5 minutes of it. "Nothing" is: no event of the clock but a breach, no deletion of the ticket, no other
schedule of it. A breach could be known if its clock ran at the moment and nothing happened to it until then, either.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from forecast_root import Forecast, Foretold
from forecast_truth import Key, State, TrueClock, TrueTicket, Truth

MINUTE, HOUR = 60, 3600
HORIZONS = {"15 min": 15 * MINUTE, "1 h": HOUR, "4 h": 4 * HOUR, "24 h": 24 * HOUR}
TOLERANCE_SECONDS = 5 * MINUTE

LATEST_DELIVERY_SECONDS = 5 * MINUTE
"""No event of the accounts is delivered later than that."""

CALENDAR, BUSINESS = "calendar", "business"


@dataclass
class Score:
    """Counts of one kind of hours and one horizon.

    Attributes:
        breaches: that came within the horizon, their targets being open at the moment.
        foretold: of those.
        missed: the others, by cause.
        knowable: of the breaches, those that could be known.
        known: of those, the ones that were foretold.
        announced: targets whose due time lies within the horizon.
        changed: of those, the ones that something happened to.
        came: of the rest, those that breached when they were due.
        wrong: the others of the rest, by cause.
    """

    breaches: int = 0
    foretold: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    knowable: int = 0
    known: int = 0
    announced: int = 0
    changed: int = 0
    came: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> float:
        """Share of the breaches that was foretold."""
        return self.foretold / self.breaches if self.breaches else 1.0

    @property
    def recall_of_knowable(self) -> float:
        """Share of the breaches that could be known that was foretold."""
        return self.known / self.knowable if self.knowable else 1.0

    @property
    def precision(self) -> float:
        """Share of the unchanged announced ones that came."""
        unchanged = self.announced - self.changed
        return self.came / unchanged if unchanged else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.breaches + other.breaches,
            self.foretold + other.foretold,
            self.missed + other.missed,
            self.knowable + other.knowable,
            self.known + other.known,
            self.announced + other.announced,
            self.changed + other.changed,
            self.came + other.came,
            self.wrong + other.wrong,
        )


Scores = dict[tuple[str, str], Score]
"""By kind of hours and horizon."""


def no_scores() -> Scores:
    """Nothing counted yet."""
    return {(hours, horizon): Score() for hours in (CALENDAR, BUSINESS) for horizon in HORIZONS}


def score(forecast: Forecast, truth: Truth, scores: Scores) -> None:
    """Count the breaches and the announcements after one moment."""
    as_of = forecast.as_of
    for at, key in _breaches(truth, as_of):
        clock, ticket = truth.clocks[key], truth.tickets[key[0]]
        state = clock.state(as_of)
        if state.target is None or not state.is_open or ticket.is_deleted(as_of):
            continue
        told = forecast.targets.get(key)
        is_hit = told is not None and told.due_at is not None and abs(told.due_at - at) <= TOLERANCE_SECONDS
        cause = None if is_hit else _cause_of_miss(told, state, clock, ticket, (as_of, at))
        is_knowable = not state.is_paused and not _is_changed(clock, ticket, as_of, at)
        for one in _scores_of(scores, state.target[1], at - as_of):
            one.breaches += 1
            one.foretold += is_hit
            one.knowable += is_knowable
            one.known += is_knowable and is_hit
            if cause is not None:
                one.missed[cause] += 1
    for key, told in forecast.targets.items():
        if told.due_at is not None and told.due_at > as_of:
            _score_announcement(key, told, truth, as_of, scores)


def _score_announcement(key: Key, told: Foretold, truth: Truth, as_of: int, scores: Scores) -> None:
    due = told.due_at or 0
    clock, ticket = truth.clocks[key], truth.tickets[key[0]]
    is_changed = _is_changed(clock, ticket, as_of, due)
    breached_at = truth.breached_at(key)
    has_come = breached_at is not None and abs(breached_at - due) <= TOLERANCE_SECONDS
    for one in _scores_of(scores, bool(told.business_hours), due - as_of):
        one.announced += 1
        if is_changed:
            one.changed += 1
        elif has_come:
            one.came += 1
        else:
            one.wrong[_cause_of_error(told, clock, ticket, as_of, breached_at)] += 1


def _is_changed(clock: TrueClock, ticket: TrueTicket, start: int, end: int) -> bool:
    """Whether something happened to the target in [start, end] that isn't its breach."""
    is_switched = any(start <= event.time <= end for event in clock.changes)
    return is_switched or ticket.is_deleted_between(start, end) or ticket.schedule_changes(start, end) > 0


def _breaches(truth: Truth, as_of: int) -> Iterator[tuple[int, Key]]:
    first = bisect_right(truth.breaches, as_of, key=lambda breach: breach[0])
    for at, key in truth.breaches[first:]:
        if at - as_of > max(HORIZONS.values()):
            return
        yield at, key


def _scores_of(scores: Scores, is_business: bool, ahead: int) -> Iterator[Score]:
    hours = BUSINESS if is_business else CALENDAR
    return (scores[hours, name] for name, seconds in HORIZONS.items() if 0 < ahead <= seconds)


def _cause_of_miss(told: Foretold | None, state: State, clock: TrueClock, ticket: TrueTicket, span: tuple[int, int]) -> str:
    as_of, at = span
    is_business = state.target is not None and state.target[1]
    changed = "paused at that moment" if state.is_paused else _change_between(is_business, clock, ticket, span)
    if changed is not None:
        return changed
    if told is None or told.outcome != "active" or told.is_paused:
        return "events of before not yet delivered"
    if told.due_at is None:
        return _cause_of_silence(is_business, clock, ticket, as_of)
    return _change_before(is_business, ticket, as_of) or ("other: early" if told.due_at < at else "other: late")


def _change_between(is_business: bool, clock: TrueClock, ticket: TrueTicket, span: tuple[int, int]) -> str | None:
    """What happened to a running target before its breach; None for nothing."""
    between = {event.kind for event in clock.changes if span[0] <= event.time <= span[1]}
    told = {"fulfill": "fulfilled and re-opened", "pause": "paused and resumed", "apply": "target changed"}
    for kind, text in told.items():
        if kind in between:
            return f"{text} in between"
    if ticket.is_deleted_between(*span):
        return "ticket deleted and restored in between"
    return "schedule changed in between" if is_business and ticket.schedule_changes(*span) else None


def _change_before(is_business: bool, ticket: TrueTicket, as_of: int) -> str | None:
    """What may have been counted otherwise of the time that the clock has run."""
    if is_business and ticket.schedule_changes(0, as_of):
        return "schedule changed before"
    return "ticket deleted and restored before" if ticket.is_deleted_between(0, as_of) else None


def _cause_of_silence(is_business: bool, clock: TrueClock, ticket: TrueTicket, as_of: int) -> str:
    if as_of - clock.changes[0].time < LATEST_DELIVERY_SECONDS:
        return "events of before not yet delivered"
    if clock.changes[0].kind != "activate":
        return "running time unknown: history begins later"
    if is_business and ticket.schedule(as_of) is None:
        return "no schedule told" if ticket.created_at is not None else "schedule unknown: history begins later"
    return "other: no due time"


def _cause_of_error(told: Foretold, clock: TrueClock, ticket: TrueTicket, as_of: int, breached_at: int | None) -> str:
    due, state = told.due_at or 0, clock.state(as_of)
    if not state.is_open or state.is_paused or (state.target or (0, None))[1] != told.business_hours:
        return "events of before not yet delivered"
    if any(abs(time - due) <= TOLERANCE_SECONDS for time in clock.withdrawn):
        return "breach came and was withdrawn afterwards"
    if breached_at is not None and breached_at < as_of:
        return "breach of before not yet delivered"
    other = "other: no breach" if breached_at is None else "other: early" if due < breached_at else "other: late"
    return _change_before(bool(told.business_hours), ticket, as_of) or other
