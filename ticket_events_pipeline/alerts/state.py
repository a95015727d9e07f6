"""What was told, what waits to be told, and since when the webhook takes nothing: the sensor's cursor, as JSON.

It is bounded, whatever the account does: what was told is forgotten some days after it was last true, what waits has a longest
number and a longest age. The webhook's URL is not in it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, TypeVar

from ticket_events_pipeline.alerts.rules import Fact, stall_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VERSION = 1

INTERESTING_SECONDS = 2 * 86_400
"""What could not be told for so long after it was last true is given up; the next message says how many there were."""

REMEMBERED_SECONDS = 3 * 86_400
"""What was told is forgotten so long after it was last true: later than it can come back, as two days are looked at."""

MOST_WAITING = 30
"""Further facts are only counted. A message shows fewer."""

MOST_TOLD = 1000
"""More than are true at once; beyond, those that were true the longest time ago are forgotten."""


_GREATEST_NUMBER = 10**11
"""Epoch seconds that still are a date."""

_V = TypeVar("_V", bound="DataclassInstance")


@dataclass(frozen=True)
class Told:
    """A subject that was told up to `level`, last true at `at` (epoch seconds)."""

    level: int
    at: int


@dataclass(frozen=True)
class Waiting:
    """A fact that waits to be told, last true at `at` (epoch seconds)."""

    subject: str
    level: int
    text: str
    at: int


@dataclass(frozen=True)
class Outage:
    """The webhook takes nothing.

    Attributes:
        since: the first attempt, epoch seconds.
        failures: attempts so far.
        next_at: before which none is made, epoch seconds.
        reason: what came back, in our words.
        webhook_mark: which webhook it was: another one is tried at once.
    """

    since: int
    failures: int
    next_at: int
    reason: str
    webhook_mark: str


@dataclass(frozen=True)
class Memory:
    """Everything that one tick leaves to the next.

    Attributes:
        told: by subject.
        waiting: in the order in which they came up.
        counted: facts beyond MOST_WAITING, which wait without their text.
        given_up: facts that nobody took in time; told as a number with the next message.
        is_new: nothing is known of before: the history of the first sight is taken as told.
    """

    told: dict[str, Told] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()
    counted: int = 0
    given_up: int = 0
    outage: Outage | None = None
    is_new: bool = False

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """The inverse of `to_cursor`; a new memory where there is no cursor, or one that can't be read."""
        try:
            read = json.loads(cursor or "")
            if read["version"] != VERSION:
                return cls(is_new=True)
            told = {subject: _checked(Told(level, at)) for subject, (level, at) in read["told"].items()}
            waiting = tuple(_checked(Waiting(**item)) for item in read["waiting"])
            outage = None if read["outage"] is None else _checked(Outage(**read["outage"]))
            return _checked(cls(told, waiting, read["counted"], read["given_up"], outage))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(is_new=True)

    def to_cursor(self) -> str:
        """As Dagster keeps it."""
        told = {subject: [told.level, told.at] for subject, told in self.told.items()}
        waiting = [dataclasses.asdict(item) for item in self.waiting]
        outage = None if self.outage is None else dataclasses.asdict(self.outage)
        shown = {"version": VERSION, "told": told, "waiting": waiting, "counted": self.counted, "given_up": self.given_up}
        return json.dumps({**shown, "outage": outage}, separators=(",", ":"))

    @property
    def has_news(self) -> bool:
        """Whether a message is due. What was given up is no reason for one."""
        return bool(self.waiting or self.counted)

    @property
    def stalls(self) -> dict[str, int]:
        """Of every stream whose stall is told or waits: the last reading before the newest one, epoch seconds."""
        subjects = [*self.told, *(item.subject for item in self.waiting)]
        found = sorted(stall for subject in subjects if (stall := stall_of(subject)) is not None)
        return dict(found)

    def has_told(self, subject: str) -> bool:
        """Whether the subject was told, at any level."""
        return subject in self.told

    def noted(self, facts: Iterable[Fact], now: int) -> Memory:
        """With what is true now: what is new waits from now on, what waits says what is true now, the old is forgotten."""
        told = dict(self.told)
        waiting = {item.subject: item for item in self.waiting}
        counted = self.counted
        for fact in facts:
            before = told.get(fact.subject)
            if before is not None and fact.level <= before.level:
                told[fact.subject] = Told(before.level, now)
            elif fact.subject in waiting:
                if fact.level >= waiting[fact.subject].level:
                    waiting[fact.subject] = Waiting(fact.subject, fact.level, fact.text, now)
            elif self.is_new and fact.is_past:
                told[fact.subject] = Told(fact.level, now)
            elif len(waiting) < MOST_WAITING:
                waiting[fact.subject] = Waiting(fact.subject, fact.level, fact.text, now)
            else:
                told[fact.subject] = Told(fact.level, now)
                counted += 1
        kept = tuple(item for item in waiting.values() if now - item.at <= INTERESTING_SECONDS)
        given_up = self.given_up + len(waiting) - len(kept)
        return replace(self, told=_remembered(told, now), waiting=kept, counted=counted, given_up=given_up, is_new=False)

    def delivered(self, now: int) -> Memory:
        """After the webhook has taken everything that waited."""
        taken = {item.subject: Told(item.level, now) for item in self.waiting}
        return Memory(told=_remembered(self.told | taken, now))


def _remembered(told: dict[str, Told], now: int) -> dict[str, Told]:
    kept = [(subject, item) for subject, item in told.items() if now - item.at <= REMEMBERED_SECONDS]
    return dict(sorted(kept, key=lambda item: item[1].at)[-MOST_TOLD:])


def _checked(made: _V) -> _V:
    """The value, if its numbers are some and its texts are texts.

    Raises:
        ValueError: they aren't.
    """
    for item in dataclasses.fields(made):
        value = getattr(made, item.name)
        if item.type == "int" and not (type(value) is int and 0 <= value <= _GREATEST_NUMBER):
            raise ValueError(f"{item.name} is no number of ours")
        if item.type == "str" and not isinstance(value, str):
            raise ValueError(f"{item.name} is no text")
    return made
