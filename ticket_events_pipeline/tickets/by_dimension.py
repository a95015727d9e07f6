"""`daily_sla_breaches_by_dimension`: one file a day, made from the day's targets and their dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from ticket_events_pipeline.background_worker import map_ahead
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.provenance import read_sla_day
from ticket_events_pipeline.storage.partition_file import no_footer_error, read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import SLA_TARGET_DIMENSIONS_TABLE
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.provenance import MadeTicketDay, TicketProvenance, write_ticket_day
from ticket_events_pipeline.tickets.rules.breaches_by_dimension import TARGET_COLUMNS, breaches_by_dimension

BY_DIMENSION = "daily_sla_breaches_by_dimension"

MADE_FROM_DIMENSIONS = "made_from_dimensions"
"""Footer key: the content hash of the day's `sla_target_dimensions`."""

TARGET_KEY = list(SLA_TARGET_DIMENSIONS_TABLE.key)


def make_breaches_by_dimension(store: Store, days: list[Day]) -> Iterator[MadeTicketDay]:
    """Make `daily_sla_breaches_by_dimension` of the days, each from its `sla_targets` and `sla_target_dimensions`.

    Raises:
        DayNotFetchedError: one of them has not been made yet, or the second not from the first.
        DamagedFileError: a stored file can't be read.
    """
    for day, (table, footer) in zip(days, map_ahead(partial(_computed, store), days), strict=True):
        yield write_ticket_day(store, BY_DIMENSION, day, table, footer, counts={"rows": table.num_rows})


def _computed(store: Store, day: Day) -> tuple[pa.Table, dict[str, str]]:
    """The day's rows and what its footer says."""
    found = read_partition_and_metadata(store, DIMENSIONS, day)
    if found is None:
        raise DayNotFetchedError(f"{DIMENSIONS} of {day} has not been made. Materialize {DIMENSIONS} of {day} first.")
    dimensions, metadata = found
    try:
        provenance, digest = TicketProvenance.from_metadata(metadata), metadata["content_hash"]
    except (KeyError, ValueError) as error:
        raise no_footer_error(store, DIMENSIONS, day, error) from error
    table = breaches_by_dimension(_targets(store, day, dimensions), dimensions, day)
    return table, {**provenance.to_metadata(), MADE_FROM_DIMENSIONS: digest}


def _targets(store: Store, day: Day, dimensions: pa.Table) -> pa.Table:
    """The day's targets, which are those of the dimensions."""
    targets = read_sla_day(store, TARGETS, day, TARGET_COLUMNS).rows
    if not targets.select(TARGET_KEY).equals(dimensions.select(TARGET_KEY)):
        raise DayNotFetchedError(
            f"{DIMENSIONS} of {day} was made from other targets than the stored ones. Materialize {DIMENSIONS} of {day} first."
        )
    return targets
