"""The simulated account's breaches in business hours, second by second, by the schedules that it tells itself.

On two stretches of days in which Vienna's clocks are changed: on one of them beside a holiday on a working day, 26 October. The
tickets are those that have Vienna's schedule for some time.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import requests

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.catalog import VIENNA_SCHEDULE, WEEKDAY_SCHEDULE
from ticket_events_pipeline.sandbox.history import History
from ticket_events_pipeline.sandbox.metric_rows import metric_rows
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.business_hours_oracle import open_seconds

pytestmark = pytest.mark.slow

STRETCHES = {"clocks go back": ("2026-10-20", "2026-11-01"), "clocks go forward": ("2026-03-24", "2026-04-03")}
ZONES = {"UTC": "UTC", "Vienna": "Europe/Vienna"}
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Told:
    """A schedule as the account tells it, in the words of the oracle."""

    intervals: list[tuple[int, int]]
    holidays: list[tuple[dt.date, dt.date]]


def told_schedules(account: SimulatedAccount, first: int, last: int) -> dict[int, np.ndarray]:
    """By id, for each second from `first` to `last`, whether it is open."""
    found = {}
    with SandboxServer(account, clock=lambda: last) as server:

        def get(path: str) -> dict:
            url = f"{server.base_url}/api/v2/business_hours/schedules{path}"
            return requests.get(url, headers={"Authorization": "Bearer sandbox"}, timeout=10).json()

        for schedule in get("")["schedules"]:
            spans = [(one["start_time"], one["end_time"]) for one in schedule["intervals"]]
            closed = [
                (dt.date.fromisoformat(one["start_date"]), dt.date.fromisoformat(one["end_date"]))
                for one in get(f"/{schedule['id']}/holidays")["holidays"]
            ]
            found[schedule["id"]] = open_seconds(Told(spans, closed), ZONES[schedule["time_zone"]], first, last)
    return found


def expected_breaches(rows: list[dict], is_open: np.ndarray, first: int) -> set[int]:
    """When the clock with these events breaches: once for each target that is applied, as soon as it has run for it.

    `is_open` says of each second since `first`, when the clock was started, whether the ticket's schedule is open.
    """
    runs, target = np.zeros(len(is_open), bool), np.full(len(is_open), NEVER)
    applied = []
    for row in rows:
        at = epoch(row["time"]) - first
        if row["type"] == "apply_sla":
            target[at:] = row["sla"]["target"] * 60 if row["sla"] else NEVER
            applied.append(at)
        elif row["type"] in ("activate", "pause", "fulfill"):
            runs[at:] = row["type"] == "activate"
    counted = runs & is_open
    is_late = runs & (np.cumsum(counted) - counted >= target)
    ends = [*applied[1:], len(is_open)]
    late = [begin + np.flatnonzero(is_late[begin:end])[:1] for begin, end in zip(applied, ends, strict=True)]
    return {first + int(at) for found in late for at in found}


def epoch(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


@dataclass(frozen=True)
class Stretch:
    """Some days of a large account, and for each second until a week later whether each schedule is open."""

    account: SimulatedAccount
    first: int
    last: int
    is_open: dict[int, np.ndarray]

    def histories(self) -> Iterator[History]:
        """Of the tickets created on these days, without those that are deleted."""
        for day in days_between(Day.containing(self.first), Day.containing(self.last - 8 * 86_400)):
            for ticket_id in self.account.ticket_ids(day):
                history = self.account.history(ticket_id)
                if all(step.values.status != "deleted" for step in history.steps):
                    yield history

    def open_seconds(self, history: History, first: int, last: int) -> np.ndarray:
        """For each second of [first, last), whether the schedule that the ticket has then is open; without one, the first."""
        found = np.zeros(last - first, bool)
        for step in history.steps:
            begin = min(max(first, step.update.time), last)
            is_open = self.is_open[step.values.schedule_id or WEEKDAY_SCHEDULE]
            found[begin - first :] = is_open[begin - self.first : last - self.first]
        return found


@pytest.fixture(scope="module", params=STRETCHES)
def stretch(request) -> Stretch:
    first, last = Day.parse(STRETCHES[request.param][0]).start, Day.parse(STRETCHES[request.param][1]).plus(7).start
    account = SimulatedAccount(tickets_per_day=300)
    return Stretch(account, first, last, told_schedules(account, first, last))


def clocks_in_business_hours(history: History, last: int) -> list[list[dict]]:
    """The metric events of each clock all of whose targets are in business hours, as they are delivered in the end."""
    clocks = defaultdict(list)
    updates = [step.update for step in history.steps]
    for stored in metric_rows(random.Random(1), updates, ticket_id=1, first_id=1, hours=history.hours):  # noqa: S311
        row = json.loads(stored.seen_at(NEVER).json)
        if stored.time < last:
            clocks[row["metric"], row["instance_id"]].append(row)
    found = []
    for rows in clocks.values():
        targets = [row["sla"] for row in rows if row["type"] == "apply_sla" and row["sla"]]
        if targets and all(target["business_hours"] for target in targets):
            found.append(rows)
    return found


def test_every_breach_in_business_hours_follows_the_schedules_that_are_told(stretch):
    """Across holidays, changes of the clocks and of the ticket's schedule, pauses and new targets."""
    seen = Counter()
    for history in stretch.histories():
        used = {step.values.schedule_id for step in history.steps}
        for rows in clocks_in_business_hours(history, stretch.last) if VIENNA_SCHEDULE in used else ():
            first, last = epoch(rows[0]["time"]), min(stretch.last, epoch(rows[-1]["time"]) + 1)
            expected = expected_breaches(rows, stretch.open_seconds(history, first, last), first)
            told = {epoch(row["time"]) for row in rows if row["type"] == "breach"}
            lasting = {epoch(row["time"]) for row in rows if row["type"] == "breach" and not row["deleted"]}
            assert lasting <= expected <= told
            seen["breaches"] += len(expected)
            seen["after a switch"] += len(expected) * (len(used) > 1)
            seen["after a pause"] += len(expected) * any(row["type"] == "pause" for row in rows)
            seen["with new targets"] += len(expected) * (sum(row["type"] == "apply_sla" for row in rows) > 1)
    assert seen["breaches"] > 20
    assert min(seen["after a switch"], seen["after a pause"], seen["with new targets"]) >= 3
