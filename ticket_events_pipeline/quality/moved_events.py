"""Moved events: events that a day held and its newest reading missed, and whether another day holds them.

An event whose time changed is lost if its new day isn't read again. While no stored day holds it, a day around that was not
read since may lack it. Once all of them were read since, Zendesk deleted the event, or moved it farther than `NEARBY_DAYS`.
Events that move during a fetch, to a day that the fetch has read already, are not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import MAX_NAMED_IDS, Finding, id_list, one_run_command
from ticket_events_pipeline.storage.event_ids import SHAPES, IdsByShape, is_among, read_event_ids
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural, utc_text

NEARBY_DAYS = 7
"""Events of a day are searched on so many days before and after it. A pause over a weekend moves a time by three days, over a
week of holidays by seven. Each day costs reading a footer; its row-group statistics mostly show that no id needs to be read."""


@dataclass(frozen=True)
class LostEvents:
    """Events that a day held, and that no stored day holds any more.

    Attributes:
        count: how many.
        ids: the first ids; fewer where the footer doesn't list them all.
    """

    count: int
    ids: tuple[int, ...]

    @property
    def text(self) -> str:
        """`3 events (ids 4, 5, 6)`."""
        return f"{plural(self.count, 'event')} {id_list(self.ids, count=self.count)}"


def days_around(days: list[Day], stored: list[Day]) -> list[Day]:
    """The `stored` days at most `NEARBY_DAYS` from one of `days`, without `days` themselves."""
    wanted = set(days)
    near = {day.plus(offset) for day in wanted for offset in range(-NEARBY_DAYS, NEARBY_DAYS + 1)}
    return [day for day in stored if day in near - wanted]


def lost_events(store: Store, footer: RawFooter, around: list[Day]) -> LostEvents:
    """The events that the day's newer readings missed, and that none of the days `around` holds."""
    missed = footer.missed
    wanted = {False: np.array(sorted(missed.ids), np.int64), True: np.array(sorted(missed.metric_ids), np.int64)}
    for day in around:
        if not any(len(ids) for ids in wanted.values()):
            break
        present = _ids_on(store, footer.stream, day, among=wanted)
        wanted = {shape: ids[~is_among(ids, present[shape])] for shape, ids in wanted.items()}
    left = np.sort(np.concatenate(list(wanted.values())))
    return LostEvents(len(left) + missed.unlisted, tuple(left[:MAX_NAMED_IDS].tolist()))


def moved_finding(store: Store, footer: RawFooter, *, day: Day, stored: list[Day], asset: str) -> Finding | str | None:
    """A finding or a note about the events that the day's newer readings missed; None if the `stored` days hold all."""
    if not footer.missed.count:
        return None
    around = days_around([day], stored)
    lost = lost_events(store, footer, around)
    if not lost.count:
        return None
    unread = [other for other in around if not _was_read_since(store, footer, other)]
    since = utc_text(footer.missed.since)
    are, were = ("is", "was") if lost.count == 1 else ("are", "were")
    if not unread:
        return (
            f"{lost.text} that it held before {are} gone at Zendesk, or more than {NEARBY_DAYS} days away: all stored "
            f"days around were read since {since}"
        )
    first, last = min(*unread, day), max(*unread, day)
    problem = (
        f"{lost.text} that it held before {were} missing when it was read again, at {since}, and {are} stored on no day within "
        f"{NEARBY_DAYS} days: moved to a day that was not read since ({_days_text(unread)}), or gone at Zendesk."
    )
    return Finding(problem, f"Read these days together with {day}: {one_run_command(asset, first, last)}.")


def _was_read_since(store: Store, footer: RawFooter, day: Day) -> bool:
    """Whether everything in the day's file was read after the events were missed, or by the same fetch."""
    try:
        other = read_raw_footer(store, footer.stream, day)
    except DamagedFileError:
        return False
    return other is None or other.begun_at >= footer.missed.since


def _ids_on(store: Store, stream: str, day: Day, *, among: IdsByShape) -> IdsByShape:
    try:
        with opened_partition(store, stream, day) as file:
            if file is not None:
                return read_event_ids(file, among=among)
    except DamagedFileError:  # it has a finding of its own
        pass
    return {shape: np.empty(0, np.int64) for shape in SHAPES}


def _days_text(days: list[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{plural(len(days), 'day')} from {days[0]} to {days[-1]}"
