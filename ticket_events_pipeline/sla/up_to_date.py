"""Whether the SLA tables of a day agree with each other and with their stored inputs, by their footers alone.

This notices an old backup of any single file; the newest file is never trusted because it is the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW, DayInputs
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import SLA_STREAMS

CLOCKS, TARGETS, SUMMARY = SLA_CLOCKS_TABLE.name, SLA_TARGETS_TABLE.name, DAILY_SLA_BREACH_SUMMARY_TABLE.name

MADE_FROM_CLOCKS, MADE_FROM_TARGETS = "made_from_clocks", "made_from_targets"
"""Footer keys of `sla_targets` and of the summary: the `content_hash` of the day's file that it was made from."""

Footer = Mapping[str, str]

_DIFFERENT_SOURCES = {
    **{key: f"another file of {stream} than is stored now" for key, stream in zip(MADE_FROM_RAW, SLA_STREAMS, strict=True)},
    "complete": "less than all that was read of the day, or more",
    "as_of": "less than all that was read of the day, or more",
    "made_from_previous_clocks": f"another file of {CLOCKS} of the day before than is stored now",
}


def sla_day_problem(
    expected: DayInputs, *, clocks: Footer | None, targets: Footer | None, summary: Footer | None
) -> str | None:
    """Why the SLA tables of a day have to be made again, as a sentence; None if they are up to date.

    Args:
        expected: what they would be made from now, see `inputs.day_inputs`.
        clocks: the metadata of the day's file of `sla_clocks`; None where there is none.
        targets: the same of `sla_targets`.
        summary: the same of the summary.
    """
    provenances: list[Provenance] = []
    for asset, footer in {CLOCKS: clocks, TARGETS: targets, SUMMARY: summary}.items():
        provenance = _provenance(footer)
        if provenance is None:
            return f"{asset} has not been made." if footer is None else f"{asset} has no footer of this pipeline."
        if provenance.inputs != expected:
            return f"{asset} was made from {_difference(provenance.inputs, expected)}."
        provenances.append(provenance)
    of_clocks, of_targets, of_summary = provenances
    of_clocks = replace(of_clocks, rules_version=of_targets.rules_version)  # the rules are the targets' own
    if of_clocks != of_targets or not _is_from(targets, MADE_FROM_CLOCKS, clocks):
        return f"{TARGETS} was made from another file of {CLOCKS} than is stored now."
    if of_targets != of_summary or not _is_from(summary, MADE_FROM_TARGETS, targets):
        return f"{SUMMARY} was made from another file of {TARGETS} than is stored now."
    return None


def _provenance(footer: Footer | None) -> Provenance | None:
    try:
        return None if footer is None else Provenance.from_metadata(footer)
    except (KeyError, ValueError):
        return None


def _difference(made_from: DayInputs, expected: DayInputs) -> str:
    there, wanted = made_from.to_metadata(), expected.to_metadata()
    return next(source for key, source in _DIFFERENT_SOURCES.items() if there[key] != wanted[key])


def _is_from(footer: Footer | None, key: str, source: Footer | None) -> bool:
    """Whether a file was made from the stored `source`; files of earlier versions don't record it."""
    if footer is None or source is None:
        return False
    return footer.get(key) in (None, source.get("content_hash"))
