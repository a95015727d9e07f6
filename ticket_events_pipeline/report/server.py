"""Serves the stored reports to this machine's browsers: pages of the reports' folder, and nothing else of the root.

Every page is read from the root when it is asked for, so that one made later, or in an object store, is there at once.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from ticket_events_pipeline.errors import TicketEventsError, UsageError
from ticket_events_pipeline.report.files import LATEST, REPORT
from ticket_events_pipeline.storage.store import Store

HOST = "127.0.0.1"

_SERVED = re.compile(r"/(?:[A-Za-z0-9=_-]{1,100}/)?[A-Za-z0-9_-]{1,100}\.(html|csv)", re.ASCII)
"""No name of a folder or a file can begin with a dot: no path leads out of the reports' folder.
No file system refuses names of that length."""

_TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8"}

_LOCAL_NAMES = {"127.0.0.1", "localhost"}
"""A page of another site could make the browser ask this server under a name of its own; that name is refused."""


class ReportServer:
    """The reports of a root under `http://127.0.0.1:PORT`."""

    def __init__(self, store: Store, *, port: int) -> None:
        """Take the port; 0 is any free one.

        Raises:
            UsageError: another program has it.
        """

        class Handler(_Handler):
            reports = store

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except OSError as error:
            reason = f"Port {port} of {HOST} can't be used ({error.strerror})"
            raise UsageError(f"{reason}. Give another one, or 0 for any that is free: --serve 0") from None

    @property
    def url(self) -> str:
        """Its address, without a trailing slash: what TICKET_EVENTS_REPORT_URL is set to."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def serve(self) -> None:
        """Serve until `close`, or until an exception in the calling thread."""
        self._server.serve_forever()

    def close(self) -> None:
        """Give the port back; ends `serve` in another thread."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the reports; the standard library answers other methods with 501."""

    reports: Store
    protocol_version = "HTTP/1.1"
    server_version = "ticket-events"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the standard library names it
        """Nothing: a line for each page that is opened helps nobody."""

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        found = _SERVED.fullmatch(path)
        if _host_name(self.headers.get("Host", "")) not in _LOCAL_NAMES:
            self._send(HTTPStatus.FORBIDDEN, b"Open it as 127.0.0.1 or localhost.\n", with_body=with_body)
        elif path == "/":
            self._send(HTTPStatus.FOUND, b"", with_body=with_body, location=LATEST.removeprefix(REPORT))
        elif found is None:
            self._send(HTTPStatus.NOT_FOUND, b"There is no such report.\n", with_body=with_body)
        else:
            self._send_page(path, _TYPES[found[1]], with_body=with_body)

    def _send_page(self, path: str, content_type: str, *, with_body: bool) -> None:
        try:
            with self.reports.reader(f"{REPORT}{path}") as file:
                content = file.read()
        except FileNotFoundError:
            self._send(HTTPStatus.NOT_FOUND, b"This report has not been made.\n", with_body=with_body)
        except TicketEventsError as error:
            self._send(HTTPStatus.BAD_GATEWAY, f"{error}\n".encode(), with_body=with_body)
        else:
            self._send(HTTPStatus.OK, content, with_body=with_body, content_type=content_type)

    def _send(
        self,
        status: HTTPStatus,
        content: bytes,
        *,
        with_body: bool,
        content_type: str = "text/plain; charset=utf-8",
        location: str | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")  # a page is made again when figures change
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        if with_body:
            self.wfile.write(content)


def _host_name(header: str) -> str:
    """The name in a header Host, without the port; empty if it can't be read."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
