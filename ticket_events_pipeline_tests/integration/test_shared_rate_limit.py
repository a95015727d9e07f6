"""One quota over real HTTP: one client, several processes at once, and a killed one. The server counts what it refuses."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.zendesk.client import ZendeskClient
from ticket_events_pipeline.zendesk.rate_limit import Wait
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota, Turn, in_memory_exchange
from ticket_events_pipeline_tests.support.client_bench import FakeTime, T, bench, last_page, page
from ticket_events_pipeline_tests.support.commands import Place, new_place
from ticket_events_pipeline_tests.support.fetches import stored_ids
from ticket_events_pipeline_tests.support.quota_simulation import HEADER
from ticket_events_pipeline_tests.support.scripted_server import garbage
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

STREAMS = ("ticket_events", "ticket_metric_events")
DAY = Day.parse("2026-03-02")
ROWS_PER_PAGE = 10
STATE = "_inflight/quota-127.0.0.1.json"

slow = pytest.mark.slow


def account(pages: int) -> RecordedAccount:
    """Rows for that many pages of each stream, a second apart. Pages overlap by a row: nine of ten rows are new."""
    moments = [DAY.start + number for number in range(pages * (ROWS_PER_PAGE - 1))]
    audits = [{"id": moment, "ticket_id": 1, "timestamp": moment, "child_events": []} for moment in moments]
    metric_events = [
        {"id": moment, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "activate", "time": moment}
        for moment in moments
    ]
    return RecordedAccount({"ticket_events": audits, "ticket_metric_events": metric_events})


def refused(server: SandboxServer) -> int:
    return sum(seen.status == 429 for seen in server.requests)


def most_in_a_window(server: SandboxServer, seconds: float) -> int:
    """The most requests that were answered within any range of that many seconds."""
    times = sorted(seen.at for seen in server.requests if seen.status == 200)
    return max(sum(start <= at < start + seconds for at in times) for start in times)


@pytest.mark.parametrize("quota_headers", [True, False])
def test_a_hundred_requests_at_ten_in_four_seconds_are_never_refused(quota_headers: bool) -> None:
    """By the server's header; without one, by the configured 150 a minute. On a clock that only waits move."""
    fake = FakeTime()
    server = SandboxServer(
        account(100),
        clock=fake.clock,
        requests_per_minute=10,
        quota_window_seconds=4,
        quota_headers=quota_headers,
        page_limit=ROWS_PER_PAGE,
    )
    log: list[str] = []
    quota = Quota(150, clock=fake.clock)
    with (
        server,
        ZendeskClient(
            server.base_url, BearerToken("sandbox"), quota=quota, clock=fake.clock, sleep=fake.sleep, log=log.append
        ) as client,
    ):
        pages = list(client.pages(TICKET_METRIC_EVENTS, DAY.start))
    assert len(server.requests) == len(pages) >= 100
    assert refused(server) == 0
    assert sum(fake.waits) < 60
    assert all("waiting" in line for line in log)
    assert 9 <= len(log) <= 11


def ten_in_four_seconds(account: RecordedAccount, quota_headers: bool) -> SandboxServer:
    return SandboxServer(
        account, requests_per_minute=10, quota_window_seconds=4, quota_headers=quota_headers, page_limit=ROWS_PER_PAGE
    )


@slow
@pytest.mark.parametrize("quota_headers", [True, False])
def test_of_a_hundred_requests_in_real_time_one_is_refused_at_most(tmp_path: Path, quota_headers: bool) -> None:
    """The whole command, with nothing but the variables that a user sets."""
    with ten_in_four_seconds(account(100), quota_headers) as server:
        place = new_place(tmp_path, server, ZENDESK_REQUESTS_PER_MINUTE="150")
        ended = place.materialize("ticket_metric_events", str(DAY))
        assert ended.code == 0, ended.output[-3000:]
    assert len(server.requests) >= 100
    assert refused(server) <= 1
    assert len(stored_ids(place.root, "ticket_metric_events", DAY)) == 900


@slow
@pytest.mark.parametrize("quota_headers", [True, False])
def test_two_processes_at_once_share_one_quota(tmp_path: Path, quota_headers: bool) -> None:
    """One stream each: together they stay within it, one request at most is refused, and both have every row."""
    with ten_in_four_seconds(account(50), quota_headers) as server:
        place = new_place(tmp_path, server, ZENDESK_REQUESTS_PER_MINUTE="150")
        place.recorded_days("ticket_events")  # creates Dagster's databases, which two processes can't create at once
        processes = [started(place, stream) for stream in STREAMS]
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "".join(text[-3000:] for text in outputs)
    assert len(server.requests) >= 100
    assert refused(server) <= 1
    if quota_headers:
        paths = [seen.path for seen in server.requests]
        assert sum(one != other for one, other in pairwise(paths)) > 1  # they ran at the same time
    else:
        assert most_in_a_window(server, 4) <= 10
    expected = [DAY.start + number for number in range(450)]
    assert [stored_ids(place.root, stream, DAY) for stream in STREAMS] == [expected, expected]


