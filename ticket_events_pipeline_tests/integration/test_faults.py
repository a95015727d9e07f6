"""Every known fault of the network and of the server, in one fetch over real HTTP: green, exact, and each in the log.

Each fault alone, and how long is waited, is in `unit/zendesk/test_retry.py`.
"""

import gc
import gzip
import json
import re
from collections import Counter
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from ticket_events_pipeline.credentials import BearerToken, ClientCredentials
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import (
    AccountNotFoundError,
    AuthenticationError,
    BlockedError,
    ForbiddenError,
    OverfullSecondError,
    RequestRefusedError,
    TransientError,
)
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.sandbox.rows import row_time
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.client_bench import NOW, SECRET, Bench, bench, last_page
from ticket_events_pipeline_tests.support.faulty_account import ROW_OF, Fault, FaultyAccount
from ticket_events_pipeline_tests.support.fetches import ownership_of, stored_ids
from ticket_events_pipeline_tests.support.scripted_server import Item, ScriptedServer, cut, garbage, hang, reset, trickle

FIRST, LAST = Day.parse("2026-03-02"), Day.parse("2026-03-03")
DAYS = days_between(FIRST, LAST)
EVENTS, METRIC = "ticket_events", "ticket_metric_events"

NOW_TEXT = formatdate(NOW, usegmt=True)
TEXT, HTML = {"Content-Type": "text/plain"}, {"Content-Type": "text/html; charset=utf-8"}
SHAPES = {
    "Oops: it broke": (None, {"error": "Oops", "description": "it broke"}),
    "Forbidding: Don't": (None, {"error": {"title": "Forbidding", "message": "Don't"}}),
    "Depth: Too deep: really": (None, {"errors": [{"code": "Depth", "title": "Too deep", "detail": "really"}]}),
    "Couldn't do it": (None, {"error": "Couldn't do it"}),
    "Bad gateway": (HTML, "<html><head><title>Bad gateway</title></head><body>nginx</body></html>"),
    "upstream timed out": (TEXT, "upstream timed out"),
    "no message": (TEXT, ""),
    "\ufffd\ufffdx": (TEXT, b"\xff\xfex"),
}
WAITING = r"; waiting (\d+) s, then attempt (\d+)$"


def refused(status: int, body: str, headers: dict[str, str] | None = None, *, waits: str = r"\d+") -> Fault:
    kind, content = SHAPES[body]
    answer = (status, {**(kind or {}), **(headers or {})}, content)
    return Fault((answer,), (rf"{status} {re.escape(body)}; waiting {waits} s, then attempt 2",))


def once(item: Item, logged: str) -> Fault:
    return Fault((item,), (logged + r"; waiting \d+ s, then attempt 2",))


PAGE = {"end_of_stream": True, "end_time": 1}


def faults_of(stream: str, account: FaultyAccount) -> list[Fault]:
    """All faults; those that a smaller page solves come with the log of its halving."""
    page = json.dumps({**PAGE, stream: []}).encode()

    statuses = [408, 409, 500, 502, 503, 504]
    every = [refused(status, body) for status in statuses for body in SHAPES]
    every += [refused(429, body, {"Retry-After": "17"}, waits="17") for body in SHAPES]
    every += [
        refused(429, "no message", {"Retry-After": formatdate(NOW + 23, usegmt=True), "Date": NOW_TEXT}, waits="23"),
        refused(429, "no message", {"Zendesk-RateLimit-Incremental-Exports": "remaining=0; resets=7"}, waits="[78]"),
        refused(429, "no message", waits="60"),
        refused(503, "Bad gateway", {"Retry-After": "120"}, waits="120"),
        once((200, HTML, "<html><title>Sign in</title></html>"), r"200 with a web page \(Sign in\) instead of JSON.*"),
        once((200, {}, b'{"' + stream.encode() + b'": [{"id": 1,'), r"200 with no JSON from character \d+ of \d+ bytes on"),
        once((200, {}, b"\xff\xfe\x00"), "200 with no utf-16.* text from byte 2 of 3 on.*"),
        once((200, {}, b""), "200 with no JSON from character 0 of 0 bytes on"),
        once((200, {}, [1]), f"200 with JSON that holds no list '{stream}'"),
        once((200, {}, {"users": []}), f"200 with JSON that holds no list '{stream}'"),
        once((204, {}, b""), "204 instead of 200: no message"),
        once((200, {"Content-Encoding": "gzip"}, gzip.compress(page + b" " * 999)[:20]), r"200 with no JSON from character .*"),
        once((200, {"Content-Encoding": "gzip"}, b"no gzip"), "the answer broke off or can't be decompressed"),
        once(reset(), r"no connection \(\w+: .*\)"),
        once(reset(page, 9), "the answer broke off or can't be decompressed"),
        once(cut(page, 9), "the answer broke off or can't be decompressed"),
        once(garbage(b"\x00\x01\x02\r\n\r\n"), r"no connection \(\w+: .*\)"),
        once(too_recent(400, TEXT), "400 start_time is younger than 300 seconds, though by .* it is far older"),
        once(too_recent(422, None), "422 start_time is younger than 300 seconds, though by .* it is far older"),
    ]  # fmt: skip
    if stream == METRIC:
        return [*every, once(hang(9), "no answer within 1 s")]
    fewer = "requesting {} rows a page from now on"
    big = (200, {}, {**PAGE, stream: [{"id": 1, "child_events": ["x" * 50_000]}]})
    return [
        *every,
        Fault((hang(9), (504, {}, "")), ("no answer within 1 s", f"504 no message; {fewer.format(500)}", WAITING)),
        Fault((big,), (f"more than 50000 bytes; {fewer.format(250)}", "a page of more than 50000 bytes; waiting 0 s")),
    ]


