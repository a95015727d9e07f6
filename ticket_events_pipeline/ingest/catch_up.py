"""Where a scheduled fetch begins: what is stored already, told by the footers, decides."""

from __future__ import annotations

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.lake.partition_file import stored_days
from ticket_events_pipeline.lake.raw_footer import read_raw_footer
from ticket_events_pipeline.lake.schemas import RAW_SCHEMAS
from ticket_events_pipeline.lake.store import Store


def first_day_to_fetch(store: Store, today: Day) -> Day:
    """The day after the newest complete one, of the stream that is behind; yesterday where nothing is stored."""
    firsts = []
    for stream in RAW_SCHEMAS:
        newest = _newest_complete_day(store, stream, today)
        firsts.append(today.plus(-1) if newest is None else newest.plus(1))
    return min(*firsts, today)


def _newest_complete_day(store: Store, stream: str, today: Day) -> Day | None:
    for day in reversed(stored_days(store, stream, today.timezone)):
        try:
            footer = read_raw_footer(store, stream, day)
        except DamagedFileError:
            continue
        if footer is not None and footer.complete:
            return day
    return None
