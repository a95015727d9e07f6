"""Whether the policies of a day's targets are known: a breach without any apply makes a target of no policy.

A few are nothing to worry about. Many are a matter of course in the first week of what is stored: of a clock that began before
it, nobody knows the apply.
"""

from __future__ import annotations

from collections.abc import Iterator

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.findings import CheckedDay, Finding
from ticket_events_pipeline.quality.sla_files import SlaDay, read_sla_day_to_check
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.storage.store import Store

MOST_UNKNOWN_SHARE = 0.05
"""Splits by policy, and what they say of each, are off by at most so much."""

FEWEST_TARGETS = 50
"""Of fewer targets a share says nothing: three of fifty are the first that are too many."""

FIRST_DAYS = 7
"""Since the first known event, nothing is said of so many days: only clocks that have run longer lack their apply later."""


def policies_are_known(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: of the targets that were open on it, hardly any is without a policy."""
    for day in days:
        stored = read_sla_day_to_check(store, TARGETS, day)
        if isinstance(stored, SlaDay):
            yield _checked(day, stored)
        else:
            silence = "no targets of the day are stored" if stored is None else None
            yield CheckedDay(day, () if stored is None else (stored,), silence)


def _checked(day: Day, stored: SlaDay) -> CheckedDay:
    table, known_from = stored.table, stored.provenance.history_from
    if (day.date - known_from).days < FIRST_DAYS:
        return CheckedDay(day, silence=f"events are known only from {known_from} on")
    # Never applied: it can only have entered by a breach, and has no policy to count under.
    targets, unknown = table.num_rows, table["applied_at"].null_count
    if targets < FEWEST_TARGETS:
        return CheckedDay(day, silence=f"it has fewer than {FEWEST_TARGETS} targets")
    share = unknown / targets
    figures = {"targets": targets, "targets_without_policy": unknown, "share_without_policy": share}
    if share <= MOST_UNKNOWN_SHARE:
        return CheckedDay(day, figures=figures)
    problem = (
        f"Of {targets} targets, {unknown} ({share:.0%}) breached without an apply that is known: they count under no policy."
    )
    remedy = f"See whether apply_sla events of {day} and the days before are missing: fetch those days again, or ask Zendesk."
    return CheckedDay(day, (Finding(problem, remedy),), figures=figures)
