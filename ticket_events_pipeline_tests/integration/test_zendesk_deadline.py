"""The deadline of one exchange: real servers whose responses never end, in ways that no socket timeout limits."""

import gzip
import itertools
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from ticket_events_pipeline.alerts.webhook import Answer, post
from ticket_events_pipeline.credentials import BearerToken, ClientCredentials
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.zendesk.answers import Overtaxed, Unreadable
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.connection import EXCHANGE_TIMEOUTS, OneHostSession, read_body
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota
from ticket_events_pipeline.zendesk.token_end import CURRENT_TOKEN_PATH, TokenEnd
from ticket_events_pipeline_tests.support.client_bench import SECRET, T, last_page
from ticket_events_pipeline_tests.support.fetches import ownership_of
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer, endless, hang
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS
from ticket_events_pipeline_tests.support.tls import HOST, certificate, proxy_to, speak_tls

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n\r\n"

# Each piece arrives within any read timeout, and none completes the line, the headers or the body that it belongs to.
ENDLESS = {
    "trickled status line": endless(b"HTTP/1.1 200 ", b"O"),
    "trickled header": endless(OK + b"X: ", b"x"),
    "endless 100 Continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless chunk size": endless(CHUNKED, b"0"),
    "endless trailers": endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: x\r\n"),
    "gzip of empty blocks": endless(GZIP + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"),
    "gzip of empty members": endless(GZIP, gzip.compress(b"")),
    "trickled body": endless(OK + b"Content-Length: 99999\r\n\r\n", b" "),
    "trickled body without a length": endless(OK + b"\r\n", b" "),
}


def session(exchange_seconds=0.15):
    """A client whose socket timeouts are much longer than a test, so that only the deadline can end an exchange."""
    made = OneHostSession(connect_seconds=60, read_seconds=60, exchange_seconds=exchange_seconds)
    made.trust_env = False
    return made


def asked(by, url):
    with by.exchange("GET", url) as response:
        return read_body(response, limit_bytes=10_000_000)


def ends_late(by, url, *, after=0.15):
    """Asserts that the exchange ends at its deadline with the right error."""
    began = time.monotonic()
    with pytest.raises(Overtaxed, match=f"^an answer that was not complete after {after:g} s$"):
        asked(by, url)
    return after <= time.monotonic() - began < 30  # half of the socket timeouts


def with_time_to_answer(test):
    """Calls `test` with a deadline, and with longer ones where a busy machine's server has got no request by then."""
    for seconds in (0.15, 1.5, 15):
        if requests := test(seconds):
            return requests
    return []


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_that_never_ends_is_ended_by_the_deadline(answer):
    def requests_until(deadline):
        with ScriptedServer([answer]) as server, session(deadline) as by:
            assert ends_late(by, server.url, after=deadline)
            return list(server.requests)

    assert len(with_time_to_answer(requests_until)) == 1


def test_each_exchange_on_a_kept_alive_connection_has_its_own_deadline():
    """The second exchange uses the connection of the first, whose deadline was cancelled."""
    with ScriptedServer([(200, {}, "{}"), ENDLESS["trickled header"], (200, {}, "{}")]) as server, session(0.4) as by:
        assert asked(by, server.url) == b"{}"
        assert ends_late(by, server.url, after=0.4)
        assert asked(by, server.url) == b"{}"
        first, second, third = (request.client_port for request in server.requests)
        assert first == second != third


def test_a_met_deadline_does_not_affect_later_exchanges():
    with ScriptedServer([(200, {}, "{}")] * 2) as server, session(0.3) as by:
        assert asked(by, server.url) == b"{}"
        time.sleep(0.35)
        assert asked(by, server.url) == b"{}"
        first, second = (request.client_port for request in server.requests)
        assert first == second


@pytest.mark.parametrize("kind", ["trickled header", "gzip of empty blocks"])
def test_the_deadline_holds_for_https_and_through_a_proxy(kind, tmp_path, monkeypatch):
    """TLS wraps the socket; the first response keeps its connection alive."""
    paths = certificate(tmp_path)
    script = [(200, {}, "{}"), ENDLESS[kind]]
    with speak_tls(ScriptedServer(script), paths) as server, proxy_to(server) as way, session(0.6) as by:
        by.trust_env = True
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way.port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(paths[0]))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert asked(by, f"https://{HOST}/") == b"{}"
        assert ends_late(by, f"https://{HOST}/", after=0.6)
        first, second = (request.client_port for request in server.requests)
        assert first == second


