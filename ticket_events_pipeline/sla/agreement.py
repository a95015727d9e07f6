"""Whether the SLA tables of a day agree with each other and with all that lies there to make them from, by their footers alone.

So an old backup of one file alone is noticed, whichever file it is; a file is never trusted for having been written last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ticket_events_pipeline.sla.inputs import MADE_FROM_RAW, DayInputs
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.tables.streams import SLA_STREAMS

MADE_FROM_CLOCKS, MADE_FROM_TARGETS = "made_from_clocks", "made_from_targets"
"""Footer keys of `sla_targets` and of the summary: the `content_hash` of the file of the day that it was made from."""

Footer = Mapping[str, str]

_TOLD = {
    **{key: f"another file of {stream} than lies there now" for key, stream in zip(MADE_FROM_RAW, SLA_STREAMS, strict=True)},
    "complete": "less than all that was read of the day, or more",
    "as_of": "less than all that was read of the day, or more",
    "made_from_previous_clocks": "another file of sla_clocks of the day before than lies there now",
}


def sla_day_problem(
    expected: DayInputs, *, clocks: Footer | None, targets: Footer | None, summary: Footer | None
) -> str | None:
    """Why the SLA tables of a day have to be made again, as a sentence; None where they needn't be.

    Args:
        expected: what they would be made from now, see `inputs.day_inputs`; of `sla_clocks` of the day before, its
            `content_hash`.
        clocks: the metadata of the day's file of `sla_clocks`; None where there is none.
        targets: the same of `sla_targets`.
        summary: the same of the summary.
    """
    told: list[Provenance] = []
    for asset, footer in {"sla_clocks": clocks, "sla_targets": targets, "daily_sla_breach_summary": summary}.items():
        provenance = _provenance(footer)
        if provenance is None:
            return f"{asset} has not been made." if footer is None else f"{asset} bears no footer of this pipeline."
        if provenance.inputs != expected:
            return f"{asset} was made from {_difference(provenance.inputs, expected)}."
        told.append(provenance)
    of_clocks, of_targets, of_summary = told
    of_clocks = replace(of_clocks, rules_version=of_targets.rules_version)  # the rules are the targets' own
    if of_clocks != of_targets or not _is_from(targets, MADE_FROM_CLOCKS, clocks):
        return "sla_targets was made from another file of sla_clocks than lies there now."
    if of_targets != of_summary or not _is_from(summary, MADE_FROM_TARGETS, targets):
        return "daily_sla_breach_summary was made from another file of sla_targets than lies there now."
    return None


def _provenance(footer: Footer | None) -> Provenance | None:
    try:
        return None if footer is None else Provenance.from_metadata(footer)
    except (KeyError, ValueError):
        return None


def _difference(made_from: DayInputs, expected: DayInputs) -> str:
    there, wanted = made_from.to_metadata(), expected.to_metadata()
    return next(told for key, told in _TOLD.items() if there[key] != wanted[key])


def _is_from(footer: Footer | None, key: str, source: Footer | None) -> bool:
    """Whether a file was made from the one that lies there; files of earlier versions don't say it."""
    if footer is None or source is None:
        return False
    return footer.get(key) in (None, source.get("content_hash"))
