"""Whether the outcomes of a day's targets agree with the durations that Zendesk measured: SLA.md rule 10.

Zendesk's breach events decide an outcome, and its `update_status` tells how long the clock ran. Where the two disagree, the
outcome stays, and this check names the ticket.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.findings import CheckedDay, Finding
from ticket_events_pipeline.quality.sla_files import SlaDay, read_sla_day_to_check
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import markdown_code

MOST_TARGETS = 5
"""Named of a day; the rest is counted."""


def outcomes_agree_with_durations(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: no target was fulfilled with an outcome that its measured duration contradicts."""
    for day in days:
        stored = read_sla_day_to_check(store, TARGETS, day)
        if isinstance(stored, SlaDay):
            yield _checked(day, stored)
        else:
            silence = "no targets of the day are stored" if stored is None else None
            yield CheckedDay(day, () if stored is None else (stored,), silence)


def _checked(day: Day, stored: SlaDay) -> CheckedDay:
    if "is_contradicted" not in stored.columns:
        return CheckedDay(day, silence="its targets were made under rules that did not compare outcomes with durations")
    targets = stored.table
    found = targets.filter(pc.fill_null(targets["is_contradicted"], False))
    figures = {"targets": targets.num_rows, "contradicted_targets": found.num_rows}
    if not found.num_rows:
        return CheckedDay(day, figures=figures)
    named = [_named(target) for target in found.slice(0, MOST_TARGETS).to_pylist()]
    further = found.num_rows - len(named)
    problem = (
        f"{found.num_rows} of {targets.num_rows} targets have an outcome that their measured duration contradicts: "
        f"{', '.join(named)}{f' and {further} more' if further else ''}. The outcome follows Zendesk's breach events and stays."
    )
    return CheckedDay(day, (Finding(problem, _remedy(found, day)),), figures=figures)


def _named(target: dict[str, object]) -> str:
    return f"ticket {target['ticket_id']} ({markdown_code(str(target['sla_metric']))}, {target['outcome']})"


def _remedy(found: pa.Table, day: Day) -> str:
    first = min(_days_of(found, day), default=day)
    return (
        "A breach may be dated before its policy was applied, on a day that is no longer read again. Fetch the tickets' days "
        "again: `dagster asset materialize -m ticket_events_pipeline.definitions --select '*' --partition-range "
        f"{first}...{day}`. If that changes nothing, Zendesk itself keeps an outcome that the duration contradicts, as it does "
        "after a changed schedule or a policy changed with the reply: there is nothing to do."
    )


def _days_of(found: pa.Table, day: Day) -> Iterator[Day]:
    """The days on which the clocks of these targets began, as far as they are known."""
    for name in ("activated_at", "applied_at", "entered_at"):
        began = pc.min(found[name].cast(pa.int64())).as_py()
        if began is not None:
            yield Day.containing(began // 1000, day.timezone)
