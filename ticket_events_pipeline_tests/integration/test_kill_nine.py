"""The command of a run, killed with -9 in the middle of a range and restarted: exact, and almost nothing is read twice."""

import json
import os
import signal
import subprocess
import sys

import pytest

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline_tests.support.commands import DEFINITIONS, new_place
from ticket_events_pipeline_tests.support.events import audit, metric_event
from ticket_events_pipeline_tests.support.gated_account import GatedAccount
from ticket_events_pipeline_tests.support.object_server import KINDS, exported, prefix_of

FIRST, LAST = "2026-03-02", "2026-03-04"
START = Day.parse(FIRST).start
PAGES = 30
PAGE = 100
STREAMS = ["ticket_metric_events", "ticket_events"]
ROWS = (PAGE - 1) * PAGES
SECONDS_APART = 3 * 86_400 // ROWS


def rows_of(stream):
    make = audit if stream == "ticket_events" else metric_event
    return [make(number, START + number * SECONDS_APART) for number in range(1, ROWS + 1)]


class World:
    """An account with a gate, a folder to run commands in, and a root."""

    def __init__(self, account, server, place, root):
        self.account, self.server, self.place, self.root = account, server, place, root

    def start(self, stream):
        command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", DEFINITIONS, "--select", stream]
        command += ["--partition-range", f"{FIRST}...{LAST}"]
        log = open(self.place.folder / f"log-{wall_clock()}", "w")  # noqa: SIM115 - the child writes on
        with log:
            return subprocess.Popen(command, cwd=self.place.folder, env=self.place.env(), stdout=log, stderr=log)

    def kill_at(self, stream, number):
        """Start the command, and kill it while it waits for the page of that number, counted from here."""
        self.account.close_gate_at(self.account.asked + number)
        process = self.start(stream)
        assert self.account.reached.wait(90)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        self.account.released.set()

    def finish(self, stream):
        assert self.start(stream).wait(120) == 0, self.logs()

    def logs(self):
        return "\n".join(path.read_text() for path in sorted(self.place.folder.glob("log-*")))

    def stored(self, stream):
        """Each day's ids, as far as the root is whole."""
        store = open_store(self.root)
        days = days_between(Day.parse(FIRST), Day.parse(LAST))
        assert all(read_raw_footer(store, stream, day).complete for day in days)
        return {str(day): read_partition(store, stream, day, columns=["id"])["id"].to_pylist() for day in days}

    def inflight(self):
        return [path for path in open_store(self.root).paths("_inflight") if "/segments/" in path or "/half_written/" in path]


def truth():
    expected = {str(day): [] for day in days_between(Day.parse(FIRST), Day.parse(LAST))}
    for number in range(1, ROWS + 1):
        expected[str(Day.containing(START + number * SECONDS_APART))].append(number)
    return expected


@pytest.fixture(params=["folder", *KINDS])
def world(request, tmp_path, object_servers):
    account = GatedAccount({stream: rows_of(stream) for stream in STREAMS})
    root, env = str(tmp_path / "root"), {}
    if request.param != "folder":
        objects = object_servers(request.param)
        root, env = objects.root(prefix_of(request.node)), objects.env
    with exported(env), SandboxServer(account, page_limit=PAGE) as server:
        limits = {"ZENDESK_REQUESTS_PER_MINUTE": "100000", "TICKET_EVENTS_ROOT": root, **env}
        place = new_place(tmp_path / "place", server, **limits)
        assert place.recorded_days(STREAMS[0]) == set()  # two processes can't make Dagster's database at once
        yield World(account, server, place, root)


EACH_STREAM = [(place, stream) for place in ("folder", "s3") for stream in STREAMS]


@pytest.mark.slow
@pytest.mark.parametrize(("world", "stream"), [*EACH_STREAM, ("azure", STREAMS[0]), ("google", STREAMS[1])], indirect=["world"])
def test_killed_at_a_third_and_at_two_thirds_the_same_command_ends_exact(world, stream):
    world.kill_at(stream, PAGES // 3)
    world.kill_at(stream, PAGES * 2 // 3)  # the first one had written no journal file, and starts from the beginning
    world.finish(stream)
    assert world.stored(stream) == truth()
    assert world.account.asked <= PAGES + 1 + 24
    assert "resuming where a fetch stopped" in world.logs()
    assert world.inflight() == []


@pytest.mark.slow
def test_two_processes_over_the_same_days_are_both_exact(world):
    stream = STREAMS[0]
    world.account.close_gate_at(5)
    first = world.start(stream)
    assert world.account.reached.wait(90)
    second = world.start(stream)
    world.account.released.set()
    assert (first.wait(120), second.wait(120)) == (0, 0), world.logs()
    assert world.stored(stream) == truth()
    assert world.inflight() == []


@pytest.mark.slow
@pytest.mark.parametrize("world", ["folder", "s3"], indirect=True)
def test_two_processes_over_the_two_streams_do_not_wait_for_each_other(world):
    both = [world.start(stream) for stream in STREAMS]
    assert [process.wait(120) for process in both] == [0, 0], world.logs()
    for stream in STREAMS:
        assert world.stored(stream) == truth()
    assert "are being fetched by" not in world.logs()
    assert json.dumps(world.inflight()) == "[]"
