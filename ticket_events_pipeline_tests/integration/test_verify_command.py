"""`ticket-events verify` as a user runs it: without credentials, one line per day, and a reliable exit code."""

import json
import re
import shlex
import shutil

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.commands import INVALID_TOKEN, new_place
from ticket_events_pipeline_tests.support.damages import row_removed, with_rows
from ticket_events_pipeline_tests.support.fetches import Moment, fetching

EVENTS, METRIC = "ticket_events", "ticket_metric_events"
DAYS = days_between(Day.parse("2026-03-02"), Day.parse("2026-03-04"))
HERE = "127.0.0.1"
"""The account of a server on the loopback: its files are made under that name."""


def metric_event(number):
    time = f"2026-03-0{2 + number % 3}T{number % 24:02}:00:00Z"
    return {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "breach", "time": time}


ROWS = [metric_event(number) for number in range(1, 60)]


@pytest.fixture
def account():
    return RecordedAccount({METRIC: ROWS})


@pytest.fixture
def server(account):
    with SandboxServer(account, clock=Moment(DAYS[-1].end + 86_400), page_limit=8) as server:
        yield server


@pytest.fixture
def place(tmp_path, server):
    """Three fetched days of both streams, and no credential."""
    clock = Moment(DAYS[-1].end + 86_400)
    for stream in STREAMS:
        list(fetching(server, tmp_path / "root", stream, DAYS, clock=clock, account=HERE))
    return new_place(tmp_path)


def test_whole_days_are_listed_line_by_line_without_any_credential(place):
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-04")
    assert ended.code == 0, ended.output
    lines = [line for line in ended.output.splitlines() if line.startswith("ok ")]
    assert [re.split(r" {2,}", line)[-1] for line in lines] == ["complete"] * 6
    assert [(line.split()[1], line.split()[2]) for line in lines] == [(str(day), name) for name in STREAMS for day in DAYS]
    assert ended.output.splitlines()[-1] == (
        "All 6 day files are complete and consistent so far; "
        "compared with each other and with the stored days up to 7 days away."
    )
    assert "\x1b" not in ended.output


def test_without_days_every_stored_one_is_verified_with_the_gaps_between_them(place):
    assert len(re.findall("^ok ", place.ticket_events("verify").output, re.MULTILINE)) == 6
    shutil.rmtree(place.root / f"{METRIC}/date={DAYS[1]}")
    ended = place.ticket_events("verify")
    assert ended.code == 1
    assert ended.output.splitlines()[-1] == f"      {DAYS[1]} {METRIC}"
    alone = place.ticket_events("verify", "2026-03-02", "--stream", METRIC)
    assert alone.output.splitlines()[-1].startswith("The day file is complete and consistent so far")


def test_json_is_one_document_with_every_day_and_finding(place):
    with_rows(row_removed)(place.root, METRIC, DAYS[1])
    ended = place.ticket_events("verify", "--json")
    document = json.loads(ended.output)
    assert ended.code == 1
    assert document["is_whole"] is False
    assert [(found["stream"], found["day"]) for found in document["day_files"]] == [(s, str(d)) for s in STREAMS for d in DAYS]
    (broken,) = [found for found in document["day_files"] if not found["is_whole"]]
    assert (broken["stream"], broken["day"], broken["state"]) == (METRIC, "2026-03-03", "complete")
    assert {finding["remedy"] for finding in broken["findings"]} == {"Materialize ticket_metric_events of 2026-03-03 again."}
    assert document["against_api"] is None


def test_an_empty_root_is_an_error_that_says_what_to_run(tmp_path):
    ended = new_place(tmp_path).ticket_events("verify")
    assert ended.code == 1
    assert ended.output.endswith(
        "is stored below " + str(tmp_path / "root") + ". To fetch a week: ticket-events backfill last-7-days\n"
    )


