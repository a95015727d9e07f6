"""`ticket_field_changes`: one file a day, made from the day's audits, and the reading of it.

Where the stored file wasn't made from the stored audits, the changes are computed from the audits again, in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.sla.inputs import RawState, state_text
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among, between, once
from ticket_events_pipeline.sla.sources import require_own_day
from ticket_events_pipeline.storage.partition_file import Layout, opened_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter, opened_raw_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.streams import AUDITS, STREAMS
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_SHAPE, metric_shaped
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.fields import CHANNELS
from ticket_events_pipeline.tickets.provenance import MadeTicketDay, write_ticket_day
from ticket_events_pipeline.tickets.rules.change_rows import as_states, has_field, merged, of_tickets
from ticket_events_pipeline.tickets.rules.field_changes import AUDIT_COLUMNS, FieldChanges, field_changes

CHANGES = "ticket_field_changes"

RULES_VERSION = 1
"""Goes up when the same audits produce different changes."""

MADE_FROM_AUDITS, COMPLETE, READ_UP_TO = f"made_from_{AUDITS}", "complete", "read_up_to"
CHANGES_RULES_VERSION, UNREADABLE_AUDITS = "changes_rules_version", "unreadable_audits"
"""Footer keys: the state of the raw file as in SLA footers; whether the day was read past its end; up to when it was read,
epoch seconds; the version of the rules; and how many audits have child events that can't be read."""

LAYOUT = Layout(
    rows_per_group=16 * 1024,
    dictionary_columns=("field", "value", "had_previous", "previous_value", "position", "updater_id", "via", "is_create"),
    statistics_columns=("ticket_id", "field", "changed_at"),
)
"""A reader of some tickets reads only their row groups."""

AUDITS_PER_BATCH, BATCH_BYTES = 16 * 1024, 8 * 1024 * 1024
"""The most that is read at once, in rows and in bytes of child events: many audits say the same, and one with the text of its
comments may take tens of KB."""

DICTIONARY_COLUMNS = ("field", "via")

CHANNEL = "channel"

TRACKED_COLUMNS = [*TICKET_STATES_TABLE.schema.names, "via"]
"""The columns that `tracked_rows` takes."""


@dataclass(frozen=True)
class DayChanges:
    """What the audits of a day changed, and which tickets had one.

    Attributes:
        rows: as in `ticket_field_changes`.
        tickets: every ticket with an audit on the day, ascending.
        state: of the raw file, as in SLA footers.
        read_up_to: up to when the day's audits are known, epoch seconds; of an open day, without the minutes before its
            reading: their audits may come later.
        unreadable: how many audits have child events that can't be read.
    """

    day: Day
    rows: pa.Table
    tickets: Ints
    state: str
    read_up_to: int
    unreadable: int

    def tracked(self, fields: Sequence[str]) -> pa.Table:
        """The changes of these fields in the schema of `ticket_states`, sorted by its key; see `tracked_rows`."""
        return merged(tracked_rows(self.rows, fields))


def make_changes(store: Store, days: list[Day]) -> Iterator[MadeTicketDay]:
    """Make `ticket_field_changes` of the days, each from its raw `ticket_events`.

    Raises:
        DayNotFetchedError: a day's audits have not landed.
        DamagedFileError: a stored file can't be read, or holds another day.
    """
    for day, state, changes in prefetch(_computed(store, days)):
        made_from = _footer(day, state, changes)
        yield write_ticket_day(store, CHANGES, day, changes.rows, made_from, counts=_counts(changes), layout=LAYOUT)


def _computed(store: Store, days: list[Day]) -> Iterator[tuple[Day, RawState, FieldChanges]]:
    for day in days:
        with _opened_audits(store, day) as opened:
            if opened is None:
                raise DayNotFetchedError(f"{AUDITS} of {day} has not landed. Materialize {AUDITS} of {day} first.")
            file, state = opened
            yield day, state, _changes_in(file)


def _changes_in(raw: StoredFile) -> FieldChanges:
    return field_changes(raw.batches(AUDIT_COLUMNS, batch_rows=_batch_rows(raw)))


