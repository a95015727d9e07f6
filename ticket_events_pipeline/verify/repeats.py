"""Which events are stored more than once in a range: twice on a day, or on two days.

An event is its id; in `ticket_events` an audit and a metric event may share a number, so there it is shape and id. Any day may
hold any id, so all of them have to be compared; where they are too many for the memory, a share of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.lake.batches import batches_of
from ticket_events_pipeline.lake.partition_file import opened_partition
from ticket_events_pipeline.lake.schemas import RAW_SCHEMAS, metric_shaped
from ticket_events_pipeline.lake.store import Store
from ticket_events_pipeline.lake.stored_file import StoredFile
from ticket_events_pipeline.verify.verdict import Finding, read_again

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
    """What two days have in common, or one day has twice: how many events, and the id of one."""

    events: int
    example_id: int


_Clashes = dict[tuple[int, int], _Clash]


def repeated_events(
    store: Store, stream: str, days: list[Day], *, most_at_once: int = MOST_EVENTS_AT_ONCE
) -> dict[Day, list[Finding]]:
    """A finding per day, or pair of days, that holds an event more than once; files that can't be read are left out."""
    clashes: _Clashes = {}
    parts, shares = _first_share(store, stream, days, most_at_once)
    _note_clashes(parts, clashes)
    for number in range(1, shares):
        _note_clashes([part.share(number, shares) for part in _parts(store, stream, days)], clashes)
    findings: dict[Day, list[Finding]] = {}
    for (one, other), clash in sorted(clashes.items()):
        for day, finding in _findings(stream, days[one], days[other], clash):
            findings.setdefault(day, []).append(finding)
    return findings


def _first_share(store: Store, stream: str, days: list[Day], most_at_once: int) -> tuple[list[_Part], int]:
    """As many of the events as memory takes, and how many such shares there are."""
    parts: list[_Part] = []
    shares, held = 1, 0
    for part in _parts(store, stream, days):
        parts.append(part.share(0, shares))
        held += len(parts[-1].ids)
        while held > most_at_once and shares < _MOST_SHARES:
            shares *= 2
            parts = [part.share(0, shares) for part in parts]
            held = sum(len(part.ids) for part in parts)
    return parts, shares


def _parts(store: Store, stream: str, days: list[Day]) -> Iterator[_Part]:
    columns = ["id", *(["metric", "instance_id"] if "event_type" in RAW_SCHEMAS[stream].names else [])]
    for number, day in enumerate(days):
        found: dict[bool, list[np.ndarray]] = {False: [], True: []}
        try:
            with opened_partition(store, stream, day) as file:
                if file is None or not _is_of(file, stream, day):
                    continue
                for batch in batches_of(file, columns):
                    _sort_by_shape(pa.Table.from_batches([batch]), found)
        except DamagedFileError:
            continue
        for is_metric, ids in found.items():
            if ids:
                yield _Part(number, is_metric, np.concatenate(ids))


def _is_of(file: StoredFile, stream: str, day: Day) -> bool:
    """Whether the file is this day's by its own word: of another one's, its day is not to blame for what it holds."""
    return (file.metadata.get("stream"), file.metadata.get("partition")) == (stream, str(day))


def _sort_by_shape(rows: pa.Table, found: dict[bool, list[np.ndarray]]) -> None:
    rows = rows.filter(rows["id"].is_valid())
    ids = rows["id"].to_numpy()
    is_metric = metric_shaped(rows).to_numpy() if "metric" in rows.column_names else np.zeros(len(ids), dtype=bool)
    for shape in (False, True):
        if (is_metric == shape).any():
            found[shape].append(ids[is_metric == shape])


def _note_clashes(parts: list[_Part], clashes: _Clashes) -> None:
    for shape in (False, True):
        alike = [part for part in parts if part.is_metric == shape]
        ids = np.concatenate([np.empty(0, np.int64), *(part.ids for part in alike)])
        ids.sort()
        repeated = np.unique(ids[1:][ids[1:] == ids[:-1]])
        if len(repeated):
            _note_days_of(repeated, alike, clashes)


def _note_days_of(repeated: np.ndarray, parts: list[_Part], clashes: _Clashes) -> None:
    """On which days each of the `repeated` ids lies; the parts come in the order of the days."""
    found = [part.ids[np.isin(part.ids, repeated)] for part in parts]
    ids = np.concatenate(found)
    days = np.concatenate([np.full(len(of_part), part.day) for of_part, part in zip(found, parts, strict=True)])
    order = np.argsort(ids, kind="stable")
    ids, days = ids[order], days[order]
    again = np.flatnonzero(ids[1:] == ids[:-1])
    pairs, first, counts = np.unique(np.stack([days[again], days[again + 1]]), axis=1, return_index=True, return_counts=True)
    for (one, other), place, count in zip(pairs.T.tolist(), first, counts, strict=True):
        clash = clashes.setdefault((one, other), _Clash(0, int(ids[again[place]])))
        clash.events += int(count)


def _findings(stream: str, one: Day, other: Day, clash: _Clash) -> Iterator[tuple[Day, Finding]]:
    example = f"{clash.events} events (for example id {clash.example_id})"
    if one == other:
        yield one, Finding(f"{example} stand in it more than once.", read_again(stream, one))
        return
    for day, elsewhere in ((one, other), (other, one)):
        yield day, Finding(f"{example} are stored on {elsewhere} as well.", read_again(stream, one, other))
