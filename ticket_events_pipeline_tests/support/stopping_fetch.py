"""A fetch in a process of its own, which suspends itself (SIGSTOP) at a chosen point: by `start`, or as a script.

    python -m ticket_events_pipeline_tests.support.stopping_fetch ROOT URL POINT

It prints how it ended. The points are `POINTS`; at `page` it is suspended from outside, while it waits for a page.
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
LABEL = "the former holder"

POINTS = {
    "page": "while a page comes",
    "journal file": "in the middle of a journal file",
    "journal file is put": "between the check of the lease and the put of a journal file",
    "day": "in the middle of a day's file",
    "day is put": "between the check of the lease and the put of a day's file",
    "journal files are removed": "between the put of a journal file and the removal of those that it replaces",
}


def fetched(store, url, *, label=LABEL, log=lambda _: None, sleep=None, between_pages=lambda: None):
    """The days of a whole fetch of DAYS; `between_pages` is called between its first page and the second."""
    clock = Moment(NOW)
    with client_at(url, clock=clock) as client:
        return list(
            fetch_days(
                _Interrupted(client, between_pages),
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


class _Interrupted:
    def __init__(self, client, between_pages):
        self._client = client
        self._between_pages = between_pages

    def pages(self, stream, start_time, **bounds):
        for number, walked in enumerate(self._client.pages(stream, start_time, **bounds)):
            if number == 1:
                self._between_pages()
            yield walked


def start(root, url, point, *, env):
    """Start such a fetch."""
    command = [sys.executable, "-m", "ticket_events_pipeline_tests.support.stopping_fetch", root, url, point]
    repository = str(CHECKOUT)
    return subprocess.Popen(
        command, env={**os.environ, **env, "PYTHONPATH": repository}, cwd=repository, stdout=subprocess.PIPE, text=True
    )


def is_stopped(process):
    """Whether the process is suspended."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


class _Stops:
    """Suspends the process once, where it reaches `point` with a path of that kind."""

    def __init__(self, point):
        self._point = point

    def at(self, point, path=""):
        kind = "journal file" if "/segments/" in path else "day" if path.startswith(STREAM) else ""
        if point.format(kind) == self._point:
            self._point = ""
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.3)  # the last of its threads may be stopped a moment later


class _Stopping:
    """A store that suspends its process at a point of a write."""

    stops: _Stops

    @contextmanager
    def writer(self, path, **fence):
        self.path = path
        with super().writer(path, **fence) as file:
            written = 0

            def write(content):
                nonlocal written
                written += 1
                if written == 2:  # after the first bytes
                    self.stops.at("{}", path)
                return file.write(content)

            sink = Sink(file, write)
            yield sink

    def delete(self, *paths, **fence):
        self.path = ""
        if paths:
            self.stops.at("journal files are removed")
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
    store._fenced = StoppingPuts(store._root, store._conditional, store.versions)
    return store


def _make_beats_overdue(*_):
    """As after the 90 s that no test waits for."""
    leases.BEAT_SECONDS = 0.0


def main(root: str, url: str, point: str) -> None:
    signal.signal(signal.SIGCONT, _make_beats_overdue)
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
