"""Snapshots over real HTTP and real files: what is asked for, what is stored of it, and what happens when it can't be."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.snapshots import (
    SNAPSHOTS_SCHEMA,
    STATUS_PATH,
    TICKET_SNAPSHOTS,
    Snapshots,
    read_status,
    snapshot_rows,
)
from ticket_events_pipeline.zendesk.account_api import AccountApi
from ticket_events_pipeline.zendesk.account_pace import AccountPace
from ticket_events_pipeline_tests.support.account_bench import whole_account
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer, hang

TODAY = str(Day.containing(NOW))
NOW_MS = int(NOW) * 1000
FIELDS = ("status", "group_id", "assignee_id", "channel", "tags", "schedule_id", "custom_field:77")


def ticket(id_: int, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "subject": "A secret subject",
        "description": "A secret text",
        "status": "open",
        "group_id": 5,
        "assignee_id": None,
        "via": {"channel": "web", "source": {"from": {"address": "ann@example.com"}}},
        "tags": ["vip", "a\u00fcto", "billing"],
        "custom_fields": [{"id": 77, "value": True}, {"id": 78, "value": "secret"}],
        "updated_at": "2027-01-14T10:00:00Z",
        **more,
    }


class Desk:
    """A scripted account, a root, and snapshots of one run or several."""

    def __init__(self, server: ScriptedServer, root: Path) -> None:
        self.server, self.url = server, server.url
        self.store = FolderStore(root)
        self.now = NOW
        self.log: list[str] = []

    def run(self, **options: Any) -> Snapshots:
        return Snapshots(self.store, "UTC", open_api=self.open_api, clock=lambda: self.now, log=self.log.append, **options)

    def open_api(self) -> AccountApi:
        return AccountApi(
            self.url,
            BearerToken(SECRET),
            pace=AccountPace(),
            total_seconds=30,
            timeout_seconds=0.3,
            sleep=lambda _: None,
            clock=lambda: self.now,
        )

    @property
    def asked(self) -> list[list[int]]:
        return [[int(text) for text in request.query["ids"].split(",")] for request in self.server.requests]

    def rows(self, *tickets: int) -> list[tuple[Any, ...]]:
        return [tuple(row.values())[:3] for row in self.run().stored(tickets).to_pylist()]


@contextmanager
def desk(tmp_path: Path, known: dict[int, dict[str, Any]] | None = None, /, **answers: Item) -> Iterator[Desk]:
    usual = {1: ticket(1), 2: ticket(2, group_id=6)}
    with ScriptedServer([whole_account(usual if known is None else known, **answers)] * 500) as server:
        yield Desk(server, tmp_path / "root")


def test_only_the_fields_that_are_asked_for_are_stored(tmp_path: Path) -> None:
    """Text as in `ticket_field_changes`; no subject, no text, no other custom field, no address."""
    with desk(tmp_path) as d:
        d.run().ask([1], FIELDS)
        table = d.run().stored([1])
        assert table.schema.equals(SNAPSHOTS_SCHEMA)
        assert d.rows(1) == [
            (1, "assignee_id", None),
            (1, "channel", "web"),
            (1, "custom_field:77", "true"),
            (1, "group_id", "5"),
            (1, "status", "open"),
            (1, "tags", '["a\\u00fcto","billing","vip"]'),
        ]
        assert set(table["seen_at"].cast("int64").to_pylist()) != {None}
        assert set(table["updated_at"].cast("int64").to_pylist()) == {1_799_920_800_000}
        (file,) = (tmp_path / "root" / TICKET_SNAPSHOTS / f"date={TODAY}").iterdir()
        assert b"secret" not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_ticket_that_does_not_come_back_is_remembered_as_asked(tmp_path: Path) -> None:
    """It has one row without a field, and isn't asked for again that day."""
    with desk(tmp_path) as d:
        d.run().ask([1, 404], ["status"])
        assert d.rows(1, 404) == [(1, "status", "open"), (404, None, None)]
        d.run().ask([1, 404, 2], ["status"])
        assert d.asked == [[1, 404], [2]]


