"""`ticket-events ticket`: a ticket's story equals what plain queries find in the files, and says what decided each target."""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.ticket_story import read_story
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import METRIC, make_sla_days, put_raw_day, sla_root

FIRST, LAST = Day.parse("2026-03-02"), Day.parse("2026-03-11")
HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202eright to left"
DAY = Clock.DAY


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Ten days of the simulated account with their SLA tables."""
    root, clock = tmp_path_factory.mktemp("root"), Moment(LAST.end + 3600)
    with SandboxServer(SimulatedAccount(tickets_per_day=20), clock=clock) as server:
        for stream in ("ticket_events", METRIC):
            fetch(server, root, stream, str(FIRST), str(LAST), clock=clock)
    make_sla_days(root, FIRST, LAST)
    return root


def rows(root: Path, query: str, **parameters) -> list[tuple]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for asset in (METRIC, TARGETS):
        files = f"read_parquet('{root}/{asset}/date=*/*.parquet', hive_partitioning=true)"
        connection.execute(f"CREATE VIEW {asset} AS SELECT * FROM {files}")  # noqa: S608
    return connection.execute(query, parameters).fetchall()


def tickets(root: Path) -> list[int]:
    found = rows(root, f"SELECT ticket_id, count(*) FROM {METRIC} GROUP BY 1 ORDER BY 2 DESC LIMIT 12")  # noqa: S608
    return [ticket_id for ticket_id, _ in found]


@pytest.mark.parametrize("through", [LAST, LAST.plus(-4)])
def test_a_story_holds_what_queries_find(root, through):
    """Every event up to the day; of each clock the newest row of sla_targets; the breach events at its breached_at."""
    for ticket_id in tickets(root):
        story = read_story(FolderStore(root), ticket_id, through)
        asked = {"ticket": ticket_id, "day": str(through)}
        events = rows(
            root,
            "SELECT id, date::VARCHAR, epoch(time)::BIGINT, type, metric, instance_id FROM ticket_metric_events "
            "WHERE ticket_id = $ticket AND date <= $day::DATE",
            **asked,
        )
        told = [(event.id, str(event.day), event.time, event.type, event.metric, event.instance_id) for event in story.events]
        assert sorted(told) == sorted(events)
        assert [event.time for event in story.events] == sorted(event.time for event in story.events)
        targets = rows(
            root,
            "SELECT metric, instance_id, date::VARCHAR, outcome, epoch(breached_at)::BIGINT, overdue_seconds, "
            "(SELECT list(id ORDER BY id) FROM ticket_metric_events e WHERE e.ticket_id = t.ticket_id AND "
            "e.metric = t.metric AND e.instance_id = t.instance_id AND e.type = 'breach' AND NOT e.deleted AND "
            "e.time = t.breached_at AND "
            "e.date <= $day::DATE) FROM sla_targets t WHERE ticket_id = $ticket AND date <= $day::DATE "
            "QUALIFY row_number() OVER (PARTITION BY metric, instance_id ORDER BY date DESC) = 1",
            **asked,
        )
        found = [
            (
                target.metric,
                target.instance_id,
                str(target.day),
                target.outcome,
                target.breached_at,
                target.overdue_seconds,
                list(target.breached_by) or None,
            )
            for target in story.targets
        ]
        assert sorted(found) == sorted(targets, key=lambda row: row[:2])
        assert story.searched == tuple(days_between(FIRST, through))


def ticket(place, *arguments, **variables):
    """The command in this process, without anything of its environment."""
    everything = {**dict.fromkeys(os.environ), **place.env(**variables)}
    ended = CliRunner().invoke(commands, ["ticket", *arguments], env=everything)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


@pytest.fixture
def place(tmp_path):
    """A ticket whose first target is breached, whose second is achieved, and whose third lost its policy."""
    events = [
        *Clock(ticket_id=7).apply(9, 60, title=HOSTILE).add("breach", 10).add("fulfill", 34).events,
        *Clock(ticket_id=7, first_id=21, metric="agent_work_time").apply(9, 60).add("fulfill", 9.5).events,
        *Clock(ticket_id=7, first_id=31, metric="resolution_time").apply(9, 60).add("apply_sla", 9.5).events,
    ]
    found = new_place(tmp_path)
    sla_root(found.root, events, DAY, DAY.plus(2))
    return found


def test_each_target_names_the_events_that_decided_it(place):
    told = json.loads(ticket(place, "7", "--json").stdout)
    found = {target["metric"]: (target["outcome"], target["day"], target["closed_by"]) for target in told["targets"]}
    by_type = {(event["metric"], event["type"]): event["id"] for event in told["events"]}
    applies = [event["id"] for event in told["events"] if event["metric"] == "resolution_time" and event["is_group"] is None]
    assert found == {
        "requester_wait_time": ("breached", str(DAY.plus(1)), [by_type["requester_wait_time", "fulfill"]]),
        "agent_work_time": ("achieved", str(DAY), [by_type["agent_work_time", "fulfill"]]),
        "resolution_time": ("cancelled", str(DAY), applies),
    }
    assert len(applies) == 1
    (breached,) = [target for target in told["targets"] if target["breached_at"]]
    assert breached["breached_by"] == [by_type["requester_wait_time", "breach"]]
    assert breached["breached_at"] == f"{DAY}T10:00:00Z"


def test_the_text_tells_the_same_and_does_nothing_to_the_terminal(place):
    ended = ticket(place, "7")
    assert ended.exit_code == 0, ended.output
    assert f"Searched: 3 stored days, {DAY} to {DAY.plus(2)}. Times are UTC." in ended.stdout
    assert f"Requester wait time: breached, fulfilled late as of {DAY.plus(1)}" in ended.stdout
    assert r"\x1b[2J\x1b]0;owned\x07" in ended.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.stdout)
    assert "takes the policy away" in ended.stdout
    assert ", was late for 24 h\n" in ended.stdout


def test_a_day_ends_the_story(place):
    told = json.loads(ticket(place, "7", "--date", str(DAY), "--json").stdout)
    assert {target["outcome"] for target in told["targets"]} == {"breached_open", "achieved", "cancelled"}
    assert told["through"] == str(DAY)
    assert ", late for 14 h\n" in ticket(place, "7", "--date", str(DAY)).stdout  # until midnight, and still
    assert "fulfill" not in {event["type"] for event in told["events"] if event["metric"] == "requester_wait_time"}


def test_an_unknown_ticket_is_said_with_what_was_searched(place):
    ended = ticket(place, "8")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Nothing is known of ticket 8. Searched: 3 stored days, {DAY} to {DAY.plus(2)}.")


def test_an_empty_root_is_said(tmp_path):
    ended = ticket(new_place(tmp_path), "8")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "are stored below" in ended.stderr


def test_a_file_that_cant_be_read_is_named_and_the_rest_is_told(place):
    (place.root / partition_path(METRIC, DAY.plus(1))).write_bytes(b"damaged")
    ended = ticket(place, "7")
    assert ended.exit_code == 0
    assert f"date={DAY.plus(1)}" in ended.stderr
    assert "breached, fulfilled late" in ended.stdout  # the tables were made before


def test_an_event_of_both_streams_is_told_once_as_it_was_fetched_last(place):
    """The audit stream delivered the breach again later, taken back."""
    (breach,) = [event for event in Clock(ticket_id=7).apply(9, 60).add("breach", 10).events if event["type"] == "breach"]
    later = {"fetched_at": str(DAY.end + 90_000)}
    put_raw_day(place.root, [{**breach, "deleted": True}], DAY, stream="ticket_events", more_footer=later)
    told = json.loads(ticket(place, "7", "--json").stdout)
    assert [event["deleted"] for event in told["events"] if event["id"] == breach["id"]] == [True]
