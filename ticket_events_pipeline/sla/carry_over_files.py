"""The carry-over that a day starts from: that of the day before, read from the files of some thirty days.

Files belong together if each was made from the stored file before it and from the stored inputs of its day; their footers
say so. Files that don't belong together are never combined:

- A file is missing, damaged, an old backup, or was made again without the files after it: the days since the last valid file
  are recomputed in memory from the stored inputs, as in the runs that the sensor will request.
- Those inputs are gone as well: the history begins after the gap, with everything that was open or has moved since then.
- The day before was never made: the history begins with the inputs of the thirty days before.

What a day is made from, and what its hash depends on, is up to the table: see `Chain`.
"""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS
from ticket_events_pipeline.sla.layer_files import LayeredTable, Made, NewLayer, StoredLayer, read_layer
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS, CarryOver, Layer
from ticket_events_pipeline.sla.rules.row_runs import union
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store

FILES_AT_ONCE = 16
"""A request to an object store takes some thirty milliseconds, and a file some requests."""

New = TypeVar("New")
"""What is new on a day: what it is made from beside the day before."""

Known = TypeVar("Known")
"""What is known about a carry-over, beside its rows, and told by footers."""


class Chain(Protocol[New, Made, Known]):
    """How the days of a layered table are made, each from the day before."""

    @property
    def layered(self) -> LayeredTable[Made]:
        """The table."""

    def read(self, store: Store, day: Day) -> New | None:
        """What is new on a day, to make it again; None where that isn't stored."""

    def read_history(self, store: Store, day: Day) -> New | None:
        """The same of a day before the first one that is made; None where nothing of it is stored."""

    def history_before(self, day: Day, replayed: dict[Day, str]) -> str | None:
        """Fingerprint of what was replayed, by day its `inputs_of`, where the day before was never made; None for nothing."""

    def inputs_of(self, new: New) -> str:
        """Identifies the files of a day in `history_before`."""

    def relevant(self, new: New, carry_over: CarryOver[New]) -> New:
        """What is new without what has no effect."""

    def content_hash(self, previous: str | None, day: Day, new: New) -> str:
        """Identifies a layer by all that it was made from: the hash of the one before (None without any) and what is new."""

    def previous_of(self, made: Made) -> str:
        """The hash of the layer before, from which this one was made."""

    def is_of_stored_inputs(self, store: Store, layer: StoredLayer[Made]) -> bool:
        """Whether what a layer was made from beside the one before is what is stored now; true where that can't be read."""

    def known_at_first(self, day: Day) -> Known:
        """What is known before the first day, `day`."""

    def known_from(self, layer: StoredLayer[Made]) -> Known:
        """What a layer's footer says."""

    def known_after(self, known: Known, day: Day, new: New) -> Known:
        """What is known at the end of the next day."""

    def known_since(self, known: Known, first: dt.date) -> Known:
        """What is known after everything before a day was lost, but for what was open or has moved since."""


@dataclass(frozen=True)
class CarryOverState(Generic[New, Known]):
    """The carry-over at the end of a day, and what is known about it.

    Attributes:
        carry_over: the remembered rows.
        content_hash: identifies the carry-over by all inputs that it was made from, day by day; None for an empty one.
        previous: the next day's input: the same hash where the day was made, else see `Chain.history_before`.
        reaches_back_days: over how many days before its own the carry-over is spread; None where not all of it is stored.
        known: what else is known.
    """

    carry_over: CarryOver[New]
    content_hash: str | None
    previous: str | None
    reaches_back_days: int | None
    known: Known

    def followed_by(self, chain: Chain[New, Made, Known], day: Day, new: New) -> tuple[CarryOverState[New, Known], NewLayer]:
        """The state at the end of the next day, once its layer is stored; and that layer."""
        new = chain.relevant(new, self.carry_over)
        if self.reaches_back_days is None:
            (carry_over, layer), reach = self.carry_over.compacted(new, day), 0
        else:
            carry_over, layer = self.carry_over.advanced(new, day)
            reach = min(self.reaches_back_days + 1, REACH_DAYS)
        digest = chain.content_hash(self.content_hash, day, new)
        known = chain.known_after(self.known, day, new)
        return CarryOverState(carry_over, digest, digest, reach, known), NewLayer(layer, digest, reach)


def carry_over_before(store: Store, chain: Chain[New, Made, Known], day: Day, *, for_days: int) -> CarryOverState[New, Known]:
    """The state at the end of the day before.

    Args:
        store: where the files are.
        chain: of which table.
        day: the first day to be made.
        for_days: how many days will be made; for a single day, layers stay in their files until they are looked up.

    Raises:
        DamagedFileError: the file of the day before can't be read, or an input that is needed to replace a missing file.
        ForeignRootError: raw files belong to days of another timezone.
    """
    before = day.plus(-1)
    newest = read_layer(store, chain.layered, before)
    if newest is None:
        return _replayed_from_nothing(store, chain, day)
    files = _Files(store, chain, newest)
    layers, broken = _belonging_together(files, before)
    if broken is None:
        return _known_from(chain, layers, are_kept=for_days > 1)
    replayed = _replayed(files, before)
    if replayed is not None:
        return replayed
    if not layers:
        return _replayed_from_nothing(store, chain, day)
    return _begun_after(chain, broken, _known_from(chain, layers, are_kept=for_days > 1))


