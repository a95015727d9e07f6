"""Commands that are really killed: they free their days at once, aren't retried, and the hourly fetch fills their gap."""

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.run_marks import mark_of
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, WILL_RETRY_TAG, days_in_progress, range_tags
from ticket_events_pipeline.sandbox.rows import STREAMS
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition, stored_days
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import DEFINITIONS, new_place
from ticket_events_pipeline_tests.support.deployment import QUIET, REPOSITORY
from ticket_events_pipeline_tests.support.events import audit, metric_event
from ticket_events_pipeline_tests.support.gated_account import GatedAccount
from ticket_events_pipeline_tests.support.run_looks import NOTHING, Looks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux shows when a process began"),
]

DAYS = days_between(Day.parse("2026-03-02"), Day.parse("2026-03-10"))
BACKFILL, BY_THE_HOUR = DAYS[:6], DAYS[6:]
ROWS_A_DAY = 96
NUMBERS = range(ROWS_A_DAY * len(DAYS))

# `dg launch --assets` and `dagster asset materialize` are one function.
COMMANDS = {
    "dagster": ("-m", "dagster", "asset", "materialize", "--select", "group:zendesk"),
    "dg": ("-m", "dagster_dg_cli.cli", "launch", "--assets", "group:zendesk"),
}

DYING = """
import os, signal
import dagster as dg
from ticket_events_pipeline import definitions
dying = dg.ResourceDefinition(lambda _: os.kill(os.getpid(), signal.SIGKILL))
defs = dg.Definitions(definitions.defs.assets, resources={"pipeline": dying}, executor=dg.in_process_executor)
"""


@pytest.fixture
def server():
    moment = [DAYS[0].start + number * 86_400 // ROWS_A_DAY for number in NUMBERS]
    rows = {
        "ticket_events": [audit(number + 1, moment[number]) for number in NUMBERS],
        "ticket_metric_events": [metric_event(number + 1, moment[number]) for number in NUMBERS],
    }
    account = GatedAccount(rows)
    with SandboxServer(account, page_limit=ROWS_A_DAY // 2) as running:
        running.account = account
        yield running
        account.released.set()


@pytest.fixture
def place(tmp_path, server, monkeypatch):
    made = new_place(tmp_path / "place", server, ZENDESK_REQUESTS_PER_MINUTE="100000")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def instance(place):
    with dg.DagsterInstance.from_config(str(place.home)) as opened:
        assert opened.get_runs() == []  # two processes can't make Dagster's database at once
        yield opened


def started(place, kind, module=DEFINITIONS):
    command = [sys.executable, *COMMANDS[kind], "--partition-range", f"{BACKFILL[0]}...{BACKFILL[-1]}", "-m", module]
    env = place.env(PYTHONPATH=f"{CHECKOUT}{os.pathsep}{place.folder}")
    with (place.folder / f"log-{wall_clock()}").open("w") as log:  # the child writes on
        return subprocess.Popen(command, cwd=place.folder, env=env, stdout=log, stderr=log)


def held(instance):
    keys = [dg.AssetKey(stream) for stream in STREAMS]
    return sorted(days_in_progress(instance, REPOSITORY, keys, timezone="UTC"))


def tags_of_the_hourly_fetch(instance, today):
    at = dt.datetime.combine(today.date, dt.time(12, 7), dt.UTC)
    context = dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=REPOSITORY)
    return REPOSITORY.get_schedule_def("hourly_fetch")(context).tags


def fetch(instance, **tags):
    job = defs.resolve_job_def("fetch_ticket_events")
    result = job.execute_in_process(run_config=QUIET, instance=instance, tags=tags, raise_on_error=False)
    assert result.success
    return result


def tick(instance):
    return Looks(instance).look()


def only_run(instance):
    (run,) = instance.get_runs(dg.RunsFilter(job_name="__ASSET_JOB"))
    return run


@pytest.mark.timeout(300)
def test_the_gap_of_a_killed_backfill_is_filled_by_the_next_hourly_fetch(place, server, instance):
    """The days are free whether `dead_runs_sensor` has ended the run or not."""
    tomorrow = DAYS[-1].plus(1)
    fetch(instance, **range_tags(BY_THE_HOUR[0], BY_THE_HOUR[-1]))
    server.account.close_gate_at(server.account.asked + 9)
    command = started(place, "dg")
    assert server.account.reached.wait(90)
    assert held(instance) == BACKFILL
    assert tags_of_the_hourly_fetch(instance, tomorrow) == range_tags(tomorrow, tomorrow)
    assert tick(instance) == NOTHING
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    server.account.released.set()

    assert set(stored_days(FolderStore(place.root), "ticket_events", "UTC")) > set(BY_THE_HOUR)
    assert held(instance) == []
    tags = tags_of_the_hourly_fetch(instance, tomorrow)
    note = f"Filled: a gap before newer complete days, {BACKFILL[0]} to {BACKFILL[-1]}."  # the other stream had not begun
    assert tags == {**range_tags(BACKFILL[0], tomorrow), "ticket_events/note": note}

    run = only_run(instance)
    assert tick(instance) == f"Ended: {run.run_id}."
    ended = instance.get_run_by_id(run.run_id)
    assert (ended.status.value, ended.tags[WILL_RETRY_TAG]) == ("FAILURE", "false")
    assert "so Dagster does not start it again" in instance.all_logs(run.run_id)[-1].dagster_event.message
    assert held(instance) == []

    result = fetch(instance, **tags)
    assert note in [entry.user_message for entry in instance.all_logs(result.run_id)]
    for stream in STREAMS:
        stored = [read_partition(FolderStore(place.root), stream, day)["id"].to_pylist() for day in DAYS]
        assert [number for numbers in stored for number in numbers] == [number + 1 for number in NUMBERS]
    assert RETRIED_BY_TAG not in instance.get_run_by_id(run.run_id).tags


@pytest.mark.timeout(300)
def test_a_command_killed_before_it_marked_itself_frees_its_days_when_the_sensor_has_ended_it(place, instance):
    (place.folder / "dying.py").write_text(DYING)
    assert started(place, "dagster", "dying").wait(90) == -signal.SIGKILL
    run = only_run(instance)
    assert (run.status.value, mark_of(run)) == ("STARTED", None)
    looks = Looks(instance)
    assert (looks.looks(4), held(instance)) == ([NOTHING] * 4, BACKFILL)
    assert looks.look() == f"Ended: {run.run_id}."
    assert held(instance) == []
    assert "it had no step begun" in instance.all_logs(run.run_id)[-1].dagster_event.message
