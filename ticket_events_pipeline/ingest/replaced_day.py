"""What a day's file loses when a pass replaces it: events that it held and the new reading no longer delivered.

Such an event moved to another day, or was withdrawn. The pass can't tell which, because it commits a day before it has read the
later ones. So it keeps the ids in the new footer, and `verify` looks for them on the days around.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.event_ids import SHAPES, IdsByShape, id_columns, ids_by_shape, is_among, read_event_ids
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import MOST_MISSED_IDS, MissedEvents, RawFooter
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile


class ReplacedDay:
    """The events of the day's file as it stands, 9 bytes each, and which of them the rows that replace it hold.

    A file that is damaged or another day's has none: nothing is known of what it held.
    """

    def __init__(self, store: Store, stream: str, day: Day, *, read_to: int, pass_begun_at: int) -> None:
        """Read the ids of the stored file.

        Events from `read_to` (epoch seconds) on are left out, since the pass hasn't read so far; so are those that were dated
        ahead when they were read, since their times change as a matter of course.
        """
        self._pass_begun_at = pass_begun_at
        self._before, stored = _stored(store, stream, day, read_to)
        known = _listed(self._before)
        self._ids = {shape: np.unique(np.concatenate([stored[shape], known[shape]])) for shape in SHAPES}
        self._is_seen = {shape: np.zeros(len(ids), dtype=bool) for shape, ids in self._ids.items()}

    def seen(self, chunks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The same chunks; the events that they hold are noted."""
        for rows in chunks:
            for shape, ids in ids_by_shape(rows.select(id_columns(rows.schema))).items():
                found = ids[is_among(ids, self._ids[shape])]
                self._is_seen[shape][np.searchsorted(self._ids[shape], found)] = True
            yield rows
            del rows  # before the next chunk is made

    def missed(self) -> MissedEvents:
        """The events that no chunk held, and those that earlier readings missed already; to be asked behind the last chunk."""
        missing = {shape: ids[~self._is_seen[shape]] for shape, ids in self._ids.items()}
        count = sum(len(ids) for ids in missing.values()) + self._before.unlisted
        if not count:
            return MissedEvents()
        known = _listed(self._before)
        is_new = any(len(np.setdiff1d(ids, known[shape])) for shape, ids in missing.items())
        first = {shape: tuple(ids[:MOST_MISSED_IDS].tolist()) for shape, ids in missing.items()}
        return MissedEvents(self._pass_begun_at if is_new else self._before.since, count, first[False], first[True])


def _stored(store: Store, stream: str, day: Day, read_to: int) -> tuple[MissedEvents, IdsByShape]:
    """What the stored file's reading missed, and the ids that it holds."""
    with suppress(DamagedFileError), opened_partition(store, stream, day) as file:
        footer = None if file is None else _footer_of(file, stream, day)
        if file is not None and footer is not None:
            return footer.missed, read_event_ids(file, before_ms=min(read_to, footer.fetched_at) * 1000)
    return MissedEvents(), {shape: np.empty(0, np.int64) for shape in SHAPES}


def _footer_of(file: StoredFile, stream: str, day: Day) -> RawFooter | None:
    with suppress(KeyError, ValueError, TypeError):
        footer = RawFooter.from_metadata(file.metadata)
        if (footer.stream, footer.window_start, footer.window_end) == (stream, day.start, day.end):
            return footer
    return None


def _listed(missed: MissedEvents) -> IdsByShape:
    return {False: np.array(missed.ids, dtype=np.int64), True: np.array(missed.metric_ids, dtype=np.int64)}
