"""Names over real HTTP and real files: what is fetched, what a refusal leaves, and what readers see."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import AuthenticationError, ForbiddenError
from ticket_events_pipeline.settings import NAME_KINDS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tickets.fetched_names import RefreshedNames, refresh_names
from ticket_events_pipeline.tickets.names import (
    Names,
    fetched_at,
    names_path,
    read_kind,
    read_names,
    read_schedules,
    write_kind,
)
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline_tests.support.account_bench import whole_account
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer

ZEITPLAN = {
    "id": 51,
    "name": "B\u00fcrozeiten",
    "time_zone": "Vienna",
    "intervals": [{"start_time": 3420, "end_time": 3900}, {"start_time": 1980, "end_time": 2460}],
}
LISTS: dict[str, Any] = {
    "groups": [{"id": 1, "name": "Billing", "deleted": False}, {"id": 2, "name": "Old", "deleted": True}, {"name": "no id"}],
    "users": [{"id": 11, "name": "Ann", "email": "ann@example.com", "phone": "+43 1"}, {"id": 12, "name": None}],
    "users/show_many": [{"id": 13, "name": "Bob, who left", "role": "end-user"}],
    "brands": [{"id": 21, "name": "North", "active": True}],
    "ticket_forms": [{"id": 31, "name": "Refund \ud800"}],
    "organizations/show_many": [{"id": 41, "name": "Acme", "notes": "secret"}],
    "slas/policies": [{"id": 61, "title": "Gold"}],
    "group_slas/policies": [{"id": "01HV", "title": "Second level"}],
    "business_hours/schedules": [ZEITPLAN],
    "business_hours/schedules/51/holidays": [
        {"id": 1, "name": "New Year", "start_date": "2026-12-31", "end_date": "2027-01-01"}
    ],
}


class Office:
    """A scripted account and a root."""

    def __init__(self, server: ScriptedServer, root: Path) -> None:
        self.server, self.store, self.root = server, FolderStore(root), root
        self.log: list[str] = []
        self.now = NOW

    def refresh(self, *kinds: str) -> RefreshedNames:
        with AccountApi(
            self.server.url, BearerToken(SECRET), pace=AccountPace(), total_seconds=60, timeout_seconds=2, sleep=lambda _: None
        ) as api:
            return refresh_names(
                self.store, api, kinds or NAME_KINDS, timezone="UTC", clock=lambda: self.now, log=self.log.append
            )

    def appear(self, day: str, **ids: int) -> None:
        """Write `sla_target_dimensions` of a day with one row that has these ids."""
        table = TABLES["sla_target_dimensions"]
        rows = pa.Table.from_pylist([dict(ids)], table.schema)
        write_partition(self.store, table.name, Day.parse(day), rows, {})

    @property
    def names(self) -> Names:
        return read_names(self.store, log=self.log.append)


@contextmanager
def office(tmp_path: Path, lists: dict[str, Any] = LISTS, **answers: Item) -> Iterator[Office]:
    with ScriptedServer([whole_account({}, lists, **answers)] * 200) as server:
        yield Office(server, tmp_path / "root")


def test_every_kind_is_fetched_and_read(tmp_path: Path) -> None:
    """Ids are numbers, but for policies; those of readers may be text."""
    with office(tmp_path) as o:
        o.appear("2026-11-01", organization_id=41, assignee_id=13, assignee_id_eod=11)
        made = o.refresh()
        assert made == RefreshedNames(
            {
                "groups": 1,
                "agents": 1,
                "brands": 1,
                "ticket_forms": 1,
                "organizations": 1,
                "sla_policies": 1,
                "group_sla_policies": 1,
                "schedules": 1,
            }
        )
        names = o.names
        told = [
            names.of("groups", 1),
            names.of("groups", "1"),
            names.of("groups", 2),
            names.of("agents", 11),
            names.of("agents", 13),
            names.of("ticket_forms", 31),
            names.of("organizations", 41),
            names.of("sla_policies", "61"),
            names.of("group_sla_policies", "01HV"),
        ]
        assert told == ["Billing", "Billing", "Old", "Ann", "Bob, who left", "Refund \ufffd", "Acme", "Gold", "Second level"]
        assert [names.of("groups", None), names.of("groups", 9), names.of("groups", "x"), names.of("rooms", 1)] == [None] * 4
        assert names.all_of("groups") == {"1": "Billing"}
        assert [names.is_deleted("groups", 1), names.is_deleted("groups", 2), names.is_deleted("groups", 9)] == [
            False,
            True,
            False,
        ]
        assert o.log == []


def test_nothing_but_names_is_stored_of_people(tmp_path: Path) -> None:
    """No address, no number, no note."""
    with office(tmp_path) as o:
        o.appear("2026-11-01", organization_id=41)
        o.refresh()
        stored = b"".join(path.read_bytes() for path in (o.root / "zendesk_names").iterdir())
        assert read_kind(o.store, "agents").column_names == ["id", "name", "is_deleted", "seen_from", "seen_to"]  # type: ignore[union-attr]
        for text in (b"example.com", b"+43", b"secret", SECRET.encode()):
            assert text not in stored


def test_an_agent_who_left_is_asked_for_by_id_and_marked(tmp_path: Path) -> None:
    """Only where the tables hold the id; the list doesn't have it any more."""
    with office(tmp_path) as o:
        o.appear("2026-11-01", assignee_id=13)
        o.refresh("agents")
        assert read_kind(o.store, "agents")["is_deleted"].to_pylist() == [False, True]  # type: ignore[index]
        assert [request.path for request in o.server.requests] == ["/api/v2/users", "/api/v2/users/show_many"]
        assert o.server.requests[1].query == {"ids": "13"}