def too_recent(status: int, headers: dict[str, str] | None) -> Item:
    text = "Too recent start_time. Use a start_time older than 5 minutes"
    dated = {**(headers or {}), "Date": NOW_TEXT}
    return (status, dated, text if headers else {"error": "InvalidValue", "description": text})


def stream_of(stream: str, rows: int) -> dict[str, list]:
    """Rows over both days and a little beyond; every fifth shares its second with the one before."""
    step = (LAST.end + 3600 - FIRST.start) // rows
    times = [FIRST.start + (n - (n % 5 == 4)) * step for n in range(rows)]
    return {stream: [ROW_OF[stream](n + 1, time) for n, time in enumerate(times)]}


@contextmanager
def reading(account: FaultyAccount, *, credentials=None, is_deaf=False, **options):
    """A bench whose client reads the account; a server that is deaf accepts connections from the first wait on."""
    with ScriptedServer(account.script(), is_deaf=is_deaf) as server:
        made = Bench(server, credentials or BearerToken(SECRET), **{"timeout_seconds": 1, **options})
        made.time.now = account.time.now
        slept = made.time.sleep

        def sleep(seconds: float) -> None:
            server.listen()
            slept(seconds)

        made.client._sleep = sleep
        account.time = made.time
        with made.client:
            yield made


def fetched(made: Bench, root, stream: str, days=DAYS) -> list:
    return list(
        fetch_days(
            made.client,
            FolderStore(root),
            stream=STREAMS[stream],
            days=days,
            ownership=ownership_of(days[0]),
            clock=made.time.clock,
            log=made.log.append,
        )
    )


