"""A pass as a process of its own, which stops itself (SIGSTOP) at a chosen point: by `start`, or as a script.

    python -m ticket_events_pipeline_tests.support.stopping_fetch ROOT URL POINT

It prints how it ended. The points are `POINTS`; at `page` it is stopped from outside, while it waits for one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.ingest import lease as leases
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.root import ObjectRoot, is_object_store
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.fault_injection import Sink
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, ownership_of

STREAM = "ticket_metric_events"
DAYS = [Day.parse("2026-03-02"), Day.parse("2026-03-03")]
NOW = DAYS[-1].end + 5000
LABEL = "the loser"

POINTS = {
    "page": "while a page comes",
    "segment": "in the middle of a segment",
    "segment is put": "between the look at the lease and the put of a segment",
    "day": "in the middle of a day's file",
    "day is put": "between the look at the lease and the put of a day's file",
    "segments are removed": "between the put of a segment and the removal of those that it makes superfluous",
}


def fetched(store, url, *, label=LABEL, log=lambda _: None, sleep=None, amid=lambda: None):
    """The days of a whole pass over DAYS; `amid` is called between its first page and the second."""
    clock = Moment(NOW)
    with client_at(url, clock=clock) as client:
        return list(
            fetch_days(
                _Amid(client, amid),
                store,
                stream=STREAMS[STREAM],
                days=DAYS,
                ownership=ownership_of(DAYS[0]),
                clock=clock,
                log=log,
                label=label,
                sleep=sleep,
            )
        )


class _Amid:
    def __init__(self, client, amid):
        self._client = client
        self._amid = amid

    def pages(self, stream, start_time):
        for number, walked in enumerate(self._client.pages(stream, start_time)):
            if number == 1:
                self._amid()
            yield walked


def start(root, url, point, *, env):
    """Begin such a pass."""
    command = [sys.executable, "-m", "ticket_events_pipeline_tests.support.stopping_fetch", root, url, point]
    repository = str(CHECKOUT)
    return subprocess.Popen(
        command, env={**os.environ, **env, "PYTHONPATH": repository}, cwd=repository, stdout=subprocess.PIPE, text=True
    )


def is_stopped(process):
    """Whether it stands still."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


class _Stops:
    """Stops the process once, where it comes past `point` with a path of that kind."""

    def __init__(self, point):
        self._point = point

    def at(self, point, path=""):
        kind = "segment" if "/segments/" in path else "day" if path.startswith(STREAM) else ""
        if point.format(kind) == self._point:
            self._point = ""
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.3)  # the last of its threads may be stopped a moment later


class _Stopping:
    """What both kinds of store have in common."""

    stops: _Stops

    @contextmanager
    def writer(self, path, **fence):
        self.path = path
        with super().writer(path, **fence) as file:
            written = 0

            def write(content):
                nonlocal written
                written += 1
                if written == 2:  # behind the first bytes
                    self.stops.at("{}", path)
                return file.write(content)

            sink = Sink(file, write)
            yield sink

    def delete(self, *paths, **fence):
        self.path = ""
        if paths:
            self.stops.at("segments are removed")
        super().delete(*paths, **fence)


class StoppingFolder(_Stopping, FolderStore):
    """A folder."""

    @contextmanager
    def _allowed(self, fence):
        with super()._allowed(fence):
            self.stops.at("{} is put", self.path)
            yield


def _bucket(root):
    from ticket_events_pipeline.storage.object_fence import FencedPuts
    from ticket_events_pipeline.storage.object_store import ObjectStore

    class StoppingPuts(FencedPuts):
        def _is_put(self, objects, path, *arguments, **rest):
            store.stops.at("{} is put", path)
            return super()._is_put(objects, path, *arguments, **rest)

    class StoppingBucket(_Stopping, ObjectStore):
        def _put(self, path, file):
            self.stops.at("{} is put", path)
            super()._put(path, file)

    store = StoppingBucket(ObjectRoot.parse(root))
    store._fenced = StoppingPuts(store._root, store._exchanges, store.versions)
    return store


def _find_beats_overdue(*_):
    """As they are after the 90 s that no test waits for."""
    leases.BEAT_SECONDS = 0.0


def main(root: str, url: str, point: str) -> None:
    signal.signal(signal.SIGCONT, _find_beats_overdue)
    store = _bucket(root) if is_object_store(root) else StoppingFolder(Path(root))
    store.stops = _Stops(point)
    try:
        fetched(store, url)
    except TicketEventsError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
    else:
        sys.stdout.write("finished")


if __name__ == "__main__":
    main(*sys.argv[1:])