def test_days_outside_the_partitions_are_named(place):
    ended = place.ticket_events("verify", "2024-12-31..2025-01-01")
    assert (
        "Before the first partition: 2024-12-31. Set TICKET_EVENTS_START_DATE, now 2025-01-01, to 2024-12-31 or earlier."
        in ended.output
    )


def test_a_damaged_day_is_named_with_what_to_do_and_the_exit_code_is_1(place):
    with_rows(row_removed)(place.root, METRIC, DAYS[1])
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-04")
    assert ended.code == 1
    assert "Materialize ticket_metric_events of 2026-03-03 again." in ended.output
    assert ended.output.splitlines()[-2:] == ["1 of 6 day files is not whole:", "      2026-03-03 ticket_metric_events"]
    assert place.ticket_events("verify", "2026-03-02", "2026-03-04", "--stream", EVENTS).code == 0


@pytest.mark.slow
def test_a_moved_event_is_named_and_stored_once_after_the_printed_command(place, account):
    """Only the later of its days was read since."""
    account.deliver(METRIC, [{**metric_event(1), "time": "2026-03-04T00:00:00Z"}])
    with SandboxServer(account, clock=Moment(DAYS[-1].end + 90_000), page_limit=8) as server:
        list(fetching(server, place.root, METRIC, DAYS[2:], clock=Moment(DAYS[-1].end + 90_000), account=HERE))
        ended = place.ticket_events("verify", "2026-03-04", "2026-03-04")
        assert ended.code == 1
        assert "1 event (id 1) is stored on 2026-03-03 as well." in ended.output
        (command,) = set(re.findall(r"`ticket-events ([^`]+)`", ended.output))
        place.variables.update(ZENDESK_BASE_URL=server.base_url, ZENDESK_OAUTH_TOKEN="sandbox")
        ran = place.ticket_events(*shlex.split(command))
        assert ran.code == 0, ran.output
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-04")
    assert ended.code == 0, ended.output


def test_the_files_of_another_account_are_named(place):
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-02", ZENDESK_SUBDOMAIN="acme")
    assert ended.code == 1
    assert "ZENDESK_SUBDOMAIN 127.0.0.1, not acme" in ended.output


@pytest.mark.slow
def test_a_stated_sample_is_compared_with_the_api_and_late_events_are_named(place, server, account):
    place.variables.update(ZENDESK_BASE_URL=server.base_url, ZENDESK_OAUTH_TOKEN="sandbox")
    before = len(server.requests)
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-04", "--against-api", "--sample", "2", "--seed", "4")
    assert ended.code == 0, ended.output
    # There are no ticket events: their ledger is one empty page.
    assert re.findall(r"against the API: (\d+) of (\d+) pages? of whole days, drawn with --seed 4", ended.output) == [
        ("1", "1"),
        ("2", "10"),
    ]
    assert 3 <= len(server.requests) - before <= 4
    account.deliver(METRIC, [{**metric_event(99), "time": "2026-03-03T05:00:01Z"}])
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-04", "--against-api", "--sample", "100")
    assert ended.code == 1
    assert "2026-03-03: 1 event is in the API, but not in the file" in ended.output
    assert "(id 99). Materialize ticket_metric_events of 2026-03-03 again." in ended.output


def test_a_wrong_credential_fails_and_is_not_shown(place, server):
    place.variables.update(ZENDESK_BASE_URL=server.base_url, ZENDESK_OAUTH_TOKEN=INVALID_TOKEN)
    ended = place.ticket_events("verify", "2026-03-02", "2026-03-04", "--against-api")
    assert ended.code == 1
    assert "401" in ended.output
    assert INVALID_TOKEN not in ended.output


@pytest.mark.parametrize("span", [("2026-03-04", "2026-03-02"), ("2026-3-4", "2026-03-05"), ("2026-03-04..yesteryear",)])
def test_a_malformed_range_is_wrong_usage(tmp_path, span):
    ended = new_place(tmp_path).ticket_events("verify", *span)
    assert ended.code == 2
    assert "Traceback" not in ended.output
