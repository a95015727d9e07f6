"""`ticket_states`: what is remembered of tickets, made from the day before, the day's changes and its `sla_targets`.

Its files are layers, as those of `sla_clocks` are.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError, NewerFileError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.carry_over_files import carry_over_before
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS, NOT_LANDED, history_of, state_text
from ticket_events_pipeline.sla.layer_files import LayeredTable, NewLayer, StoredLayer
from ticket_events_pipeline.sla.provenance import SlaDay, find_sla_day, read_sla_day
from ticket_events_pipeline.sla.rules.carry_over import CarryOver
from ticket_events_pipeline.sla.rules.row_runs import union
from ticket_events_pipeline.sla.sources import raw_state
from ticket_events_pipeline.storage.partition_file import (
    Layout,
    no_footer_error,
    read_metadata,
    read_partition_and_metadata,
)
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.changes import RULES_VERSION as CHANGES_VERSION
from ticket_events_pipeline.tickets.changes import DayChanges, read_changes, tracked_rows
from ticket_events_pipeline.tickets.provenance import MadeTicketDay, TicketProvenance, write_ticket_day
from ticket_events_pipeline.tickets.rules.change_rows import as_states, of_fields
from ticket_events_pipeline.tickets.rules.states import (
    CARRIED_STATES,
    TARGET_COLUMNS,
    DayOfTickets,
    first_activations,
)

STATES = "ticket_states"

STATES_VERSION = 1
"""Goes up when the same changes and targets produce different states: it is part of every hash."""

TAG_COLUMNS = ("tags_added", "tags_removed")

REPETITIVE_COLUMNS = ("value", "previous_value")
"""Columns of text with few values."""

TRACKED_SINCE, REMEMBERED_SINCE, AUDITS_READ = "tracked_since", "remembered_since", "made_from_audits"
"""Footer keys in addition to those of every ticket table and layer: see `StatesDay.tracked_since`, a JSON object, and
`StatesDay.remembered_since`; and the raw file of audits that was read, in the words of SLA footers."""


@dataclass(frozen=True)
class StatesMade:
    """How a file was made, as its footer says it.

    Attributes:
        provenance: as in all ticket tables.
        audits: hash of the raw file of audits and `complete` or `open`; NOT_LANDED without one.
        tracked_since: see `StatesDay`.
        remembered_since: see `StatesDay`.
    """

    provenance: TicketProvenance
    audits: str
    tracked_since: Mapping[str, dt.date]
    remembered_since: dt.date

    def to_metadata(self) -> dict[str, str]:
        """As stored in the footer."""
        since = {name: day.isoformat() for name, day in self.tracked_since.items()}
        return {
            **self.provenance.to_metadata(),
            AUDITS_READ: self.audits,
            TRACKED_SINCE: json.dumps(since, sort_keys=True),
            REMEMBERED_SINCE: self.remembered_since.isoformat(),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> StatesMade:
        """The inverse of `to_metadata`.

        Raises:
            KeyError, ValueError: the metadata is not that of `ticket_states`.
        """
        since = json.loads(metadata[TRACKED_SINCE]).items()
        dates = {name: dt.date.fromisoformat(text) for name, text in since}
        first = dt.date.fromisoformat(metadata[REMEMBERED_SINCE])
        return cls(TicketProvenance.from_metadata(metadata), metadata[AUDITS_READ], dates, first)


LAYERED_STATES = LayeredTable(
    TICKET_STATES_TABLE,
    CARRIED_STATES,
    Layout(
        rows_per_group=64 * 1024,
        dictionary_columns=("field", *REPETITIVE_COLUMNS),
        statistics_columns=("ticket_id",),
    ),
    StatesMade.from_metadata,
)


@dataclass(frozen=True, kw_only=True)
class StatesInput(DayOfTickets):
    """What a day of `ticket_states` is made from beside the day before.

    Attributes:
        audits: see `StatesMade`.
        targets: the day's `sla_targets`; None for a day of the history, of which audits alone are read.
    """

    audits: str
    targets: SlaDay | None

    @classmethod
    def of(cls, changes: DayChanges | None, targets: SlaDay | None, fields: tuple[str, ...]) -> StatesInput:
        """`changes` are None where the audits have not landed."""
        no_rows = TICKET_STATES_TABLE.schema.empty_table()
        opened = None if targets is None else first_activations(targets.rows)
        found = [] if changes is None else [changes.tickets]
        found += [] if opened is None else [opened.tickets]
        return cls(
            no_rows if changes is None else tracked_rows(changes.rows, fields),
            union(*found),
            opened,
            fields,
            audits=NOT_LANDED if changes is None else changes.state,
            targets=targets,
        )


@dataclass(frozen=True)
class FieldsKnown:
    """Since when which fields are tracked.

    Attributes:
        fields: those of the newest day; None before the first one.
        since: see `StatesDay.tracked_since`.
        first: see `StatesDay.remembered_since`.
    """

    fields: tuple[str, ...] | None
    since: Mapping[str, dt.date]
    first: dt.date

    def followed_by(self, day: Day, fields: tuple[str, ...]) -> FieldsKnown:
        """After a day with these fields."""
        added = {} if self.fields is None else {name: day.date for name in fields if name not in self.fields}
        kept = {name: date for name, date in self.since.items() if name in fields}
        return FieldsKnown(fields, {**kept, **added}, self.first)


@dataclass(frozen=True)
class StatesChain:
    """See `Chain`.

    Attributes:
        fields: those that are tracked.
    """

    fields: tuple[str, ...]

    layered = LAYERED_STATES

    def read(self, store: Store, day: Day) -> StatesInput | None:
        """The day's changes and targets; None where its `sla_targets` isn't stored."""
        targets = find_sla_day(store, TARGETS, day, TARGET_COLUMNS)
        return None if targets is None else StatesInput.of(read_changes(store, day), targets, self.fields)

    def read_history(self, store: Store, day: Day) -> StatesInput | None:
        """The day's changes alone."""
        changes = read_changes(store, day)
        return None if changes is None else StatesInput.of(changes, None, self.fields)

    def history_before(self, day: Day, replayed: dict[Day, str]) -> str | None:
        """See `inputs.history_of`: of the raw files of audits of the 30 days before, as far as they have landed."""
        return history_of(replayed)

    def inputs_of(self, new: StatesInput) -> str:
        """The raw file of audits."""
        return new.audits

    def relevant(self, new: StatesInput, carry_over: CarryOver[StatesInput]) -> StatesInput:
        """All of it."""
        return new

    def content_hash(self, previous: str | None, day: Day, new: StatesInput) -> str:
        """Hashing the inputs identifies the states without reading the rows."""
        targets = NOT_LANDED
        if new.targets is not None:
            targets = f"{new.targets.content_hash} {new.targets.provenance.inputs.as_of}"
        lines = [f"{STATES} {STATES_VERSION} {CHANGES_VERSION}", previous or NOT_LANDED, str(day), new.audits, targets]
        return hashlib.sha256("\n".join([*lines, ",".join(new.fields)]).encode()).hexdigest()

    def previous_of(self, made: StatesMade) -> str:
        """The hash of the states of the day before."""
        return made.provenance.previous_states

    def is_of_stored_inputs(self, store: Store, layer: StoredLayer[StatesMade]) -> bool:
        """Whether the layer was made from the stored audits and targets of its day, by their footers.

        Where those are gone or damaged, the layer can't be recomputed: it is all that is left of the day.
        """
        try:
            audits, targets = raw_state(store, AUDITS, layer.day), read_metadata(store, TARGETS, layer.day)
        except NewerFileError:
            raise
        except DamagedFileError:
            return True
        if targets is None or (audits is None and layer.made.audits != NOT_LANDED):
            return True
        made_from = layer.made.provenance
        has_equal_targets = targets.get("content_hash") == made_from.targets_hash
        has_equal_targets &= targets.get("as_of") == str(made_from.targets.inputs.as_of)
        return has_equal_targets and state_text(audits) == layer.made.audits

    def known_at_first(self, day: Day) -> FieldsKnown:
        """No ticket is remembered from before a field was tracked."""
        return FieldsKnown(None, {}, day.plus(-HISTORY_DAYS).date)

    def known_from(self, layer: StoredLayer[StatesMade]) -> FieldsKnown:
        """What the footer says."""
        return FieldsKnown(layer.made.provenance.fields, layer.made.tracked_since, layer.made.remembered_since)

    def known_after(self, known: FieldsKnown, day: Day, new: StatesInput) -> FieldsKnown:
        """With the fields of the day."""
        return known.followed_by(day, new.fields)

    def known_since(self, known: FieldsKnown, first: dt.date) -> FieldsKnown:
        """The same, remembered for a shorter time."""
        return replace(known, first=max(known.first, first))


