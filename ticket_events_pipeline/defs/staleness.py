"""Which landed days have no summary, or one that was made from something else than what is stored now.

States are compared, events are not counted: so a missed tick, a lost cursor or a failed run loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.event_log import newest_metadata, raw_state, recorded_inputs
from ticket_events_pipeline.summarize.inputs import DayInputs, day_inputs

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


def stale_days(instance: dg.DagsterInstance, scope: AccountScope, days: Iterable[Day]) -> set[Day]:
    """Those of `days` that have landed and whose summary is missing or records other inputs."""
    asked = set(days)
    summaries = newest_metadata(instance, scope.key(SUMMARY), asked)
    current = current_inputs(instance, scope, asked)
    return {day for day, inputs in current.items() if recorded_inputs(summaries.get(day)) != inputs}


def current_inputs(instance: dg.DagsterInstance, scope: AccountScope, days: Iterable[Day]) -> dict[Day, DayInputs]:
    """What a summary of each landed day would be made from now; days that can't be summarised are left out."""
    asked = set(days)
    events = newest_metadata(instance, scope.key(TICKET_EVENTS), asked)
    metric_events = newest_metadata(instance, scope.key(TICKET_METRIC_EVENTS), asked)
    clocks = newest_metadata(instance, scope.key(CLOCKS), {day.plus(-1) for day in asked})
    found = {
        day: day_inputs(
            day,
            ticket_events=raw_state(events.get(day)),
            ticket_metric_events=raw_state(metric_events.get(day)),
            previous_clocks=clocks.get(day.plus(-1), {}).get("content_hash"),
        )
        for day in asked
    }
    return {day: inputs for day, inputs in found.items() if inputs is not None}


def stretches(instance: dg.DagsterInstance, scope: AccountScope, stale: set[Day], newest: Day) -> list[Stretch]:
    """The runs that make `stale` fresh: one per stretch of landed days, looked for up to the day `newest`."""
    found: list[Stretch] = []
    if not stale:
        return found
    inputs = current_inputs(instance, scope, days_between(min(stale), newest))
    for day in sorted(stale):
        if found and day <= found[-1].days[-1]:
            continue
        last = day
        while last.plus(1) in inputs:
            last = last.plus(1)
        days = days_between(day, last)
        found.append(Stretch(days, _fingerprint(days, inputs)))
    return found


def _fingerprint(days: list[Day], inputs: dict[Day, DayInputs]) -> str:
    """Of the raw files of all days and the memory before the first.

    The memory between the days is left out: the run itself makes it, and a run that fails half-way would look like a new state.
    """
    told = [inputs[days[0]].previous_clocks]
    told += [f"{day} {inputs[day].ticket_events} {inputs[day].ticket_metric_events} {inputs[day].as_of}" for day in days]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]
