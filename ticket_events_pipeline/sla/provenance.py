"""How an SLA file was made, as its footer says it, and the reading of an SLA day with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW, DayInputs
from ticket_events_pipeline.storage.partition_file import no_footer_error, read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.table import Table

RULES_VERSION = 2
"""Goes up when the same events produce different SLA tables. A file without it was made by the rules of version 1, which knew
neither deleted tickets nor contradicted outcomes, and counted a target as overdue also while it was closed."""


@dataclass(frozen=True)
class AuditsKnown:
    """The range of known audits, and so of known ticket deletions: without gaps from `since` up to `through`.

    Attributes:
        since: a day; None if no audits are known.
        through: epoch seconds; None if no audits are known.
    """

    since: dt.date | None = None
    through: int | None = None

    def followed_by(self, day: Day, through: int | None) -> AuditsKnown:
        """The range after a further day whose audits were read up to `through` (epoch seconds; None: not read)."""
        if through is None:
            return self
        is_gapless = self.through is not None and self.through >= day.start
        return AuditsKnown(self.since if is_gapless else day.date, through)

    def not_before(self, first: dt.date) -> AuditsKnown:
        """The range without everything before the day `first`."""
        return self if self.since is None else replace(self, since=max(self.since, first))


NO_AUDITS = AuditsKnown()


@dataclass(frozen=True)
class Provenance:
    """How an SLA file was made.

    Attributes:
        inputs: the raw files and the carry-over that it was made from, and `as_of`.
        events_through: newest metric event read up to that day, epoch seconds; None before the first.
        history_from: the first day whose events are known.
        deletions: the range of known ticket deletions.
        rules_version: the version of the rules that made it.
    """

    inputs: DayInputs
    events_through: int | None
    history_from: dt.date
    deletions: AuditsKnown = NO_AUDITS
    rules_version: int = RULES_VERSION

    def to_metadata(self) -> dict[str, str]:
        """As stored in footers and materialisations; unknown values are empty."""
        return {
            **self.inputs.to_metadata(),
            "events_through": _text(self.events_through),
            "history_from": self.history_from.isoformat(),
            "deletions_from": _text(self.deletions.since),
            "deletions_through": _text(self.deletions.through),
            "rules_version": str(self.rules_version),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Provenance:
        """The inverse of `to_metadata`.

        Raises:
            KeyError, ValueError: the metadata is not that of an SLA file.
        """
        inputs = DayInputs(
            raw_files=tuple(metadata[key] for key in MADE_FROM_RAW),
            complete=metadata["complete"] == "true",
            as_of=int(metadata["as_of"]),
            previous_clocks=metadata["made_from_previous_clocks"],
        )
        since, through = metadata.get("deletions_from"), metadata.get("deletions_through")
        return cls(
            inputs,
            events_through=int(metadata["events_through"]) if metadata["events_through"] else None,
            history_from=dt.date.fromisoformat(metadata["history_from"]),
            deletions=AuditsKnown(dt.date.fromisoformat(since) if since else None, int(through) if through else None),
            rules_version=int(metadata.get("rules_version", "1")),
        )


def _text(value: int | dt.date | None) -> str:
    return "" if value is None else str(value)


@dataclass(frozen=True)
class SlaDay:
    """A stored day of an SLA table.

    Attributes:
        rows: all rows, with the requested columns.
        provenance: how they were made.
        metadata: the footer's key-value metadata.
    """

    rows: pa.Table
    provenance: Provenance
    metadata: Mapping[str, str]

    @property
    def content_hash(self) -> str:
        """Identifies the file's content; empty where the footer has none."""
        return self.metadata.get("content_hash", "")


def read_sla_day(store: Store, asset: str, day: Day, columns: list[str] | None = None, *, table: Table | None = None) -> SlaDay:
    """The day of an SLA table; see `find_sla_day`.

    Raises:
        DayNotFetchedError: the day has not been made.
    """
    found = find_sla_day(store, asset, day, columns, table=table)
    if found is None:
        raise DayNotFetchedError(f"{asset} of {day} has not been made. Materialize {asset} of {day} first.")
    return found


def find_sla_day(
    store: Store, asset: str, day: Day, columns: list[str] | None = None, *, table: Table | None = None
) -> SlaDay | None:
    """The day of an SLA table, with all columns or some; None where it has not been made. `table` is as in `opened_partition`.

    Raises:
        DamagedFileError: its file can't be read, or this pipeline didn't write it.
    """
    found = read_partition_and_metadata(store, asset, day, columns, table=table)
    if found is None:
        return None
    rows, metadata = found
    try:
        return SlaDay(rows, Provenance.from_metadata(metadata), metadata)
    except (KeyError, ValueError) as error:
        raise no_footer_error(store, asset, day, error) from error
