"""A server that plays an account of any size: a stream's rows, evenly over whole days, a thousand rows a page.

    python benchmarks/page_server.py STREAM[,STREAM] ROWS [--days N] [--comment-bytes N] [--rendered]

prints its URL, and serves until it is ended: ROWS of each stream. Rows are the sandbox account's, with ids and times of their
own; audits have comments if requested. `--rendered` makes every page before the first request, so that only the reader is
measured. Every row of one index is the same whenever it is asked for. `GET /requests` returns how many pages were requested so
far. Pages go by `start_time`, inclusive, so that the rows of a page's last second come twice; or by cursor, where a client asks
for `page[size]`. Every other path is a 404.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from urllib.parse import parse_qs, urlsplit

from ticket_events_pipeline.sandbox.account import SimulatedAccount

DAY_SECONDS = 86_400
LAST_DAY_START = 1772409600  # 2026-03-02T00:00:00Z: the newest day that the account has rows of
PAGE = 1000

WORDS = ["order", "delivered", "late", "refund", "before", "month", "please", "broken", "again", "agent"]


def texts(stream: str, comment_bytes: int) -> list[str]:
    """A thousand rows without id and time: the first fields are left to the account."""
    account = SimulatedAccount()
    found = []
    for row in islice(account.rows(stream, LAST_DAY_START + DAY_SECONDS // 3, now=LAST_DAY_START + 30 * DAY_SECONDS), PAGE):
        content = json.loads(row.json)
        del content["id"]
        for name in ("time", "timestamp", "created_at"):
            content.pop(name, None)
        found.append(content)
    if comment_bytes:
        _add_comments(found, comment_bytes)
    return [json.dumps(content, separators=(",", ":"))[1:-1] for content in found]


def _add_comments(rows: list[dict], comment_bytes: int) -> None:
    seeded = random.Random(1)
    for row in rows:
        words: list[str] = []
        while sum(map(len, words)) + len(words) < comment_bytes // 2:
            words.append(seeded.choice(WORDS) + str(seeded.randrange(1000)))
        body = " ".join(words)
        row["child_events"].append(
            {"id": 1, "event_type": "Comment", "body": body, "html_body": f"<p>{body}</p>", "public": True}
        )


class Account:
    """`rows` of a stream, evenly over `days` days, the last of which is LAST_DAY_START's."""

    def __init__(self, url: str, stream: str, rows: int, *, days: int, comment_bytes: int, rendered: bool) -> None:
        self._url = f"{url}/api/v2/incremental/{stream}"
        self.stream = stream
        self._rows = rows
        self._seconds = days * DAY_SECONDS
        self._start = LAST_DAY_START - (days - 1) * DAY_SECONDS
        self._texts = texts(stream, comment_bytes)
        self._pages: dict[int, bytes] = {}
        start_time = self._start
        while rendered and start_time not in self._pages:
            self._pages[start_time] = self._rendered(start_time)
            start_time = self._end_time(start_time)

    def page(self, start_time: int) -> bytes:
        """The envelope of the page from `start_time` (epoch seconds) on."""
        return self._pages.get(start_time) or self._rendered(start_time)

    def cursor_page(self, start_time: int, size: int, after: str | None) -> bytes:
        """The envelope of the page of that size after a cursor, or else from `start_time` on."""
        first = int(after) if after else self._first(start_time)
        last = min(self._rows, first + size)
        has_more = str(last < self._rows).lower()
        meta = f'"meta":{{"has_more":{has_more},"after_cursor":"{last}"}}'
        links = f'"links":{{"next":"{self._url}?page%5Bsize%5D={size}&page%5Bafter%5D={last}"}}'
        return f'{{"{self.stream}":[{self._json(first, last)}],{meta},{links}}}'.encode()

    def _first(self, start_time: int) -> int:
        return max(0, -(-(start_time - self._start) * self._rows // self._seconds))

    def _time_of(self, index: int) -> int:
        return self._start + index * self._seconds // self._rows

    def _end_time(self, start_time: int) -> int:
        last = min(self._rows, self._first(start_time) + PAGE)
        return self._time_of(last - 1) if last > self._first(start_time) else start_time

    def _row(self, index: int) -> str:
        time = self._time_of(index)
        moment = f"{dt.datetime.fromtimestamp(time, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        when = f'"timestamp":{time},"created_at":"{moment}"' if self.stream == "ticket_events" else f'"time":"{moment}"'
        return f'{{"id":{index + 1},{when},{self._texts[index % len(self._texts)]}}}'

    def _rendered(self, start_time: int) -> bytes:
        first = self._first(start_time)
        last = min(self._rows, first + PAGE)
        end_time = self._end_time(start_time)
        is_end = str(last == self._rows).lower()
        following = f"{self._url}?start_time={end_time}"
        head = f'"count":{last - first},"end_time":{end_time},"end_of_stream":{is_end},"next_page":"{following}"'
        return f'{{"{self.stream}":[{self._json(first, last)}],{head}}}'.encode()

    def _json(self, first: int, last: int) -> str:
        return ",".join(map(self._row, range(first, last)))


@contextmanager
def serving(stream: str, rows: int, *, days: int = 1, comment_bytes: int = 0, rendered: bool = False) -> Iterator[str]:
    """The URL of a server of that many rows of a stream (or of each of several, with commas between), while the block lasts."""
    command = [sys.executable, __file__, stream, str(rows), "--days", str(days), "--comment-bytes", str(comment_bytes)]
    server = subprocess.Popen(command + ["--rendered"] * rendered, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def handler(accounts: Sequence[Account]) -> type[BaseHTTPRequestHandler]:
    """Answers for the account, given stream by stream, and counts the pages requested."""
    requests = 0
    streams = {f"/api/v2/incremental/{account.stream}": account for account in accounts}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # as real servers do: else a small body waits 40 ms for the client's kernel

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client was killed
                super().handle()

        def do_GET(self) -> None:
            nonlocal requests
            url = urlsplit(self.path)
            if url.path == "/requests":
                return self._answer(str(requests).encode())
            requests += 1
            account = streams.get(url.path.removesuffix(".json"))
            if account is None:
                return self._answer(b'{"error":"RecordNotFound","description":"Not found"}', status=404)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            start_time = int(asked.get("start_time", 0))
            if "page[size]" in asked:
                return self._answer(account.cursor_page(start_time, int(asked["page[size]"]), asked.get("page[after]")))
            return self._answer(account.page(start_time))

        def _answer(self, body: bytes, *, status: int = 200) -> None:
            self.send_response_only(status)
            self.send_header("Date", self.date_time_string())
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    """Serve what the command line asks for, on a free port of 127.0.0.1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("streams", help="ticket_events, ticket_metric_events, or both with a comma between")
    parser.add_argument("rows", type=int)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--comment-bytes", type=int, default=0)
    parser.add_argument("--rendered", action="store_true")
    asked = parser.parse_args()
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        options = {name: value for name, value in vars(asked).items() if name != "streams"}
        server.RequestHandlerClass = handler([Account(url, stream, **options) for stream in asked.streams.split(",")])
        print(url, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