def started(place: Place, stream: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "ticket_events_pipeline.definitions"]
    return subprocess.Popen(
        [*command, "--select", stream, "--partition", str(DAY)],
        cwd=place.folder,
        env=place.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_processes_that_start_together_share_what_is_left(tmp_path: Path) -> None:
    """Four processes send three requests each to a server that allows ten a minute: it refuses none, and the rest wait."""
    program = f"""
        import functools, sys
        from pathlib import Path
        from ticket_events_pipeline.credentials import BearerToken
        from ticket_events_pipeline.storage.folder_store import FolderStore
        from ticket_events_pipeline.zendesk.client import ZendeskClient
        from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS
        from ticket_events_pipeline.zendesk.shared_rate_limit import Quota

        class UsedUp(Exception):
            pass

        def sleep(seconds):
            if seconds > 30:
                raise UsedUp
            import time
            time.sleep(seconds)

        exchange = functools.partial(FolderStore(Path(sys.argv[2])).update, {STATE!r})
        quota = Quota(10, exchange=exchange)
        with ZendeskClient(sys.argv[1], BearerToken("sandbox"), quota=quota, sleep=sleep, log=print) as client:
            try:
                for number, _ in enumerate(client.pages(TICKET_METRIC_EVENTS, {DAY.start}), 1):
                    if number == 3:
                        break
            except UsedUp:
                print("used up")
    """
    with SandboxServer(account(5), requests_per_minute=10, page_limit=ROWS_PER_PAGE) as server:
        command = [sys.executable, "-c", textwrap.dedent(program), server.base_url, str(tmp_path)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(4)]
        output = "".join(process.communicate(timeout=100)[0] for process in processes)
    assert [seen.status for seen in server.requests] == [200] * 10, output
    assert output.count("used up") >= 1
    assert "Traceback" not in output


def test_a_killed_process_delays_the_others_by_ten_seconds_at_most(tmp_path: Path) -> None:
    """Its claim stays in the shared file, and is ignored after ten seconds."""
    program = f"""
        import functools, os, signal, sys
        from pathlib import Path
        from ticket_events_pipeline.storage.folder_store import FolderStore
        from ticket_events_pipeline.zendesk.shared_rate_limit import Quota

        Quota(10, exchange=functools.partial(FolderStore(Path(sys.argv[1])).update, {STATE!r})).claim()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=False, timeout=60)
    assert ended.returncode == -9
    late = [0.0]
    exchange = functools.partial(FolderStore(tmp_path).update, STATE)
    quota = Quota(10, exchange=exchange, clock=lambda: wall_clock() + late[0])
    assert isinstance(quota.claim(), Wait)
    late[0] = 11
    turn = quota.claim()
    assert isinstance(turn, Turn)
    quota.note(turn, {HEADER: "total=2; remaining=1; resets=9"})
    late[0] = 61
    assert isinstance(quota.claim(), Turn)


def test_a_request_without_an_answer_uses_up_what_is_left() -> None:
    """The next one waits for the reset, not for its answer."""
    left = {HEADER: "total=10; remaining=1; resets=40"}
    with bench(page(1, end_time=T + 1, headers=left), garbage(b""), last_page()) as b:
        b.walk()
    assert any("the export quota is used up (0 of 10 requests left); waiting" in line for line in b.log)


def test_a_refusal_holds_for_every_process() -> None:
    """Another process waits as long as the server asked this one to."""
    exchange = in_memory_exchange()
    time = FakeTime()
    quota, other = (Quota(100, exchange=exchange, clock=time.clock) for _ in range(2))
    with bench((429, {"Retry-After": "17"}, "no"), quota=quota) as b, pytest.raises(TransientError, match="429 no"):
        b.client.check()
    wait = other.claim()
    assert isinstance(wait, Wait)
    assert (wait.seconds, "asks every client of the account to wait" in wait.reason) == (17, True)


def test_garbage_in_the_shared_file_is_overwritten(tmp_path: Path) -> None:
    """As a power loss may leave it."""
    store = FolderStore(tmp_path)
    store.update(STATE, lambda _: b'{"version":2,"claims":17')
    quota = Quota(10, exchange=functools.partial(store.update, STATE))
    turn = quota.claim()
    assert isinstance(turn, Turn)
    quota.note(turn, {HEADER: "total=30; remaining=29; resets=9"})
    assert Quota(10, exchange=functools.partial(store.update, STATE)).known_per_minute() == 30
