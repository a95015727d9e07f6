"""How the ticket tables of a day were made, as their footers say it, and the writing of a day with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.inputs import NOT_LANDED
from ticket_events_pipeline.sla.provenance import AuditsKnown, Provenance, SlaDay
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import Layout, partition_path, write_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.streams import AUDITS, STREAMS

RULES_VERSION = 2
"""Goes up when the same changes and targets produce different ticket tables. Version 1 had no due times in business hours."""

MADE_FROM_TARGETS, MADE_FROM_STATES = "made_from_targets", "made_from_previous_states"
"""Footer keys: the content hash of the day's `sla_targets`, and of `ticket_states` of the day before."""

MADE_FROM_CLOCKS = "made_from_clocks"
"""Footer key of the tables that read them: the content hash of the day's `sla_clocks`."""

TRACKED_FIELDS = "tracked_fields"
"""Footer key: the names of the tracked fields, between commas."""

LAYOUT = Layout()


@dataclass(frozen=True)
class TicketProvenance:
    """How a day of `ticket_states`, and of the tables that are made from it, was made; equal for all of a day.

    Attributes:
        targets: how the day's `sla_targets` was made: the raw files, `as_of`, and the range of known audits (`deletions`).
        targets_hash: the content hash of the day's `sla_targets`.
        previous_states: the content hash of `ticket_states` of the day before, or what replaces it; NOT_LANDED without any.
        fields: the tracked fields.
        rules_version: the version of the rules.
    """

    targets: Provenance
    targets_hash: str
    previous_states: str
    fields: tuple[str, ...]
    rules_version: int = RULES_VERSION

    @property
    def audits(self) -> str:
        """Whether the day's audits were there: `complete`, `open` or `missing`."""
        state = self.targets.inputs.raw_files[0]
        return "missing" if state == NOT_LANDED else state.rpartition(" ")[2]

    @property
    def known_audits(self) -> AuditsKnown:
        """The range of known audits; of an open day, without the minutes before its reading: their audits may come later."""
        known = self.targets.deletions
        if self.audits != "open" or known.through is None:
            return known
        return replace(known, through=known.through - STREAMS[AUDITS].lag_seconds)

    def to_metadata(self) -> dict[str, str]:
        """As stored in footers and materialisations."""
        return {
            **self.targets.to_metadata(),
            MADE_FROM_TARGETS: self.targets_hash,
            MADE_FROM_STATES: self.previous_states,
            "audits": self.audits,
            TRACKED_FIELDS: ",".join(self.fields),
            "ticket_rules_version": str(self.rules_version),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> TicketProvenance:
        """The inverse of `to_metadata`.

        Raises:
            KeyError, ValueError: the metadata is not that of a ticket table.
        """
        return cls(
            Provenance.from_metadata(metadata),
            targets_hash=metadata[MADE_FROM_TARGETS],
            previous_states=metadata[MADE_FROM_STATES],
            fields=tuple(metadata[TRACKED_FIELDS].split(",")),
            rules_version=int(metadata["ticket_rules_version"]),
        )

    @classmethod
    def of(cls, targets: SlaDay, *, previous_states: str | None, fields: Sequence[str]) -> TicketProvenance:
        """That of a day with these `sla_targets`, after a day with these `ticket_states`."""
        return cls(targets.provenance, targets.content_hash, previous_states or NOT_LANDED, tuple(fields))


@dataclass(frozen=True)
class MadeTicketDay:
    """A written day of a ticket table: its rows, their file, and figures for people.

    Attributes:
        footer: what its footer says of how it was made.
        counts: figures that the UI shows, by name.
    """

    day: Day
    table: pa.Table
    footer: Mapping[str, str]
    content_hash: str
    size_bytes: int
    url: str
    counts: Mapping[str, int] = field(default_factory=dict)


def write_ticket_day(
    store: Store,
    asset: str,
    day: Day,
    table: pa.Table,
    footer: Mapping[str, str],
    *,
    digest: str | None = None,
    counts: Mapping[str, int] | None = None,
    layout: Layout = LAYOUT,
) -> MadeTicketDay:
    """Replace the day's file; `digest` is the content hash where it is not that of the rows."""
    digest = digest or content_hash(table, added=TABLES[asset].added)
    whole = {VERSION_KEY: str(SCHEMA_VERSION), **footer, "partition": str(day), "content_hash": digest}
    size = write_partition(store, asset, day, table, whole, layout=layout)
    return MadeTicketDay(day, table, footer, digest, size, store.url(partition_path(asset, day)), counts or {})
