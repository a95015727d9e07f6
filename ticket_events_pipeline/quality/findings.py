"""What verifying a day comes to: whole or not, and for everything that is wrong, what to do. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ticket_events_pipeline.day import Day

MOST_IDS = 5
"""That a message names."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a day.

    Attributes:
        problem: what, as a sentence.
        remedy: what to do, as a sentence.
    """

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


@dataclass(frozen=True)
class Verdict:
    """What was found out about a day of a stream.

    Attributes:
        stream: the stream's name, which is the asset's.
        day: which.
        state: `complete`, `open`, `missing`, `to come`, `unreadable`, or `foreign` (the file is another one's).
        rows: of the file; 0 where it can't be told.
        pages: lines of its ledger.
        findings: what is wrong; none means that the day is whole, as far as it can be by now.
        notes: what is worth telling and not wrong.
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
    """What one question about a day came to.

    Attributes:
        day: which.
        findings: what is wrong; none means that nothing is, or that nothing can be said.
        silence: why nothing can be said of the day; None where something is.
        figures: what was counted or measured, by name.
        notes: what is worth telling and not wrong.
    """

    day: Day
    findings: tuple[Finding, ...] = ()
    silence: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_again(stream: str, *days: Day) -> str:
    """The remedy that helps against most: the days read anew replace what is wrong."""
    return f"Materialise {stream} of {' and of '.join(str(day) for day in days)} again."


def read_in_one_run(asset: str, first: Day, last: Day) -> str:
    """The command that reads the days in one pass, after which they can't disagree on where an event stands.

    `asset` is the key as Dagster writes it. One with a prefix belongs to an account of a project of the user's own, in whose
    folder `dg` finds the definitions.
    """
    if "/" in asset:
        return f"`dg launch --assets {asset} --partition-range {first}...{last}`"
    module = "ticket_events_pipeline.definitions"
    return f"`dagster asset materialize -m {module} --select {asset} --partition-range {first}...{last}`"


def listed(ids: Sequence[int], *, count: int) -> str:
    """The first ids of `count` events, in brackets."""
    shown = [str(found) for found in ids[:MOST_IDS]]
    return f"(id{'' if count == 1 else 's'} {', '.join(shown)}{', …' if count > len(shown) else ''})"


def make_again(*days: Day) -> str:
    """The remedy against SLA tables that contradict each other: what is stored makes them anew."""
    return read_again("sla_clocks, sla_targets and daily_sla_breach_summary", *days)
