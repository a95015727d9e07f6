"""A month of the simulated account: what the ticket tables call known is what the account knows to be true."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.catalog import AREA_FIELD, ESCALATION_FIELD
from ticket_events_pipeline.sandbox.history import History, Values
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sandbox.texts import BILLING, SECOND_LEVEL
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition
from ticket_events_pipeline.tickets.by_dimension import make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.fields import DIMENSIONS, HISTORY_FIELDS, tracked_fields
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline_tests.support.fetches import Moment, fetching
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FIRST = Day.parse("2026-03-02")
DAYS = days_between(FIRST, FIRST.plus(29))
TODAY = DAYS[-1].plus(1)
NOW = DAYS[-1].end + 12 * 3600
MISSING_DAYS = tuple(DAYS[8:11])

CUSTOM = {f"custom_field:{ESCALATION_FIELD}": "escalation", f"custom_field:{AREA_FIELD}": "area"}
FIELDS = tracked_fields(tuple(CUSTOM))
TABLE, BY_DIMENSION, SUMMARY = "sla_target_dimensions", "daily_sla_breaches_by_dimension", "daily_sla_breach_summary"
SUMS = ("breaches", "achieved", "completed_breached", "active_eod", "breached_open_eod")

clock = Moment(NOW)


@dataclass(frozen=True)
class Month:
    """The account, its fetched month, and a server for more questions."""

    account: SimulatedAccount
    server: SandboxServer
    root: Path
    histories: dict[int, History] = field(default_factory=dict)

    def copied(self, path: Path) -> FolderStore:
        shutil.copytree(self.root, path)
        return FolderStore(path)

    def snapshots(self, store: FolderStore, *, asks: bool) -> Snapshots:
        def open_api() -> AccountApi:
            token = BearerToken("sandbox")
            return AccountApi(self.server.base_url, token, pace=AccountPace(), total_seconds=600, clock=clock)

        return Snapshots(store, "UTC", open_api=open_api if asks else None, clock=clock)

    def history(self, ticket_id: int) -> History:
        if ticket_id not in self.histories:
            self.histories[ticket_id] = self.account.history(ticket_id)
        return self.histories[ticket_id]


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> Iterator[Month]:
    """Fetched over HTTP, with its SLA tables and `ticket_states`."""
    root, account = tmp_path_factory.mktemp("month"), SimulatedAccount()
    with SandboxServer(account, clock=clock) as server:
        for stream in ("ticket_events", "ticket_metric_events"):
            list(fetching(server, root, stream, [*DAYS, TODAY], clock=clock))
        make_states_of(root)
        yield Month(account, server, root)


def make_states_of(root: Path, *, missing: tuple[Day, ...] = ()) -> None:
    store = FolderStore(root)
    landed = [*DAYS, TODAY]
    for run in (landed[: landed.index(missing[0])], landed[landed.index(missing[-1]) + 1 :]) if missing else (landed,):
        list(make_changes(store, run))
    make_sla_days(root, DAYS[0], DAYS[-1])
    list(make_states(store, DAYS, fields=FIELDS))


@dataclass(frozen=True)
class Tables:
    """The rows of the ticket tables of the month, by day."""

    store: FolderStore
    dimensions: Mapping[Day, list[dict[str, Any]]]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for rows in self.dimensions.values() for row in rows]

    def breaches_on(self, day: Day) -> list[dict[str, Any]]:
        """One row for each target that is counted as breached, on the day of its breach."""
        return [row for row in self.dimensions[day] if row["at_kind"] == "breach" and day.start <= epoch(row["at"]) < day.end]

    @property
    def breaches(self) -> list[dict[str, Any]]:
        """Those of all days."""
        return [row for day in DAYS for row in self.breaches_on(day)]


def tables_of(month: Month, store: FolderStore, *, asks: bool) -> Tables:
    list(make_dimensions(store, DAYS, snapshots=month.snapshots(store, asks=asks), schedules={}))
    list(make_breaches_by_dimension(store, DAYS))
    return Tables(store, {day: rows_of(store, TABLE, day) for day in DAYS})


def rows_of(store: FolderStore, asset: str, day: Day) -> list[dict[str, Any]]:
    table = read_partition(store, asset, day)
    assert table is not None
    return table.to_pylist()


@pytest.fixture(scope="module")
def without(month, tmp_path_factory) -> Tables:
    """Made without snapshots."""
    return tables_of(month, month.copied(tmp_path_factory.mktemp("without") / "root"), asks=False)


@pytest.fixture(scope="module")
def with_snapshots(month, tmp_path_factory) -> Tables:
    return tables_of(month, month.copied(tmp_path_factory.mktemp("with") / "root"), asks=True)


@pytest.fixture(scope="module")
def with_a_gap(month, tmp_path_factory) -> Tables:
    """Three days of audits have not landed."""
    root = tmp_path_factory.mktemp("gap") / "root"
    store = month.copied(root)
    for day in MISSING_DAYS:
        for asset in ("ticket_events", "ticket_field_changes"):
            shutil.rmtree((root / partition_path(asset, day)).parent)
    make_states_of(root, missing=MISSING_DAYS)
    return tables_of(month, store, asks=True)


def epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def truth_of(history: History, row: Mapping[str, Any]) -> Values:
    """Before a breach or the end of a day, at a fulfilment or closing; a Create counts from the beginning."""
    inclusive = row["at_kind"] in ("fulfilment", "closing")
    return history.values_at(epoch(row["at"]), inclusive=inclusive) or history.steps[0].values


def known_by(row: Mapping[str, Any], name: str) -> str | None:
    return json.loads(row["known_by"]).get(name, "audit") if row["known_by"] else "audit"


def is_known(row: Mapping[str, Any], name: str) -> bool:
    return known_by(row, name) not in (None, "assumed")


def true_value(values: Values, name: str) -> Any:
    found = getattr(values, CUSTOM.get(name, name))
    return list(found) if name == "tags" else found


def wrongly_known(month: Month, tables: Tables) -> list[tuple[Any, ...]]:
    wrong = []
    for row in tables.rows:
        values = truth_of(month.history(row["ticket_id"]), row)
        wrong += [
            (row["ticket_id"], name, row["at"], row["at_kind"], row[name], known_by(row, name), true_value(values, name))
            for name in FIELDS
            if is_known(row, name) and row[name] != true_value(values, name)
        ]
    return wrong


@pytest.mark.parametrize("made", ["without", "with_snapshots", "with_a_gap"])
def test_every_value_that_is_marked_known_is_true(month, made, request):
    tables = request.getfixturevalue(made)
    assert wrongly_known(month, tables) == []
    known = Counter(known_by(row, name) for row in tables.rows for name in FIELDS)
    assert known["audit"] > 0.5 * known.total()


@pytest.mark.parametrize("made", ["without", "with_snapshots", "with_a_gap"])
def test_holders_at_the_end_of_the_day_are_true_where_a_table_has_some(month, made, request):
    tables = request.getfixturevalue(made)
    checked = 0
    for day, rows in tables.dimensions.items():
        for row in rows:
            values = month.history(row["ticket_id"]).values_at(day.end, inclusive=False)
            for name in HISTORY_FIELDS:
                if row[f"{name}_eod"] is not None and is_known(row, name):
                    assert row[f"{name}_eod"] == getattr(values, name)
                    checked += 1
    assert checked > 1000


def from_before(month: Month, tables: Tables) -> list[dict[str, Any]]:
    """The breaches of tickets that were created before the first day, and have stayed with their group since."""
    return [row for row in tables.breaches if has_stayed(month.history(row["ticket_id"]))]


def has_stayed(history: History) -> bool:
    before = history.values_at(FIRST.start)
    later = [step.values.group_id for step in history.steps if step.update.time >= FIRST.start]
    return before is not None and set(later) <= {before.group_id}


def test_breaches_of_tickets_from_before_the_start_are_known_with_snapshots_alone(month, without, with_snapshots):
    """Their group. Those that are deleted by now don't come back, and stay unknown."""
    unknown, told = from_before(month, without), from_before(month, with_snapshots)
    assert len({row["ticket_id"] for row in unknown}) > 0.08 * len({row["ticket_id"] for row in without.breaches})
    assert {known_by(row, "group_id") for row in unknown} == {None}
    gone = {row["ticket_id"] for row in told if month.history(row["ticket_id"]).values_at(NOW).status == "deleted"}
    assert {known_by(row, "group_id") for row in told if row["ticket_id"] not in gone} == {"snapshot"}
    assert len(gone) < len(told) / 4


