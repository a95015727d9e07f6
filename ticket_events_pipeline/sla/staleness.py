"""Which landed days have no SLA tables, or tables that were made from other files than are stored now.

The stored files are compared by their footers alone; no log, cursor or run has to be complete for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.footer_cache import MADE_AFTER_SUMMARY, SLA_TABLES, StoredFooters, state_of
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS, NOT_LANDED, DayInputs, day_inputs, history_before
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS
from ticket_events_pipeline.sla.up_to_date import sla_day_problem
from ticket_events_pipeline.tables.streams import SLA_STREAMS

MADE = (*SLA_TABLES, *MADE_AFTER_SUMMARY)
"""The tables that a run of a stale day makes."""

UNREADABLE = "unreadable"
"""In place of the hash of a file that can't be read: no file was made from it."""


@dataclass(frozen=True)
class Comparison:
    """The stored files, compared with what they would be made from now.

    Attributes:
        stored: what the stored footers say.
        landed: what the SLA tables of each landed day would be made from now.
        stale: the landed days whose SLA tables have to be made again, with the reason as a sentence.
        blocked: the days that can't be made because a file of theirs or of an earlier day can't be read, with the reason.
    """

    stored: StoredFooters
    landed: Mapping[Day, DayInputs]
    stale: Mapping[Day, str]
    blocked: Mapping[Day, str]


@dataclass(frozen=True)
class StaleRange:
    """Contiguous landed days to be summarised in one run: from the first stale day to the last landed one.

    Attributes:
        days: in order.
        reason: why the first day is stale, as a sentence.
        state: fingerprint of all inputs of the run.
        made_files: fingerprint of the files that are stored now of what the run makes.
        tables: those to be made; all that are made from the raw files if empty.
    """

    days: list[Day]
    reason: str
    state: str
    made_files: str
    tables: tuple[str, ...] = ()


def compare(stored: StoredFooters, is_partition: Callable[[Day], bool]) -> Comparison:
    """Compare what the SLA tables of each day were made from with what is stored, for days that are partitions."""
    raw = [*(stored.footers[stream] for stream in SLA_STREAMS), *(stored.unreadable[stream] for stream in SLA_STREAMS)]
    landed: dict[Day, DayInputs] = {}
    stale: dict[Day, str] = {}
    blocked: dict[Day, str] = {}
    for day in sorted({day for days in raw for day in days if is_partition(day)}):
        obstacle = _obstacle(stored, day)
        if obstacle is not None:
            blocked[day] = obstacle
            continue
        inputs = _inputs(stored, day)
        if inputs is not None:
            landed[day] = inputs
            problem = _problem(stored, day, inputs)
            if problem is not None:
                stale[day] = problem
    for day, obstacle in _held_up(stored, landed, stale).items():
        blocked[day] = obstacle
        del stale[day], landed[day]
    return Comparison(stored, landed, stale, dict(sorted(blocked.items())))


def _held_up(stored: StoredFooters, landed: Collection[Day], stale: Iterable[Day]) -> dict[Day, str]:
    """Of the ascending stale days, those whose run would fail at a file of an earlier day, and why.

    A run starts from the carry-over, and can replace damaged files of it, but no others. Without a carry-over, it replays the
    raw files, and needs them all.
    """
    raw = {day: file for stream in SLA_STREAMS for day, file in stored.unreadable[stream].items()}
    of_carry_over = {day: file for day, file in [*raw.items(), *stored.unreadable[CLOCKS].items()] if not file.may_be_replaced}
    held_up: dict[Day, str] = {}
    for day in stale if raw or of_carry_over else ():
        before = day.plus(-1)
        is_made_before = before in landed and before not in held_up
        has_carry_over = is_made_before or before in stored.footers[CLOCKS] or before in stored.unreadable[CLOCKS]
        files, first = (of_carry_over, before.plus(-REACH_DAYS)) if has_carry_over else (raw, day.plus(-HISTORY_DAYS))
        newest = max((other for other in files if first <= other < day), default=None)
        if newest is not None:
            held_up[day] = files[newest].reason
    return held_up


def _obstacle(stored: StoredFooters, day: Day) -> str | None:
    """Why the SLA tables of a day can't be made, though it has landed."""
    for stream in SLA_STREAMS:
        if day in stored.unreadable[stream]:
            return stored.unreadable[stream][day].reason
    for table in SLA_TABLES:
        unreadable = stored.unreadable[table].get(day)
        if unreadable is not None and not unreadable.may_be_replaced:
            return unreadable.reason
    return None


