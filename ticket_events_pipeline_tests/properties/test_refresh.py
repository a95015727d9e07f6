"""Refresh after refresh of an open day makes the files that are made anew from the same events: all rows, and their hash.

Between two refreshes tickets move, events come late, and breaches that are dated ahead are moved, withdrawn or passed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION, make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, make_dimensions
from ticket_events_pipeline.tickets.durations import DURATIONS, make_durations
from ticket_events_pipeline.tickets.holders import HOLDERS, make_holders
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support.drawn_tickets import FIRST, TRACKED, DrawnTickets
from ticket_events_pipeline_tests.support.events import audit, iso
from ticket_events_pipeline_tests.support.fetches import Moment, fetching

ACCOUNTS = int(os.environ.get("REFRESH_EXAMPLES", "3"))
LATE_SECONDS = 100
"""By how much an event may come late: less than the lag of either stream."""

MADE_FROM_DIMENSIONS = {BY_DIMENSION, HOLDERS, DURATIONS}
"""Or from the same look-ups as they."""

SCHEDULES = {
    51: Schedule(51, "Days", "Berlin", tuple((day * 1440 + 540, day * 1440 + 1020) for day in range(7))),
    52: Schedule(52, "Always", "UTC", ((0, 10_080),)),
}
AHEAD_SECONDS = 7200
"""How long before its time a planned breach is known."""


class MovingAccount:
    """Drawn tickets as an account that shows them bit by bit; see the module."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311
        self.drawn = DrawnTickets(seed, tickets=25, days=3)
        spread = {id(row): self.rng.randrange(600) for row in (*self.drawn.events, *self.drawn.audits)}
        self.rows = {
            "ticket_events": [
                (row["time"] + spread[id(row)], {name: row[name] for name in ("id", "ticket_id", "via", "child_events")})
                for row in self.drawn.audits
            ],
            "ticket_metric_events": [(row["time"] + spread[id(row)], row) for row in self.drawn.events],
        }
        self.late = {row["id"]: self.rng.choice([0, 0, LATE_SECONDS]) for rows in self.rows.values() for _, row in rows}
        self.planned = {row["id"]: self.rng.choice(["stays", "moves", "withdrawn", "gone"]) for row in self.drawn.events}

    def shown_at(self, stream: str, now: int) -> list[dict]:
        """The rows that the account has by then."""
        shown = [self._shown(stream, time, row, now) for time, row in self.rows[stream]]
        return [row for row in shown if row is not None]

    def _shown(self, stream, time, row, now):
        if stream == "ticket_events":
            known = {name: value for name, value in row.items() if name != "id"}
            return audit(row["id"], time, **known) if time + self.late[row["id"]] <= now else None
        served, plan = {**row, "time": iso(time)}, self.planned[row["id"]]
        if row["type"] != "breach":
            return served if time + self.late[row["id"]] <= now else None
        if now < time - AHEAD_SECONDS // 2:  # known ahead, until its plan is carried out
            return served if now >= time - AHEAD_SECONDS else None
        changed = {"moves": {**served, "time": iso(time + 1800)}, "withdrawn": {**served, "deleted": True}, "gone": None}
        return changed.get(plan, served)


def moments(rng: Random) -> list[int]:
    """Of refreshes: several on each day, some soon after the one before, and one after the last day's end."""
    found = []
    for day in days_between(FIRST, FIRST.plus(2)):
        starts = rng.sample(range(day.start + 900, day.end, 1800), k=2)
        found += [start + later for start in starts for later in (0, rng.choice([90, 300, 3000]))]
    return [*sorted(found), FIRST.plus(3).start + 900]


def refresh(server: SandboxServer, root: Path, days: list[Day], clock: Moment) -> None:
    """Read the days and make their tables, one day after the other."""
    store = FolderStore(root)
    for stream in STREAMS:
        list(fetching(server, root, stream, days, clock=clock))
    for day in days:
        for make in (make_changes, make_clocks, make_targets, make_summaries):
            list(make(store, [day]))
        list(make_states(store, [day], fields=TRACKED))
        list(make_dimensions(store, [day], snapshots=Snapshots(store, day.timezone), schedules=SCHEDULES))
        list(make_breaches_by_dimension(store, [day]))
        list(make_holders(store, [day], schedules=SCHEDULES))
        list(make_durations(store, [day]))


def open_days(root: Path, today: Day) -> list[Day]:
    """Today and the days before it that are open or were never read, as the schedule requests them."""
    days = days_between(FIRST, today)
    footers = {day: [read_raw_footer(FolderStore(root), stream, day) for stream in STREAMS] for day in days}
    first = next((day for day in days if not all(footer and footer.complete for footer in footers[day])), today)
    return days_between(first, today)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(ACCOUNTS))
def test_refreshes_make_the_files_that_are_made_anew(seed, tmp_path):
    account, clock, served = MovingAccount(seed), Moment(0), RecordedAccount()
    compared = 0
    with SandboxServer(served, clock=clock, page_limit=account.rng.choice([7, 1000])) as server:
        for number, now in enumerate(moments(account.rng)):
            clock.now, today = now, Day.containing(now)
            for stream in STREAMS:
                served.clear(stream)
                served.deliver(stream, account.shown_at(stream, now))
            refresh(server, tmp_path / "refreshed", open_days(tmp_path / "refreshed", today), clock)
            if account.rng.random() < 0.5:
                refresh(server, tmp_path / f"anew{number}", days_between(FIRST, today), clock)
                compared += compare(tmp_path / "refreshed", tmp_path / f"anew{number}", days_between(FIRST, today))
    assert compared


def compare(refreshed: Path, anew: Path, days: list[Day]) -> int:
    """How many files are there, all of them equal.

    A value that only a later day's audits tell may be unknown to a root that was there before them, and stays unknown: of such
    a day, all else is compared, and what was made from its dimensions is not.
    """
    count = 0
    for day in days:
        knows_all = True
        for name in TABLES:
            found = [read_partition_and_metadata(FolderStore(root), name, day) for root in (refreshed, anew)]
            if not any(found) or (name in MADE_FROM_DIMENSIONS and not knows_all):
                continue
            (rows, metadata), (rows_anew, metadata_anew) = found
            if name == DIMENSIONS and day != days[-1] and not rows.equals(rows_anew):
                knows_all = False
                assert known_to_both(rows, rows_anew) == known_to_both(rows_anew, rows), f"{name} of {day}"
                continue
            assert rows.equals(rows_anew), f"{name} of {day}"
            assert metadata["content_hash"] == metadata_anew["content_hash"], f"{name} of {day}"
            count += 1
    return count


def known_to_both(rows: pa.Table, others: pa.Table) -> list[dict[str, Any]]:
    """The rows without the values that one of the two tables doesn't know; and without due times, which are made from them."""
    found = []
    for row, other in zip(rows.to_pylist(), others.to_pylist(), strict=True):
        told = [json.loads(item["known_by"] or "{}") for item in (row, other)]
        unknown = {field for known_by in told for field, by in known_by.items() if by is None}
        found.append({name: value for name, value in row.items() if name not in {*unknown, "known_by", "due_at", "due_by"}})
    return found
