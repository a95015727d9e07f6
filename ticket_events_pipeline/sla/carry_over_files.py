"""The carry-over that a day of `sla_clocks` starts from: that of the day before, read from the files of some thirty days.

Files belong together if each was made from the stored file before it and from the stored raw files of its day; their footers
say so. Files that don't belong together are never combined:

- A file is missing, damaged, an old backup, or was made again without the files after it: the days since the last valid file
  are recomputed in memory from the stored events, as in the runs that the sensor will request.
- Those events are gone as well: the history begins after the gap, with everything that was open or has moved since then.
- The day before was never made: the history begins with the events of the thirty days before.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.sla.clock_files import CLOCKS, NewLayer, StoredLayer, read_layer
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS, NOT_LANDED, DayInputs, day_inputs, history_before
from ticket_events_pipeline.sla.provenance import NO_AUDITS, AuditsKnown
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS, CarryOver, Layer
from ticket_events_pipeline.sla.rules.row_runs import union
from ticket_events_pipeline.sla.sources import RawDay, raw_state, read_raw
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import SLA_STREAMS

FILES_AT_ONCE = 16
"""A request to an object store takes some thirty milliseconds, and a file some requests."""

CLOCKS_VERSION = 3
"""Goes up when the same events produce different clocks: it is part of every hash."""


@dataclass(frozen=True)
class CarryOverState:
    """The carry-over at the end of a day, and what is known about it.

    Attributes:
        carry_over: the remembered clocks.
        content_hash: identifies the carry-over by all events that it was made from, day by day; None for an empty one.
        previous_clocks: the next day's input: the same hash where `sla_clocks` of the day was made, else see `history_before`.
        reaches_back_days: over how many days before its own the carry-over is spread; None where not all of it is stored.
        events_through: newest event read, epoch seconds; None before the first.
        history_from: the first day whose events are known.
        deletions: the range of known ticket deletions.
    """

    carry_over: CarryOver
    content_hash: str | None
    previous_clocks: str | None
    reaches_back_days: int | None
    events_through: int | None
    history_from: dt.date
    deletions: AuditsKnown = NO_AUDITS

    def followed_by(self, raw: RawDay, *, as_of: int) -> tuple[CarryOverState, NewLayer]:
        """The state at the end of the next day, once its layer is stored; and that layer."""
        changes = self.carry_over.relevant_changes(raw.status_changes)
        if self.reaches_back_days is None:
            (carry_over, layer), reach = self.carry_over.compacted(raw.events, raw.day, changes), 0
        else:
            carry_over, layer = self.carry_over.advanced(raw.events, raw.day, changes)
            reach = min(self.reaches_back_days + 1, REACH_DAYS)
        made = NewLayer(layer, _content_hash(self.content_hash, raw, changes), reach)
        moments = [moment for moment in (self.events_through, raw.newest_before(as_of)) if moment is not None]
        known = CarryOverState(
            carry_over,
            content_hash=made.content_hash,
            previous_clocks=made.content_hash,
            reaches_back_days=reach,
            events_through=max(moments, default=None),
            history_from=self.history_from,
            deletions=self.deletions.followed_by(raw.day, raw.audits_through),
        )
        return known, made


def _content_hash(previous: str | None, raw: RawDay, changes: pa.Table) -> str:
    """Clocks depend on events alone, so hashing the inputs identifies them without reading the rows.

    Of audits only ticket deletions count: other audits don't change clocks.
    """
    sources = [f"{stream} {state.content_hash}" for stream, state in raw.states.items() if state.metric_rows]
    if changes.num_rows:
        sources.append(f"status_changes {content_hash(changes)}")
    lines = [f"{CLOCKS} {CLOCKS_VERSION}", previous or NOT_LANDED, str(raw.day), *sources]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def carry_over_before(store: Store, day: Day, *, for_days: int) -> CarryOverState:
    """The state at the end of the day before.

    Args:
        store: where the files are.
        day: the first day to be made.
        for_days: how many days will be made; for a single day, layers stay in their files until they are looked up.

    Raises:
        DamagedFileError: the file of the day before can't be read, or a raw file that is needed to replace a missing file.
        ForeignRootError: raw files belong to days of another timezone.
    """
    before = day.plus(-1)
    newest = read_layer(store, before)
    if newest is None:
        return _replayed_from_nothing(store, day)
    files = _Files(store, newest)
    layers, broken = _belonging_together(files, before)
    if broken is None:
        return _known_from(layers, are_kept=for_days > 1)
    replayed = _replayed(store, files, before)
    if replayed is not None:
        return replayed
    return _begun_after(broken, _known_from(layers, are_kept=for_days > 1)) if layers else _replayed_from_nothing(store, day)


class _Files:
    """The layers that the newest one builds on, and older ones on request; each is read once."""

    def __init__(self, store: Store, newest: StoredLayer) -> None:
        self._store = store
        self._newest = newest
        days = days_between(newest.day.plus(-newest.reaches_back_days), newest.day)
        with ThreadPoolExecutor(FILES_AT_ONCE) as readers:
            self._layers = dict(zip(days, readers.map(self._read, days), strict=True))

    def layer(self, day: Day) -> StoredLayer | None:
        """None where the day has no readable file, or one that was made from other raw files than are stored now."""
        if day not in self._layers:
            self._layers[day] = self._read(day)
        return self._layers[day]

    def _read(self, day: Day) -> StoredLayer | None:
        try:
            layer = self._newest if day == self._newest.day else read_layer(self._store, day)
            return layer if layer is None or _is_of_stored_files(self._store, layer) else None
        except NewerFileError:  # without it, a recomputed carry-over would replace what this version can't write
            raise
        except DamagedFileError:
            return None


def _is_of_stored_files(store: Store, layer: StoredLayer) -> bool:
    """Whether the layer was made from the stored raw files of its day, by their footers.

    Where those are gone or damaged, the layer can't be recomputed: it is all that is left of the day.
    """
    try:
        states = {stream: raw_state(store, stream, layer.day) for stream in SLA_STREAMS}
    except NewerFileError:
        raise
    except DamagedFileError:
        return True
    stored = day_inputs(layer.day, states, previous_clocks=None)
    return stored is None or stored.has_equal_files(layer.provenance.inputs)


def _belonging_together(files: _Files, last: Day) -> tuple[list[StoredLayer], Day | None]:
    """The layers of the carry-over at the end of `last`, newest first; and the newest day whose file doesn't belong to them."""
    newest = files.layer(last)
    if newest is None:
        return [], last
    layers = [newest]
    for older_day in (last.plus(-offset) for offset in range(1, newest.reaches_back_days + 1)):
        older = files.layer(older_day)
        if older is None or not _is_followed(older, layers[-1]):
            return layers, older_day
        layers.append(older)
    return layers, None