def test_a_handshake_that_never_ends_is_ended_by_the_deadline():
    """The server process never accepts the connection; only the operating system has answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent, session() as by:
        assert ends_late(by, f"https://127.0.0.1:{silent.getsockname()[1]}/")


def test_a_proxys_answer_to_connect_that_never_ends_is_ended_by_the_deadline(monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def requests_until(deadline):
        with ScriptedServer([ENDLESS["trickled header"]]) as proxy, session(deadline) as by:
            by.trust_env = True
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            assert ends_late(by, f"https://{HOST}/", after=deadline)
            return list(proxy.requests)

    assert [request.method for request in with_time_to_answer(requests_until)] == ["CONNECT"]


def test_the_wait_for_an_address_that_does_not_answer_ends_at_the_deadline():
    """With a full accept queue, the operating system drops further connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting, session() as by:
        for _ in range(4):
            early = waiting.enter_context(socket.socket())
            early.setblocking(False)
            early.connect_ex(full.getsockname())
        assert ends_late(by, f"http://127.0.0.1:{full.getsockname()[1]}/")


def test_a_host_with_two_addresses_is_reached_at_the_one_that_answers():
    with ScriptedServer([(200, {}, "{}")]) as server, session(5) as by:
        assert asked(by, server.url.replace("127.0.0.1", "localhost")) == b"{}"


def test_a_response_compressed_twice_is_refused():
    """Two layers expand a few bytes to hours of work without a read, which no deadline would end."""
    packed = gzip.compress(gzip.compress(b"{}"))
    with (
        ScriptedServer([(200, {"Content-Encoding": "gzip, gzip"}, packed)]) as server,
        session() as by,
        pytest.raises(Unreadable, match="compressed more than once"),
    ):
        asked(by, server.url)


def client_of(url, credentials=None, *, timeout_seconds=0.1, **options):
    quota = Quota(1_000_000)
    return ZendeskClient(
        url, credentials or BearerToken(SECRET), quota=quota, timeout_seconds=timeout_seconds, sleep=lambda _: None, **options
    )


def test_a_page_that_is_not_complete_by_the_deadline_is_retried():
    """After ten read timeouts, and the log says so. On a busy machine, one may elapse before a byte arrives."""
    log = []
    script = [ENDLESS["trickled header"], last_page(1, key="ticket_metric_events")]
    with ScriptedServer(script) as server, client_of(server.url, log=log.append) as client:
        assert [walked.requests for walked in client.pages(TICKET_METRIC_EVENTS, T)] == [2]
    assert "an answer that was not complete after 1 s; waiting" in log[0] or "no answer within" in log[0]


def test_the_end_of_a_token_is_unknown_if_the_response_misses_the_deadline():

    def requests_until(deadline):
        script = [ENDLESS["endless 100 Continue"]]
        with ScriptedServer(script) as server, client_of(server.url, timeout_seconds=deadline / EXCHANGE_TIMEOUTS) as client:
            assert client.token_end() == TokenEnd(is_known=False)
            return list(server.requests)

    assert [request.path for request in with_time_to_answer(requests_until)] == [CURRENT_TOKEN_PATH]