def _batch_rows(raw: StoredFile) -> int:
    place = raw.own_schema.get_field_index("child_events")
    size = sum(int(raw.row_group(number).column(place).total_uncompressed_size) for number in range(raw.num_row_groups))
    return max(1, min(AUDITS_PER_BATCH, BATCH_BYTES * raw.num_rows // max(1, size)))


def read_changes(store: Store, day: Day) -> DayChanges | None:
    """The changes of a day; None where its audits have not landed.

    Raises:
        DamagedFileError: the raw file can't be read, or holds another day.
    """
    with _opened_audits(store, day) as opened:
        if opened is None:
            return None
        file, state = opened
        changes = _stored(store, day, state.content_hash) or _changes_in(file)
        tickets = _tickets_of(file)
    return DayChanges(day, changes.rows, tickets, state_text(state), _known_up_to(state, day), changes.unreadable)


def read_rows(store: Store, day: Day) -> tuple[pa.Table, int] | None:
    """What `tracked_rows` takes of a day, and up to when its audits are known, see `DayChanges`; None where they aren't.

    Raises:
        DamagedFileError: the raw file can't be read, or holds another day.
    """
    with _opened_audits(store, day) as opened:
        if opened is None:
            return None
        file, state = opened
        changes = _stored(store, day, state.content_hash, columns=TRACKED_COLUMNS) or _changes_in(file)
    return changes.rows.select(TRACKED_COLUMNS), _known_up_to(state, day)


@contextmanager
def _opened_audits(store: Store, day: Day) -> Iterator[tuple[StoredFile, RawState] | None]:
    with opened_raw_day(store, AUDITS, day) as opened:
        if opened is None:
            yield None
        else:
            file, footer = opened
            require_own_day(store, AUDITS, day, footer)
            yield file, _state_of(footer)


def changes_of(store: Store, tickets: Ints, first: Day, last: Day, fields: Collection[str]) -> pa.Table:
    """The changes of some tickets over a range of days, as `DayChanges.tracked` has them; for few tickets.

    Args:
        store: where the files are.
        tickets: ascending.
        first: of the days.
        last: of the days, itself included.
        fields: the tracked ones.

    Raises:
        DamagedFileError: a raw file can't be read, or holds another day.
    """
    parts = [_changes_on(store, day, tickets) for day in days_between(first, last)] if len(tickets) else []
    tracked = [tracked_rows(part, fields) for part in parts if part is not None]
    return merged(TICKET_STATES_TABLE.schema.empty_table(), *tracked)


def tracked_rows(changes: pa.Table, fields: Collection[str]) -> pa.Table:
    """The changes of the tracked fields in the schema of `ticket_states`, in any order.

    Every audit that creates a ticket has a row of the field `channel` more: its value is the audit's `via` in the words of
    Zendesk's API, NULL where it isn't text.

    Args:
        changes: as in `ticket_field_changes`, sorted by its key.
        fields: the tracked ones.
    """
    changes = changes.unify_dictionaries().combine_chunks()  # each row group has a dictionary of its own
    is_tracked = has_field(changes["field"], [name for name in fields if name != CHANNEL])
    rows = changes.filter(pa.array(is_tracked))
    channels = [_channels(changes)] if CHANNEL in fields else []
    return pa.concat_tables([as_states(rows), *channels])


def _channels(changes: pa.Table) -> pa.Table:
    """A row of the field `channel` for each audit that creates a ticket, in the place of the first field that it sets."""
    keys = ["ticket_id", "changed_at", "audit_id"]
    created = changes.select([*keys, "position", "via"]).filter(changes["is_create"])
    audits = created.take(pa.array(RowRuns.of(*(created[name].cast(pa.int64()).to_numpy() for name in keys)).starts))
    size = audits.num_rows
    columns = {
        **{name: audits[name] for name in (*keys, "position")},
        "field": pa.repeat(CHANNEL, size),
        "value": _channel_words(audits["via"]),
        "had_previous": pa.repeat(False, size),
        "is_create": pa.repeat(True, size),
    }
    return as_states(pa.table(columns))


def _channel_words(via: pa.ChunkedArray) -> pa.ChunkedArray:
    """The `via` of audits in the words of Zendesk's API."""
    known = pc.index_in(via.cast(pa.string()), pa.array(list(CHANNELS), pa.string()))
    return pc.coalesce(pa.array(list(CHANNELS.values()), pa.string()).take(known), via.cast(pa.string()))


def _state_of(footer: RawFooter) -> RawState:
    return RawState(footer.content_hash, footer.complete, footer.read_up_to, footer.metric_rows or 0)


def _known_up_to(state: RawState, day: Day) -> int:
    through = state.read_up_to(day)
    return through if state.complete else max(day.start, through - STREAMS[AUDITS].lag_seconds)


def _footer(day: Day, state: RawState, changes: FieldChanges) -> dict[str, str]:
    return {
        MADE_FROM_AUDITS: state_text(state),
        COMPLETE: str(state.complete).lower(),
        READ_UP_TO: str(_known_up_to(state, day)),
        CHANGES_RULES_VERSION: str(RULES_VERSION),
        UNREADABLE_AUDITS: str(changes.unreadable),
    }


def _counts(changes: FieldChanges) -> dict[str, int]:
    return {"changes": changes.rows.num_rows, "unreadable_audits": changes.unreadable}


def _tickets_of(raw: StoredFile) -> Ints:
    """Every ticket with an audit in a raw file."""
    rows = raw.read(["ticket_id", *METRIC_SHAPE])
    audits = rows.filter(pc.invert(metric_shaped(rows)))
    return once(np.sort(audits["ticket_id"].drop_null().to_numpy()))


def _stored(
    store: Store, day: Day, raw_hash: str, tickets: Ints | None = None, *, columns: list[str] | None = None
) -> FieldChanges | None:
    """The stored changes, of all tickets or some; None unless they were made from the raw file with that hash."""
    try:
        with opened_partition(store, CHANGES, day, dictionary_columns=DICTIONARY_COLUMNS) as file:
            if file is None or not is_made_from(file.metadata, raw_hash):
                return None
            rows = file.read(columns) if tickets is None else _rows_of(file, tickets)
            return FieldChanges(rows, int(file.metadata[UNREADABLE_AUDITS]))
    except DamagedFileError:
        return None


def is_made_from(metadata: Mapping[str, str], raw_hash: str) -> bool:
    """Whether a file with that footer was made from the raw file with that hash, by today's rules."""
    made_from = metadata.get(MADE_FROM_AUDITS, "").partition(" ")[0]
    return made_from == raw_hash and metadata.get(CHANGES_RULES_VERSION) == str(RULES_VERSION)


def _rows_of(file: StoredFile, tickets: Ints) -> pa.Table:
    groups = [number for number in range(file.num_row_groups) if _may_hold(file, number, tickets)]
    groups = [number for number in groups if _holds(file, number, tickets)]
    return of_tickets(file.read_row_groups(groups) if groups else file.schema.empty_table(), tickets)


def _holds(file: StoredFile, group: int, tickets: Ints) -> bool:
    """Whether a row group has one of the ascending tickets: most groups between the first and the last of a few have none."""
    found = file.read_row_groups([group], ["ticket_id"], use_threads=False)["ticket_id"].to_numpy()
    return bool(among(tickets, once(found)).any())


def _may_hold(file: StoredFile, group: int, tickets: Ints) -> bool:
    statistics = file.row_group(group).column(file.own_schema.get_field_index("ticket_id")).statistics
    return statistics is None or not statistics.has_min_max or len(between(tickets, statistics.min, statistics.max)) > 0


def _changes_on(store: Store, day: Day, tickets: Ints) -> pa.Table | None:
    """The changes of some tickets on a day; None where its audits have not landed."""
    with _opened_audits(store, day) as opened:
        if opened is None:
            return None
        file, state = opened
        stored = _stored(store, day, state.content_hash, tickets)
        if stored is not None:
            return stored.rows
        wanted = pa.array(tickets)
        batches = (
            batch.filter(pc.is_in(batch["ticket_id"], wanted))
            for batch in file.batches(AUDIT_COLUMNS, batch_rows=AUDITS_PER_BATCH)
        )
        return field_changes(batches).rows
