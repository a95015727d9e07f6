"""kill -9 of everything, as a power loss does it, and a new start: the work resumes by itself, and its result is exact."""

import datetime as dt
import time

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.rows import STREAMS, RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import REPOSITORY
from ticket_events_pipeline_tests.support.dev_server import Dev, wait_for

DAYS = [f"2026-03-{day:02}" for day in range(1, 15)]
# The pool has room for two: the third waits for a place.
RANGES = [DAYS[:6], DAYS[6:12], DAYS[12:]]
TWO_MINUTES = 120


class SlowAccount(RecordedAccount):
    """An account whose pages take their time."""

    seconds_a_page = 1.0

    def rows(self, *arguments, **options):
        time.sleep(self.seconds_a_page)
        return super().rows(*arguments, **options)


def hour_of(number):
    return f"{DAYS[number // 24]}T{number % 24:02}:10:00Z"


METRIC_EVENTS = [
    {"id": number, "ticket_id": number, "metric": "reply_time", "instance_id": 1, "type": "fulfill", "time": hour_of(number)}
    for number in range(24 * len(DAYS))
]
AUDITS = [
    {"id": number, "ticket_id": number, "created_at": hour_of(number), "event_type": "Audit", "child_events": []}
    for number in range(24 * len(DAYS))
]


@pytest.fixture
def server():
    account = SlowAccount({"ticket_events": AUDITS, "ticket_metric_events": METRIC_EVENTS})
    with SandboxServer(account, page_limit=8) as running:
        running.account = account
        yield running


@pytest.fixture
def place(tmp_path, server):
    return new_place(tmp_path, server, ZENDESK_REQUESTS_PER_MINUTE="100000")


@pytest.fixture
def dev(place):
    started = Dev(place)
    yield started
    started.stop()


def fetches(place, *statuses):
    """The runs of the backfills, oldest first."""
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=list(statuses)), ascending=True)
        return [run for run in runs if "dagster/backfill" in run.tags]


def asked_by_the_hour(place, monkeypatch, day):
    for name, value in place.variables.items():
        monkeypatch.setenv(name, value)
    at = dt.datetime.combine(day.date, dt.time(12, 7), dt.UTC)
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        answer = REPOSITORY.get_schedule_def("hourly_fetch")(
            dg.build_schedule_context(instance, scheduled_execution_time=at, repository_def=REPOSITORY)
        )
    return answer.skip_message if isinstance(answer, dg.SkipReason) else answer.tags["dagster/asset_partition_range_start"]


STARTED, QUEUED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_backfills_resume_after_a_restart_and_end(place, server, dev, monkeypatch):
    ui = dev.start()
    backfills = [ui.launch_backfill(list(STREAMS), days) for days in RANGES[:2]]
    wait_for(lambda: len(fetches(place, STARTED)) == 2, 180, "two runs fetch")
    backfills.append(ui.launch_backfill(list(STREAMS), RANGES[2]))  # not earlier: a pool limit applies from its first use on
    wait_for(lambda: fetches(place, QUEUED), 120, "the third is queued")
    wait_for(lambda: list(place.root.glob("ticket_*events/date=*/*.parquet")), 120, "a day is finished")
    assert backfills[-1] in asked_by_the_hour(place, monkeypatch, Day.parse(DAYS[-1]))
    assert asked_by_the_hour(place, monkeypatch, Day.parse(DAYS[-1]).plus(1)) == "2026-03-15"

    dev.kill()
    dead = {run.run_id for run in fetches(place, STARTED)}
    assert len(dead) == 2
    server.account.seconds_a_page = 0.05
    killed_at = time.monotonic()
    ui = dev.start()
    wait_for(
        lambda: {run.parent_run_id for run in fetches(place, STARTED, dg.DagsterRunStatus.SUCCESS)} >= dead,
        TWO_MINUTES - (time.monotonic() - killed_at),
        "both runs are started again",
    )

    for backfill in backfills:
        wait_for(lambda backfill=backfill: ui.backfill_status(backfill) != "REQUESTED", 240, "the backfill ends")
    assert [ui.backfill_status(backfill) for backfill in backfills] == ["COMPLETED_SUCCESS"] * 3
    assert sorted(run.status.value for run in fetches(place)) == ["FAILURE", "FAILURE", "SUCCESS", "SUCCESS", "SUCCESS"]
    assert {run.run_id for run in fetches(place, dg.DagsterRunStatus.FAILURE)} == dead
    store = FolderStore(place.root)
    for stream in STREAMS:
        stored = {day: read_partition(store, stream, Day.parse(day))["id"].to_pylist() for day in DAYS}
        assert stored == {day: list(range(24 * number, 24 * number + 24)) for number, day in enumerate(DAYS)}
