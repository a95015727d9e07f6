"""A server of an account's open day: the events of both streams as pages, and a clock that is set from outside.

    python benchmarks/open_day_server.py FOLDER

FOLDER holds `ticket_events.jsonl` and `ticket_metric_events.jsonl`: a line is an event's time in epoch seconds, a tab, and its
JSON, in the order of the stream. Prints its URL, and serves until it is ended. `GET /now/SECONDS` sets the clock: answers carry
it in their `Date` header, and hold no event that is less than a minute old by it. Every other path is a 404.
"""

from __future__ import annotations

import bisect
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
WITHHELD_SECONDS = 60
STREAMS = ("ticket_events", "ticket_metric_events")


class Stream:
    """The events of a stream."""

    def __init__(self, file: Path) -> None:
        lines = [line.split(b"\t", 1) for line in file.read_bytes().splitlines()]
        self._times = [int(time) for time, _ in lines]
        self._rows = [row for _, row in lines]
        self._name = file.stem.encode()

    def page(self, start_time: int, *, now: int) -> bytes:
        """The envelope of the page from `start_time` on."""
        known = bisect.bisect_left(self._times, now - WITHHELD_SECONDS)
        first = bisect.bisect_left(self._times, start_time)
        last = min(known, first + PAGE)
        end_time = self._times[last - 1] if last > first else start_time
        head = b'"count":%d,"end_time":%d,"end_of_stream":%s' % (
            max(0, last - first),
            end_time,
            [b"false", b"true"][last >= known],
        )
        return b'{"%s":[%s],%s}' % (self._name, b",".join(self._rows[first:last]), head)


def handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    """Answers for the account in the folder."""
    streams = {f"/api/v2/incremental/{name}": Stream(folder / f"{name}.jsonl") for name in STREAMS}
    now = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client was ended
                super().handle()

        def do_GET(self) -> None:
            nonlocal now
            url = urlsplit(self.path)
            if url.path.startswith("/now/"):
                now = int(url.path.removeprefix("/now/"))
                return self._answer(b"")
            stream = streams.get(url.path.removesuffix(".json"))
            if stream is None:
                return self._answer(b'{"error":"RecordNotFound","description":"Not found"}', status=404)
            return self._answer(stream.page(int(parse_qs(url.query)["start_time"][0]), now=now))

        def _answer(self, body: bytes, *, status: int = 200) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(now, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a server of the account in the folder, a process of its own while the block lasts."""
    server = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(Path(sys.argv[1]))) as listening:
        print(f"http://127.0.0.1:{listening.server_port}", flush=True)
        listening.serve_forever()