def facts(done: list) -> list[tuple]:
    return [(one.day, one.footer.complete, one.footer.rows, one.footer.content_hash) for one in done]


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_a_fetch_with_every_fault_between_its_pages_is_exact_and_logs_each(tmp_path, stream):
    """Refused connections first, a token that ends in the middle, and every `next_page` leads to another host."""
    rows = stream_of(stream, 200)
    with reading(FaultyAccount(rows)) as undisturbed:
        expected = facts(fetched(undisturbed, tmp_path / "undisturbed", stream))
    with ScriptedServer() as elsewhere:
        account = FaultyAccount(rows, elsewhere=elsewhere.url)
        account.faults = faults_of(stream, account)
        account.faults.insert(30, Fault((account.end_token,), ()))
        options = {"credentials": ClientCredentials("id", SECRET), "is_deaf": True, "max_page_bytes": 50_000}
        with reading(account, **options) as made:
            assert facts(fetched(made, tmp_path / "disturbed", stream)) == expected
        assert elsewhere.requests == []
    assert account.happened == len(account.faults), "the fetch ended before all faults had happened"
    assert [stored_ids(tmp_path / "disturbed", stream, day) for day in DAYS] == [
        stored_ids(tmp_path / "undisturbed", stream, day) for day in DAYS
    ]
    lines = iter(made.log)
    assert any("Connection refused" in line for line in lines)
    for fault in account.faults:
        for pattern in fault.logged:
            assert any(re.search(pattern, line) for line in lines), f"the log doesn't have it, or not in its order: {pattern}"
    assert len(account.granted) == 2
    assert made.asked("per_page")[-1] == ("1000" if stream == EVENTS else None), "pages didn't grow back"
    retries = [int(found[1]) for line in made.log if (found := re.search(WAITING, line))]
    assert not Counter(retries) - Counter(round(seconds) for seconds in made.time.waits), "logged and not waited"


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the library leaves such an answer's socket to itself
def test_an_answer_with_contradicting_headers_is_requested_again():
    with bench((200, {"Content-Length": "5, 7"}, "{}"), last_page(1)) as made:
        assert [walked.requests for walked in made.walk()] == [2]
        assert "an answer with headers that contradict themselves; waiting" in made.log[0]
    gc.collect()


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
@pytest.mark.parametrize(("status", "headers"), [(400, TEXT), (400, None), (422, TEXT), (422, None)])
def test_the_answer_too_recent_ends_the_fetch_green_and_leaves_its_day_open(tmp_path, stream, status, headers):
    rows = stream_of(stream, 100)
    with reading(FaultyAccount(rows)) as made:
        fetched(made, tmp_path / "later", stream)
        start_time = int(made.asked("start_time")[-20])
    account = FaultyAccount(rows)
    answer = status, {**(headers or {}), "Date": formatdate(start_time + 200, usegmt=True)}, too_recent(status, headers)[2]
    answers = {str(start_time): answer}
    with ScriptedServer([lambda request: answers.get(request.query["start_time"], account.good(request))] * 200) as server:
        made = Bench(server, BearerToken(SECRET))
        with made.client:
            done = fetched(made, tmp_path / "now", stream)
        assert made.asked("start_time")[-1] == str(start_time)
    assert [one.footer.complete for one in done] == [True, False]
    read = [number for day in DAYS for number in stored_ids(tmp_path / "now", stream, day)]
    assert read == [number for day in DAYS for number in stored_ids(tmp_path / "later", stream, day)][: len(read)]
    assert rows[stream][len(read) - 1] == next(row for row in reversed(rows[stream]) if row_time(row) <= start_time)
    assert not [line for line in made.log if "then attempt" in line]


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (401, AuthenticationError, "retrying cannot clear this. Check ZENDESK_OAUTH_TOKEN"),
        (403, ForbiddenError, "need an admin's credentials; an OAuth token needs the scope read"),
        (404, AccountNotFoundError, "Check ZENDESK_SUBDOMAIN"),
    ],
)
def test_a_refusal_ends_a_fetch_at_its_first_request_and_changes_nothing(tmp_path, status, kind, advice, shape):
    headers, body = SHAPES[shape]
    if (status, headers) == (403, HTML):  # the API answers in JSON: a page comes from what stands before it
        kind, advice = BlockedError, "The credentials were not checked"
    with bench((status, headers or {}, body)) as made:
        with pytest.raises(kind, match=advice) as caught:
            fetched(made, tmp_path, METRIC)
        assert f"answered {status} ({shape})" in str(caught.value)
        assert (len(made.server.requests), made.time.waits) == (1, [])
    assert FolderStore(tmp_path).paths(METRIC) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/api/v2/incremental/ticket_events?start_time=1", "", "//x/y"])
