"""How often a day's figures changed after the day was complete: the footer key `restatements` of a summary.

A day that is still open changes every hour, which is no restatement.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store

RESTATEMENTS = "restatements"

NO_FIGURES = {"as_of", "events_through", "history_from"}
"""Columns that a backfill of an earlier day changes in every row, although no figure changes."""


def restatements_after(store: Store, asset: str, day: Day, summary: pa.Table) -> int:
    """The count after `summary` replaces the stored file; 0 where there is no readable one."""
    try:
        with opened_partition(store, asset, day) as file:
            if file is None:
                return 0
            stored, footer, columns = file.read(), file.metadata, file.own_schema.names
    except NewerFileError:  # it may hold what this version can't write, so it must not be replaced
        raise
    except DamagedFileError:  # the count is lost, but the file must be replaceable
        return 0
    is_restated = footer.get("complete") == "true" and not _have_equal_figures(stored, summary, columns)
    return restatements_in(footer) + is_restated


def restatements_in(footer: Mapping[str, str]) -> int:
    """The count in a summary's footer; 0 in files of versions that didn't store one."""
    text = footer.get(RESTATEMENTS, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _have_equal_figures(stored: pa.Table, made: pa.Table, columns: list[str]) -> bool:
    """Compares `columns`, which the stored file has: a column added by a new version restates nothing."""
    names = [name for name in columns if name not in NO_FIGURES]
    return bool(stored.select(names).equals(made.select(names)))
