"""What a tick of the sensor has found and done, in sentences: they are true, whatever has happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.streams import AUDITS, METRIC_EVENTS

MOST_NAMED = 3
"""Of each kind; the rest is counted."""


@dataclass(frozen=True)
class Told:
    """Days, and what there is to say of them.

    Attributes:
        days: consecutive.
        reason: a sentence.
    """

    days: Sequence[Day]
    reason: str


@dataclass(frozen=True)
class TickReport:
    """What a tick has found and done.

    Attributes:
        root: where it looked.
        files, unread: how many files stand, and how many of them have not been read yet.
        landed: how many days have landed, and can be summarised.
        unusable: why none of the days with raw files can be summarised yet; empty if there is none.
        asked: stretches for which a run was asked, and why.
        waiting: stretches that a run or backfill in progress overlaps, and which.
        given_up: stretches whose runs have failed too often.
        settled: stretches whose runs succeed and leave them stale.
        blocked: landed days that can't be made, as a file can't be read or reached, and why.
        recorded: how many files were recorded in Dagster's log.
        unrecorded: how many are still to be recorded.
    """

    root: str
    files: int
    unread: int = 0
    landed: int = 0
    unusable: str = ""
    asked: Sequence[Told] = ()
    waiting: Sequence[Told] = ()
    given_up: Sequence[Told] = ()
    settled: Sequence[Told] = ()
    blocked: Sequence[Told] = ()
    recorded: int = 0
    unrecorded: int = 0

    @property
    def is_trouble(self) -> bool:
        """Whether somebody has to look."""
        return bool(self.given_up or self.settled or self.blocked)

    def __str__(self) -> str:
        return " ".join([*self._comparison(), *self._recording()])

    def _comparison(self) -> list[str]:
        if self.unread:
            return [
                f"{self.files - self.unread:,} of {self.files:,} files below {self.root} have been compared; the next tick "
                "goes on, and nothing is asked for until all are."
            ]
        found = [
            *_listed(self.asked, "A run is asked for."),
            *_listed(self.waiting, "They wait for it."),
            *_listed(self.given_up, ""),
            *_listed(self.settled, ""),
            *_listed(self.blocked, "Nothing is asked for over a day that can't be made."),
        ]
        return found or [self._all_is_made()]

    def _all_is_made(self) -> str:
        if not self.landed and self.unusable:
            return f"No day below {self.root} can be summarised yet: {self.unusable}"
        if not self.landed:
            return f"No day has landed below {self.root}."
        return "Every landed day's summary was made from what is stored now."

    def _recording(self) -> list[str]:
        later = f" {_counted(self.unrecorded, 'more file')} will be with the next ticks." if self.unrecorded else ""
        if not self.recorded:
            return []
        verb = "was" if self.recorded == 1 else "were"
        return [f"{_counted(self.recorded, 'file')} that Dagster's log didn't tell {verb} recorded in it.{later}"]


def given_up_reason(reason: str, attempts: int) -> str:
    """Why no other run is asked for over days whose runs have failed; `reason` is why they are stale."""
    return (
        f"{reason} {attempts} runs have failed on it: look at why. It is asked for again when a file of these days changes; "
        "once the cause is mended, materialise the SLA assets of these days, or re-execute a failed run."
    )


def settled_reason(reason: str, *, here: str, there: str) -> str:
    """Why no other run is asked for over days whose runs succeed and leave them stale.

    Args:
        reason: why they are stale.
        here: where the sensor looks for the first day's summary.
        there: where the newest record in Dagster's log says that it was written.
    """
    told = f"{reason} Runs for it succeed and change nothing, so no other one is asked for until a file of these days changes. "
    if here != there:
        return told + f"They wrote {there}, and the sensor reads {here}: set TICKET_EVENTS_ROOT alike for both."
    return told + f"Look whether something removes or replaces {here}, and whether the runs see the same folder."


def unusable_reason(days: Sequence[Day], *, first: Day, last: Day) -> str:
    """Why none of the days that have raw files can be summarised, though all can be read; empty if there are no days.

    Args:
        days: that have raw files, in order.
        first: the first partition.
        last: today.
    """
    if not days:
        return ""
    usable = [day for day in days if first <= day <= last]
    if not usable:
        bounds = f"the days of this pipeline are {first} to {last}"
        return f"raw files lie there of {_extent(days)}, and {bounds}. Check the start date."
    return (
        f"of {_extent(usable)}, only {AUDITS} has landed, without metric events. Materialise {METRIC_EVENTS} of "
        f"{'that day' if len(usable) == 1 else 'those days'}."
    )


def _extent(days: Sequence[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"


def together(reasons: Mapping[Day, str]) -> list[Told]:
    """Days and their reasons, in order: consecutive days with the same reason are one entry."""
    found: list[Told] = []
    for day, reason in reasons.items():
        if found and found[-1].reason == reason and found[-1].days[-1].plus(1) == day:
            found[-1] = Told([*found[-1].days, day], reason)
        else:
            found.append(Told([day], reason))
    return found


def named(days: Sequence[Day]) -> str:
    """Consecutive days, as a message names them."""
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _listed(told: Sequence[Told], end: str) -> list[str]:
    if not told:
        return []
    sentences = [f"{named(one.days)}: {one.reason}" for one in told[:MOST_NAMED]]
    more = len(told) - MOST_NAMED
    if more > 0:
        sentences.append(f"So it is with {more} more.")
    return [*sentences, end] if end else sentences


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
