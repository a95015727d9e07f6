"""Checks of the stored SLA tables: written by one run, unchanged since, consistent with the day before, and plausible.

An SLA day is read from one version of its file; a file that can't be taken as it is, is a finding of every check that needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.quality.findings import CheckedDay, Finding, rebuild_sla_tables
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.up_to_date import MADE_FROM_TARGETS
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import opened_partition, read_metadata
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.text import counted, markdown_code

MAX_UNKNOWN_POLICY_SHARE = 0.05
"""With a larger share of targets without a policy, splits by policy are off by more than anyone should accept."""

MIN_TARGETS = 50
"""Of fewer targets a share means nothing: three of fifty are the first that are too many."""

FIRST_DAYS = 7
"""Days since the first known event that are skipped: after them, only clocks that ran longer lack their apply."""

MAX_NAMED_TARGETS = 5
"""A finding names at most so many targets of a day."""

INCOMING = {"targets_started": "started", "targets_discovered": "discovered", "targets_reopened": "re-opened"}
OUTGOING = {
    "achieved": "achieved",
    "completed_breached": "completed breached",
    "targets_cancelled": "cancelled",
    "targets_deleted": "deleted",
}
"""The figures by which the number of open targets rises and falls, each with the word that a finding uses."""

_FLOW_COLUMNS = ["sla_metric", "active_eod", *INCOMING, *OUTGOING]


@dataclass(frozen=True)
class SlaDay:
    """The file of one day of an SLA table, read from one version of it.

    Attributes:
        asset: the table's name.
        table: all rows, in today's columns.
        columns: the columns of the version that wrote the file; all others are NULL.
        provenance: how it was made.
        content_hash: hash of its rows, by its footer.
        made_from_targets: hash of the `sla_targets` that a summary was made from; None where its footer doesn't say.
    """

    asset: str
    table: pa.Table
    columns: tuple[str, ...]
    provenance: Provenance
    content_hash: str
    made_from_targets: str | None

    @property
    def has_its_rows(self) -> bool:
        """Whether the rows are those that were stored."""
        return content_hash(self.table.select(self.columns), added=TABLES[self.asset].added) == self.content_hash


def read_sla_day_to_check(store: Store, asset: str, day: Day) -> SlaDay | Finding | None:
    """The day's file, or what is wrong with it where it can't be taken as it is; None without a file."""
    try:
        with opened_partition(store, asset, day) as file:
            return None if file is None else _sla_day(file, asset, day)
    except NewerFileError as error:
        return Finding(f"{asset}: {error.problem}", error.remedy)
    except DamagedFileError as error:
        reason = " ".join(str(error.__cause__).split())  # some are of several lines
        return Finding(f"The file of {asset} can't be read as Parquet ({reason}).", rebuild_sla_tables(day))


def _sla_day(file: StoredFile, asset: str, day: Day) -> SlaDay | Finding:
    metadata = file.metadata
    if metadata.get("partition", str(day)) != str(day):
        problem = (
            f"The file of {asset} says that it is of {markdown_code(metadata['partition'])}: it was put in this day's place."
        )
        return Finding(problem, rebuild_sla_tables(day))
    problem_of_columns = file.columns_problem()
    if problem_of_columns is not None:
        return Finding(f"The file of {asset} has other columns. {problem_of_columns}", rebuild_sla_tables(day))
    try:
        provenance, digest = Provenance.from_metadata(metadata), metadata["content_hash"]
    except (KeyError, ValueError):
        return Finding(f"The file of {asset} has no readable footer of this pipeline.", rebuild_sla_tables(day))
    columns = tuple(file.own_schema.names)
    return SlaDay(asset, file.read(), columns, provenance, digest, metadata.get(MADE_FROM_TARGETS))


def counts_match_targets(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: its summary was made from its targets as they are stored, and both are unchanged since."""
    pruned = read_pruned_days(store)
    for day in days:
        targets = read_sla_day_to_check(store, TARGETS, day)
        summary = read_sla_day_to_check(store, SUMMARY, day)
        if any(pruned.has(asset, day) for asset in (TARGETS, SUMMARY)):
            yield CheckedDay(day, skipped_reason="its targets or its summary were pruned")
        elif targets is None and summary is None:
            yield CheckedDay(day, skipped_reason="neither targets nor a summary of the day are stored")
        elif not isinstance(targets, SlaDay) or not isinstance(summary, SlaDay):
            yield CheckedDay(day, tuple(_unusable_files(day, {TARGETS: targets, SUMMARY: summary})))
        elif targets.provenance.rules_version != summary.provenance.rules_version:
            yield CheckedDay(day, skipped_reason="its summary was made under other rules than its targets")
        else:
            problems = " ".join(_mismatches(targets, summary))
            findings = (Finding(problems, rebuild_sla_tables(day)),) if problems else ()
            yield CheckedDay(day, findings, figures={"counted_targets": targets.table.num_rows})