def test_a_gap_makes_values_assumed_or_unknown(with_snapshots, with_a_gap):
    before, after = (Counter(known_by(row, "group_id") for row in tables.rows) for tables in (with_snapshots, with_a_gap))
    assert (before["assumed"], after["assumed"] > 0, after["audit"] < before["audit"]) == (0, True, True)


@pytest.mark.parametrize("made", ["without", "with_snapshots", "with_a_gap"])
def test_the_figures_of_every_dimension_add_up_to_the_summary(made, request):
    tables = request.getfixturevalue(made)
    for day in DAYS:
        summary = added_up(rows_of(tables.store, SUMMARY, day))
        split = rows_of(tables.store, BY_DIMENSION, day)
        for dimension in {*DIMENSIONS, *CUSTOM} - {"tag"}:
            assert added_up([row for row in split if row["dimension"] == dimension]) == summary


def added_up(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], tuple[int, ...]]:
    sums: dict[tuple[Any, ...], Counter] = {}
    for row in rows:
        sums.setdefault((row["sla_metric"], row["business_hours"]), Counter()).update({name: row[name] for name in SUMS})
    return {key: tuple(found[name] for name in SUMS) for key, found in sums.items() if found.total()}


def test_a_breach_is_counted_under_the_group_that_had_the_ticket_then(month, with_snapshots):
    """Billing, though second level has the ticket now; also where Billing gave it away in the very second of the breach."""
    in_that_second = Counter()
    for day in DAYS:
        counted, at_least = Counter(), Counter()
        for row in rows_of(with_snapshots.store, BY_DIMENSION, day):
            if (row["dimension"], row["value"]) == ("group", str(BILLING)):
                counted[row["sla_metric"]] += row["breaches"]
        for row in with_snapshots.breaches_on(day):
            history = month.history(row["ticket_id"])
            if (truth_of(history, row).group_id, history.values_at(NOW).group_id) == (BILLING, SECOND_LEVEL):
                assert row["group_id"] == BILLING
                at_least[row["sla_metric"]] += 1
                in_that_second[history.values_at(epoch(row["at"])).group_id != BILLING] += 1
        assert counted >= at_least
    assert in_that_second[True] >= 1
    assert in_that_second[False] >= 3
