"""Whose tickets a root holds: the support type scope is in its files, and a fetch never mixes two scopes."""

import logging
from typing import Any

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import ForeignRootError
from ticket_events_pipeline.ingest.journal import FetchState, Journal
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.sandbox.credentials import TokenWorld
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.damages import rewrite, with_field
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.faulty_account import ROW_OF
from ticket_events_pipeline_tests.support.fetches import Moment, fetch, ownership_of, stored_ids

EVENTS, METRIC = "ticket_events", "ticket_metric_events"
DAYS = days_between(Day.parse("2026-03-02"), Day.parse("2026-03-05"))
FIRST, LAST = str(DAYS[0]), str(DAYS[-1])

clock = Moment(DAYS[-1].start + 12 * 3600)


@pytest.fixture
def server():
    clock.now = DAYS[-1].start + 12 * 3600
    times = [day.start + hour * 3600 for day in DAYS for hour in range(11)]
    rows = {stream: [make(number, time) for number, time in enumerate(times, 1)] for stream, make in ROW_OF.items()}
    with SandboxServer(RecordedAccount(rows), clock=clock) as running:
        yield running


def fetched(server: SandboxServer, root: Any, stream: str = EVENTS, first: str = FIRST, scope: str = "agent", **rest: Any):
    return fetch(server, root, stream, first, LAST, clock=clock, support_type_scope=scope, **rest)


def without_scope(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name != "support_type_scope"}


def problems(root: Any, stream: str) -> list[str]:
    store = FolderStore(root)
    owner = owner_of(store, stream, DAYS, account=None, timezone="UTC")
    results = verify_days(store, stream=STREAMS[stream], days=DAYS, owner=owner, now=clock.now)
    return [str(finding) for result in results for finding in result.findings]


def test_the_scope_is_sent_and_stored_in_the_footer(server, tmp_path):
    fetched(server, tmp_path, scope="ai_agent")
    assert {seen.query["support_type_scope"] for seen in server.requests} == {"ai_agent"}
    assert {read_raw_footer(FolderStore(tmp_path), EVENTS, day).support_type_scope for day in DAYS} == {"ai_agent"}


@pytest.mark.parametrize(("stored", "asked"), [("agent", "all"), ("all", "agent"), ("ai_agent", "all")])
def test_ticket_events_of_another_scope_are_refused_before_any_request(server, tmp_path, stored, asked):
    fetched(server, tmp_path, scope=stored)
    already = len(server.requests)
    for first in (FIRST, LAST):
        with pytest.raises(
            ForeignRootError, match=f"ZENDESK_SUPPORT_TYPE_SCOPE: its files have {stored}, this fetch has {asked}"
        ):
            fetched(server, tmp_path, first=first, scope=asked)
    assert len(server.requests) == already


def test_metric_events_have_no_scope(server, tmp_path):
    """As with comments, the choice is about one stream: files of the other are no reason to refuse."""
    fetched(server, tmp_path, METRIC)
    fetched(server, tmp_path, EVENTS, scope="all")
    fetched(server, tmp_path, METRIC)
    assert read_raw_footer(FolderStore(tmp_path), METRIC, DAYS[0]).support_type_scope == "agent"
    assert all("support_type_scope" not in seen.query for seen in server.requests if METRIC in seen.path)


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_files_without_a_scope_count_as_agent(server, tmp_path, stream):
    """They verify, their open day is resumed, and only another scope is refused."""
    fetched(server, tmp_path, stream)
    for day in DAYS:
        rewrite(tmp_path, stream, day, footer=without_scope)
    assert problems(tmp_path, stream) == []
    clock.now += 6 * 3600
    already = len(server.requests)
    fetched(server, tmp_path, stream, first=LAST)
    assert int(server.requests[already].query["start_time"]) > DAYS[-1].start
    assert stored_ids(tmp_path, stream, DAYS[-1]) == list(range(34, 45))
    assert problems(tmp_path, stream) == []
    with pytest.raises(ForeignRootError, match="ZENDESK_SUPPORT_TYPE_SCOPE: its files have agent, this fetch has all"):
        fetched(server, tmp_path, stream, first=FIRST, scope="all")


