"""Events that a day held and its newest reading missed: whether they stand on a day around, or on none.

An event that moves to a day that is not read again is lost; so while it stands on no day, the days around that were not read
since may lack it. Once all of them were read since, it is gone at Zendesk, or has moved farther than `NEARBY_DAYS`. That is
true of events that move between passes; one that moves while a pass reads, to a day that it has read already, is not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import MOST_IDS, Finding, listed, read_in_one_run
from ticket_events_pipeline.storage.event_ids import SHAPES, IdsByShape, is_among, read_event_ids
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import utc_text

NEARBY_DAYS = 7
"""Days on either side of a day on which its events are looked for. A pause over a weekend moves a time by three days, over a
week of holidays by seven. Each day costs reading a footer; its row-group statistics mostly show that no id needs to be read."""


@dataclass(frozen=True)
class Unplaced:
    """Events that a day held, and that stand on no stored day any more.

    Attributes:
        count: how many.
        ids: of the first of them; fewer where the footer doesn't list them all.
    """

    count: int
    ids: tuple[int, ...]

    @property
    def text(self) -> str:
        """`3 events (ids 4, 5, 6)`."""
        return f"{self.count} events {listed(self.ids, count=self.count)}"


def days_around(days: list[Day], stored: list[Day]) -> list[Day]:
    """Those of the `stored` days that are none of `days`, and lie at most `NEARBY_DAYS` from one of them."""
    asked = set(days)
    near = {day.plus(offset) for day in asked for offset in range(-NEARBY_DAYS, NEARBY_DAYS + 1)}
    return [day for day in stored if day in near - asked]


def unplaced_events(store: Store, footer: RawFooter, around: list[Day]) -> Unplaced:
    """The events that the day's readings missed, and that stand on none of the days `around`."""
    missed = footer.missed
    sought = {False: np.array(sorted(missed.ids), np.int64), True: np.array(sorted(missed.metric_ids), np.int64)}
    for day in around:
        if not any(len(ids) for ids in sought.values()):
            break
        found = _ids_on(store, footer.stream, day, among=sought)
        sought = {shape: ids[~is_among(ids, found[shape])] for shape, ids in sought.items()}
    left = np.sort(np.concatenate(list(sought.values())))
    return Unplaced(len(left) + missed.unlisted, tuple(left[:MOST_IDS].tolist()))


def moved_finding(store: Store, footer: RawFooter, *, day: Day, around: list[Day], asset: str) -> Finding | str | None:
    """What is to be said of the events that the day's readings missed: a finding, a note, or nothing."""
    if not footer.missed.count:
        return None
    unplaced = unplaced_events(store, footer, around)
    if not unplaced.count:
        return None
    unread = [other for other in around if not _was_read_since(store, footer, other)]
    since = utc_text(footer.missed.since)
    if not unread:
        return (
            f"{unplaced.text} that it held before are gone at Zendesk, or lie more than {NEARBY_DAYS} days away: all stored "
            f"days around were read since {since}"
        )
    first, last = min(*unread, day), max(*unread, day)
    problem = (
        f"{unplaced.text} that it held before were missing when it was read again, at {since}, and are stored on no day within "
        f"{NEARBY_DAYS} days: they moved to a day that was not read since ({_days_text(unread)}), or are gone at Zendesk."
    )
    return Finding(problem, f"Read these days together with {day}: {read_in_one_run(asset, first, last)}.")


def _was_read_since(store: Store, footer: RawFooter, day: Day) -> bool:
    """Whether all that the day's file holds was read after the events were missed, or by the same pass."""
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
    except DamagedFileError:  # its own finding, and not read since
        pass
    return {shape: np.empty(0, np.int64) for shape in SHAPES}


def _days_text(days: list[Day]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
