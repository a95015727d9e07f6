"""One quota and two hosts whose clocks differ, over a bucket: real processes, of which one has a clock that is set wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from typing import Any

import pytest

from ticket_events_pipeline_tests.support.object_server import ObjectServer
from ticket_events_pipeline_tests.support.quota_simulation import HEADER, Counter, FixedWindow, SlidingWindow
from ticket_events_pipeline_tests.support.scripted_server import Recorded, ScriptedServer

STREAMS = ("ticket_events", "ticket_metric_events")
TOTAL, WINDOW = 4, 8.0
PAGES = 10
T = 1_700_000_000

HOST = textwrap.dedent(
    f"""
    import os, sys, time
    real, ahead = time.time, float(sys.argv[2])
    time.time = lambda: real() + ahead
    from ticket_events_pipeline.pipeline import pipeline_of
    from ticket_events_pipeline.tables.streams import STREAMS

    with pipeline_of(os.environ, log=print).client(print) as client:
        for _ in client.pages(STREAMS[sys.argv[1]], {T}, most_requests={PAGES}):
            pass
    """
)


@dataclass
class World:
    """An account whose streams never end, and which counts its requests."""

    counter: Counter
    answered: dict[str, list[float]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    refused: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, request: Recorded) -> Any:
        with self._lock:
            now = time.monotonic()
            is_allowed, remaining, resets = self.counter.take(now)
            header = {HEADER: f"total={TOTAL}; remaining={remaining}; resets={int(resets) + 1}"}
            if not is_allowed:
                self.refused += 1
                return 429, {**header, "Retry-After": str(int(resets) + 1)}, "slow down"
            stream = request.path.rpartition("/")[2].removesuffix(".json")
            self.answered[stream].append(now)
        at = int(request.query["start_time"]) + 10
        row = {"id": at, "ticket_id": 1, "timestamp": at, "time": at, "child_events": []}
        return 200, header, {stream: [row], "count": 1, "end_time": at, "end_of_stream": False}

    def longest_wait(self, stream: str) -> float:
        """The longest wait of the host that fetches that stream, from when the first of both began."""
        begun = min(times[0] for times in self.answered.values())
        return max(later - earlier for earlier, later in pairwise([begun, *self.answered[stream]]))


def run(world: World, store: ObjectServer, root: str, ahead: float) -> list[str]:
    """Fetch both streams at once, each on a host of its own; the second one's clock is so many seconds ahead."""
    with ScriptedServer(repeat(world)) as server:
        env = store.env | {"ZENDESK_BASE_URL": server.url, "ZENDESK_OAUTH_TOKEN": "a-token", "TICKET_EVENTS_ROOT": root}
        hosts = [_started(stream, shift, env) for stream, shift in zip(STREAMS, (0.0, ahead), strict=True)]
        outputs = [host.communicate(timeout=200)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], "".join(outputs)
    return outputs


def _started(stream: str, ahead: float, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOST, stream, str(ahead)]
    return subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


CASES: dict[str, tuple[str, float, type[Counter]]] = {
    "eight seconds ahead": ("s3", 8.0, SlidingWindow),
    "half a minute behind": ("s3", -30.0, SlidingWindow),
    "half a minute ahead": ("s3", 30.0, FixedWindow),
    "ahead on Azure": ("azure", 30.0, SlidingWindow),
    "behind on Google": ("google", -30.0, FixedWindow),
}
"""Which store, how many seconds the second host's clock is ahead, and how the account counts."""


@pytest.mark.slow
def test_hosts_whose_clocks_differ_are_neither_refused_nor_starved(object_servers: Callable[[str], ObjectServer]) -> None:
    """Eight or thirty seconds, either way: no host waits for more than two windows. All at once, as they mostly wait."""
    worlds = {name: World(counter(TOTAL, WINDOW)) for name, (_, _, counter) in CASES.items()}
    with ThreadPoolExecutor(len(CASES)) as threads:
        running = []
        for number, (name, (kind, ahead, _)) in enumerate(CASES.items()):
            server = object_servers(kind)
            running.append(threads.submit(run, worlds[name], server, server.root(f"quota_{number}"), ahead))
        for one in running:
            one.result()
    for world in worlds.values():
        assert ([len(times) for times in world.answered.values()], world.refused) == ([PAGES, PAGES], 0)
        assert max(map(world.longest_wait, world.answered)) <= 2 * WINDOW
