"""Whether the open targets of one day follow from those of the day before: the invariant of SLA.md part 3.

Per SLA metric, not per policy: a policy may change under an open target. Only a pair of days of which the later was made from
the earlier as it is stored now can be compared; what else holds is that the later one is waiting to be made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, make_again
from ticket_events_pipeline.quality.sla_files import SlaDay, read_sla_day_to_check
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.storage.partition_file import read_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import markdown_code

INCOMING = {"targets_started": "started", "targets_discovered": "discovered", "targets_reopened": "re-opened"}
OUTGOING = {
    "achieved": "achieved",
    "completed_breached": "completed breached",
    "targets_cancelled": "cancelled",
    "targets_deleted": "deleted",
}

_COLUMNS = ["sla_metric", "active_eod", *INCOMING, *OUTGOING]


def open_targets_add_up(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: open at its end = open at the end of the day before + what came - what went, per SLA metric."""
    before: tuple[Day, SlaDay | Finding | None] | None = None
    for day in days:
        if before is None or before[0] != day.plus(-1):
            before = day.plus(-1), read_sla_day_to_check(store, SUMMARY, day.plus(-1))
        current = read_sla_day_to_check(store, SUMMARY, day)
        yield _checked(store, day, before[1], current)
        before = day, current


def _checked(store: Store, day: Day, before: SlaDay | Finding | None, current: SlaDay | Finding | None) -> CheckedDay:
    if current is None:
        return CheckedDay(day, silence="no summary of the day is stored")
    if isinstance(current, Finding):
        return CheckedDay(day, (current,))
    if not isinstance(before, SlaDay):
        return CheckedDay(day, silence="no summary of the day before is stored that can be read")
    silence = _why_unrelated(store, day, before.provenance, current.provenance)
    if silence is not None:
        return CheckedDay(day, silence=silence)
    problems = " ".join(_problems(before.table, current.table))
    return CheckedDay(day, (Finding(problems, make_again(day.plus(-1), day)),) if problems else ())


def _why_unrelated(store: Store, day: Day, before: Provenance, current: Provenance) -> str | None:
    """Why the day needn't follow from the stored day before; None if it must."""
    if current.inputs.begins_anew:
        return "it was made without a memory of the day before"
    if not before.inputs.complete:
        return "the day before was still open when it was summarised"
    try:
        footer = read_metadata(store, CLOCKS, day.plus(-1)) or {}
        made_from = Provenance.from_metadata(footer).inputs
    except (DamagedFileError, KeyError, ValueError):
        return "the memory of the day before can't be read"
    if (footer.get("content_hash"), made_from) != (current.inputs.previous_clocks, before.inputs):
        return "the day before was made again since, and this day was not yet"
    return None


def _problems(before: pa.Table, current: pa.Table) -> Iterator[str]:
    was_open, flows = _sums(before), _sums(current)
    for metric in sorted(was_open.keys() | flows.keys()):
        flow, opened = flows.get(metric, Counter()), was_open.get(metric, Counter())["active_eod"]
        due = opened + sum(flow[name] for name in INCOMING) - sum(flow[name] for name in OUTGOING)
        if due != flow["active_eod"]:
            told = [f"+ {flow[name]} {word}" for name, word in INCOMING.items()]
            told += [f"- {flow[name]} {word}" for name, word in OUTGOING.items()]
            yield (
                f"{markdown_code(metric)}: {opened} targets were open at the end of the day before {' '.join(told)} = {due}, "
                f"but {flow['active_eod']} are open at the end of the day."
            )


def _sums(summary: pa.Table) -> dict[str, Counter[str]]:
    """The figures by SLA metric; 0 for one that an older file doesn't have."""
    sums: dict[str, Counter[str]] = {}
    for row in summary.select(_COLUMNS).to_pylist():
        metric = row.pop("sla_metric")
        # The rules of version 1 counted no deleted targets: they stayed open, so NULL means none here.
        sums.setdefault(metric, Counter()).update({name: count or 0 for name, count in row.items()})
    return sums
