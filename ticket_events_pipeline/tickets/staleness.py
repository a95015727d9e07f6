"""Which landed days have no ticket tables, or tables that were made from something else than is stored now.

As for the SLA tables, the stored files are compared by their footers alone. Other tracked fields or newer rules make nothing
stale: they apply to the days that are made from then on.

Days before the first one that has any of these tables were made by a version without them, or while they were turned off: they
are made when they are asked for, never because they are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from ticket_events_pipeline.day import Day, day_ranges, days_between
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.footer_cache import MADE_AFTER_SUMMARY, SLA_TABLES, Footer, StoredFooters, state_of
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS, NOT_LANDED, history_of, state_text
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS
from ticket_events_pipeline.sla.staleness import UNREADABLE, Comparison, StaleRange, files_fingerprint, fingerprint
from ticket_events_pipeline.tables.streams import AUDITS
from ticket_events_pipeline.tickets.by_dimension import MADE_FROM_DIMENSIONS
from ticket_events_pipeline.tickets.changes import CHANGES, MADE_FROM_AUDITS
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, MADE_FROM_STATES
from ticket_events_pipeline.tickets.provenance import MADE_FROM_CLOCKS, MADE_FROM_TARGETS
from ticket_events_pipeline.tickets.provenance import MADE_FROM_STATES as MADE_FROM_PREVIOUS_STATES
from ticket_events_pipeline.tickets.states import STATES

MADE_FROM = {
    MADE_FROM_TARGETS: TARGETS,
    MADE_FROM_STATES: STATES,
    MADE_FROM_CLOCKS: CLOCKS,
    MADE_FROM_DIMENSIONS: DIMENSIONS,
}
"""Footer keys of the content hashes of the day's files that a table was made from, and their tables; few tables have all."""


@dataclass(frozen=True)
class TicketComparison:
    """The stored ticket tables, compared with what they would be made from now.

    Attributes:
        stale: the landed days with SLA tables that are up to date whose tables have to be made again, with the reason as a
            sentence; all but `ticket_field_changes`.
        stale_changes: the same for `ticket_field_changes`.
        blocked: the days that can't be made because a file of theirs or of an earlier day can't be read, with the reason.
    """

    stale: Mapping[Day, str]
    stale_changes: Mapping[Day, str]
    blocked: Mapping[Day, str]

    def is_fresh(self, days: Iterable[Day]) -> bool:
        """Whether nothing has to be made of the days but `ticket_field_changes`."""
        return self.stale.keys().isdisjoint(days)


NOTHING_STALE = TicketComparison({}, {}, {})
"""Where there are no ticket tables."""


def compare_tickets(comparison: Comparison, is_partition: Callable[[Day], bool]) -> TicketComparison:
    """Compare what the ticket tables of each day were made from with what is stored, for days that are partitions."""
    stored = comparison.stored
    first = min((day for day in _days_with_tables(stored) if is_partition(day)), default=None)
    if first is None:
        return NOTHING_STALE
    stale: dict[Day, str] = {}
    blocked: dict[Day, str] = {}
    for day in comparison.landed:
        if day < first or day in comparison.stale:
            continue
        obstacle = _obstacle(stored, day)
        problem = obstacle or ticket_day_problem(stored, day)
        if problem is not None:
            (stale if obstacle is None else blocked)[day] = problem
    for day, obstacle in _held_up(stored, stale).items():
        blocked[day] = obstacle
        del stale[day]
    changes = {day: problem for day, problem in _stale_changes(stored, first) if is_partition(day)}
    return TicketComparison(stale, changes, dict(sorted(blocked.items())))


def days_without_tables(stored: StoredFooters, landed: Iterable[Day]) -> list[Day]:
    """Of the landed days, in order, those with none of the tables that are made after the summary."""
    made = _days_with_tables(stored)
    return sorted(day for day in landed if day not in made)


def _days_with_tables(stored: StoredFooters) -> set[Day]:
    files = [of[table] for of in (stored.footers, stored.unreadable) for table in MADE_AFTER_SUMMARY if table in of]
    return {day for days in files for day in days}


