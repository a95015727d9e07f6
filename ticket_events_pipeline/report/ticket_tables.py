"""The stored ticket tables of a day, as far as a report shows them. What isn't stored or can't be read is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.report.holders import FIELDS_SHOWN, TARGET_KEY
from ticket_events_pipeline.report.time_used import HOLDER_TIME_COLUMNS
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import (
    DAILY_SLA_BREACHES_BY_DIMENSION_TABLE,
    DAILY_TICKET_DURATIONS_TABLE,
    SLA_TARGET_DIMENSIONS_TABLE,
    SLA_TARGET_HOLDERS_TABLE,
)
from ticket_events_pipeline.tickets.provenance import MADE_FROM_TARGETS

BY_DIMENSION = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.name
DIMENSIONS_OF_TARGETS = SLA_TARGET_DIMENSIONS_TABLE.name
HOLDERS = SLA_TARGET_HOLDERS_TABLE.name
DURATIONS = DAILY_TICKET_DURATIONS_TABLE.name

BY_DIMENSION_COLUMNS = [
    "dimension",
    "value",
    "is_known",
    "sla_metric",
    "breaches",
    "breached_tickets",
    "achieved",
    "completed_breached",
    "active_eod",
    "breached_open_eod",
]

_COLUMNS = {
    BY_DIMENSION: BY_DIMENSION_COLUMNS,
    DIMENSIONS_OF_TARGETS: [*TARGET_KEY, "at", "at_kind", *FIELDS_SHOWN, "known_by", "group_id_eod", "assignee_id_eod"],
    HOLDERS: HOLDER_TIME_COLUMNS,
    DURATIONS: None,
}


@dataclass(frozen=True)
class TicketTables:
    """The ticket tables of a day; None where one isn't stored or can't be read.

    Attributes:
        by_dimension: `daily_sla_breaches_by_dimension`.
        dimensions: `sla_target_dimensions`.
        holders: `sla_target_holders`.
        durations: `daily_ticket_durations`.
        audits: whether the day's audits were there: `complete`, `open` or `missing`; None without a table.
        made_from_targets: the content hash of the `sla_targets` that they were made from; None without a table.
        unreadable: the tables that are stored and can't be read.
    """

    by_dimension: pa.Table | None = None
    dimensions: pa.Table | None = None
    holders: pa.Table | None = None
    durations: pa.Table | None = None
    audits: str | None = None
    made_from_targets: str | None = None
    unreadable: tuple[str, ...] = ()


@dataclass
class _Reading:
    tables: dict[str, pa.Table] = field(default_factory=dict)
    footer: Mapping[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def read_ticket_tables(store: Store, day: Day) -> TicketTables:
    """The day's ticket tables; never an error about one of them: a report of the day can do without."""
    reading = _Reading()
    for name, columns in _COLUMNS.items():
        _read(store, name, day, columns, reading)
    return TicketTables(
        by_dimension=reading.tables.get(BY_DIMENSION),
        dimensions=reading.tables.get(DIMENSIONS_OF_TARGETS),
        holders=reading.tables.get(HOLDERS),
        durations=reading.tables.get(DURATIONS),
        audits=reading.footer.get("audits"),
        made_from_targets=reading.footer.get(MADE_FROM_TARGETS),
        unreadable=tuple(reading.unreadable),
    )


def read_target_dimensions(store: Store, day: Day) -> pa.Table | None:
    """The day's `sla_target_dimensions` alone; None where it isn't stored or can't be read."""
    reading = _Reading()
    _read(store, DIMENSIONS_OF_TARGETS, day, _COLUMNS[DIMENSIONS_OF_TARGETS], reading)
    return reading.tables.get(DIMENSIONS_OF_TARGETS)


def _read(store: Store, name: str, day: Day, columns: Sequence[str] | None, reading: _Reading) -> None:
    try:
        found = read_partition_and_metadata(store, name, day, None if columns is None else list(columns))
    except TicketEventsError:
        reading.unreadable.append(name)  # `verify` names the file and says what to do
        return
    if found is not None:
        reading.tables[name], footer = found
        reading.footer = reading.footer or footer
