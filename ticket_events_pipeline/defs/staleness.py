"""Which landed days have no summary, or one that was made from something else than what is stored now.

States are compared, events are not counted: so a missed tick, a lost cursor or a failed run loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.event_log import EventLog
from ticket_events_pipeline.summarize.inputs import NOT_LANDED, DayInputs, day_inputs

TICKET_EVENTS, TICKET_METRIC_EVENTS = "ticket_events", "ticket_metric_events"
CLOCKS, SUMMARY = "sla_clocks", "daily_sla_breach_summary"


@dataclass(frozen=True)
class Stretch:
    """Consecutive landed days to be summarised in one run: from the earliest stale one to the end of the landed ones.

    Attributes:
        days: in order.
        state: fingerprint of everything that the run would be made from.
    """

    days: list[Day]
    state: str


def stale_days(log: EventLog, days: Iterable[Day]) -> set[Day]:
    """Those of `days` that have landed and whose summary is missing or records other inputs."""
    landed = landed_inputs(log, days)
    summaries = log.summarised_inputs(SUMMARY, landed)
    # The memory is read only where nothing else differs.
    alike = {day for day, inputs in landed.items() if day in summaries and _are_of_equal_files(inputs, summaries[day])}
    memory = _memory_before(log, alike)
    fresh = {day for day in alike if summaries[day].previous_clocks == memory[day]}
    return landed.keys() - fresh


def landed_inputs(log: EventLog, days: Iterable[Day]) -> dict[Day, DayInputs]:
    """What a summary of each landed day would be made from now, but for the memory; not those that can't be summarised."""
    asked = set(days)
    events = log.raw_states(TICKET_EVENTS, asked)
    metric_events = log.raw_states(TICKET_METRIC_EVENTS, asked)
    found = {
        day: day_inputs(day, ticket_events=events.get(day), ticket_metric_events=metric_events.get(day), previous_clocks=None)
        for day in asked
    }
    return {day: inputs for day, inputs in found.items() if inputs is not None}


def stretches(log: EventLog, stale: set[Day], newest: Day, *, fresh: Callable[[Day], bool]) -> list[Stretch]:
    """The runs that make `stale` fresh: one per stretch of landed days, looked for up to the day `newest`.

    `fresh` are those that have a summary made from what is stored now, if they have landed: their summaries alone tell what it
    is, with one record to read for two.
    """
    found: list[list[Day]] = []
    if not stale:
        return []
    days = days_between(min(stale), newest)
    inputs = landed_inputs(log, (day for day in days if not fresh(day)))
    inputs |= log.summarised_inputs(SUMMARY, filter(fresh, days))
    for day in sorted(stale):
        if found and day <= found[-1][-1]:
            continue
        last = day
        while last.plus(1) in inputs:
            last = last.plus(1)
        found.append(days_between(day, last))
    memory = _memory_before(log, {days[0] for days in found})
    return [Stretch(days, _fingerprint(memory[days[0]], days, inputs)) for days in found]


def _are_of_equal_files(one: DayInputs, other: DayInputs) -> bool:
    return replace(one, previous_clocks=NOT_LANDED) == replace(other, previous_clocks=NOT_LANDED)


def _memory_before(log: EventLog, days: set[Day]) -> dict[Day, str]:
    """The hash of the memory before each of the days."""
    hashes = log.content_hashes(CLOCKS, {day.plus(-1) for day in days})
    return {day: hashes.get(day.plus(-1), NOT_LANDED) for day in days}


def _fingerprint(memory: str, days: list[Day], inputs: dict[Day, DayInputs]) -> str:
    """Of the memory before the first day and the raw files of all.

    The memory between the days is left out: the run itself makes it, and a run that fails half-way would look like a new state.
    """
    told = [memory]
    told += [f"{day} {inputs[day].ticket_events} {inputs[day].ticket_metric_events} {inputs[day].as_of}" for day in days]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]