def _is_followed(older: StoredLayer, newer: StoredLayer) -> bool:
    """Whether the newer layer was made from the older one, and reaches back over everything that the older one does.

    A file with the whole carry-over may be replaced by one of equal events that holds only its own day.
    """
    reaches_over = newer.reaches_back_days >= min(older.reaches_back_days + 1, REACH_DAYS)
    return reaches_over and newer.provenance.inputs.previous_clocks == older.content_hash


def _known_from(stored: list[StoredLayer], *, are_kept: bool) -> CarryOverState:
    """The state of the layers, newest first; if `are_kept`, in memory, without the tickets that newer layers name."""
    newest = stored[0]
    layers: list[Layer] = [newest.in_memory()]
    named = newest.tickets
    for layer in stored[1:]:
        layers.append(layer.in_memory(excluding=named) if are_kept else layer)
        named = union(named, layer.tickets)
    return CarryOverState(
        carry_over=CarryOver(tuple(layers[::-1])),
        content_hash=newest.content_hash,
        previous_clocks=newest.content_hash,
        reaches_back_days=newest.reaches_back_days,
        events_through=newest.provenance.events_through,
        history_from=newest.provenance.history_from,
        deletions=newest.provenance.deletions,
    )


def _replayed(store: Store, files: _Files, before: Day) -> CarryOverState | None:
    """The state after recomputing the days since the last valid file; None where that file or the events are gone."""
    for last in (before.plus(-offset) for offset in range(1, REACH_DAYS + 2)):  # where even the oldest layer isn't valid
        layers, broken = _belonging_together(files, last)
        if broken is None:
            return _replayed_from(store, _known_from(layers, are_kept=False), days_between(last.plus(1), before))
    return None


def _replayed_from(store: Store, known: CarryOverState, days: list[Day]) -> CarryOverState | None:
    for day in days:
        raw = read_raw(store, day)
        inputs = raw.inputs(known.previous_clocks)
        if inputs is None:
            return None
        known, _ = known.followed_by(raw, as_of=inputs.as_of)
    # Their files don't belong together, so the next day must not build on them.
    return replace(known, reaches_back_days=None)


def _begun_after(broken: Day, known: CarryOverState) -> CarryOverState:
    first = broken.plus(1).date
    known = replace(known, history_from=max(known.history_from, first), deletions=known.deletions.not_before(first))
    return replace(known, reaches_back_days=None)


def _replayed_from_nothing(store: Store, day: Day) -> CarryOverState:
    """The state after replaying the stored events of the HISTORY_DAYS before, as far as they have landed."""
    known = CarryOverState(
        CarryOver(), content_hash=None, previous_clocks=None, reaches_back_days=None, events_through=None, history_from=day.date
    )
    replayed: dict[Day, DayInputs] = {}
    for past in (day.plus(-offset) for offset in range(HISTORY_DAYS, 0, -1)):
        raw = read_raw(store, past)
        inputs = raw.inputs(None)
        if inputs is None:
            continue
        replayed[past] = inputs
        known, _ = known.followed_by(raw, as_of=past.end)
        known = replace(known, history_from=min(known.history_from, past.date))
    return replace(known, previous_clocks=history_before(day, replayed.get), reaches_back_days=None)
