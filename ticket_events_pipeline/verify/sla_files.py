"""A stored day of an SLA table as the checks read it: its rows and what its footer says, or why it can't be taken as it is."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.lake.content_hash import content_hash
from ticket_events_pipeline.lake.partition_file import read_partition_and_metadata
from ticket_events_pipeline.lake.store import Store
from ticket_events_pipeline.summarize.provenance import Provenance
from ticket_events_pipeline.verify.quoted import quoted
from ticket_events_pipeline.verify.verdict import Finding, make_again


@dataclass(frozen=True)
class SlaDay:
    """A day's file, read from one version of it.

    Attributes:
        table: all rows, with the columns that the version has which wrote it.
        provenance: how it was made.
        content_hash: of the rows, as the footer says.
    """

    table: pa.Table
    provenance: Provenance
    content_hash: str

    @property
    def has_its_rows(self) -> bool:
        """Whether the rows are those that were stored."""
        return content_hash(self.table) == self.content_hash


def read_sla_day_to_check(store: Store, asset: str, day: Day, columns: list[str]) -> SlaDay | Finding | None:
    """The day's file, what is wrong with it where it isn't one with `columns`, or None where the day has no file."""
    try:
        found = read_partition_and_metadata(store, asset, day)
    except DamagedFileError as error:
        reason = " ".join(str(error.__cause__).split())  # some are of several lines
        return Finding(f"The file of {asset} can't be read as Parquet ({reason}).", make_again(day))
    if found is None:
        return None
    table, metadata = found
    if metadata.get("partition", str(day)) != str(day):
        problem = f"The file of {asset} says that it is of {quoted(metadata['partition'])}: it was put in this day's place."
        return Finding(problem, make_again(day))
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        return Finding(f"The file of {asset} lacks columns: {', '.join(missing)}.", make_again(day))
    try:
        return SlaDay(table, Provenance.from_metadata(metadata), metadata["content_hash"])
    except (KeyError, ValueError):
        return Finding(f"The file of {asset} bears no footer of this pipeline that can be read.", make_again(day))