def _unusable_files(day: Day, found: dict[str, SlaDay | Finding | None]) -> Iterator[Finding]:
    for asset, stored in found.items():
        if stored is None:
            yield Finding(f"No file of {asset} is stored, though the day has been made.", rebuild_sla_tables(day))
        elif isinstance(stored, Finding):
            yield stored


def _mismatches(targets: SlaDay, summary: SlaDay) -> Iterator[str]:
    if targets.provenance != summary.provenance:
        yield f"{SUMMARY} was made from other events than {TARGETS} of the day."
    elif summary.made_from_targets not in (None, targets.content_hash):
        yield f"{SUMMARY} was made from another file of {TARGETS} than the stored one."
    for stored in (targets, summary):
        if not stored.has_its_rows:
            yield f"The rows of {stored.asset} are not those that were stored: their content_hash differs from the footer's."


def open_targets_add_up(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: open at its end = open at the end of the day before + what came - what went, per SLA metric.

    Per SLA metric, not per policy: a policy may change under an open target. A day is compared only if it was made from the day
    before as that is stored now; otherwise it waits to be made again.
    """
    before: tuple[Day, SlaDay | Finding | None] | None = None
    for day in days:
        if before is None or before[0] != day.plus(-1):
            before = day.plus(-1), read_sla_day_to_check(store, SUMMARY, day.plus(-1))
        current = read_sla_day_to_check(store, SUMMARY, day)
        yield _check_flow(store, day, before[1], current)
        before = day, current


def _check_flow(store: Store, day: Day, before: SlaDay | Finding | None, current: SlaDay | Finding | None) -> CheckedDay:
    if current is None:
        return CheckedDay(day, skipped_reason="no summary of the day is stored")
    if isinstance(current, Finding):
        return CheckedDay(day, (current,))
    if not isinstance(before, SlaDay):
        return CheckedDay(day, skipped_reason="no readable summary of the day before is stored")
    unrelated = _why_unrelated(store, day, before.provenance, current.provenance)
    if unrelated is not None:
        return CheckedDay(day, skipped_reason=unrelated)
    problems = " ".join(_imbalances(before.table, current.table))
    return CheckedDay(day, (Finding(problems, rebuild_sla_tables(day.plus(-1), day)),) if problems else ())


def _why_unrelated(store: Store, day: Day, before: Provenance, current: Provenance) -> str | None:
    """Why the day needn't follow from the stored day before; None if it must."""
    if current.inputs.begins_anew:
        return "it was made without sla_clocks of the day before"
    if not before.inputs.complete:
        return "the day before was still open when it was summarised"
    try:
        footer = read_metadata(store, CLOCKS, day.plus(-1)) or {}
        made_from = Provenance.from_metadata(footer).inputs
    except (DamagedFileError, KeyError, ValueError):
        return "sla_clocks of the day before can't be read"
    if (footer.get("content_hash"), made_from) != (current.inputs.previous_clocks, before.inputs):
        return "the day before was made again since, and this day was not yet"
    return None


def _imbalances(before: pa.Table, current: pa.Table) -> Iterator[str]:
    was_open, flows = _sums(before), _sums(current)
    for metric in sorted(was_open.keys() | flows.keys()):
        flow, opened = flows.get(metric, Counter()), was_open.get(metric, Counter())["active_eod"]
        expected = opened + sum(flow[name] for name in INCOMING) - sum(flow[name] for name in OUTGOING)
        if expected != flow["active_eod"]:
            terms = [f"+ {flow[name]} {word}" for name, word in INCOMING.items()]
            terms += [f"- {flow[name]} {word}" for name, word in OUTGOING.items()]
            yield (
                f"{markdown_code(metric)}: {counted(opened, 'target was', 'targets were')} open at the end of the day before "
                f"{' '.join(terms)} = {expected}, but {flow['active_eod']} are open at the end of the day."
            )


def _sums(summary: pa.Table) -> dict[str, Counter[str]]:
    """The figures by SLA metric; 0 for one that an older file doesn't have."""
    sums: dict[str, Counter[str]] = {}
    for row in summary.select(_FLOW_COLUMNS).to_pylist():
        metric = row.pop("sla_metric")
        # The rules of version 1 counted no deleted targets: they stayed open, so NULL means none here.
        sums.setdefault(metric, Counter()).update({name: count or 0 for name, count in row.items()})
    return sums


def breaches_have_a_policy(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: hardly any target that was open on it has no policy."""
    return _check_targets(store, days, _check_policies)


def outcomes_match_durations(store: Store, days: list[Day]) -> Iterator[CheckedDay]:
    """For each of `days`: no target was fulfilled with an outcome that its measured duration contradicts.

    Zendesk's breach events decide an outcome, and its `update_status` says how long the clock ran. Where the two disagree, the
    outcome stays, and this check names the ticket (SLA rule 10).
    """
    return _check_targets(store, days, _check_outcomes)


def _check_targets(store: Store, days: list[Day], check: Callable[[Day, SlaDay], CheckedDay]) -> Iterator[CheckedDay]:
    for day in days:
        stored = read_sla_day_to_check(store, TARGETS, day)
        if stored is None:
            yield CheckedDay(day, skipped_reason="no targets of the day are stored")
        elif isinstance(stored, Finding):
            yield CheckedDay(day, (stored,))
        else:
            yield check(day, stored)


def _check_policies(day: Day, stored: SlaDay) -> CheckedDay:
    table, known_from = stored.table, stored.provenance.history_from
    if (day.date - known_from).days < FIRST_DAYS:
        return CheckedDay(day, skipped_reason=f"events are known only from {known_from} on")
    # Never applied: it can only have entered by a breach, and has no policy to count under.
    targets, unknown = table.num_rows, table["applied_at"].null_count
    if targets < MIN_TARGETS:
        return CheckedDay(day, skipped_reason=f"it has fewer than {MIN_TARGETS} targets")
    share = unknown / targets
    figures = {"targets": targets, "targets_without_policy": unknown, "share_without_policy": share}
    if share <= MAX_UNKNOWN_POLICY_SHARE:
        return CheckedDay(day, figures=figures)
    problem = (
        f"Of {targets} targets, {unknown} ({share:.0%}) breached without an apply that is known: they count under no policy."
    )
    remedy = f"Check whether apply_sla events of {day} and the days before are missing: fetch those days again, or ask Zendesk."
    return CheckedDay(day, (Finding(problem, remedy),), figures=figures)


def _check_outcomes(day: Day, stored: SlaDay) -> CheckedDay:
    if "is_contradicted" not in stored.columns:
        reason = "its targets were made under rules that did not compare outcomes with durations"
        return CheckedDay(day, skipped_reason=reason)
    targets = stored.table
    contradicted = targets.filter(pc.fill_null(targets["is_contradicted"], False))
    figures = {"targets": targets.num_rows, "contradicted_targets": contradicted.num_rows}
    if not contradicted.num_rows:
        return CheckedDay(day, figures=figures)
    named = [_target_name(target) for target in contradicted.slice(0, MAX_NAMED_TARGETS).to_pylist()]
    further = contradicted.num_rows - len(named)
    problem = (
        f"{contradicted.num_rows} of {targets.num_rows} targets have an outcome that their measured duration contradicts: "
        f"{', '.join(named)}{f' and {further} more' if further else ''}. The outcome follows Zendesk's breach events and stays."
    )
    return CheckedDay(day, (Finding(problem, _contradiction_remedy(contradicted, day)),), figures=figures)


def _target_name(target: dict[str, object]) -> str:
    return f"ticket {target['ticket_id']} ({markdown_code(str(target['sla_metric']))}, {target['outcome']})"


def _contradiction_remedy(contradicted: pa.Table, day: Day) -> str:
    first = min(_days_begun(contradicted, day), default=day)
    return (
        "A breach may be dated before its policy was applied, on a day that is no longer read again. Fetch the tickets' days "
        f"again, all assets in one run: `ticket-events backfill {first}..{day}`. If that changes nothing, "
        "Zendesk itself keeps an outcome that the duration contradicts, as it does after a changed schedule or a policy "
        "changed with the reply: there is nothing to do."
    )


def _days_begun(targets: pa.Table, day: Day) -> Iterator[Day]:
    """The days on which the clocks of these targets began, as far as they are known."""
    for name in ("activated_at", "applied_at", "entered_at"):
        began = pc.min(targets[name].cast(pa.int64())).as_py()
        if began is not None:
            yield Day.containing(began // 1000, day.timezone)