@pytest.mark.parametrize("answer", [ENDLESS["endless 100 Continue"], hang(60)], ids=["100 Continue", "hang"])
def test_an_endless_webhook_response_is_abandoned_and_its_thread_ends(answer):
    with ScriptedServer([answer]) as server:
        threads = set(threading.enumerate())

        def is_sending():
            others = set(threading.enumerate()) - threads
            return any(thread.name != "deadlines" and "process_request" not in thread.name for thread in others)

        assert post(server.url, {"text": "!"}, total_seconds=0.2) == Answer(is_accepted=False, reason="no answer within 0.2 s")
        wait_until(lambda: not is_sending())


def wait_until(holds):
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("exchanges", "ended_late"), [(60, 4), pytest.param(1000, 50, marks=pytest.mark.slow)])
def test_exchanges_leave_no_thread_and_no_descriptor_open(exchanges, ended_late):
    """Including those that the deadline ends; one thread remains, which watches all exchanges."""
    script = itertools.chain([(200, {}, "{}")] * exchanges, [ENDLESS["trickled header"]] * ended_late)
    with ScriptedServer(script) as server:
        with session(60) as by:
            asked(by, server.url)
            threads, open_files = threading.active_count(), len(os.listdir("/dev/fd"))
            for _ in range(exchanges - 1):
                asked(by, server.url)
        with session(0.02) as by:
            for _ in range(ended_late):
                assert ends_late(by, server.url, after=0.02)
        wait_until(lambda: threading.active_count() < threads)  # the server's, one per connection
        assert len(os.listdir("/dev/fd")) < open_files


def test_cookies_are_neither_kept_nor_sent():
    """Neither by the API client nor by the webhook client."""
    cookie = {"Set-Cookie": "_zendesk_session=abc; Path=/; Max-Age=9999"}
    pages = [last_page(1, headers=cookie), last_page(2)]
    with ScriptedServer([*pages, (200, cookie, "ok"), (200, {}, "ok")]) as server:
        with client_of(server.url, timeout_seconds=5) as client:
            client.check()
            client.check()
        for _ in range(2):
            assert post(server.url, {"text": "!"}).is_accepted
        assert len(server.requests) == 4
        assert not any("cookie" in request.headers for request in server.requests)


FIVE = ["trickled header", "endless 100 Continue", "endless trailers", "endless chunk size", "gzip of empty blocks"]


def failed_run(kind, root, credentials):
    """The error of a whole run against a server that always sends this response, and the requests that it received."""
    script = itertools.repeat(ENDLESS[kind])
    with ScriptedServer(script) as server, client_of(server.url, credentials, timeout_seconds=0.2) as client:
        day = Day.containing(T)
        with pytest.raises(TransientError) as caught:
            list(
                fetch_days(
                    client,
                    FolderStore(root),
                    stream=TICKET_METRIC_EVENTS,
                    days=[day],
                    ownership=ownership_of(day),
                    clock=time.time,
                    log=lambda _: None,
                )
            )
        return str(caught.value), [request.path for request in server.requests]


@pytest.mark.slow
def test_a_run_without_a_complete_response_fails_with_one_message(tmp_path):
    """Five endless responses to pages and to the token request. The runs are concurrent: each takes twelve deadlines of 2 s."""
    oauth = ClientCredentials("client", SECRET)
    runs = [(kind, tmp_path / f"{number}", who) for number, (kind, who) in enumerate(itertools.product(FIVE, (None, oauth)))]
    with ThreadPoolExecutor(len(runs)) as pool:
        for (kind, root, who), (message, paths) in zip(runs, pool.map(lambda run: failed_run(*run), runs), strict=True):
            cause = "an answer that was not complete after 2 s" + (", from /oauth/tokens" if who else "")
            assert f"failed after 12 attempts. Responses: 12 times {cause}. No stored data was changed." in message, kind
            assert message.count("status.zendesk.com") == 1
            expected = "/oauth/tokens" if who else "/api/v2/incremental/ticket_metric_events"
            assert paths == [expected] * 12
            assert not list(root.glob("ticket_metric_events/*"))
