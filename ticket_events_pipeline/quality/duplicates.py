"""Events that are stored more than once: twice on a day, or on two days of a range and the days around it.

Any day may hold any id, so all of them have to be compared; where they don't fit into memory, a share of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import MAX_NAMED_IDS, Finding, id_list, materialize_again, one_run_command
from ticket_events_pipeline.storage.event_ids import SHAPES, IdsByShape, read_event_ids
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.text import plural

MAX_EVENTS_AT_ONCE = 4_000_000
"""8 bytes each, and as much again while they are sorted."""

_MAX_SHARES = 4096
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # spreads ids that all end alike


@dataclass(frozen=True)
class _Part:
    """The ids of one shape on one day, given by its position in the range."""

    day: int
    is_metric: bool
    ids: np.ndarray

    def share(self, number: int, shares: int) -> _Part:
        """The events of share `number` of `shares`; the id alone decides which share an event belongs to."""
        if shares == 1:
            return self
        mixed = (self.ids.astype(np.uint64) * _MIXER) >> np.uint64(32)
        return replace(self, ids=self.ids[mixed % np.uint64(shares) == np.uint64(number)])


@dataclass
class _Overlap:
    """The events that two days share, or that one day has twice: their number, and the ids of the first."""

    events: int = 0
    ids: list[int] = field(default_factory=list)


_Overlaps = dict[tuple[int, int], _Overlap]


def duplicate_events(
    store: Store,
    stream: str,
    days: list[Day],
    *,
    around: Iterable[Day] = (),
    asset: str | None = None,
    limit: int = MAX_EVENTS_AT_ONCE,
) -> dict[Day, list[Finding]]:
    """By day, a finding for each day with which it shares events, and one if it holds events twice.

    `days` are compared with each other and with those `around`. Unreadable files are left out. `asset` is the key of the
    stream's asset in Dagster, `limit` how many events memory may hold.
    """
    overlaps: _Overlaps = {}
    places = sorted({*days, *around})
    wanted = [places.index(day) for day in days]
    further = [place for place, day in enumerate(places) if day not in set(days)]
    reader = _IdReader(store, stream, places)
    parts, shares = _first_share(reader, wanted, limit)
    reader.note_overlaps(parts, further, overlaps)
    for number in range(1, shares):
        reader.note_overlaps([part.share(number, shares) for part in reader.parts(wanted)], further, overlaps)
    findings: dict[Day, list[Finding]] = {}
    for (one, other), overlap in sorted(overlaps.items()):
        for day, finding in _findings(asset or stream, places[one], places[other], overlap):
            findings.setdefault(day, []).append(finding)
    return {day: findings[day] for day in days if day in findings}


@dataclass(frozen=True)
class _IdReader:
    """Reads the ids of the days at `places`."""

    store: Store
    stream: str
    places: list[Day]

    def parts(self, numbers: Iterable[int], *, among: IdsByShape | None = None) -> Iterator[_Part]:
        """The ids of the days at those positions, in order; with `among`, only ids that are among them."""
        for number in numbers:
            for is_metric, ids in self._ids_of(self.places[number], among).items():
                if len(ids):
                    yield _Part(number, is_metric, ids)

    def _ids_of(self, day: Day, among: IdsByShape | None) -> IdsByShape:
        with suppress(DamagedFileError), opened_partition(self.store, self.stream, day) as file:
            if file is not None and _is_of(file, self.stream, day):
                return read_event_ids(file, among=among)
        return {}

    def note_overlaps(self, parts: list[_Part], further: list[int], overlaps: _Overlaps) -> None:
        """Compare the events of `parts` with each other, and with the days at the positions `further`."""
        own = {shape: _sorted_ids([part for part in parts if part.is_metric == shape]) for shape in SHAPES}
        around_parts = list(self.parts(further, among=own))
        for shape, ids in own.items():
            alike = sorted((part for part in [*parts, *around_parts] if part.is_metric == shape), key=lambda part: part.day)
            repeated = [ids[1:][ids[1:] == ids[:-1]], *(part.ids for part in around_parts if part.is_metric == shape)]
            if any(len(found) for found in repeated):
                _note_days_of(np.unique(np.concatenate(repeated)), alike, overlaps)


def _sorted_ids(parts: list[_Part]) -> np.ndarray:
    ids = np.concatenate([np.empty(0, np.int64), *(part.ids for part in parts)])
    ids.sort()
    return ids


def _first_share(reader: _IdReader, wanted: list[int], limit: int) -> tuple[list[_Part], int]:
    """The first share of the events, as many as `limit` allows, and the number of such shares."""
    parts: list[_Part] = []
    shares, held = 1, 0
    for part in reader.parts(wanted):
        parts.append(part.share(0, shares))
        held += len(parts[-1].ids)
        while held > limit and shares < _MAX_SHARES:
            shares *= 2
            parts = [part.share(0, shares) for part in parts]
            held = sum(len(part.ids) for part in parts)
    return parts, shares


def _is_of(file: StoredFile, stream: str, day: Day) -> bool:
    """Whether the footer says that the file is this day's: a misplaced file says nothing about the day."""
    return (file.metadata.get("stream"), file.metadata.get("partition")) == (stream, str(day))


def _note_days_of(repeated: np.ndarray, parts: list[_Part], overlaps: _Overlaps) -> None:
    """Note the days of each of the `repeated` ids; `parts` are in the order of the days."""
    found = [part.ids[np.isin(part.ids, repeated)] for part in parts]
    ids = np.concatenate(found)
    days = np.concatenate([np.full(len(of_part), part.day) for of_part, part in zip(found, parts, strict=True)])
    order = np.argsort(ids, kind="stable")
    ids, days = ids[order], days[order]
    repeats = np.flatnonzero(ids[1:] == ids[:-1])
    pairs, of_pair = np.unique(np.stack([days[repeats], days[repeats + 1]]), axis=1, return_inverse=True)
    for number, (one, other) in enumerate(pairs.T.tolist()):
        shared = ids[repeats[of_pair.ravel() == number]]
        overlap = overlaps.setdefault((one, other), _Overlap())
        overlap.events += len(shared)
        overlap.ids = sorted([*overlap.ids, *shared[:MAX_NAMED_IDS].tolist()])[:MAX_NAMED_IDS]


def _findings(asset: str, one: Day, other: Day, overlap: _Overlap) -> Iterator[tuple[Day, Finding]]:
    events = f"{plural(overlap.events, 'event')} {id_list(overlap.ids, count=overlap.events)}"
    are = "is" if overlap.events == 1 else "are"
    if one == other:
        yield one, Finding(f"{events} {are} stored in it more than once.", materialize_again(asset, one))
        return
    command = one_run_command(asset, one, other)
    remedy = f"Their times changed, and only one of the two days was read since. Read both in one run: {command}."
    for day, elsewhere in ((one, other), (other, one)):
        yield day, Finding(f"{events} {are} stored on {elsewhere} as well.", remedy)
