"""Fleets lose processes, hosts and containers, and their backfills end with every row once, within each account's quota.

The hosts are simulated on this machine (`support.hosts`). The files and commands are those of `deploy/`; the services are real.
"""

import sys
import time
from collections import defaultdict
from contextlib import ExitStack

import pytest
import yaml

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.rows import row_time
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.beat_watch import DEAD_AFTER_SECONDS
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline_tests.support.commands import DEFINITIONS
from ticket_events_pipeline_tests.support.dev_server import wait_for
from ticket_events_pipeline_tests.support.events import audit, event
from ticket_events_pipeline_tests.support.fleet import PATIENT, PROJECT, Place, accounts_project, fleet
from ticket_events_pipeline_tests.support.gated_account import GatedAccount
from ticket_events_pipeline_tests.support.hosts import has_namespaces
from ticket_events_pipeline_tests.support.units import DEPLOY, settings

STREAMS = ["ticket_events", "ticket_metric_events"]
DAYS, ROWS_A_DAY, PAGE = 10, 24, 20
REQUESTS = 26
"""Of a backfill of both streams that nothing disturbs."""
LONGEST_BOUND_SECONDS = 2 * DEAD_AFTER_SECONDS
"""A healthy run lasts longer than every time after which one is taken for dead, the lease of a day included."""
HELD_AT_OF_TWO = 8
"""The same of an account with a run for each stream: before either can be over."""
MOST_TWICE = 12
"""Requests that a killed run and its retry both make."""
NOTICED_SECONDS = 120
"""From the kill until the run is ended, on a machine that starts a fleet within START_SECONDS."""
START_SECONDS = 90
"""A quiet machine takes half as long. One that takes longer has other work to do, and everything takes longer there."""
HELD_AT = 14
"""The request that an account's server holds back: a run is killed during it, or works on for as long as is wanted."""
WAIT_SECONDS = 600
"""A machine that has other work to do takes several times as long as a quiet one."""


class Desk:
    """An account with ten days of rows, and its server with a quota of `total` requests in so many seconds."""

    def __init__(self, number, name, total, window_seconds):
        self.name, self.total, self.window_seconds = name, total, window_seconds
        today = Day.containing(time.time(), "UTC")
        self.days = [today.plus(offset) for offset in range(-DAYS - 1, -1)]
        self.rows = _rows(number, self.days)
        self.account = GatedAccount(self.rows, name=name, gate_seconds=WAIT_SECONDS)
        self.server = SandboxServer(
            self.account, requests_per_minute=total, quota_window_seconds=window_seconds, page_limit=PAGE
        )

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.account.released.set()  # else the server would wait for it
        self.server.stop()

    def served(self):
        """By stream and day, the rows that its server has."""
        found = defaultdict(list)
        for stream, rows in self.rows.items():
            for row in rows:
                at = row_time(row)
                found[stream, str(Day.containing(at, "UTC"))].append((row["id"], row["ticket_id"], at))
        return dict(found)

    def stored(self, root):
        """By stream and day, the rows in its files."""
        store, found = open_store(root), {}
        for stream in STREAMS:
            for day in self.days:
                table = read_partition(store, stream, day, columns=["id", "ticket_id", "time"])
                assert table is not None, f"{self.name}: {stream} of {day} has no file"
                rows = zip(*(table[column].to_pylist() for column in table.column_names), strict=True)
                found[stream, str(day)] = [(number, ticket, int(at.timestamp())) for number, ticket, at in rows]
        return found

    def assert_quota_was_kept(self):
        """No request was refused, and no window of the server's had more requests than its quota."""
        assert {request.status for request in self.server.requests} == {200}
        window_end, used = 0.0, 0
        for asked_at in self.account.asked_at:  # the server's record has the times of the answers, which may be held back
            if asked_at >= window_end:
                window_end, used = asked_at + self.window_seconds, 0
            used += 1
            assert used <= self.total

    def assert_requests(self, *, killed_runs):
        """At most twelve were made twice for each killed run."""
        assert REQUESTS <= len(self.server.requests) <= REQUESTS + killed_runs * MOST_TWICE


def _rows(number, days):
    hours = [(day, hour) for day in days for hour in range(ROWS_A_DAY)]
    first_id = 100_000 * (number + 1)
    audits = [
        audit(first_id + index, day.start + hour * 3600, ticket_id=index % 40 + 1) for index, (day, hour) in enumerate(hours)
    ]
    events = [event(first_id + 50_000 + index, f"{day}T{hour:02}:20:00Z") for index, (day, hour) in enumerate(hours)]
    return {"ticket_events": audits, "ticket_metric_events": events}