def test_a_journal_without_a_scope_counts_as_agent(tmp_path):
    store, state = FolderStore(tmp_path), FetchState(DAYS[0], DAYS[-1], start_time=DAYS[0].start, server_time=int(clock.now))
    journal = Journal(store, EVENTS, ownership_of(DAYS[0]), fetch_id="p")
    del journal._identity["support_type_scope"]
    journal.save(state)
    others = {scope: ownership_of(DAYS[0], support_type_scope=scope) for scope in ("agent", "all")}
    found = {scope: list(Journal(store, EVENTS, owner, fetch_id="p").states("UTC")) for scope, owner in others.items()}
    assert found == {"agent": [state], "all": []}


def test_a_day_of_another_scope_among_the_others_is_named(server, tmp_path):
    fetched(server, tmp_path)
    with_field("support_type_scope", lambda _: "all")(tmp_path, EVENTS, DAYS[1])
    (problem,) = problems(tmp_path, EVENTS)
    assert "The file was made with other settings (ZENDESK_SUPPORT_TYPE_SCOPE all, not agent)." in problem


def warnings_of(deployment, result) -> list[str]:
    entries = deployment.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if entry.level == logging.WARNING]


def test_a_run_sends_the_scope_that_is_set_for_ticket_events_alone(tmp_path, monkeypatch):
    with deployed(tmp_path, now=clock.now) as deployment:
        monkeypatch.setenv("ZENDESK_SUPPORT_TYPE_SCOPE", "all")
        deployment.fetch(FIRST)
        assert deployment.footer(EVENTS, FIRST)["support_type_scope"] == "all"
        assert deployment.footer(METRIC, FIRST)["support_type_scope"] == "agent"
        asked = {(seen.path.rpartition("/")[2], seen.query.get("support_type_scope")) for seen in deployment.server.requests}
        assert asked == {(EVENTS, "all"), (METRIC, None)}
        monkeypatch.setenv("ZENDESK_SUPPORT_TYPE_SCOPE", "agent")
        assert not deployment.materialize(EVENTS, FIRST).success
        assert deployment.materialize(METRIC, FIRST).success


@pytest.mark.parametrize(
    ("world", "words"),
    [
        ({"fixed_ends_at": 4e9}, "ends at 2096-10-02T07:06:40Z"),
        ({}, "has no end yet"),
        ({"states_end": False}, "the token's end is unknown"),
    ],
)
def test_a_run_with_a_fixed_token_says_once_when_it_ends(tmp_path, world, words):
    with deployed(tmp_path, now=clock.now, tokens=TokenWorld(**world)) as deployment:
        result = deployment.run("fetch_ticket_events", FIRST, LAST)
        assert result.success
        (warning,) = warnings_of(deployment, result)
        assert words in warning
        assert "for a schedule set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET" in warning
        assert len(deployment.server.lookups) == 1


def test_a_run_with_a_refused_token_sends_no_request_about_it(tmp_path, monkeypatch):
    with deployed(tmp_path, now=clock.now) as deployment:
        monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
        assert not deployment.run("fetch_ticket_events", FIRST).success
        assert (len(deployment.server.requests), deployment.server.lookups) == (1, [])


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"ZENDESK_EMAIL": "sandbox@example.com", "ZENDESK_API_TOKEN": "sandbox"}, 1),
        ({"ZENDESK_OAUTH_CLIENT_ID": "sandbox", "ZENDESK_OAUTH_CLIENT_SECRET": "sandbox"}, 0),
    ],
)
def test_a_run_warns_once_of_an_api_token_and_not_of_an_oauth_client(tmp_path, monkeypatch, variables, count):
    with deployed(tmp_path, now=clock.now) as deployment:
        monkeypatch.delenv("ZENDESK_OAUTH_TOKEN")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        result = deployment.run("fetch_ticket_events", FIRST)
        assert result.success
        warnings = warnings_of(deployment, result)
        assert len(warnings) == count
        assert all("unused for 30 days" in warning for warning in warnings)
        assert deployment.server.lookups == []