def test_a_ticket_is_asked_for_again_on_another_day(tmp_path: Path) -> None:
    """Its snapshots of both days are stored, each in its day's folder."""
    with desk(tmp_path) as d:
        d.run().ask([1], ["status"])
        d.now += 86_400
        run = d.run()
        run.ask([1], ["status"])
        assert d.asked == [[1], [1]]
        assert len(run.stored([1])) == 2
        assert len(run.stored([1], since=Day.containing(d.now))) == 1
        assert len(run.stored([2])) == len(run.stored([])) == 0


def test_a_hundred_tickets_a_request_and_no_more_requests_than_a_run_may_make(tmp_path: Path) -> None:
    """The others are left to later runs of the same day, and the log says how many."""
    with desk(tmp_path, {}) as d:
        d.run(most_requests=2).ask(range(1, 251), ["status"])
        assert [len(ids) for ids in d.asked] == [100, 100]
        assert "50 tickets more could be asked for" in d.log[0]
        d.run().ask(range(1, 251), ["status"])
        assert d.asked[2] == list(range(201, 251))


def test_the_bound_holds_for_all_askings_of_a_run(tmp_path: Path) -> None:
    """A range of days asks once a day."""
    with desk(tmp_path, {}) as d:
        run = d.run(most_requests=1)
        run.ask([1], ["status"])
        run.ask([2], ["status"])
        assert d.asked == [[1]]
        assert "1 ticket more could be asked for" in d.log[-1]


def test_nothing_is_asked_without_tickets_or_fields_that_tickets_tell(tmp_path: Path) -> None:
    """A ticket doesn't tell its schedule."""
    with desk(tmp_path) as d:
        d.run().ask([], FIELDS)
        d.run().ask([1], ["schedule_id"])
        assert d.asked == []
        assert read_status(d.store) is None


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ((401, {}, {"error": "Couldn't authenticate you"}), "Couldn't authenticate you"),
        ((403, {}, {"error": "Forbidden"}), "403 (Forbidden)"),
        ((404, {}, {"error": "InvalidEndpoint"}), "404 (InvalidEndpoint)"),
        ((429, {"Retry-After": "3600"}, "slow down"), "asks to wait 3600 s"),
        ((200, {}, '{"tickets": [{"id"'), "failed after 4 attempts"),
        ((200, {}, {"tickets": 1}), "200 without a list of tickets"),
        (hang(5), "no answer within 0.3 s"),
    ],
    ids=["401", "403", "404", "429", "cut", "odd", "slow"],
)
def test_a_refusal_leaves_the_values_unknown_and_is_told(tmp_path: Path, item: Item, words: str) -> None:
    """No exception; a line in the log, a note for the check; and in this run no further request."""
    with desk(tmp_path, tickets=item) as d:
        run = d.run()
        run.ask([1], ["status"])
        made = len(d.server.requests)
        run.ask([2], ["status"])
        assert len(d.server.requests) == made
        assert d.rows(1, 2) == []
        assert words in run.problems[0]
        assert "those values stay unknown" in d.log[-1]
        assert words in d.log[-1]
        status = read_status(d.store)
        assert status is not None
        assert (status.asked_at, status.tickets, status.answered) == (int(NOW), 1, 0)
        assert words in str(status.problem)


