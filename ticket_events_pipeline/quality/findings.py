"""What a check found about a day: findings with their remedies, notes and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.pruned_days import PrunedDays

MAX_NAMED_IDS = 5
"""A message lists at most so many ids."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a day.

    Attributes:
        problem: what is wrong, as a sentence.
        remedy: what to do, as a sentence.
    """

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


PRUNED = "pruned"
"""The state of a day that is not stored on purpose."""


@dataclass(frozen=True)
class VerifiedDay:
    """The stored file of one day of a stream, verified.

    Attributes:
        stream: the stream's name, which is also the asset's.
        day: the day.
        state: `complete`, `open`, `missing`, `pruned`, `to come`, `unreadable`, or `foreign` (it belongs to another day or
            account).
        rows: rows of the file; 0 where unknown.
        pages: lines of its ledger.
        findings: what is wrong; empty if the day is whole, as far as it can be by now.
        notes: what is worth knowing but not wrong.
    """

    stream: str
    day: Day
    state: str
    rows: int = 0
    pages: int = 0
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True)
class CheckedDay:
    """The result of one check for one day.

    Attributes:
        day: the day.
        findings: what is wrong; empty if nothing is, or if the check was skipped.
        skipped_reason: why the day can't be checked; None if it was.
        figures: what was counted or measured, by name.
        notes: what is worth knowing but not wrong.
    """

    day: Day
    findings: tuple[Finding, ...] = ()
    skipped_reason: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def of_closed_day(findings: Sequence[Finding], day: Day, pruned: PrunedDays) -> tuple[Finding, ...]:
    """The findings of a day; where it is closed, with what has to be done first: a closed day is neither fetched nor made."""
    if not pruned.is_closed(day):
        return tuple(findings)
    first = f"The day is closed, so first: `ticket-events prune --reopen {day}`. Figures from that day on may change then."
    return tuple(replace(finding, remedy=f"{finding.remedy} {first}") for finding in findings)


def materialize_again(asset: str, *days: Day) -> str:
    """The remedy for most problems: a new file replaces the wrong one."""
    return f"Materialize {asset} of {' and of '.join(str(day) for day in days)} again."


def rebuild_sla_tables(*days: Day) -> str:
    """The remedy for SLA tables that contradict each other: they are made again from the stored events."""
    return materialize_again("sla_clocks, sla_targets and daily_sla_breach_summary", *days)


def one_run_command(asset: str, first: Day, last: Day) -> str:
    """The command that reads the days in one fetch, after which they agree on the day of each event.

    `asset` is the key as Dagster writes it. A key with a prefix belongs to an account of a project of the user's own, in whose
    folder `dg` finds the definitions.
    """
    if "/" in asset:
        return f"`dg launch --assets {asset} --partition-range {first}...{last}`"
    return f"`ticket-events backfill {first}..{last} --asset {asset}`"


def id_list(ids: Sequence[int], *, count: int) -> str:
    """The first ids of `count` events, in brackets."""
    shown = [str(event_id) for event_id in ids[:MAX_NAMED_IDS]]
    return f"(id{'' if count == 1 else 's'} {', '.join(shown)}{', …' if count > len(shown) else ''})"
