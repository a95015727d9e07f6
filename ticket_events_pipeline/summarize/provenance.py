"""What an SLA file says of how it was made, in its footer: read and written by this one rule.

What it was made from is `inputs`; how often a summary was restated is `restatements`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.lake.partition_file import partition_path, read_partition_and_metadata
from ticket_events_pipeline.lake.schemas import StoredTable
from ticket_events_pipeline.lake.store import Store
from ticket_events_pipeline.summarize.inputs import DayInputs


@dataclass(frozen=True)
class Provenance:
    """What an SLA file says of how it was made.

    Attributes:
        inputs: the raw files and the memory that it was made from, and `as_of`.
        events_through: newest metric event read up to that day, epoch seconds; None before the first.
        history_from: first day whose events it knows.
    """

    inputs: DayInputs
    events_through: int | None
    history_from: dt.date

    def to_metadata(self) -> dict[str, str]:
        """As footers and materialisations hold it; `events_through` is empty before the first event."""
        return {
            **self.inputs.to_metadata(),
            "events_through": "" if self.events_through is None else str(self.events_through),
            "history_from": self.history_from.isoformat(),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Provenance:
        """The inverse of `to_metadata`.

        Raises:
            KeyError, ValueError: the metadata is not of an SLA file.
        """
        inputs = DayInputs(
            ticket_events=metadata["made_from_ticket_events"],
            ticket_metric_events=metadata["made_from_ticket_metric_events"],
            complete=metadata["complete"] == "true",
            as_of=int(metadata["as_of"]),
            previous_clocks=metadata["made_from_previous_clocks"],
        )
        through = metadata["events_through"]
        return cls(inputs, int(through) if through else None, dt.date.fromisoformat(metadata["history_from"]))


def read_sla_day(
    store: Store, asset: str, day: Day, columns: list[str] | None = None, *, table: StoredTable | None = None
) -> tuple[pa.Table, Provenance]:
    """The rows of an SLA table's day, and how they were made; `table` is `opened_partition`'s.

    Raises:
        DayNotFetchedError: the day has not been made.
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    found = read_partition_and_metadata(store, asset, day, columns, table=table)
    if found is None:
        raise DayNotFetchedError(f"{asset} of {day} has not been made. Materialise {asset} of {day} first.")
    rows, metadata = found
    try:
        return rows, Provenance.from_metadata(metadata)
    except (KeyError, ValueError) as error:
        raise DamagedFileError(
            f"{store.url(partition_path(asset, day))} bears no footer of this pipeline ({error!r}). "
            f"Materialise {asset} of {day} again."
        ) from error
