"""The server of the reports: pages of the reports' folder on this machine, and nothing else."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.report.files import report_path
from ticket_events_pipeline.report.server import ReportServer
from ticket_events_pipeline.report.write import write_report
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.hand_made_reports import DAY, day_report


@contextmanager
def serving(store) -> Iterator[ReportServer]:
    server = ReportServer(store, port=0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def asked(server: ReportServer, path: str, *, method: str = "GET", host: str | None = None) -> http.client.HTTPResponse:
    """The path is sent as it stands: no client has normalised it."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or server.url.removeprefix("http://"))
    connection.putheader("Connection", "close")
    connection.endheaders()
    answer = connection.getresponse()
    answer.content = answer.read()
    connection.close()
    return answer


def stored(folder):
    store = FolderStore(folder)
    write_report(store, day_report())
    (folder / "secret.html").write_text("not a report")
    (folder / "sla_breach_report" / ".hidden.html").write_text("not a report")
    return store


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def server(root):
    with serving(stored(root)) as server:
        yield server


def test_the_pages_are_served_as_they_are_stored(server, root):
    for path in ("/latest.html", "/explained.html", f"/date={DAY}/sla_breach_report.html", "/latest.html?day=1"):
        answer = asked(server, path)
        page = root / "sla_breach_report" / path.lstrip("/").partition("?")[0]
        assert (answer.status, answer.content) == (200, page.read_bytes()), path
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_address_alone_leads_to_the_newest_day(server):
    answer = asked(server, "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/latest.html")


def test_a_page_made_later_is_there(tmp_path):
    store = stored(tmp_path)
    with serving(store) as server:
        later = replace(day_report(), day=DAY.plus(1))
        path = report_path(later.day).removeprefix("sla_breach_report")
        assert asked(server, path).status == 404
        write_report(store, later)
        assert asked(server, path).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "/date=2026-11-23/../../secret.html",
        "//secret.html",
        "/.hidden.html",
        "/date=2026-11-23/",
        "/weeks",
        "/a/b/c.html",
        "/latest.html%00",
        "/latest.html/",
        "*",
        f"/{'a' * 300}.html",
    ],
)
def test_nothing_else_is_served_and_no_folder_is_listed(server, path):
    answer = asked(server, path)
    assert answer.status == 404
    assert answer.content in (b"There is no such report.\n", b"This report has not been made.\n")


def test_head_sends_the_headers_alone_and_other_methods_are_refused(server):
    head, got = asked(server, "/latest.html", method="HEAD"), asked(server, "/latest.html")
    assert (head.status, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(got.content) > 0
    for method in ("POST", "PUT", "DELETE"):
        assert asked(server, "/latest.html", method=method).status == 501


def test_another_name_of_this_machine_is_refused(server):
    """A page of another site can point its own name at 127.0.0.1."""
    port = server.url.rpartition(":")[2]
    assert asked(server, "/latest.html", host=f"evil.example:{port}").status == 403
    assert asked(server, "/latest.html", host=f"localhost:{port}").status == 200


@pytest.mark.parametrize("host", ["[::1", "[x]", "[::1]:80", "127.0.0.1.evil.example"])
def test_a_host_that_is_malformed_or_not_local_is_answered_with_a_refusal(server, host):
    assert asked(server, "/latest.html", host=host).status == 403


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do(server, root):
    with pytest.raises(UsageError, match=r"Address already in use.*--serve 0"):
        ReportServer(FolderStore(root), port=int(server.url.rpartition(":")[2]))
