"""Whether Zendesk answered when it was asked for what no stored audit tells of tickets."""

from __future__ import annotations

from collections.abc import Iterator

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.findings import CheckedDay, Finding
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural, utc_text
from ticket_events_pipeline.tickets.snapshots import read_status

REMEDY = (
    "Those values are unknown, and are shown as such; nothing else is affected. They are asked for again when the tables of an "
    "open or a new day are made. To ask for none, set ZENDESK_SNAPSHOTS=0."
)


def snapshots_answered(store: Store, days: list[Day], *, is_asking: bool, since: float) -> Iterator[CheckedDay]:
    """How the newest asking went, as a finding of the last of the ascending `days`: it concerns them all.

    Args:
        store: where the files are.
        days: that are checked.
        is_asking: whether tickets are asked for at all.
        since: epoch seconds; an asking before says nothing any more: there may have been nothing to ask for since.
    """
    status = read_status(store) if is_asking else None
    for day in days:
        if status is None or status.asked_at < since:
            yield CheckedDay(day, skipped_reason="nothing was asked for." if is_asking else "no tickets are asked for.")
        elif status.problem is None or day != days[-1]:
            yield CheckedDay(day)
        else:
            problem = (
                f"At {utc_text(status.asked_at)}, {plural(status.tickets - status.answered, 'ticket')} could not be asked "
                f"for what no stored audit tells. {status.problem}"
            )
            yield CheckedDay(
                day, (Finding(problem, REMEDY),), figures={"tickets_not_answered": status.tickets - status.answered}
            )
