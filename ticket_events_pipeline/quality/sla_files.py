"""A stored day of an SLA table as the checks read it: its rows and what its footer says, or why it can't be taken as it is."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.quality.findings import Finding, make_again
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.schemas import TABLES
from ticket_events_pipeline.text import markdown_code


@dataclass(frozen=True)
class SlaDay:
    """A day's file, read from one version of it.

    Attributes:
        asset: the table's name.
        table: all rows, in today's columns.
        columns: those that the version has which wrote the file; all others are NULL.
        provenance: how it was made.
        content_hash: of the rows, as the footer says.
    """

    asset: str
    table: pa.Table
    columns: tuple[str, ...]
    provenance: Provenance
    content_hash: str

    @property
    def has_its_rows(self) -> bool:
        """Whether the rows are those that were stored."""
        return content_hash(self.table.select(self.columns), added=TABLES[self.asset].added) == self.content_hash


def read_sla_day_to_check(store: Store, asset: str, day: Day) -> SlaDay | Finding | None:
    """The day's file, what is wrong with it where it can't be taken as it is, or None where the day has no file."""
    try:
        with opened_partition(store, asset, day) as file:
            return None if file is None else _taken(file, asset, day)
    except NewerFileError as error:
        return Finding(f"{asset}: {error.problem}", error.remedy)
    except DamagedFileError as error:
        reason = " ".join(str(error.__cause__).split())  # some are of several lines
        return Finding(f"The file of {asset} can't be read as Parquet ({reason}).", make_again(day))


def _taken(file: StoredFile, asset: str, day: Day) -> SlaDay | Finding:
    metadata = file.metadata
    if metadata.get("partition", str(day)) != str(day):
        problem = (
            f"The file of {asset} says that it is of {markdown_code(metadata['partition'])}: it was put in this day's place."
        )
        return Finding(problem, make_again(day))
    problem_of_columns = file.columns_problem()
    if problem_of_columns is not None:
        return Finding(f"The file of {asset} has other columns. {problem_of_columns}", make_again(day))
    try:
        provenance, digest = Provenance.from_metadata(metadata), metadata["content_hash"]
    except (KeyError, ValueError):
        return Finding(f"The file of {asset} has no footer of this pipeline that can be read.", make_again(day))
    return SlaDay(asset, file.read(), tuple(file.own_schema.names), provenance, digest)