@dataclass(frozen=True)
class StatesDay:
    """A stored day of `ticket_states`.

    Attributes:
        rows: in the schema and order of `TICKET_STATES_TABLE`.
        provenance: how they were made.
        content_hash: identifies them by all that they were made from, day by day.
        tracked_since: of fields that are tracked for a shorter time than tickets are remembered, the first day (a date) on
            which they were. A Create of an earlier day doesn't say that such a field was empty.
        remembered_since: the first day (a date) whose changes are remembered. While a target is open, its ticket is; what was
            before that day may be missing also of such a ticket.
    """

    rows: pa.Table
    provenance: TicketProvenance
    content_hash: str
    tracked_since: Mapping[str, dt.date]
    remembered_since: dt.date


def make_states(store: Store, days: list[Day], *, fields: Sequence[str]) -> Iterator[MadeTicketDay]:
    """Make `ticket_states` of contiguous, ascending days, and carry the states over in memory.

    Args:
        store: where the files are.
        days: each with `sla_targets`; the audits may be missing.
        fields: those that are tracked, see `fields.tracked_fields`.

    Raises:
        DayNotFetchedError: a day has no `sla_targets` yet.
        ForeignRootError: the audits belong to days of another timezone.
        DamagedFileError: a stored file can't be read.
    """
    for made, how in prefetch(_layers(store, days, StatesChain(tuple(fields)))):
        footer = {**how.to_metadata(), **made.footer(LAYERED_STATES)}
        table, layout = made.layer.content.table, LAYERED_STATES.layout
        counts = {"tickets": len(made.layer.content.tickets)}
        yield write_ticket_day(
            store, STATES, made.layer.day, table, footer, digest=made.content_hash, counts=counts, layout=layout
        )


