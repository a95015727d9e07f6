"""A server that plays an account of any size: audits with comments, evenly over one day, a thousand rows a page.

    python benchmarks/page_server.py ROWS [COMMENT_BYTES]     prints its URL, and serves until it is ended

It keeps no rows: a page is put together from a thousand texts. Every row of one index is the same whenever it is asked for.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

DAY_START = 1772409600  # 2026-03-02T00:00:00Z
DAY_SECONDS = 86_400
PAGE = 1000

WORDS = ["order", "delivered", "late", "refund", "before", "month", "please", "broken", "again", "agent"]


def texts(comment_bytes: int) -> list[str]:
    """A thousand rows without id and times."""
    seeded = random.Random(1)
    rows = []
    for number in range(PAGE):
        words: list[str] = []
        while sum(map(len, words)) + len(words) < comment_bytes // 2:
            words.append(seeded.choice(WORDS) + str(seeded.randrange(1000)))
        body = " ".join(words)
        children = [
            {
                "id": number,
                "via": "Web form",
                "event_type": "Comment",
                "body": body,
                "html_body": f"<p>{body}</p>",
                "public": True,
            },
            {"id": number + 1, "via": "Web form", "event_type": "Change", "status": "open", "previous_value": "new"},
        ]
        system = {"client": "Mozilla/5.0", "ip_address": f"192.0.2.{number % 250}", "location": "Berlin, 16, Germany"}
        row = {"ticket_id": number, "updater_id": 7, "via": "Web form", "event_type": "Audit", "system": system}
        rows.append(json.dumps({**row, "metadata": {}, "merged_ticket_ids": [], "child_events": children})[1:-1])
    return rows


class Account:
    """`rows` audits, evenly over the day."""

    def __init__(self, rows: int, comment_bytes: int) -> None:
        self._rows = rows
        self._texts = texts(comment_bytes)

    def time_of(self, index: int) -> int:
        """Epoch seconds of a row."""
        return DAY_START + index * DAY_SECONDS // self._rows

    def page(self, start_time: int) -> bytes:
        """The envelope of the page from `start_time` on."""
        first = max(0, -(-(start_time - DAY_START) * self._rows // DAY_SECONDS))
        last = min(self._rows, first + PAGE)
        rows = ",".join(
            f'{{"id":{index + 1},"timestamp":{self.time_of(index)},{self._texts[index % PAGE]}}}'
            for index in range(first, last)
        )
        end_time = self.time_of(last - 1) if last > first else start_time
        is_end = str(last == self._rows).lower()
        head = f'"count":{last - first},"end_time":{end_time},"end_of_stream":{is_end},"next_page":"?start_time={end_time}"'
        return f'{{"ticket_events":[{rows}],{head}}}'.encode()


@contextmanager
def serving(rows: int) -> Iterator[str]:
    """The URL of a server of that many rows, a process of its own while the block lasts."""
    server = subprocess.Popen([sys.executable, __file__, str(rows)], stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def serve(rows: int, comment_bytes: int) -> None:
    """Serve on a free port of 127.0.0.1."""
    account = Account(rows, comment_bytes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            body = account.page(int(query["start_time"][0]))
            self.send_response_only(200)
            self.send_header("Date", formatdate(DAY_START + 2 * DAY_SECONDS, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
