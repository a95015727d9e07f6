"""Whether everything that audits changed could be read, by the footers of `ticket_field_changes`."""

from __future__ import annotations

from collections.abc import Iterator

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, materialize_again
from ticket_events_pipeline.storage.partition_file import read_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.text import one_line, plural
from ticket_events_pipeline.tickets.changes import CHANGES, UNREADABLE_AUDITS

REMEDY = (
    f"What they changed is missing in the ticket tables; the audits are stored as they came. Check `child_events` in {AUDITS} "
    "of that day."
)


def audits_readable(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """How many audits of each day have child events that can't be read."""
    for day in days:
        try:
            footer = read_metadata(store, CHANGES, day)
        except DamagedFileError as error:
            yield CheckedDay(
                day, (Finding(f"{CHANGES} can't be read: {one_line(str(error))}", materialize_again(CHANGES, day)),)
            )
            continue
        if footer is None:
            yield CheckedDay(day, skipped_reason=f"{CHANGES} has not been made.")
            continue
        count = int(footer.get(UNREADABLE_AUDITS, "0"))
        problem = f"{plural(count, 'audit')} {'has' if count == 1 else 'have'} child events that can't be read."
        yield CheckedDay(day, (Finding(problem, REMEDY),) if count else (), figures={"unreadable_audits": count})