def _layers(store: Store, days: list[Day], chain: StatesChain) -> Iterator[tuple[NewLayer, StatesMade]]:
    state = carry_over_before(store, chain, days[0], for_days=len(days))
    for day, (new, targets) in zip(days, prefetch(_read(store, day, chain) for day in days), strict=True):
        provenance = TicketProvenance.of(targets, previous_states=state.previous, fields=chain.fields)
        state, made = state.followed_by(chain, day, new)
        yield made, StatesMade(provenance, new.audits, state.known.since, state.known.first)


def _read(store: Store, day: Day, chain: StatesChain) -> tuple[StatesInput, SlaDay]:
    targets = read_sla_day(store, TARGETS, day, TARGET_COLUMNS)
    return StatesInput.of(read_changes(store, day), targets, chain.fields), targets


def read_states(store: Store, day: Day, fields: Collection[str] | None = None) -> StatesDay:
    """The day of `ticket_states`; of all fields, or of some other than the tags.

    Raises:
        DayNotFetchedError: the day has not been made.
        DamagedFileError: its file can't be read, or this pipeline didn't write it.
    """
    columns = None if fields is None else [name for name in TICKET_STATES_TABLE.schema.names if name not in TAG_COLUMNS]
    found = read_partition_and_metadata(store, STATES, day, columns, dictionary_columns=REPETITIVE_COLUMNS)
    if found is None:
        raise DayNotFetchedError(f"{STATES} of {day} has not been made. Materialize {STATES} of {day} first.")
    rows, metadata = found
    whole = as_states(rows if fields is None else of_fields(rows, fields))
    try:
        made = StatesMade.from_metadata(metadata)
        return StatesDay(whole, made.provenance, metadata["content_hash"], made.tracked_since, made.remembered_since)
    except (KeyError, ValueError) as error:
        raise no_footer_error(store, STATES, day, error) from error