def test_what_came_before_a_refusal_is_stored(tmp_path: Path) -> None:
    """A later run asks for the rest, and the note says that all is well again."""
    good = whole_account({id_: ticket(id_) for id_ in range(1, 300)})
    with ScriptedServer([good, (403, {}, "no"), good, good]) as server:
        d = Desk(server, tmp_path)
        d.run().ask(range(1, 151), ["status"])
        assert len(d.rows(*range(1, 300))) == 100
        assert (read_status(d.store).answered, read_status(d.store).tickets) == (100, 150)  # type: ignore[union-attr]
        d.run().ask(range(1, 151), ["status"])
        assert d.asked[2] == list(range(101, 151))
        assert read_status(d.store).problem is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (
            {"group_id": 2**70, "priority": {"a": [1, None]}, "type": "\ud800x"},
            ["1180591620717411303424", '{"a":[1,null]}', "\ufffdx"],
        ),
        ({"group_id": None, "priority": 1.5, "type": ""}, [None, "1.5", ""]),
        ({}, []),
    ],
)
def test_odd_values_become_text(sent: dict[str, Any], told: list[str | None]) -> None:
    """Whatever JSON holds; a field that isn't sent stays unknown."""
    assert [value for _, value in snapshot_rows(sent, ["group_id", "priority", "type"])] == told


@pytest.mark.parametrize("custom", [None, 5, [None, {"id": 1}, {"value": 2}], [{"id": "77", "value": ["b", "a"]}]])
def test_odd_custom_fields_and_channels_break_nothing(custom: Any) -> None:
    """What can't be read stays unknown."""
    told = dict(snapshot_rows({"custom_fields": custom, "via": "web", "tags": "x"}, ["custom_field:77", "channel", "tags"]))
    assert told in ({}, {"custom_field:77": '["b","a"]'})


def test_odd_times_are_unknown(tmp_path: Path) -> None:
    """A ticket whose updated_at can't be read is as good as one without."""
    odd = {1: ticket(1, updated_at="yesterday"), 2: ticket(2, updated_at="2027-01-14T10:00:00"), 3: ticket(3, updated_at=7)}
    with desk(tmp_path, odd) as d:
        d.run().ask([1, 2, 3], ["status"])
        assert d.run().stored([1, 2, 3])["updated_at"].null_count == 3


def test_the_askings_of_a_day_end_in_one_file(tmp_path: Path) -> None:
    """A year of hourly askings would else be thousands of small files; the folder stays a plain table."""
    with desk(tmp_path, {id_: ticket(id_) for id_ in range(9)}) as d:
        for id_ in range(9):
            d.run().ask([id_], ["status", "group_id"])
        folder = tmp_path / "root" / TICKET_SNAPSHOTS
        assert len(list(folder.glob("*/*"))) == 1
        assert ds.dataset(folder, partitioning="hive").count_rows() == 18


def _ask_some(url: str, root: str, first: int) -> None:
    d = Desk(ScriptedServer(is_deaf=True), Path(root))
    d.url = url
    for id_ in range(first, first + 8):
        d.run().ask([id_], ["status"])


@pytest.mark.slow
def test_two_processes_that_ask_at_once_lose_nothing_and_a_reader_sees_all(tmp_path: Path) -> None:
    """Each writes files of its own; what a reader has seen it sees again."""
    with desk(tmp_path, {id_: ticket(id_) for id_ in range(100)}) as d:
        context = multiprocessing.get_context("spawn")
        writers = [
            context.Process(target=_ask_some, args=(d.server.url, str(tmp_path / "root"), first)) for first in (10, 30, 50)
        ]
        for writer in writers:
            writer.start()
        seen: set[int] = set()
        while any(writer.is_alive() for writer in writers):
            now = {row[0] for row in d.rows(*range(100))}
            assert seen <= now
            seen = now
        assert [writer.exitcode for writer in writers] == [0, 0, 0]
        assert {row[0] for row in d.rows(*range(100))} == {*range(10, 18), *range(30, 38), *range(50, 58)}


def test_a_damaged_file_is_named_and_left_out(tmp_path: Path) -> None:
    """The other files are read, and a damaged one is never removed."""
    with desk(tmp_path) as d:
        d.run().ask([1], ["status"])
        folder = tmp_path / "root" / TICKET_SNAPSHOTS / f"date={TODAY}"
        (whole,) = folder.iterdir()
        (folder / "cut.parquet").write_bytes(whole.read_bytes()[:-9])
        assert d.rows(1) == [(1, "status", "open")]
        assert "cut.parquet can't be read as Parquet" in d.log[-1]
        d.run().ask([2], ["status"])
        assert (folder / "cut.parquet").exists()
        assert len(d.rows(1, 2)) == 2