class Diary:
    """Prints what happens, and when: `pytest -s` shows it."""

    def __init__(self):
        self._begun_at = time.time()
        kind = "in namespaces of their own" if has_namespaces() else "process groups: this machine allows no namespaces"
        self.note(f"hosts are {kind}")

    def is_up(self):
        """Note that the processes are up; how many times as long as usual everything may take here."""
        self.note("all processes are up")
        self.slowness = max(1.0, (time.time() - self._begun_at) / START_SECONDS)

    def note(self, text):
        sys.stdout.write(f"{time.time() - self._begun_at:6.1f} s  {text}\n")


def _ended(fleet, backfill):
    """The first run of the backfill, once it has ended."""
    run = fleet.runs_of(backfill)[0]
    return run if run.ended_at is not None else None


def _is_over(fleet, backfill):
    return fleet.ui.backfill_status(backfill) not in ("REQUESTED", "FAILING", "CANCELING")


def _first_run(fleet, backfill):
    (run,) = fleet.runs_of(backfill)
    return run


def _assert_was_ended_and_retried(fleet, run, backfill, *, within, on):
    """The run was ended between those two times, and one retry on that host did the rest."""
    first, *retries = fleet.runs_of(backfill)
    assert first.id == run.id
    assert first.status == "FAILURE"
    assert within[0] < first.ended_at < within[1]
    (retry,) = retries
    assert (retry.status, retry.parent) == ("SUCCESS", first.id)
    assert retry.host == on


def test_laptop_and_fleet_load_the_same_definitions():
    (laptop,) = yaml.safe_load((DEPLOY / "laptop" / "workspace.yaml").read_text())["load_from"]
    assert laptop["python_module"]["module_name"] == DEFINITIONS
    for kind in ("postgres", "celery"):
        (command,) = settings(DEPLOY / kind / "systemd" / "ticket-events-code-server.service")["ExecStart"]
        assert command.endswith(f" -m {DEFINITIONS}")
        assert {file.suffix for file in (DEPLOY / kind).rglob("*.*")} <= {".yaml", ".example", ".conf", ".service"}


def test_several_accounts_of_a_fleet_differ_from_the_example_in_yaml_alone(tmp_path):
    project = accounts_project(tmp_path, {"acme": "http://127.0.0.1:1"}).folder
    code = {file.relative_to(PROJECT): file.read_text() for file in PROJECT.rglob("*.py")}
    assert {file.relative_to(project): file.read_text() for file in project.rglob("*.py")} == code


@pytest.fixture
def desks():
    """An account whose run outlives every bound, and three whose runs are killed; each has a quota of its own."""
    with ExitStack() as stack:
        made = [Desk(0, "acme", 4, 6.0), Desk(1, "globex", 6, 6.0), Desk(2, "initech", 8, 8.0), Desk(3, "umbrella", 10, 12.0)]
        for desk in made:
            stack.enter_context(desk)
        yield made


