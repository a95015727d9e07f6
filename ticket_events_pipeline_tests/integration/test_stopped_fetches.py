"""A fetch that is suspended is taken over; when it resumes, it changes nothing, and its error names the new holder.

Real processes, stopped with SIGSTOP. Only the 90 s without a beat are skipped: the new holder waits without taking time.
"""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from ticket_events_pipeline.errors import LockHeldError
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage import file_lock
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline_tests.support.events import metric_event
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.gated_account import GatedAccount
from ticket_events_pipeline_tests.support.object_server import prefix_of
from ticket_events_pipeline_tests.support.stopping_fetch import DAYS, NOW, POINTS, STREAM, fetched, is_stopped, start

PAGE, PAGES = 20, 30
ROWS = (PAGE - 1) * PAGES
SECONDS_APART = 2 * 86_400 // ROWS
WASTED = 12
"""Requests that a takeover may waste."""

LATE = {DAYS[0]: 10_001, DAYS[1]: 10_002}
"""Delivered late, near the end of each day, while the first process is suspended: only the new holder reads them."""

pytestmark = pytest.mark.slow


def time_of(number):
    return DAYS[0].start + (number - 1) * SECONDS_APART


class World:
    """An account, a root, and the process that stops."""

    def __init__(self, account, url, root, env):
        self.account, self.url, self.root, self.env = account, url, root, env
        self.store = open_store(root)

    @contextmanager
    def stopped_at(self, point):
        """A fetch that is suspended at the point."""
        self.account.close_gate_at(13 if point == "page" else -1)
        process = start(self.root, self.url, point, env=self.env)
        try:
            if point == "page":
                assert self.account.reached.wait(60)
                process.send_signal(signal.SIGSTOP)
                self.account.released.set()
            wait_until(lambda: is_stopped(process))
            late = [metric_event(number, day.end - 3000) for day, number in LATE.items()]
            self.account.deliver(STREAM, late)
            yield process
        finally:
            process.kill()
            process.communicate()

    def new_holder(self, **how):
        return fetched(self.store, self.url, label="the new holder", sleep=how.pop("sleep", lambda _: None), **how)

    def stored(self):
        assert all(read_raw_footer(self.store, STREAM, day).complete for day in DAYS)
        return {day: sorted(read_partition(self.store, STREAM, day, columns=["id"])["id"].to_pylist()) for day in DAYS}

    def left(self):
        return [path for path in self.store.paths("_inflight") if "/segments/" in path or "/half_written/" in path]


def truth(*seen_late):
    """Each day's ids, with the late event of the days named."""
    ids = {day: [number for number in range(1, ROWS + 1) if day.start <= time_of(number) < day.end] for day in DAYS}
    return {day: [*ids[day], *([LATE[day]] if day in seen_late else [])] for day in DAYS}


def wait_until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def resume(process):
    """Resume the process; its output when it has ended."""
    process.send_signal(signal.SIGCONT)
    return process.communicate(timeout=60)[0]


@pytest.fixture
def world(request, tmp_path, object_servers):
    account = GatedAccount({STREAM: [metric_event(number, time_of(number)) for number in range(1, ROWS + 1)]})
    with SandboxServer(account, clock=Moment(NOW), page_limit=PAGE) as server:
        if request.param == "folder":
            yield World(account, server.base_url, str(tmp_path / "root"), {})
            return
        objects = object_servers(request.param)
        with objects.exported():
            yield World(account, server.base_url, objects.root(prefix_of(request.node)), objects.env)


def while_the_new_holder_reads(world, process):
    """The new holder waits after its first page until the suspended process has ended."""
    outputs = []
    world.new_holder(between_pages=lambda: outputs.append(resume(process)))
    return outputs[0]


def at_the_same_time(world, process):
    """The suspended process resumes once the new holder has its first page; either may end first."""
    world.new_holder(between_pages=lambda: process.send_signal(signal.SIGCONT))
    return resume(process)


def when_the_new_holder_has_finished(world, process):
    world.new_holder()
    return resume(process)


ORDERS = [while_the_new_holder_reads, at_the_same_time, when_the_new_holder_has_finished]


# In a folder, a writer holds the lock: see the tests below.
PLACES = [("s3", point) for point in POINTS] + [("folder", point) for point in POINTS if not point.endswith(" is put")]
CASES = [(place, point, order) for place, point in PLACES for order in ORDERS]
# The conditions are what differs between providers: a put that comes late is refused by them.
CASES += [(kind, "day is put", order) for kind in ("azure", "google") for order in ORDERS]


@pytest.mark.parametrize(("world", "point", "order"), CASES, indirect=["world"])
def test_the_stored_rows_are_those_of_the_new_holder(world, point, order):
    with world.stopped_at(point) as process:
        output = order(world, process)
    assert output.startswith("DaysHeldError: "), output
    assert f"process {os.getpid()} on " in output
    assert "(the new holder) has taken over its days" in output
    assert ("has ended since" in output) or order is not when_the_new_holder_has_finished
    # The first day was stored and complete when the process stopped at its last point.
    assert world.stored() == truth(*(DAYS[1:] if point == "journal files are removed" else DAYS))
    assert world.account.asked <= PAGES + 2 + WASTED
    assert world.left() == []


@pytest.mark.parametrize("world", ["folder"], indirect=True)
@pytest.mark.parametrize("point", ["journal file is put", "day is put"])
def test_an_error_names_a_process_that_is_suspended_in_a_write(world, point, monkeypatch):
    monkeypatch.setattr(file_lock, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(file_lock, "LOG_AFTER_SECONDS", 0.1)
    log = []
    with world.stopped_at(point) as process:
        name = rf"held by process {process.pid} on \S+"
        with pytest.raises(LockHeldError, match=rf"{name} for more .*\(kill -CONT {process.pid}\), or end it"):
            world.new_holder(log=log.append)
        assert f"is held by process {process.pid} on " in log[0]
        assert resume(process) == "finished"
    assert world.stored() == truth(DAYS[1], *(DAYS[:1] if point == "journal file is put" else []))
    assert world.account.asked <= PAGES + 2
    assert world.left() == []


@pytest.mark.parametrize("world", ["folder"], indirect=True)
@pytest.mark.parametrize("point", ["journal file is put", "day is put"])
def test_a_process_that_resumes_in_time_is_waited_for(world, point):
    with world.stopped_at(point) as process:
        new_holder = threading.Thread(target=world.new_holder, kwargs={"sleep": lambda _: time.sleep(0.1)})
        new_holder.start()
        time.sleep(0.3)
        assert resume(process) == "finished"
        new_holder.join(60)
    assert not new_holder.is_alive()
    assert world.stored() == truth(*DAYS)  # the new holder fetched the same days afterwards
    assert world.left() == []
