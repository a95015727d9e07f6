"""A root with ticket tables: raw files written directly, and the tables that the pipeline makes from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.fields import TRACKED_FIELDS
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days, put_audits, put_raw_day

Rows = list[dict[str, Any]]


def ticket_root(
    root: Path, events: Rows, audits: Rows, first: Day, last: Day, *, now: float | None = None, without: tuple[Day, ...] = ()
) -> FolderStore:
    """Write the raw days, and make the SLA tables and `ticket_states`.

    The last day is open if it contains `now`. The audits of the days `without` don't land.
    """
    for day in days_between(first, last):
        read_to = now if day == last else None
        put_raw_day(root, events, day, now=read_to)
        if day not in without:
            put_audits(root, audits, day, now=read_to)
    make_sla_days(root, first, last)
    store = FolderStore(root)
    list(make_states(store, days_between(first, last), fields=TRACKED_FIELDS))
    return store
