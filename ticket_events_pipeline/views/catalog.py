"""All views of a root, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Sequence

from ticket_events_pipeline.storage.partition_file import opened_partition, stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.table import Table
from ticket_events_pipeline.tickets.names import ZENDESK_NAMES
from ticket_events_pipeline.tickets.snapshots import STATUS_PATH, TICKET_SNAPSHOTS
from ticket_events_pipeline.views.lake import Lake
from ticket_events_pipeline.views.questions import question_views
from ticket_events_pipeline.views.sql import View
from ticket_events_pipeline.views.stored import READ_TABLES, asset_view, calendar_view, names_views, snapshots_view


def root_views(store: Store, lake: Lake, *, custom_fields: Sequence[str] = ()) -> list[View]:
    """The views of everything below a root; each stands after those that it reads.

    `custom_fields` get a column in `sla_target_dimensions` even if no stored file has it, as do those of its newest file.

    Raises:
        UsageError, TransientError: the root can't be listed.
        DamagedFileError: the newest file of `sla_target_dimensions`, or the record of what was pruned, can't be read.
    """
    stored = {table.name: stored_days(store, table.name, lake.timezone) for table in READ_TABLES}
    views = [
        asset_view(
            lake,
            table,
            is_stored=bool(stored[table.name]),
            extras=_extras(store, lake, table, custom_fields) if table.extra_columns else (),
        )
        for table in READ_TABLES
    ]
    snapshots = [path for path in store.paths(TICKET_SNAPSHOTS) if path != STATUS_PATH]
    views.append(snapshots_view(lake, is_stored=bool(snapshots)))
    views += names_views(lake, is_stored=bool(store.paths(ZENDESK_NAMES)))
    views.append(calendar_view(lake, stored, is_stored=any(stored.values()), pruned=read_pruned_days(store)))
    return [*views, *question_views(lake)]


def _extras(store: Store, lake: Lake, table: Table, custom_fields: Sequence[str]) -> list[str]:
    """The names of the custom fields' columns: those of the newest file, and those that are set."""
    found: list[str] = []
    for day in stored_days(store, table.name, lake.timezone)[-1:]:
        with opened_partition(store, table.name, day) as file:
            found = [] if file is None else [extra.name for extra in table.extras_in(file.own_schema)]
    return list(dict.fromkeys([*found, *custom_fields]))
