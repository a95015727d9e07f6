"""Whether a day's summary says what its targets say: both of the same making, unchanged since, and every figure right.

How the figures are counted again is `recount`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, make_again
from ticket_events_pipeline.quality.recount import COUNTED_FROM, Key, recounted, with_epoch_milliseconds
from ticket_events_pipeline.quality.sla_files import SlaDay, read_sla_day_to_check
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import markdown_code

MOST_DIFFERENCES = 5
"""Told of a day; the rest is counted. One target that is missing changes several figures."""


def counts_match_targets(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: its summary and its targets are of one making, as they were stored, and every figure is right."""
    for day in days:
        targets = read_sla_day_to_check(store, TARGETS, day)
        summary = read_sla_day_to_check(store, SUMMARY, day)
        if targets is None and summary is None:
            yield CheckedDay(day, silence="neither targets nor a summary of the day are stored")
        elif isinstance(targets, SlaDay) and isinstance(summary, SlaDay):
            if targets.provenance.rules_version != summary.provenance.rules_version:
                yield CheckedDay(day, silence="its summary was made under other rules than its targets")
                continue
            problems = " ".join(_problems(day, targets, summary))
            findings = (Finding(problems, make_again(day)),) if problems else ()
            yield CheckedDay(day, findings, figures={"counted_targets": targets.table.num_rows})
        else:
            yield CheckedDay(day, tuple(_unreadable(day, {TARGETS: targets, SUMMARY: summary})))


def _unreadable(day: Day, found: dict[str, SlaDay | Finding | None]) -> Iterator[Finding]:
    for asset, stored in found.items():
        if stored is None:
            yield Finding(f"No file of {asset} is stored, though the day has been made.", make_again(day))
        elif isinstance(stored, Finding):
            yield stored


def _problems(day: Day, targets: SlaDay, summary: SlaDay) -> list[str]:
    if targets.provenance != summary.provenance:
        return [f"{SUMMARY} was made from other events than {TARGETS} of the day."]
    changed = [
        f"The rows of {asset} are not those that were stored: their content_hash differs from the footer's."
        for asset, stored in ((TARGETS, targets), (SUMMARY, summary))
        if not stored.has_its_rows
    ]
    if changed:  # what was changed may be anything: there is nothing to count
        return changed
    differences = list(_differences(summary, targets, day))
    further = len(differences) - MOST_DIFFERENCES
    return differences[:MOST_DIFFERENCES] + ([f"Of its figures, {further} more differ."] if further > 0 else [])


def _differences(summary: SlaDay, targets: SlaDay, day: Day) -> Iterator[str]:
    stored, expected, figures = _rows(summary), recounted(targets.table, day), _known_figures(summary, targets)
    if len(stored) < summary.table.num_rows:
        yield "Several rows of the summary are about the same."
    provenance, through = targets.provenance, targets.provenance.events_through
    everywhere = {
        "as_of": provenance.inputs.as_of * 1000,
        "events_through": None if through is None else through * 1000,
        "history_from": provenance.history_from,
    }
    for key in sorted(stored.keys() | expected.keys(), key=str):
        if key not in expected:
            yield f"{key}: a row stands in the summary, but there is no target for it."
        elif key not in stored:
            yield f"{key}: no row stands in the summary, but there are targets for it."
        else:
            due = {**expected[key], **everywhere}
            yield from _differing(key, stored[key], {name: value for name, value in due.items() if name in figures})


def _known_figures(summary: SlaDay, targets: SlaDay) -> set[str]:
    """The figures that can be compared: an older file has neither every figure nor every column that one is counted from."""
    return {name for name in summary.columns if COUNTED_FROM.get(name, "ticket_id") in targets.columns}


def _differing(key: Key, stored: dict[str, Any], expected: dict[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if not _agree(stored[name], value):
            yield f"{key}: {name} is {_shown(stored[name])}, by the targets it is {_shown(value)}."


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _shown(value: Any) -> str:
    return markdown_code(value) if isinstance(value, str) else str(value)


def _rows(summary: SlaDay) -> dict[Key, dict[str, Any]]:
    rows = with_epoch_milliseconds(summary.table).to_pylist()
    return {Key(*(row.pop(name) for name in Key._fields)): row for row in rows}
