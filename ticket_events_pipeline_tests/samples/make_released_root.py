"""Makes `released_root_v1.tar.gz` and `released_root_v1_rows.json.gz`, with the last code that wrote schema version 1.

The root has both raw streams and the SLA tables of 30 closed days and of an open one, which was read at 14:00, and the journal
of a fetch that was killed at 18:00 while it read the open day's metric events further. The rows are those that the account
serves at 03:00 of the next day, from the open day's midnight on. Run it in a clone of that version, with its tests:

    git clone . /tmp/released && git -C /tmp/released checkout 6cf9ef7
    PYTHONPATH=/tmp/released python ticket_events_pipeline_tests/samples/make_released_root.py v1 OUT
"""

import gzip
import io
import json
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.fault_injection import KilledError, MortalStore
from ticket_events_pipeline_tests.support.fetches import Moment, client_at
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

FIRST, OPEN = Day.parse("2026-03-01"), Day.parse("2026-03-31")
READ_AT, KILLED_AT, SERVED_AT = OPEN.start + 14 * 3600, OPEN.start + 18 * 3600, OPEN.end + 3 * 3600
OWNER = Ownership("127.0.0.1", "UTC", False)
PAGES_BEFORE_THE_KILL = 12

account = SimulatedAccount(seed="released", tickets_per_day=8)
clock = Moment(READ_AT)


class MortalSource:
    """A client that dies after some pages, and its store with it."""

    def __init__(self, client, store):
        self._client = client
        self._store = store

    def pages(self, stream, start_time, **bounds):
        for number, walked in enumerate(self._client.pages(stream, start_time, **bounds)):
            if number == PAGES_BEFORE_THE_KILL:
                self._store._steps = 0
                raise KilledError
            yield walked


def run_fetch(server, store, stream, days, wrap=lambda client, _: client):
    with client_at(server.base_url, clock=clock) as client:
        source = wrap(client, store)
        given = {"stream": STREAMS[stream], "days": days, "ownership": OWNER, "clock": clock}
        list(fetch_days(source, store, **given, log=print))


def make_root(root):
    with SandboxServer(account, clock=clock) as server:
        for stream in STREAMS:
            run_fetch(server, FolderStore(root), stream, days_between(FIRST, OPEN))
    make_sla_days(root, FIRST, OPEN)
    clock.now = KILLED_AT
    with SandboxServer(account, clock=clock, page_limit=2) as server, suppress(KilledError):
        run_fetch(server, MortalStore(root, steps=1_000_000), "ticket_metric_events", [OPEN], MortalSource)
    assert list((root / "_inflight" / "segments").rglob("*.parquet")), "the killed fetch left no journal file"


def pack(root, target):
    """All files but the leases: another machine could not prove that their process has ended, and would wait."""
    with gzip.GzipFile(target, "wb", compresslevel=9, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.parent.name != "passes"):
            entry = tarfile.TarInfo(str(path.relative_to(root)))
            entry.size = path.stat().st_size
            tar.addfile(entry, io.BytesIO(path.read_bytes()))


def served():
    return {stream: [json.loads(row.json) for row in account.rows(stream, OPEN.start, now=SERVED_AT)] for stream in STREAMS}


def main(version, out):
    with tempfile.TemporaryDirectory() as folder:
        make_root(Path(folder))
        pack(Path(folder), out / f"released_root_{version}.tar.gz")
    with gzip.GzipFile(out / f"released_root_{version}_rows.json.gz", "wb", compresslevel=9, mtime=0) as packed:
        packed.write(json.dumps(served(), separators=(",", ":")).encode())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
