"""`ticket-events backfill` as a user runs it: days are fetched, made and recorded, and a stopped one resumes."""

import re
import shutil
import signal
import subprocess

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.commands import BIN, INVALID_TOKEN, new_place
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT

YESTERDAY = Day.containing(wall_clock()).plus(-1)


@pytest.fixture
def server():
    with SandboxServer(SimulatedAccount(tickets_per_day=5)) as running:
        yield running


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["2020-01-01"], 2, "is before the first partition. Set TICKET_EVENTS_START_DATE, now "),
        (["2199-01-01"], 2, "2199-01-01 is in the future"),
        (["soon"], 2, "'soon' is not a date"),
        (["yesterday", "--asset", "tickets"], 2, "--asset tickets: there is no such asset. Give one of ticket_events, "),
    ],
)
def test_days_that_are_no_partitions_and_unknown_assets_are_refused(tmp_path, arguments, code, words):
    ended = new_place(tmp_path, ZENDESK_SANDBOX="1").ticket_events("backfill", *arguments)
    assert (ended.code, words in " ".join(ended.output.split())) == (code, True), ended.output


def test_a_backfill_needs_dagster_home_and_credentials(tmp_path):
    place = new_place(tmp_path)
    ended = place.ticket_events("backfill", "yesterday", ZENDESK_SANDBOX="1", DAGSTER_HOME="")
    assert (ended.code, "DAGSTER_HOME is not set" in ended.output, "Traceback" in ended.output) == (1, True, False)
    ended = place.ticket_events("backfill", "yesterday")
    assert (ended.code, "ZENDESK_SUBDOMAIN is not set" in ended.output) == (1, True)


@pytest.mark.slow
def test_a_backfill_makes_all_assets_and_then_only_what_is_missing(tmp_path, server):
    place, first = new_place(tmp_path, server), YESTERDAY.plus(-2)
    days = {str(first.plus(offset)) for offset in range(3)}
    ended = place.ticket_events("backfill", f"{first}..{YESTERDAY}")
    assert (ended.code, "36/36" in ended.output) == (0, True), ended.output
    assert {asset: place.recorded_days(asset) for asset in (*ASSETS, REPORT)} == dict.fromkeys((*ASSETS, REPORT), days)
    assert f"The report of {YESTERDAY}: " in ended.output
    requests = len(server.requests)
    ended = place.ticket_events("backfill", "last-3-days", "--missing")
    assert (ended.code, ended.output.startswith("Nothing is missing: ")) == (0, True), ended.output
    shutil.rmtree(place.root / "ticket_events" / f"date={YESTERDAY}")
    shutil.rmtree(place.root / REPORT / f"date={first.plus(1)}")
    ended = place.ticket_events("backfill", "last-3-days", "--missing")
    fetched, changes, made = re.findall(r" of (2[\d-]+(?: to [\d-]+)?)", ended.output.split("\n")[0])
    assert (ended.code, fetched, changes) == (0, str(YESTERDAY), str(YESTERDAY)), ended.output
    assert made == f"{first.plus(1)} to {YESTERDAY}"
    assert 0 < len(server.requests) - requests <= 6
    assert (place.root / REPORT / f"date={first.plus(1)}" / f"{REPORT}.html").exists()


@pytest.mark.slow
def test_one_asset_can_be_made_alone(tmp_path, server):
    place = new_place(tmp_path, server)
    ended = place.ticket_events("backfill", "yesterday", "--asset", "ticket_metric_events")
    assert (ended.code, "1/1" in ended.output) == (0, True), ended.output
    assert {asset for asset in (*ASSETS, REPORT) if place.recorded_days(asset)} == {"ticket_metric_events"}


@pytest.mark.slow
def test_a_failed_backfill_names_the_reason(tmp_path, server):
    ended = new_place(tmp_path, server).ticket_events("backfill", "yesterday", ZENDESK_OAUTH_TOKEN=INVALID_TOKEN)
    assert ended.code == 1
    assert "The run of fetch_ticket_events failed.\nticket_events: GET /api/v2/incremental/ticket_events" in ended.output
    assert "Check ZENDESK_OAUTH_TOKEN." in ended.output
    assert "Traceback" not in ended.output
    assert INVALID_TOKEN not in ended.output


@pytest.mark.slow
def test_an_interrupted_backfill_ends_its_run_and_the_same_command_resumes(tmp_path):
    account = SimulatedAccount(tickets_per_day=200)
    with SandboxServer(account, requests_per_minute=3) as server:
        place = new_place(tmp_path, server)
        command = [str(BIN / "ticket-events"), "backfill", "last-3-days"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=place.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as going:
            try:
                seen = next(line for line in iter(going.stdout.readline, b"") if b"the export quota is used up" in line)
                assert b"waiting" in seen
                going.send_signal(signal.SIGINT)
                rest = going.stdout.read().decode()
                assert (going.wait(timeout=60), "Stopped. Finished days stay" in rest) == (1, True), rest
            finally:
                going.kill()
    assert "Traceback" not in rest
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        assert [run.is_finished for run in instance.get_runs()] == [True]
    with SandboxServer(account) as server:
        place.variables["ZENDESK_BASE_URL"] = server.base_url
        ended = place.ticket_events("backfill", "last-3-days")
        assert (ended.code, "36/36" in ended.output) == (0, True), ended.output
