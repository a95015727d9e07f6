"""`sla_clocks` in its files, and how its days are made, each from the day before.

A file of an earlier version holds the whole carry-over, unsorted: it is a layer with nothing before it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, replace

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.sla.inputs import NOT_LANDED, DayInputs, day_inputs, history_of
from ticket_events_pipeline.sla.layer_files import LayeredTable, NewLayer, StoredLayer
from ticket_events_pipeline.sla.provenance import NO_AUDITS, AuditsKnown, Provenance
from ticket_events_pipeline.sla.rules.carry_over import CarryOver
from ticket_events_pipeline.sla.rules.clock_layers import CARRIED_CLOCKS, DayEvents
from ticket_events_pipeline.sla.rules.clocks import in_clock_order
from ticket_events_pipeline.sla.sources import RawDay, raw_state, read_raw
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import Layout, write_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.streams import SLA_STREAMS

CLOCKS = "sla_clocks"

CLOCKS_VERSION = 3
"""Goes up when the same events produce different clocks: it is part of every hash."""

DELETED = "deleted_tickets"
"""Footer key in addition to those of every layer and SLA file: as a JSON list, which tickets are or were deleted."""

LAYERED_CLOCKS = LayeredTable(
    SLA_CLOCKS_TABLE,
    CARRIED_CLOCKS,
    # Encodings and statistics that no reader uses are left out, since each row is written as often as its ticket moves.
    Layout(
        rows_per_group=16 * 1024,
        dictionary_columns=("metric", "instance_id", "policy_id", "policy_title"),
        statistics_columns=("id", "ticket_id"),
    ),
    Provenance.from_metadata,
    marks=DELETED,
    has_events=True,
    in_order=in_clock_order,
)


@dataclass(frozen=True)
class ClocksKnown:
    """What is known about the clocks at the end of a day.

    Attributes:
        events_through: newest event read, epoch seconds; None before the first.
        history_from: the first day whose events are known.
        deletions: the range of known ticket deletions.
    """

    events_through: int | None
    history_from: dt.date
    deletions: AuditsKnown = NO_AUDITS


@dataclass(frozen=True, kw_only=True)
class ClocksInput(DayEvents):
    """What a day of `sla_clocks` is made from beside the day before.

    Attributes:
        raw: the raw files.
        inputs: their state, without the day before.
        read_to: up to when their events count as read, epoch seconds.
    """

    raw: RawDay
    inputs: DayInputs
    read_to: int

    @classmethod
    def of(cls, raw: RawDay, *, read_to: int | None = None) -> ClocksInput | None:
        """What the raw files hold, read up to `read_to`, else as_of; None while the day can't be summarised.

        The changes of status that count depend on the day before: see `ClockChain.relevant`.
        """
        inputs = raw.inputs(None)
        if inputs is None:
            return None
        read_to = inputs.as_of if read_to is None else read_to
        return cls(raw.events, raw=raw, inputs=inputs, read_to=read_to)


class ClockChain:
    """See `Chain`."""

    layered = LAYERED_CLOCKS

    def read(self, store: Store, day: Day) -> ClocksInput | None:
        """The raw files of the day."""
        return ClocksInput.of(read_raw(store, day))

    def read_history(self, store: Store, day: Day) -> ClocksInput | None:
        """The raw files of the day."""
        return ClocksInput.of(read_raw(store, day), read_to=day.end)

    def history_before(self, day: Day, replayed: dict[Day, str]) -> str | None:
        """See `inputs.history_before`."""
        return history_of(replayed)

    def inputs_of(self, new: ClocksInput) -> str:
        """The state of the raw files."""
        return " ".join(new.inputs.raw_files)

    def relevant(self, new: ClocksInput, carry_over: CarryOver[ClocksInput]) -> ClocksInput:
        """Of audits only ticket deletions count: other audits don't change clocks."""
        audits = new.raw.status_audits
        return new if audits is None else replace(new, changes=audits.changes(carry_over.marked_tickets()))

    def content_hash(self, previous: str | None, day: Day, new: ClocksInput) -> str:
        """Clocks depend on events alone, so hashing the inputs identifies them without reading the rows."""
        sources = [f"{stream} {state.content_hash}" for stream, state in new.raw.states.items() if state.metric_rows]
        if new.changes.num_rows:
            sources.append(f"status_changes {content_hash(new.changes)}")
        lines = [f"{CLOCKS} {CLOCKS_VERSION}", previous or NOT_LANDED, str(day), *sources]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def previous_of(self, made: Provenance) -> str:
        """The hash of the clocks of the day before."""
        return made.inputs.previous_clocks

    def is_of_stored_inputs(self, store: Store, layer: StoredLayer[Provenance]) -> bool:
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
        return stored is None or stored.has_equal_files(layer.made.inputs)

    def known_at_first(self, day: Day) -> ClocksKnown:
        """No events are known."""
        return ClocksKnown(events_through=None, history_from=day.date)

    def known_from(self, layer: StoredLayer[Provenance]) -> ClocksKnown:
        """What the footer says."""
        return ClocksKnown(layer.made.events_through, layer.made.history_from, layer.made.deletions)

    def known_after(self, known: ClocksKnown, day: Day, new: ClocksInput) -> ClocksKnown:
        """With the events of the day, and its audits."""
        moments = [moment for moment in (known.events_through, new.raw.newest_before(new.read_to)) if moment is not None]
        deletions = known.deletions.followed_by(day, new.raw.audits_through)
        return ClocksKnown(max(moments, default=None), min(known.history_from, day.date), deletions)

    def known_since(self, known: ClocksKnown, first: dt.date) -> ClocksKnown:
        """The history begins then."""
        return replace(known, history_from=max(known.history_from, first), deletions=known.deletions.not_before(first))


CLOCK_CHAIN = ClockChain()


def write_layer(store: Store, made: NewLayer, provenance: Provenance) -> int:
    """Replace the file of the layer's day; returns its size in bytes."""
    footer = {
        VERSION_KEY: str(SCHEMA_VERSION),
        **provenance.to_metadata(),
        "partition": str(made.layer.day),
        "content_hash": made.content_hash,
        **made.footer(LAYERED_CLOCKS),
    }
    return write_partition(store, CLOCKS, made.layer.day, made.layer.content.table, footer, layout=LAYERED_CLOCKS.layout)