def test_only_organizations_that_appear_are_asked_for(tmp_path: Path) -> None:
    """An account may have millions; without any nothing is requested."""
    with office(tmp_path) as o:
        assert o.refresh("organizations").counts == {"organizations": 0}
        assert o.server.requests == []
        o.appear("2026-11-01", organization_id=41)
        o.appear("2026-11-02", organization_id=42)
        o.refresh("organizations")
        assert [request.query for request in o.server.requests] == [{"ids": "41,42"}]


def test_a_damaged_ticket_table_hides_no_name(tmp_path: Path) -> None:
    """Its own check reports it."""
    with office(tmp_path) as o:
        o.appear("2026-11-01", organization_id=41)
        o.appear("2026-11-02", organization_id=42)
        (o.root / "sla_target_dimensions" / "date=2026-11-02" / "sla_target_dimensions.parquet").write_text("x")
        assert o.refresh("organizations").counts == {"organizations": 1}


def test_a_schedule_is_read_as_the_rules_take_it(tmp_path: Path) -> None:
    """With its zone in Zendesk's words, sorted intervals, and holidays by their first and last day."""
    with office(tmp_path) as o:
        o.refresh("schedules")
        new_year = (dt.date(2026, 12, 31), dt.date(2027, 1, 1))
        assert read_schedules(o.store) == {
            51: Schedule(51, "B\u00fcrozeiten", "Vienna", ((1980, 2460), (3420, 3900)), (new_year,))
        }
        assert fetched_at(o.store, "schedules") == int(NOW)


def test_a_deleted_schedule_is_not_read(tmp_path: Path) -> None:
    """No hours are told by it any more."""
    lists = dict(LISTS)
    with office(tmp_path, lists) as o:
        o.refresh("schedules")
        lists["business_hours/schedules"] = []
        o.refresh("schedules")
        assert read_schedules(o.store) == {}
        assert o.names.of("schedules", 51) == "B\u00fcrozeiten"