def test_a_root_that_cannot_be_written_is_told_and_nothing_else(tmp_path: Path) -> None:
    """A full disk fails what must be written, not the asking."""
    with desk(tmp_path) as d:
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / TICKET_SNAPSHOTS).write_text("a file in the place of the folder")
        run = d.run()
        run.ask([1], ["status"])
        assert "TICKET_EVENTS_ROOT: can't" in run.problems[0]


def test_a_damaged_note_is_no_note(tmp_path: Path) -> None:
    """The check has nothing to say then."""
    with desk(tmp_path) as d:
        d.run().ask([1], ["status"])
        (tmp_path / "root" / STATUS_PATH).write_text("{")
        assert read_status(d.store) is None


@pytest.mark.parametrize(
    "variables",
    [
        {"ZENDESK_SNAPSHOTS": "0", "ZENDESK_OAUTH_TOKEN": SECRET},
        {},
        {"ZENDESK_OAUTH_TOKEN": SECRET, "ZENDESK_REQUESTS_PER_MINUTE": "no"},
    ],
    ids=["off", "no credentials", "malformed"],
)
def test_a_pipeline_without_snapshots_or_credentials_asks_nothing(tmp_path: Path, variables: dict[str, str]) -> None:
    """And says nothing: it is as it was chosen."""
    with desk(tmp_path) as d:
        pipeline = pipeline_of({"TICKET_EVENTS_ROOT": str(tmp_path), "ZENDESK_BASE_URL": d.server.url, **variables})
        snapshots = pipeline.snapshots(d.log.append)
        snapshots.ask([1], ["status"])
        assert len(snapshots.stored([1])) == 0
        assert d.asked == []
        assert d.log == []
        assert snapshots.problems == []


def test_a_pipeline_with_credentials_asks(tmp_path: Path) -> None:
    """And its own clients are not asked again with credentials that were refused."""
    with desk(tmp_path, tickets=(401, {}, {"error": "Couldn't authenticate you"})) as d:
        pipeline = pipeline_of(
            {"TICKET_EVENTS_ROOT": str(tmp_path), "ZENDESK_BASE_URL": d.server.url, "ZENDESK_OAUTH_TOKEN": SECRET}
        )
        first, second = pipeline.snapshots(d.log.append), pipeline.snapshots(d.log.append)
        first.ask([1], ["status"])
        second.ask([1], ["status"])
        assert len(d.server.requests) == 1
        assert second.problems == first.problems != []


def test_the_root_must_be_valid(tmp_path: Path) -> None:
    """What nothing can be read of is an error."""
    with pytest.raises(SettingsError):
        pipeline_of({"TICKET_EVENTS_ROOT": "ftp://x"}).snapshots(print)


@pytest.mark.slow
def test_snapshots_lie_in_a_bucket_too(bucket_root: str) -> None:
    """The askings of a day end in one object there."""
    with ScriptedServer([whole_account({id_: ticket(id_) for id_ in range(4)})] * 9) as server:
        variables = {"TICKET_EVENTS_ROOT": bucket_root, "ZENDESK_BASE_URL": server.url, "ZENDESK_OAUTH_TOKEN": SECRET}
        for id_ in range(4):
            pipeline = pipeline_of(variables)
            pipeline.snapshots(print).ask([id_], ["status"])
        assert len([path for path in pipeline.store.paths(TICKET_SNAPSHOTS) if path.endswith(".parquet")]) == 1
        assert len(pipeline.snapshots(print).stored(range(4))) == 4
        assert read_status(pipeline.store).answered == 1  # type: ignore[union-attr]
