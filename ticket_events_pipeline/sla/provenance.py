"""What an SLA file says of how it was made, in its footer: read and written by this one rule.

What it was made from is `inputs`; how often a summary was restated is `restatements`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW, DayInputs
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.schemas import StoredTable

RULES_VERSION = 2
"""Counts up when equal events make other SLA tables than before. A file without it was made under the rules of version 1, which
knew neither deleted tickets nor contradicted outcomes, and counted a target as overdue also while it was closed."""


@dataclass(frozen=True)
class AuditsKnown:
    """Which audits are known, and so which deletions of tickets: of every moment from `since` up to `through`.

    Attributes:
        since: a day; None if no audits are known.
        through: epoch seconds; None if no audits are known.
    """

    since: dt.date | None = None
    through: int | None = None

    def followed_by(self, day: Day, through: int | None) -> AuditsKnown:
        """What is known a day later, whose audits were read up to `through` (epoch seconds; None: not at all)."""
        if through is None:
            return self
        is_gapless = self.through is not None and self.through >= day.start
        return AuditsKnown(self.since if is_gapless else day.date, through)

    def not_before(self, first: dt.date) -> AuditsKnown:
        """What is left once all that is older than a day is lost."""
        return self if self.since is None else replace(self, since=max(self.since, first))


NO_AUDITS = AuditsKnown()


@dataclass(frozen=True)
class Provenance:
    """What an SLA file says of how it was made.

    Attributes:
        inputs: the raw files and the memory that it was made from, and `as_of`.
        events_through: newest metric event read up to that day, epoch seconds; None before the first.
        history_from: first day whose events it knows.
        deletions: which deletions of tickets it knows.
        rules_version: the version of the rules that made it.
    """

    inputs: DayInputs
    events_through: int | None
    history_from: dt.date
    deletions: AuditsKnown = NO_AUDITS
    rules_version: int = RULES_VERSION

    def to_metadata(self) -> dict[str, str]:
        """As footers and materialisations hold it; what isn't known is empty."""
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
            KeyError, ValueError: the metadata is not of an SLA file.
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
class StoredDay:
    """A stored day of an SLA table.

    Attributes:
        rows: all of them, with the columns that were asked for.
        provenance: how they were made.
        content_hash: what tells the file's content from others, as its footer says it; empty where it says nothing.
    """

    rows: pa.Table
    provenance: Provenance
    content_hash: str


def read_sla_day(
    store: Store, asset: str, day: Day, columns: list[str] | None = None, *, table: StoredTable | None = None
) -> StoredDay:
    """A day of an SLA table; `table` is `opened_partition`'s.

    Raises:
        DayNotFetchedError: the day has not been made.
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    found = read_partition_and_metadata(store, asset, day, columns, table=table)
    if found is None:
        raise DayNotFetchedError(f"{asset} of {day} has not been made. Materialise {asset} of {day} first.")
    rows, metadata = found
    try:
        return StoredDay(rows, Provenance.from_metadata(metadata), metadata.get("content_hash", ""))
    except (KeyError, ValueError) as error:
        raise DamagedFileError(
            f"{store.url(partition_path(asset, day))} bears no footer of this pipeline ({error!r}). "
            f"Materialise {asset} of {day} again."
        ) from error