def test_a_redirect_to_another_host_is_not_followed_and_carries_no_credentials(status, path):
    with ScriptedServer() as elsewhere, bench((status, {"Location": elsewhere.url + path}, "moved")) as made:
        with pytest.raises(RequestRefusedError, match=rf"answered {status}, a redirect to 127\.0\.0\.1"):
            made.walk()
        assert (len(made.server.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize("location", ["https://[bad", "http://:port/", "\x01", "x" * 9000, "javascript:alert(1)", "//"])
def test_a_redirect_to_nowhere_is_a_refusal_like_any_other(location):
    with bench((302, {"Location": location}, "moved")) as made, pytest.raises(RequestRefusedError, match="It is not followed"):
        made.walk()


def test_a_redirects_body_is_not_read_to_its_end():
    """The library would, to use the connection again."""
    sent = []
    body = trickle(b"x" * 70_000, lambda: sent.append(1))
    head = f"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: {10**9}\r\n\r\n".encode()
    with bench(garbage(head + body.body)) as made, pytest.raises(RequestRefusedError, match="answered 302"):
        made.walk()


@pytest.mark.parametrize("client", [BearerToken(SECRET), ClientCredentials("id", SECRET)], ids=["token", "client"])
def test_a_host_without_an_address_is_retried(client):
    with ScriptedServer() as server:
        made = Bench(server, client)
    made.client = type(made.client)(
        "https://acme.zendesk.invalid", client, quota=made.client._quota, sleep=made.time.sleep, log=made.log.append
    )
    with made.client, pytest.raises(TransientError, match=r"no connection \(gaierror: .*Try again in a minute"):
        made.client.check()


def crowded(stream: str, crowd: int) -> tuple[int, dict[str, list]]:
    """A second in the evening of the last day that holds a crowd of rows, and some rows before and after it."""
    second = LAST.end - 7200
    times = [*range(FIRST.start, second, 9000), *[second] * crowd, second + 1, second + 600]
    return second, {stream: [ROW_OF[stream](n + 1, time) for n, time in enumerate(times)]}


@pytest.mark.parametrize("end_of_stream", ["present", "absent"])
@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_a_page_enlarged_for_a_crowded_second_is_taken_whole(tmp_path, stream, end_of_stream):
    _, rows = crowded(stream, 2500)
    with reading(FaultyAccount(rows, page_limit=1000, world={"end_of_stream": end_of_stream})) as made:
        done = fetched(made, tmp_path, stream)
        assert len(made.server.requests) <= 4
    assert [one.footer.complete for one in done] == [True, True]
    stored = [number for day in DAYS for number in stored_ids(tmp_path, stream, day)]
    assert stored == [row["id"] for row in rows[stream]]


@pytest.mark.parametrize("end_of_stream", ["present", "absent"])
@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_an_overfull_second_is_named_and_its_day_stays_open(tmp_path, stream, end_of_stream):
    """Days finished before stay; the day itself is not complete."""
    second, rows = crowded(stream, 2500)
    world = {"pinned": True, "end_of_stream": end_of_stream}
    with reading(FaultyAccount(rows, page_limit=1000, world=world)) as made:
        message = rf"the second 2026-03-03T22:00:00Z \(start_time={second}\) holds more events .* the same 1,000 rows"
        with pytest.raises(OverfullSecondError, match=message):
            fetched(made, tmp_path, stream)
        assert len(made.server.requests) <= 4
        assert made.time.waits == []
    first, last = (read_raw_footer(FolderStore(tmp_path), stream, day) for day in DAYS)
    assert first is not None
    assert first.complete
    assert stored_ids(tmp_path, stream, FIRST) == [row["id"] for row in rows[stream][:10]]
    assert last is None or not last.complete


def test_a_second_of_too_many_bytes_is_named_after_the_page_was_halved_to_one_row(tmp_path):
    second = FIRST.start + 100
    rows = {EVENTS: [ROW_OF[EVENTS](n, second, padding="x" * 2000) for n in range(1, 30)]}
    with reading(FaultyAccount(rows, page_limit=1000), max_page_bytes=50_000) as made:
        with pytest.raises(OverfullSecondError, match=r"more than 50000 bytes, and no smaller page .* 2026-03-02T00:00:00Z"):
            fetched(made, tmp_path, EVENTS)
        assert made.asked("per_page") == ["1000", "500", "250", "125", "62", "31", "15", "7", "3", "1"]
        assert sum(made.time.waits) == 0


def test_a_page_of_too_many_bytes_is_halved_until_it_fits_and_all_of_it_arrives(tmp_path):
    rows = {EVENTS: [ROW_OF[EVENTS](n, FIRST.start + 60 * n, padding="x" * 2000) for n in range(1, 100)]}
    rows[EVENTS].append(ROW_OF[EVENTS](100, LAST.end + 600))
    with reading(FaultyAccount(rows, page_limit=1000), max_page_bytes=50_000) as made:
        fetched(made, tmp_path, EVENTS)
    assert stored_ids(tmp_path, EVENTS, FIRST) == list(range(1, 100))


def test_a_customers_text_is_in_no_line_of_the_log_whatever_goes_wrong(tmp_path):
    """A page that breaks off, that is no JSON, or that is too large is described by its size and not quoted."""
    private = b'{"ticket_events": [{"id": 1, "subject": "My IBAN is DE00 1234'
    bad: list[Item] = [(200, {}, private), cut(private, 60), (200, {}, [private.decode()]), (200, {}, private + b"\xff")]
    with bench(*bad, (200, {}, private * 9000), (500, {}, ""), max_page_bytes=100_000) as made:
        with pytest.raises(RequestRefusedError):
            fetched(made, tmp_path, EVENTS)
        assert "IBAN" not in "".join(made.log)
        assert len(made.server.requests) == len(bad) + 3


def test_the_waits_that_a_server_asks_for_are_bounded_in_their_sum():
    with bench(*[(429, {"Retry-After": "290"}, "no")] * 12) as made:
        with pytest.raises(TransientError, match=r"failed after 4 attempts.*The server asks to wait 290 s"):
            made.walk()
        assert made.time.waits == [290, 290, 290]


def test_our_own_waits_grow_and_are_random():
    """Otherwise all clients that were refused at one moment would return at one moment."""

    def waits() -> list[float]:
        with bench(*[(500, {}, "")] * 12) as made:
            with pytest.raises(TransientError):
                made.walk()
            return made.time.waits

    one, other = waits(), waits()
    assert not set(one) & set(other)
    assert all(wait <= min(60, 2**number) for number, wait in enumerate(one))