def _obstacle(stored: StoredFooters, day: Day) -> str | None:
    """Why the tables of a day can't be made."""
    for table in MADE_AFTER_SUMMARY:
        unreadable = stored.unreadable[table].get(day)
        if unreadable is not None and not unreadable.may_be_replaced:
            return unreadable.reason
    return None


def _held_up(stored: StoredFooters, stale: Iterable[Day]) -> dict[Day, str]:
    """Of the stale days, those whose run would fail at the `ticket_states` of an earlier day, and why."""
    files = {day: file for day, file in stored.unreadable[STATES].items() if not file.may_be_replaced}
    held_up: dict[Day, str] = {}
    for day in stale if files else ():
        newest = max((other for other in files if day.plus(-1 - REACH_DAYS) <= other < day), default=None)
        if newest is not None:
            held_up[day] = files[newest].reason
    return held_up


def ticket_day_problem(stored: StoredFooters, day: Day) -> str | None:
    """Why the tables of a day with SLA tables have to be made again, as a sentence; None if they are up to date."""
    targets = stored.footers[TARGETS][day]
    for table in MADE_AFTER_SUMMARY:
        if day in stored.unreadable[table]:
            return stored.unreadable[table][day].reason
        footer = stored.footers[table].get(day)
        if footer is None:
            return f"{table} has not been made."
        if not _has_provenance(footer, targets):
            return f"{table} was made from another file of {TARGETS} than is stored now."
        if not _follows_the_stored_days(stored, day, footer):
            return f"{table} was made from another file of {STATES} of the day before than is stored now."
        for key, source in MADE_FROM.items():
            if key in footer and footer[key] != stored.footers[source].get(day, {}).get("content_hash"):
                return f"{table} was made from another file of {source} than is stored now."
    return None


def _has_provenance(footer: Footer, targets: Footer) -> bool:
    """Whether the footer says of `sla_targets` what its own footer says; files of earlier versions say less."""
    if footer.get(MADE_FROM_TARGETS) != targets.get("content_hash"):
        return False
    try:
        return Provenance.from_metadata(footer) == Provenance.from_metadata(targets)
    except (KeyError, ValueError):
        return False


def _follows_the_stored_days(stored: StoredFooters, day: Day, footer: Footer) -> bool:
    made_from = footer.get(MADE_FROM_PREVIOUS_STATES)
    return any(made_from == expected for expected in _previous_states(stored, day))


def _previous_states(stored: StoredFooters, day: Day) -> Iterator[str]:
    """What the tables of a day may have been made from, of the days before.

    The file of the day before, or the audits of the thirty days before, if these are the stored ones: days that are made
    backwards begin with the audits, and would else all be stale once the days before them are made.
    """
    before = day.plus(-1)
    if before in stored.unreadable[STATES]:
        yield UNREADABLE
    elif before in stored.footers[STATES]:
        yield stored.footers[STATES][before].get("content_hash", UNREADABLE)
    found = {past: _audits_state(stored, past) for past in (day.plus(-offset) for offset in range(HISTORY_DAYS, 0, -1))}
    yield history_of({past: state for past, state in found.items() if state is not None}) or NOT_LANDED


def _audits_state(stored: StoredFooters, day: Day) -> str | None:
    footer = stored.footers[AUDITS].get(day)
    return None if footer is None else state_text(state_of(footer))


def _stale_changes(stored: StoredFooters, first: Day) -> Iterator[tuple[Day, str]]:
    for day in sorted(stored.footers[AUDITS]):
        problem = changes_problem(stored, day) if day >= first else None
        if problem is not None:
            yield day, problem