def _inputs(stored: StoredFooters, day: Day) -> DayInputs | None:
    before = day.plus(-1)
    clocks = _clocks_hash(stored, before)
    if clocks is None and _raw_inputs(stored, before) is None:  # else the run that makes this day makes the one before first
        clocks = history_before(day, lambda past: _raw_inputs(stored, past))
    return _raw_inputs(stored, day, previous_clocks=clocks)


def _raw_inputs(stored: StoredFooters, day: Day, *, previous_clocks: str | None = None) -> DayInputs | None:
    landed = {stream: stored.footers[stream][day] for stream in SLA_STREAMS if day in stored.footers[stream]}
    states = {stream: state_of(footer) for stream, footer in landed.items()}
    return day_inputs(day, states, previous_clocks=previous_clocks)


def _clocks_hash(stored: StoredFooters, day: Day) -> str | None:
    if day in stored.unreadable[CLOCKS]:
        return UNREADABLE
    footer = stored.footers[CLOCKS].get(day)
    return None if footer is None else footer.get("content_hash", UNREADABLE)


def _problem(stored: StoredFooters, day: Day, inputs: DayInputs) -> str | None:
    for table in SLA_TABLES:
        if day in stored.unreadable[table]:
            return stored.unreadable[table][day].reason
    of_day = {table: stored.footers[table].get(day) for table in SLA_TABLES}
    return sla_day_problem(inputs, clocks=of_day[CLOCKS], targets=of_day[TARGETS], summary=of_day[SUMMARY])


def stale_ranges(comparison: Comparison, root: str) -> list[StaleRange]:
    """The ranges to be made again so that no day is stale: one per range of landed days with a stale one.

    `root` keeps the states of different roots apart.
    """
    found: list[list[Day]] = []
    for day in sorted(comparison.stale):
        if found and day <= found[-1][-1]:
            continue
        last = day
        while last.plus(1) in comparison.landed:
            last = last.plus(1)
        found.append(days_between(day, last))
    return [_stale_range(comparison, days, root) for days in found]


def range_before_obstacle(comparison: Comparison, failing: StaleRange, root: str) -> StaleRange | None:
    """The days of a failing range before the one at which its runs stop; None if they stop at the first one.

    `sla_clocks` of those days is made, but a failing run makes no other table.
    """
    made = list(takewhile(lambda day: _are_clocks_made(comparison, day), failing.days))
    if not made or made == failing.days:
        return None
    found = _stale_range(comparison, made, root)
    return replace(found, reason=f"{found.reason} A run through {failing.days[-1]} has failed at {made[-1].plus(1)}.")


def _are_clocks_made(comparison: Comparison, day: Day) -> bool:
    try:
        return Provenance.from_metadata(comparison.stored.footers[CLOCKS][day]).inputs == comparison.landed[day]
    except (KeyError, ValueError):
        return False


def _stale_range(comparison: Comparison, days: list[Day], root: str) -> StaleRange:
    return StaleRange(
        days, comparison.stale[days[0]], _state(comparison, days, root), files_fingerprint(comparison.stored, MADE, days)
    )


def _state(comparison: Comparison, days: list[Day], root: str) -> str:
    """Fingerprint of the carry-over before the first day and of the raw files of all days; fetching a file again changes it.

    Even if the rows are the same, the run that failed at the damaged file may now succeed. The carry-over between the days is
    left out: the run makes it, and a run that fails half-way would look like a new state.
    """
    inputs = comparison.landed
    parts = [root, inputs[days[0]].previous_clocks]
    parts += [" ".join([str(day), *inputs[day].raw_files, str(inputs[day].as_of)]) for day in days]
    raw = [comparison.stored.footers[stream].get(day, {}) for stream in SLA_STREAMS for day in days]
    parts += [footer.get("fetched_at", NOT_LANDED) for footer in raw]
    return fingerprint(parts)


def files_fingerprint(stored: StoredFooters, tables: Iterable[str], days: list[Day]) -> str:
    """Fingerprint of the files of the days, from their footers; of a root without some of the `tables`, of the others."""
    parts = []
    for table in (table for table in tables if table in stored.footers):
        for day in days:
            footer = stored.footers[table].get(day)
            unreadable = "unreadable" if day in stored.unreadable[table] else "missing"
            parts.append(f"{table} {day} {unreadable if footer is None else sorted(footer.items())}")
    return fingerprint(parts)


def fingerprint(parts: list[str]) -> str:
    """Identifies the parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
