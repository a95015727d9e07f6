"""What a tick of `new_event_partitions_sensor` found and did, in sentences for the UI and the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ticket_events_pipeline.day import Day, day_ranges
from ticket_events_pipeline.tables.streams import AUDITS, METRIC_EVENTS
from ticket_events_pipeline.text import plural, ranges_text

MAX_NAMED = 3
"""Ranges named of each kind; further ones are counted."""


@dataclass(frozen=True)
class ReportedDays:
    """Consecutive days that the report names for one reason.

    Attributes:
        days: in order.
        reason: a sentence.
    """

    days: Sequence[Day]
    reason: str


@dataclass(frozen=True)
class TickReport:
    """What a tick found and did.

    Attributes:
        root: the root that was read.
        files, unread: the number of stored files, and how many of them have not been read yet.
        landed: number of landed days, which can be summarised.
        unusable: why none of the days with raw files can be summarised yet; empty if there is no such day.
        requested: ranges for which a run was requested, and why.
        waiting: ranges that a run or backfill in progress overlaps, and which one.
        given_up: ranges whose runs have failed too often.
        settled: ranges whose runs succeed and leave them stale.
        blocked: landed days that can't be made, since a file can't be read or reached, and why.
        recorded: number of files recorded in Dagster's log.
        unrecorded: number of files still to be recorded.
        unstored: by raw asset, the days that the UI shows as materialized though they are not stored.
    """

    root: str
    files: int
    unread: int = 0
    landed: int = 0
    unusable: str = ""
    requested: Sequence[ReportedDays] = ()
    waiting: Sequence[ReportedDays] = ()
    given_up: Sequence[ReportedDays] = ()
    settled: Sequence[ReportedDays] = ()
    blocked: Sequence[ReportedDays] = ()
    recorded: int = 0
    unrecorded: int = 0
    unstored: Mapping[str, Sequence[Day]] = field(default_factory=dict)

    @property
    def needs_attention(self) -> bool:
        """Whether a user has to act."""
        return bool(self.given_up or self.settled or self.blocked or self.unstored)

    def __str__(self) -> str:
        return " ".join([*self._comparison(), *_unstored_sentences(self.unstored), *self._recording()])

    def _comparison(self) -> list[str]:
        if self.unread:
            return [
                f"{self.files - self.unread:,} of {self.files:,} files below {self.root} have been compared; the next tick "
                "continues, and no run is requested until all are."
            ]
        sentences = [
            *_sentences(self.requested, "A run is requested."),
            *_sentences(self.waiting, "These days wait for it."),
            *_sentences(self.given_up, ""),
            *_sentences(self.settled, ""),
            *_sentences(self.blocked, "No run is requested over a day that can't be made."),
        ]
        return sentences or [self._all_is_made()]

    def _all_is_made(self) -> str:
        if not self.landed and self.unusable:
            return f"No day below {self.root} can be summarised yet: {self.unusable}"
        if not self.landed:
            return f"No day has landed below {self.root}."
        return "Every landed day's summary was made from what is stored now."

    def _recording(self) -> list[str]:
        later = f" {plural(self.unrecorded, 'more file')} will be with the next ticks." if self.unrecorded else ""
        if not self.recorded:
            return []
        verb = "was" if self.recorded == 1 else "were"
        return [f"{plural(self.recorded, 'file')} missing in Dagster's log {verb} recorded in it.{later}"]


def _unstored_sentences(unstored: Mapping[str, Sequence[Day]]) -> list[str]:
    assets: dict[str, list[str]] = {}
    for asset, days in unstored.items():
        assets.setdefault(_first_ranges_text(days), []).append(asset)
    return [
        f"Green in the UI, but not stored: {', '.join(names)} of {days}. Backfill these days, not only missing ones."
        for days, names in assets.items()
    ]


def _first_ranges_text(days: Sequence[Day]) -> str:
    ranges = day_ranges(days)
    more = len(ranges) - MAX_NAMED
    return ranges_text(ranges[:MAX_NAMED]) + (f" and {plural(more, 'more range')}" if more > 0 else "")


def given_up_reason(reason: str, attempts: int) -> str:
    """Why no other run is requested over days whose runs have failed; `reason` is why they are stale."""
    return (
        f"{reason} {attempts} runs have failed on it: see their errors. A run is requested again when a file of these days "
        "changes; once the cause is repaired, materialize the SLA assets of these days, or re-execute a failed run."
    )


def settled_reason(reason: str, *, read: str) -> str:
    """Why no other run is requested over days whose runs succeed and leave them stale.

    Args:
        reason: why they are stale.
        read: the file that the sensor reads for the first day's summary.
    """
    return (
        f"{reason} Runs for it succeed and change nothing, so no other one is requested until a file of these days changes. "
        f"Check whether something removes or replaces {read}, and whether the runs see the same folder."
    )


def unusable_reason(days: Sequence[Day], *, first: Day, last: Day) -> str:
    """Why none of the days that have raw files can be summarised, though all can be read; empty if there are no days.

    Args:
        days: days with raw files, in order.
        first: the first partition.
        last: today.
    """
    if not days:
        return ""
    usable = [day for day in days if first <= day <= last]
    if not usable:
        bounds = f"the days of this pipeline are {first} to {last}"
        return f"its raw files are of {_extent(days)}, and {bounds}. Check the start date."
    return (
        f"of {_extent(usable)}, only {AUDITS} has landed, without metric events. Materialize {METRIC_EVENTS} of "
        f"{'that day' if len(usable) == 1 else 'those days'}."
    )


def _extent(days: Sequence[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{plural(len(days), 'day')} from {days[0]} to {days[-1]}"


def grouped_by_reason(reasons: Mapping[Day, str]) -> list[ReportedDays]:
    """Days and their reasons, in order: consecutive days with the same reason become one entry."""
    groups: list[ReportedDays] = []
    for day, reason in reasons.items():
        if groups and groups[-1].reason == reason and groups[-1].days[-1].plus(1) == day:
            groups[-1] = ReportedDays([*groups[-1].days, day], reason)
        else:
            groups.append(ReportedDays([day], reason))
    return groups


def _sentences(reported: Sequence[ReportedDays], end: str) -> list[str]:
    if not reported:
        return []
    sentences = [f"{_range_text(one.days)}: {one.reason}" for one in reported[:MAX_NAMED]]
    more = len(reported) - MAX_NAMED
    if more > 0:
        sentences.append(f"The same holds for {plural(more, 'more range')}.")
    return [*sentences, end] if end else sentences


def _range_text(days: Sequence[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
