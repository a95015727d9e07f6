"""Which events are stored more than once: twice on a day, or on two days of a range or of the days around it.

Any day may hold any id, so all of them have to be compared; where they are too many for the memory, a share of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import MOST_IDS, Finding, listed, read_again, read_in_one_run
from ticket_events_pipeline.storage.event_ids import SHAPES, IdsByShape, read_event_ids
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile

MOST_EVENTS_AT_ONCE = 4_000_000
"""8 bytes each, and as much again while they are sorted."""

_MOST_SHARES = 4096
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # spreads ids that all end alike


@dataclass(frozen=True)
class _Part:
    """The ids of one shape on one day, which is told by its place in the range."""

    day: int
    is_metric: bool
    ids: np.ndarray

    def share(self, number: int, shares: int) -> _Part:
        """The events of one share of `shares`; which one an event belongs to, its id alone decides."""
        if shares == 1:
            return self
        mixed = (self.ids.astype(np.uint64) * _MIXER) >> np.uint64(32)
        return replace(self, ids=self.ids[mixed % np.uint64(shares) == np.uint64(number)])


@dataclass
class _Clash:
    """What two days have in common, or one day has twice: how many events, and the ids of the first."""

    events: int = 0
    ids: list[int] = field(default_factory=list)


_Clashes = dict[tuple[int, int], _Clash]


def repeated_events(
    store: Store,
    stream: str,
    days: list[Day],
    *,
    around: Iterable[Day] = (),
    asset: str | None = None,
    most_at_once: int = MOST_EVENTS_AT_ONCE,
) -> dict[Day, list[Finding]]:
    """A finding per day, or pair of days, that holds an event more than once; files that can't be read are left out.

    `days` are compared with each other and with those `around`, of which only the ids of `days` are looked for. `asset` is how
    Dagster calls the stream's asset.
    """
    clashes: _Clashes = {}
    places = sorted({*days, *around})
    asked = [places.index(day) for day in days]
    further = [place for place, day in enumerate(places) if day not in set(days)]
    look = _Look(store, stream, places)
    parts, shares = _first_share(look, asked, most_at_once)
    look.note_clashes(parts, further, clashes)
    for number in range(1, shares):
        look.note_clashes([part.share(number, shares) for part in look.parts(asked)], further, clashes)
    findings: dict[Day, list[Finding]] = {}
    for (one, other), clash in sorted(clashes.items()):
        for day, finding in _findings(asset or stream, places[one], places[other], clash):
            findings.setdefault(day, []).append(finding)
    return {day: findings[day] for day in days if day in findings}


@dataclass(frozen=True)
class _Look:
    """Reads the ids of the days at `places`."""

    store: Store
    stream: str
    places: list[Day]

    def parts(self, numbers: Iterable[int], *, among: IdsByShape | None = None) -> Iterator[_Part]:
        """The ids of the days with those numbers, in order; with `among`, only these."""
        for number in numbers:
            for is_metric, ids in self._ids_of(self.places[number], among).items():
                if len(ids):
                    yield _Part(number, is_metric, ids)

    def _ids_of(self, day: Day, among: IdsByShape | None) -> IdsByShape:
        with suppress(DamagedFileError), opened_partition(self.store, self.stream, day) as file:
            if file is not None and _is_of(file, self.stream, day):
                return read_event_ids(file, among=among)
        return {}

    def note_clashes(self, parts: list[_Part], further: list[int], clashes: _Clashes) -> None:
        """Compare the events of `parts` with each other, and with the days numbered `further`."""
        asked = {shape: _sorted_ids([part for part in parts if part.is_metric == shape]) for shape in SHAPES}
        beyond = list(self.parts(further, among=asked))
        for shape, ids in asked.items():
            alike = sorted((part for part in [*parts, *beyond] if part.is_metric == shape), key=lambda part: part.day)
            repeated = [ids[1:][ids[1:] == ids[:-1]], *(part.ids for part in beyond if part.is_metric == shape)]
            if any(len(found) for found in repeated):
                _note_days_of(np.unique(np.concatenate(repeated)), alike, clashes)


def _sorted_ids(parts: list[_Part]) -> np.ndarray:
    ids = np.concatenate([np.empty(0, np.int64), *(part.ids for part in parts)])
    ids.sort()
    return ids


def _first_share(look: _Look, asked: list[int], most_at_once: int) -> tuple[list[_Part], int]:
    """As many of the events as memory takes, and how many such shares there are."""
    parts: list[_Part] = []
    shares, held = 1, 0
    for part in look.parts(asked):
        parts.append(part.share(0, shares))
        held += len(parts[-1].ids)
        while held > most_at_once and shares < _MOST_SHARES:
            shares *= 2
            parts = [part.share(0, shares) for part in parts]
            held = sum(len(part.ids) for part in parts)
    return parts, shares


def _is_of(file: StoredFile, stream: str, day: Day) -> bool:
    """Whether the file is this day's by its own word: of another one's, its day is not to blame for what it holds."""
    return (file.metadata.get("stream"), file.metadata.get("partition")) == (stream, str(day))


def _note_days_of(repeated: np.ndarray, parts: list[_Part], clashes: _Clashes) -> None:
    """On which days each of the `repeated` ids lies; the parts come in the order of the days."""
    found = [part.ids[np.isin(part.ids, repeated)] for part in parts]
    ids = np.concatenate(found)
    days = np.concatenate([np.full(len(of_part), part.day) for of_part, part in zip(found, parts, strict=True)])
    order = np.argsort(ids, kind="stable")
    ids, days = ids[order], days[order]
    again = np.flatnonzero(ids[1:] == ids[:-1])
    pairs, of_pair = np.unique(np.stack([days[again], days[again + 1]]), axis=1, return_inverse=True)
    for number, (one, other) in enumerate(pairs.T.tolist()):
        shared = ids[again[of_pair.ravel() == number]]
        clash = clashes.setdefault((one, other), _Clash())
        clash.events += len(shared)
        clash.ids = sorted([*clash.ids, *shared[:MOST_IDS].tolist()])[:MOST_IDS]


def _findings(asset: str, one: Day, other: Day, clash: _Clash) -> Iterator[tuple[Day, Finding]]:
    events = f"{clash.events} events {listed(clash.ids, count=clash.events)}"
    if one == other:
        yield one, Finding(f"{events} stand in it more than once.", read_again(asset, one))
        return
    command = read_in_one_run(asset, one, other)
    remedy = f"Their times changed, and only one of the two days was read since. Read both in one run: {command}."
    for day, elsewhere in ((one, other), (other, one)):
        yield day, Finding(f"{events} are stored on {elsewhere} as well.", remedy)