class _Files(Generic[New, Made, Known]):
    """The layers that the newest one builds on, and older ones on request; each is read once."""

    def __init__(self, store: Store, chain: Chain[New, Made, Known], newest: StoredLayer[Made]) -> None:
        self.store = store
        self.chain = chain
        self._newest = newest
        self._pruned = read_pruned_days(store)
        days = days_between(newest.day.plus(-newest.reaches_back_days), newest.day)
        with ThreadPoolExecutor(FILES_AT_ONCE) as readers:
            self._layers = dict(zip(days, readers.map(self._read, days), strict=True))

    def layer(self, day: Day) -> StoredLayer[Made] | None:
        """None where the day has no readable file, or one that was made from other inputs than are stored now.

        The file of a closed day is final.
        """
        if day not in self._layers:
            self._layers[day] = self._read(day)
        return self._layers[day]

    def is_followed(self, older: StoredLayer[Made], newer: StoredLayer[Made]) -> bool:
        """Whether the newer layer was made from the older one, and reaches back over everything that the older one does.

        A file with the whole carry-over may be replaced by one of equal inputs that holds only its own day.
        """
        reaches_over = newer.reaches_back_days >= min(older.reaches_back_days + 1, REACH_DAYS)
        return reaches_over and self.chain.previous_of(newer.made) == older.content_hash

    def _read(self, day: Day) -> StoredLayer[Made] | None:
        try:
            layer = self._newest if day == self._newest.day else read_layer(self.store, self.chain.layered, day)
            is_usable = layer is None or self._pruned.is_closed(day) or self.chain.is_of_stored_inputs(self.store, layer)
            return layer if is_usable else None
        except NewerFileError:  # without it, a recomputed carry-over would replace what this version can't write
            raise
        except DamagedFileError:
            return None


def _belonging_together(files: _Files[New, Made, Known], last: Day) -> tuple[list[StoredLayer[Made]], Day | None]:
    """The layers of the carry-over at the end of `last`, newest first; and the newest day whose file doesn't belong to them."""
    newest = files.layer(last)
    if newest is None:
        return [], last
    layers = [newest]
    for older_day in (last.plus(-offset) for offset in range(1, newest.reaches_back_days + 1)):
        older = files.layer(older_day)
        if older is None or not files.is_followed(older, layers[-1]):
            return layers, older_day
        layers.append(older)
    return layers, None


def _known_from(
    chain: Chain[New, Made, Known], stored: list[StoredLayer[Made]], *, are_kept: bool
) -> CarryOverState[New, Known]:
    """The state of the layers, newest first; if `are_kept`, in memory, without the tickets that newer layers name."""
    newest = stored[0]
    layers: list[Layer] = [newest.in_memory()]
    named = newest.tickets
    for layer in stored[1:]:
        layers.append(layer.in_memory(excluding=named) if are_kept else layer)
        named = union(named, layer.tickets)
    return CarryOverState(
        carry_over=CarryOver(chain.layered.carried, tuple(layers[::-1])),
        content_hash=newest.content_hash,
        previous=newest.content_hash,
        reaches_back_days=newest.reaches_back_days,
        known=chain.known_from(newest),
    )


def _replayed(files: _Files[New, Made, Known], before: Day) -> CarryOverState[New, Known] | None:
    """The state after recomputing the days since the last valid file; None where that file or the inputs are gone."""
    for last in (before.plus(-offset) for offset in range(1, REACH_DAYS + 2)):  # where even the oldest layer isn't valid
        layers, broken = _belonging_together(files, last)
        if broken is None:
            known = _known_from(files.chain, layers, are_kept=False)
            return _replayed_from(files, known, days_between(last.plus(1), before))
    return None


def _replayed_from(
    files: _Files[New, Made, Known], known: CarryOverState[New, Known], days: list[Day]
) -> CarryOverState[New, Known] | None:
    for day in days:
        new = files.chain.read(files.store, day)
        if new is None:
            return None
        known, _ = known.followed_by(files.chain, day, new)
    # Their files don't belong together, so the next day must not build on them.
    return replace(known, reaches_back_days=None)


def _begun_after(chain: Chain[New, Made, Known], broken: Day, state: CarryOverState[New, Known]) -> CarryOverState[New, Known]:
    return replace(state, known=chain.known_since(state.known, broken.plus(1).date), reaches_back_days=None)


def _replayed_from_nothing(store: Store, chain: Chain[New, Made, Known], day: Day) -> CarryOverState[New, Known]:
    """The state after replaying the stored inputs of the HISTORY_DAYS before, as far as they have landed."""
    state: CarryOverState[New, Known] = CarryOverState(
        CarryOver(chain.layered.carried), None, None, None, known=chain.known_at_first(day)
    )
    replayed: dict[Day, str] = {}
    for past in (day.plus(-offset) for offset in range(HISTORY_DAYS, 0, -1)):
        new = chain.read_history(store, past)
        if new is None:
            continue
        replayed[past] = chain.inputs_of(new)
        state, _ = state.followed_by(chain, past, new)
    return replace(state, previous=chain.history_before(day, replayed), reaches_back_days=None)
