"""Due times of the simulated account, as the open day tells them at many moments, against the breaches that then came.

On the working days of a week in October: at its weekend Vienna's clocks go back, and its Monday is a holiday there.
`benchmarks/forecast.py` measures whole months.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.fetched_names import refresh_names
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.names import read_schedules
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline_tests.support.fetches import Moment, fetching
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FETCHED_FROM, LAST = Day.parse("2026-10-07"), Day.parse("2026-10-29")
HOUR, DAY, TOLERANCE_SECONDS = 3600, 86_400, 300
MOMENTS = [
    Day.parse(date).start + hour * HOUR + 37 * 60
    for date in ("2026-10-22", "2026-10-23", "2026-10-26", "2026-10-27", "2026-10-28")
    for hour in (7, 9, 11, 13, 15, 17)
]

Key = tuple[int, str, int]


def epoch(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


@dataclass
class TrueClock:
    """A clock's events in order, and whether they are of business hours; times are epoch seconds."""

    events: list[tuple[int, str]]
    business_hours: bool
    breached_at: int | None

    def runs(self, moment: int) -> bool:
        """Just before the moment."""
        kinds = [kind for time, kind in self.events if time < moment and kind != "apply_sla"]
        return kinds[-1:] == ["activate"]

    def is_unchanged(self, start: int, end: int) -> bool:
        return not any(start <= time <= end for time, _ in self.events)


def true_clocks(account: SimulatedAccount) -> dict[Key, TrueClock]:
    """Of tickets whose creation is fetched: the clocks with one kind of hours, whose policy is never taken away."""
    clocks: dict[Key, list[dict]] = defaultdict(list)
    for row in account.rows("ticket_metric_events", FETCHED_FROM.start, now=LAST.plus(9).start):
        event = json.loads(row.json)
        if not event["deleted"]:
            clocks[event["ticket_id"], event["metric"], event["instance_id"]].append(event)
    found = {}
    for key, rows in clocks.items():
        targets = [row["sla"] for row in rows if row["type"] == "apply_sla"]
        is_created = account.history(key[0]).steps[0].update.time >= FETCHED_FROM.start
        if is_created and targets and None not in targets and len({target["business_hours"] for target in targets}) == 1:
            changes = [(epoch(row["time"]), row["type"]) for row in rows if row["type"] not in ("breach", "update_status")]
            breaches = [epoch(row["time"]) for row in rows if row["type"] == "breach"]
            found[key] = TrueClock(changes, targets[0]["business_hours"], min(breaches, default=None))
    return found


@dataclass(frozen=True)
class Foretold:
    """The due times at a moment, epoch seconds; only of targets that have one."""

    as_of: int
    due: dict[Key, int]


def make_tables(root: Path, days: list[Day]) -> None:
    store = FolderStore(root)
    list(make_changes(store, days))
    make_sla_days(root, days[0], days[-1])
    list(make_states(store, days, fields=tracked_fields()))
    list(make_dimensions(store, days, snapshots=Snapshots(store, "UTC"), schedules=read_schedules(store)))


def foretold_at(root: Path, moment: int) -> Foretold:
    table = read_partition(FolderStore(root), "sla_target_dimensions", Day.containing(moment))
    rows = [row for row in table.to_pylist() if row["due_at"] is not None]
    due = {(row["ticket_id"], row["metric"], row["instance_id"]): int(row["due_at"].timestamp()) for row in rows}
    return Foretold(moment, due)


def follow(server: SandboxServer, root: Path, clock: Moment) -> Iterator[Foretold]:
    """What the open day foretells at each moment, fetched and made as of that moment."""
    first = FETCHED_FROM
    for moment in MOMENTS:
        clock.now = moment
        days = days_between(first, Day.containing(moment))
        for stream in ("ticket_events", "ticket_metric_events"):
            written = list(fetching(server, root, stream, days, clock=clock))
        make_tables(root, days)
        first = next((day.day for day in written if not day.footer.complete), days[-1])
        yield foretold_at(root, moment)


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Counter:
    """How many breaches within an hour were foretold, and how many of those foretold within a day came, by kind of hours."""
    root, account, clock, counts = tmp_path_factory.mktemp("root"), SimulatedAccount(), Moment(LAST.end), Counter()
    clocks = true_clocks(account)
    with SandboxServer(account, clock=clock) as server:
        token = BearerToken("sandbox")
        with AccountApi(server.base_url, token, pace=AccountPace(), total_seconds=60, clock=clock) as api:
            refresh_names(FolderStore(root), api, ["schedules"], timezone="UTC", clock=clock)
        for foretold in follow(server, root, clock):
            count_breaches(foretold, clocks, counts)
            count_announced(account, foretold, clocks, counts)
    return counts


def count_breaches(foretold: Foretold, clocks: dict[Key, TrueClock], counts: Counter) -> None:
    """Those that could be known: the clock runs, and nobody stops it or changes its target until it breaches."""
    for key, clock in clocks.items():
        at, as_of = clock.breached_at, foretold.as_of
        if at is not None and as_of < at <= as_of + HOUR and clock.runs(as_of) and clock.is_unchanged(as_of, at):
            counts["breaches", clock.business_hours] += 1
            counts["foretold", clock.business_hours] += abs(foretold.due.get(key, 0) - at) <= TOLERANCE_SECONDS


def count_announced(account: SimulatedAccount, foretold: Foretold, clocks: dict[Key, TrueClock], counts: Counter) -> None:
    """Those that nothing happens to: no event of the clock, no deletion, no other schedule."""
    for key, due in foretold.due.items():
        clock, steps = clocks.get(key), account.history(key[0]).steps
        if clock is None or not foretold.as_of < due <= foretold.as_of + DAY or not clock.is_unchanged(foretold.as_of, due):
            continue
        between = [step.values for step in steps if foretold.as_of <= step.update.time <= due]
        before = account.history(key[0]).values_at(foretold.as_of)
        if any(values.status == "deleted" or values.schedule_id != before.schedule_id for values in between):
            continue
        counts["announced", clock.business_hours] += 1
        counts["came", clock.business_hours] += abs((clock.breached_at or 0) - due) <= TOLERANCE_SECONDS


@pytest.mark.parametrize(("business_hours", "bar"), [(False, 0.95), (True, 0.9)])
def test_breaches_of_the_next_hour_are_foretold_within_five_minutes(scores, business_hours, bar):
    assert scores["breaches", business_hours] >= 15
    assert scores["foretold", business_hours] >= bar * scores["breaches", business_hours]


@pytest.mark.parametrize("business_hours", [False, True])
def test_what_is_foretold_and_stays_unchanged_comes_within_five_minutes(scores, business_hours):
    assert scores["announced", business_hours] >= 100
    assert scores["came", business_hours] >= 0.95 * scores["announced", business_hours]