def changes_problem(stored: StoredFooters, day: Day) -> str | None:
    """Why `ticket_field_changes` of a day whose audits have landed has to be made again, as a sentence.

    None if it is up to date, or if its file can't be replaced: nothing else depends on it.
    """
    unreadable, footer = stored.unreadable[CHANGES].get(day), stored.footers[CHANGES].get(day)
    if unreadable is not None:
        return unreadable.reason if unreadable.may_be_replaced else None
    if footer is None:
        return f"{CHANGES} has not been made."
    if footer.get(MADE_FROM_AUDITS) != _audits_state(stored, day):
        return f"{CHANGES} was made from another file of {AUDITS} than is stored now."
    return None


def without_blocked(stale: StaleRange, tickets: TicketComparison) -> StaleRange:
    """The same range without the ticket tables if one of them would fail, so that no run fails for their sake."""
    return replace(stale, tables=SLA_TABLES) if not tickets.blocked.keys().isdisjoint(stale.days) else stale


def ticket_ranges(comparison: Comparison, tickets: TicketComparison, root: str, covered: Collection[Day]) -> list[StaleRange]:
    """The ranges whose ticket tables have to be made again, and whose SLA tables have not.

    Each ends with the landed days, at a blocked day, or before the `covered` days, whose ticket tables are made with their SLA
    tables. `root` keeps the states of different roots apart.
    """
    free = comparison.landed.keys() - set(covered) - tickets.blocked.keys()
    found: list[list[Day]] = []
    for day in sorted(tickets.stale.keys() & free):
        if found and day <= found[-1][-1]:
            continue
        last = day
        while last.plus(1) in free:
            last = last.plus(1)
        found.append(days_between(day, last))
    return [_ticket_range(comparison, tickets, days, root) for days in found]


def _ticket_range(comparison: Comparison, tickets: TicketComparison, days: list[Day], root: str) -> StaleRange:
    stored = comparison.stored
    made_from = [stored.footers[TARGETS][day].get("content_hash", "") for day in days]
    fetched = [stored.footers[AUDITS].get(day, {}).get("fetched_at", NOT_LANDED) for day in days]
    state = fingerprint(["tickets", root, str(days[0]), *_previous_states(stored, days[0]), *made_from, *fetched])
    made_files = files_fingerprint(stored, MADE_AFTER_SUMMARY, days)
    return StaleRange(days, tickets.stale[days[0]], state, made_files, MADE_AFTER_SUMMARY)


def ticket_range_before_obstacle(
    comparison: Comparison, tickets: TicketComparison, failing: StaleRange, root: str
) -> StaleRange | None:
    """The days of a failing range before the one at which its runs stop; None if they stop at the first one.

    `ticket_states` of those days is made, but a failing run makes no other table. Days of `ticket_field_changes` are made
    alone, so there is nothing before the obstacle.
    """
    if failing.tables != MADE_AFTER_SUMMARY:
        return None
    stored = comparison.stored
    made = list(takewhile(lambda day: _are_states_made(stored, day), failing.days))
    if not made or made == failing.days or made[0] not in tickets.stale:
        return None
    found = _ticket_range(comparison, tickets, made, root)
    return replace(found, reason=f"{found.reason} A run through {failing.days[-1]} has failed at {made[-1].plus(1)}.")


def _are_states_made(stored: StoredFooters, day: Day) -> bool:
    footer, targets = stored.footers[STATES].get(day), stored.footers[TARGETS][day]
    if footer is None or footer.get(MADE_FROM_TARGETS) != targets.get("content_hash"):
        return False
    return _follows_the_stored_days(stored, day, footer)


def change_ranges(comparison: Comparison, tickets: TicketComparison, root: str) -> list[StaleRange]:
    """The ranges whose `ticket_field_changes` has to be made again: nothing but the days themselves, which nothing connects."""
    stored = comparison.stored
    ranges = [days_between(first, last) for first, last in day_ranges(sorted(tickets.stale_changes))]
    return [
        StaleRange(
            days,
            tickets.stale_changes[days[0]],
            fingerprint([CHANGES, root, *(f"{day} {sorted(stored.footers[AUDITS][day].items())}" for day in days)]),
            files_fingerprint(stored, [CHANGES], days),
            (CHANGES,),
        )
        for days in ranges
    ]
