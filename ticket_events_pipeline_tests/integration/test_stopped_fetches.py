"""A pass that stands still is taken over; when it goes on, it changes nothing any more, and is told who has its days.

Real processes, really stopped (SIGSTOP). Only the 90 s of a standing beat pass at once: the heir's own waiting takes no time.
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
from ticket_events_pipeline_tests.properties.test_ingest import metric_event
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.gated_account import GatedAccount
from ticket_events_pipeline_tests.support.object_server import object_server
from ticket_events_pipeline_tests.support.stopping_fetch import DAYS, NOW, POINTS, STREAM, fetched, is_stopped, start

PAGE, PAGES = 20, 30
ROWS = (PAGE - 1) * PAGES
SECONDS_APART = 2 * 86_400 // ROWS
WASTED = 12
"""Requests that all this may cost."""

LATE = {DAYS[0]: 10_001, DAYS[1]: 10_002}
"""Told late, near the end of each day, when the first process stands still already: only the heir sees them."""

pytestmark = pytest.mark.slow


def time_of(number):
    return DAYS[0].start + (number - 1) * SECONDS_APART


@pytest.fixture(scope="module")
def bucket_server():
    with object_server() as running:
        yield running


class World:
    """An account, a root, and the process that stops."""

    def __init__(self, account, url, root, env):
        self.account, self.url, self.root, self.env = account, url, root, env
        self.store = open_store(root)

    @contextmanager
    def stopped_at(self, point):
        """A pass that has come to the point and stands still there."""
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

    def heir(self, **how):
        return fetched(self.store, self.url, label="the heir", sleep=how.pop("sleep", lambda _: None), **how)

    def stored(self):
        assert all(read_raw_footer(self.store, STREAM, day).complete for day in DAYS)
        return {day: sorted(read_partition(self.store, STREAM, day, columns=["id"])["id"].to_pylist()) for day in DAYS}

    def left(self):
        return [path for path in self.store.paths("_inflight") if "/segments/" in path or "/half_written/" in path]


def truth(*seen_late):
    """Each day's ids, with what was told late of the days named."""
    told = {day: [number for number in range(1, ROWS + 1) if day.start <= time_of(number) < day.end] for day in DAYS}
    return {day: [*told[day], *([LATE[day]] if day in seen_late else [])] for day in DAYS}


def wait_until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def go_on(process):
    """Let it go on to its end; how it ended."""
    process.send_signal(signal.SIGCONT)
    return process.communicate(timeout=60)[0]


@pytest.fixture(params=["folder", "bucket"])
def world(request, tmp_path):
    account = GatedAccount({STREAM: [metric_event(number, time_of(number)) for number in range(1, ROWS + 1)]})
    with SandboxServer(account, clock=Moment(NOW), page_limit=PAGE) as server:
        if request.param == "folder":
            yield World(account, server.base_url, str(tmp_path / "root"), {})
            return
        objects = request.getfixturevalue("bucket_server")
        with objects.exported():
            yield World(account, server.base_url, objects.root(tmp_path.name), objects.env)


def while_the_heir_reads(world, process):
    """The heir waits behind its first page until the other one has ended."""
    told = []
    world.heir(amid=lambda: told.append(go_on(process)))
    return told[0]


def at_the_same_time(world, process):
    """The other one goes on as the heir has its first page; which ends first is open."""
    world.heir(amid=lambda: process.send_signal(signal.SIGCONT))
    return go_on(process)


def when_the_heir_has_finished(world, process):
    world.heir()
    return go_on(process)


ORDERS = [while_the_heir_reads, at_the_same_time, when_the_heir_has_finished]


# In a folder, who puts holds the lock: the tests below.
CASES = [("bucket", point) for point in POINTS] + [("folder", point) for point in POINTS if not point.endswith(" is put")]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
@pytest.mark.parametrize(("world", "point"), CASES, indirect=["world"])
def test_what_the_heir_saw_is_what_stands(world, point, order):
    with world.stopped_at(point) as process:
        told = order(world, process)
    assert told.startswith("DaysHeldError: "), told
    assert f"process {os.getpid()} on " in told
    assert "(the heir) has taken over its days" in told
    assert ("has ended by now" in told) or order is not when_the_heir_has_finished
    # The first day stood already, complete, when the process stopped at its last point.
    assert world.stored() == truth(*(DAYS[1:] if point == "segments are removed" else DAYS))
    assert world.account.asked <= PAGES + 2 + WASTED
    assert world.left() == []


@pytest.mark.parametrize("world", ["folder"], indirect=True)
@pytest.mark.parametrize("point", ["segment is put", "day is put"])
def test_who_waits_for_a_process_that_stands_still_in_a_write_is_told_its_name(world, point, monkeypatch):
    monkeypatch.setattr(file_lock, "WAIT_SECONDS", 0.5)
    monkeypatch.setattr(file_lock, "TELL_AFTER_SECONDS", 0.1)
    log = []
    with world.stopped_at(point) as process:
        name = rf"held by process {process.pid} on \S+"
        with pytest.raises(LockHeldError, match=rf"{name} for more .*\(kill -CONT {process.pid}\), or end it"):
            world.heir(log=log.append)
        assert f"is held by process {process.pid} on " in log[0]
        assert go_on(process) == "finished"
    assert world.stored() == truth(DAYS[1], *(DAYS[:1] if point == "segment is put" else []))
    assert world.account.asked <= PAGES + 2
    assert world.left() == []


@pytest.mark.parametrize("world", ["folder"], indirect=True)
@pytest.mark.parametrize("point", ["segment is put", "day is put"])
def test_a_process_that_goes_on_in_time_is_waited_for(world, point):
    with world.stopped_at(point) as process:
        heir = threading.Thread(target=world.heir, kwargs={"sleep": lambda _: time.sleep(0.1)})
        heir.start()
        time.sleep(0.3)
        assert go_on(process) == "finished"
        heir.join(60)
    assert not heir.is_alive()
    assert world.stored() == truth(*DAYS)  # the heir asked for the same days afterwards
    assert world.left() == []
