"""How often a day's figures changed after the day had been complete: the footer key `restatements` of a summary.

A day that is still open changes every hour, and nobody has relied on it yet; that is no restatement.
"""

from __future__ import annotations

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store

RESTATEMENTS = "restatements"

NO_FIGURES = {"as_of", "events_through", "history_from"}
"""They stand in every row and make its hash another when a day long past is backfilled, though no figure has changed."""


def restatements_after(store: Store, asset: str, day: Day, summary: pa.Table) -> int:
    """The count once `summary` has replaced the stored file; 0 where none is stored, or one that can't be read."""
    try:
        with opened_partition(store, asset, day) as file:
            if file is None:
                return 0
            stored, footer, columns = file.read(), file.metadata, file.own_schema.names
    except NewerFileError:  # it holds what this version can't write: it must not be replaced
        raise
    except DamagedFileError:  # the count is lost with it, and that must not keep it from being replaced
        return 0
    is_restated = footer.get("complete") == "true" and not _have_equal_figures(stored, summary, columns)
    return restatements_in(footer) + is_restated


def restatements_in(footer: dict[str, str]) -> int:
    """The count that a summary's footer holds; 0 before footers had one."""
    text = footer.get(RESTATEMENTS, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _have_equal_figures(stored: pa.Table, made: pa.Table, columns: list[str]) -> bool:
    """Over `columns`, those that the stored file has: a new version's new column restates nothing."""
    names = [name for name in columns if name not in NO_FIGURES]
    return bool(stored.select(names).equals(made.select(names)))