def _fill_both_workers(it, desks):
    """Launch two backfills on worker-a and three on worker-b, of which two are of one account: all that its pool allows.

    Each is in the middle of its days then, and its server holds it there.
    """
    acme, globex, initech, umbrella = desks

    def backfill(desk, *streams):
        return it.ui.launch_backfill([f"{desk.name}/{stream}" for stream in streams], [str(day) for day in desk.days])

    def wait_for_runs(launched, *of):
        wait_for(lambda: all(desk.account.reached.is_set() for desk in of), WAIT_SECONDS, "the runs fetch")
        for one in launched:
            wait_for(lambda one=one: any(run.has_begun for run in it.runs_of(one)), WAIT_SECONDS, "a run has begun")

    for desk in desks:
        desk.account.close_gate_at(HELD_AT_OF_TWO if desk is umbrella else HELD_AT)
    it.take_runs("worker-b", takes=False)
    wait_for_runs(first := [backfill(acme, *STREAMS), backfill(globex, *STREAMS)], acme, globex)
    it.take_runs("worker-b", takes=True)
    it.take_runs("worker-a", takes=False)
    second = [backfill(initech, *STREAMS), *(backfill(umbrella, stream) for stream in STREAMS)]
    wait_for_runs(second, initech, umbrella)
    it.take_runs("worker-a", takes=True)
    return [*first, *second]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_backfills_outlive_a_killed_process_a_lost_host_and_an_emptied_redis(tmp_path, desks):
    diary = Diary()
    acme, globex, initech, umbrella = desks
    place = accounts_project(tmp_path, {desk.name: desk.server.base_url for desk in desks})
    with fleet(tmp_path, "celery", place) as it:
        it.start_code_server("code")
        it.start_services()
        it.start_workers("worker-a", "worker-b")
        diary.is_up()
        healthy, of_child, *of_host = _fill_both_workers(it, desks)
        runs = {launched: _first_run(it, launched) for launched in (healthy, of_child, *of_host)}
        assert [run.host for run in runs.values()] == ["worker-a"] * 2 + ["worker-b"] * 3
        diary.note("five runs are in the middle of their days")

        it.empty_redis()
        killed_at = time.time()
        it.hosts["worker-a"].kill_one(runs[of_child].process_id)
        it.hosts["worker-b"].kill()
        in_time = (killed_at, killed_at + NOTICED_SECONDS * diary.slowness)
        diary.note("killed: one process of worker-a, and worker-b; Redis has lost all its entries")
        for desk in (globex, initech, umbrella):
            desk.account.released.set()
        for launched in (of_child, *of_host):
            ended = wait_for(lambda launched=launched: _ended(it, launched), WAIT_SECONDS, "the killed run is ended")
            diary.note(f"run on {ended.host} was ended {ended.ended_at - killed_at:.0f} s after the kill")
        time.sleep(max(0.0, runs[healthy].started_at + LONGEST_BOUND_SECONDS - time.time()))
        acme.account.released.set()
        for launched in runs:
            wait_for(lambda launched=launched: _is_over(it, launched), WAIT_SECONDS, "a backfill ends")
            assert it.ui.backfill_status(launched) == "COMPLETED_SUCCESS"
        diary.note("all backfills have ended")

        for launched in (of_child, *of_host):
            _assert_was_ended_and_retried(it, runs[launched], launched, within=in_time, on="worker-a")
        _assert_outlived_every_bound(_first_run(it, healthy))
        for desk, killed_runs in ((acme, 0), (globex, 1), (initech, 1), (umbrella, 2)):
            diary.note(f"{desk.name}: {len(desk.server.requests)} requests, {REQUESTS} without a kill")
            desk.assert_quota_was_kept()
            desk.assert_requests(killed_runs=killed_runs)
            with it.store.exported():
                assert desk.stored(it.store.root(f"root/{desk.name}")) == desk.served()


def _assert_outlived_every_bound(run):
    assert run.status == "SUCCESS"
    assert run.ended_at - run.started_at >= LONGEST_BOUND_SECONDS


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_replaced_container_of_the_code_server_leaves_no_run_behind(tmp_path):
    diary = Diary()
    with Desk(0, "acme", 10, 5.0) as desk:
        account = {"ZENDESK_BASE_URL": desk.server.base_url, "ZENDESK_OAUTH_TOKEN": "sandbox", "ZENDESK_NAMES": "none"}
        place = Place({**PATIENT, **account})
        with fleet(tmp_path, "postgres", place) as it:
            it.start_code_server("container-1")
            it.start_services()
            diary.is_up()
            desk.account.close_gate_at(HELD_AT)
            launched = it.ui.launch_backfill(STREAMS, [str(day) for day in desk.days])
            wait_for(desk.account.reached.is_set, WAIT_SECONDS, "the run fetches")
            run = _first_run(it, launched)
            assert run.host == "container-1"
            it.hosts["container-1"].kill()
            killed_at = time.time()
            in_time = (killed_at, killed_at + NOTICED_SECONDS * diary.slowness)
            diary.note("killed: the container of the code server and of its run")
            it.start_code_server("container-2")
            desk.account.released.set()
            ended = wait_for(lambda: _ended(it, launched), WAIT_SECONDS, "the killed run is ended")
            diary.note(f"its run was ended {ended.ended_at - killed_at:.0f} s after the kill")
            wait_for(lambda: _is_over(it, launched), WAIT_SECONDS, "the backfill ends")
            diary.note(f"the backfill has ended; {len(desk.server.requests)} requests, {REQUESTS} without a kill")
            assert it.ui.backfill_status(launched) == "COMPLETED_SUCCESS"
            _assert_was_ended_and_retried(it, run, launched, within=in_time, on="container-2")
            desk.assert_quota_was_kept()
            desk.assert_requests(killed_runs=1)
            with it.store.exported():
                assert desk.stored(it.store.root("root")) == desk.served()