@pytest.mark.parametrize("intervals", ["[[", "[[0, 100000000000]]", "[[0, Infinity]]"])
def test_a_schedule_that_cannot_be_read_stays_one_of_the_accounts_with_unknown_hours(tmp_path: Path, intervals: str) -> None:
    """Left out, the other one would seem to be the only one, and its hours those of every ticket."""
    with office(tmp_path) as o:
        o.refresh("schedules")
        rows = read_kind(o.store, "schedules")
        assert rows is not None
        spoilt = {**rows.to_pylist()[0], "id": 52, "intervals": intervals}
        write_kind(o.store, "schedules", pa.Table.from_pylist([*rows.to_pylist(), spoilt], rows.schema), fetched_at=1)
        found = read_schedules(o.store, log=o.log.append)
        assert (set(found), found[52].time_zone, found[52].intervals) == ({51, 52}, "", ())
        assert "The schedule 52 can't be read" in o.log[-1]


def test_a_renamed_group_is_shown_by_its_newest_name(tmp_path: Path) -> None:
    """The earlier name stays in the file."""
    lists = dict(LISTS)
    with office(tmp_path, lists) as o:
        o.refresh("groups")
        lists["groups"] = [{"id": 1, "name": "Accounts"}]
        o.now += 86_400
        o.refresh("groups")
        assert o.names.of("groups", 1) == "Accounts"
        assert pq.read_table(o.root / names_path("groups")).num_rows == 3


def test_a_kind_that_is_refused_leaves_the_others(tmp_path: Path) -> None:
    """Its stored names stay; the run is told which, and why."""
    answers: dict[str, Item] = {}
    with ScriptedServer([lambda request: whole_account({}, LISTS, **answers)(request)] * 99) as server:
        o = Office(server, tmp_path)
        o.refresh()
        answers |= {"group_sla_policies": (404, {}, {"error": "InvalidEndpoint"}), "users": (403, {}, {"error": "no"})}
        made = o.refresh()
        assert set(made.problems) == {"agents", "group_sla_policies"}
        assert "403 (no)" in made.problems["agents"]
        assert set(made.counts) == set(NAME_KINDS) - set(made.problems)
        assert o.names.of("agents", 11) == "Ann"
        assert [line.partition(";")[0] for line in o.log] == [
            "Names of agents were not fetched",
            "Names of group_sla_policies were not fetched",
        ]


def test_if_no_kind_can_be_fetched_the_run_fails(tmp_path: Path) -> None:
    """Green would mean that there are names."""
    with office(tmp_path, groups=(403, {}, "no"), users=(403, {}, "no")) as o, pytest.raises(ForbiddenError):
        o.refresh("groups", "agents", "organizations")


def test_wrong_credentials_are_tried_once(tmp_path: Path) -> None:
    """Not once a kind."""
    with office(tmp_path, users=(401, {}, {"error": "Couldn't authenticate you"})) as o:
        with pytest.raises(AuthenticationError):
            o.refresh("groups", "agents", "brands")
        assert len(o.server.requests) == 2


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("x"), lambda path: pq.write_table(pa.table({"id": [1]}), path)])
def test_a_damaged_file_is_told_and_made_again(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """Readers show ids until then."""
    with office(tmp_path) as o:
        o.refresh("groups", "schedules")
        for kind in ("groups", "schedules"):
            spoil(o.root / names_path(kind))
        assert o.names.of("groups", 1) is None
        assert "Names of groups are not shown" in o.log[0]
        assert read_schedules(o.store, log=o.log.append) == {}
        o.refresh("groups")
        assert o.names.of("groups", 1) == "Billing"


def test_without_names_there_are_none(tmp_path: Path) -> None:
    """A root that never fetched any is no error."""
    log: list[str] = []
    store = FolderStore(tmp_path)
    assert not read_names(store, log=log.append)
    assert read_schedules(store, log=log.append) == {}
    assert fetched_at(store, "groups") is None
    assert log == []
