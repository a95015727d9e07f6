"""The sandbox over real HTTP: endpoints, refusals, credentials, quota, clock."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
import requests

from ticket_events_pipeline.sandbox.answers import Answer
from ticket_events_pipeline.sandbox.credentials import TokenWorld
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer, SeenRequest
from ticket_events_pipeline_tests.support.events import iso

NOW = 1_772_600_000
METRIC_PATH = "/api/v2/incremental/ticket_metric_events"
EVENTS_PATH = "/api/v2/incremental/ticket_events"
BEARER = {"Authorization": "Bearer sandbox"}

METRIC_ROWS = [{"id": number, "ticket_id": 1, "time": NOW - 1000 + number} for number in range(5)]
COMMENT = {"id": 11, "event_type": "Comment", "body": "Grüße", "public": True}
AUDITS = [
    {"id": 10, "timestamp": NOW - 500, "child_events": [COMMENT]},
    {"id": 20, "timestamp": NOW - 60, "child_events": []},
    {"id": 30, "timestamp": NOW - 59, "child_events": []},
]


class HandClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def account() -> RecordedAccount:
    return RecordedAccount({"ticket_metric_events": METRIC_ROWS, "ticket_events": AUDITS})


@pytest.fixture(scope="module")
def server():
    with SandboxServer(account(), clock=HandClock(), page_limit=3) as running:
        yield running


def get(server: SandboxServer, path: str, *, headers=BEARER, auth=None, **query) -> requests.Response:
    return requests.get(f"{server.base_url}{path}", params=query, headers=headers, auth=auth, timeout=10)


@pytest.mark.parametrize("path", [METRIC_PATH, f"{METRIC_PATH}.json"])
def test_page_is_served_with_and_without_the_json_suffix(server, path):
    expected = {
        "ticket_metric_events": METRIC_ROWS[1:4],
        "count": 3,
        "end_time": NOW - 997,
        "next_page": f"{server.base_url}{path}?start_time={NOW - 997}",
        "end_of_stream": False,
    }
    assert get(server, path, start_time=NOW - 999).json() == expected


def test_last_page_polled_again_returns_its_rows_again(server):
    """end_of_stream is true, next_page is not null, and each request from its end_time returns rows."""
    first = get(server, METRIC_PATH, start_time=NOW - 997).json()
    again = requests.get(first["next_page"], headers=BEARER, timeout=10).json()
    assert (first["end_of_stream"], again["end_of_stream"]) == (True, True)
    assert again["ticket_metric_events"] == [first["ticket_metric_events"][-1]]


def test_per_page_applies_only_to_ticket_events(server):
    assert get(server, EVENTS_PATH, start_time=0, per_page=1).json()["count"] == 1
    assert get(server, METRIC_PATH, start_time=0, per_page=1).json()["count"] == 3


def test_newest_minute_of_ticket_events_is_withheld(server):
    assert [row["id"] for row in get(server, EVENTS_PATH, start_time=0).json()["ticket_events"]] == [10, 20]


def test_sideload_adds_the_comments(server):
    """next_page has the parameter too."""
    plain = get(server, EVENTS_PATH, start_time=0).json()
    full = get(server, EVENTS_PATH, start_time=0, include="comment_events").json()
    assert plain["ticket_events"][0]["child_events"][0]["comment_present"] is True
    assert "body" not in plain["ticket_events"][0]["child_events"][0]
    assert full["ticket_events"][0]["child_events"] == [COMMENT]
    assert "include=comment_events" in full["next_page"]


@pytest.mark.parametrize(
    ("path", "query", "status", "word"),
    [
        (METRIC_PATH, {}, 400, "start_time"),
        (METRIC_PATH, {"start_time": "soon"}, 400, "start_time"),
        (EVENTS_PATH, {"start_time": 0, "per_page": "0"}, 400, "per_page"),
        (METRIC_PATH, {"start_time": NOW - 59}, 422, "Too recent start_time. Use a start_time older than 60 seconds"),
        ("/api/v2/incremental/users", {"start_time": 0}, 404, "RecordNotFound"),
        ("/oauth/tokens", {}, 405, "MethodNotAllowed"),
    ],
)
def test_refusals_are_json_with_a_reason(server, path, query, status, word):
    response = get(server, path, **query)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/json; charset=utf-8")
    assert word in str(response.json())


def test_start_time_of_exactly_sixty_seconds_ago_is_old_enough(server):
    assert get(server, METRIC_PATH, start_time=NOW - 60).status_code == 200


@pytest.mark.parametrize(
    ("headers", "auth", "status"),
    [
        (BEARER, None, 200),
        ({}, ("sandbox@example.com/token", "sandbox"), 200),
        ({}, ("sandbox@example.com", "sandbox"), 200),
        ({}, None, 401),
        ({}, ("sandbox@example.com", "guess"), 401),
        ({"Authorization": "Bearer guess"}, None, 401),
        ({"Authorization": "Basic %%%"}, None, 401),
        ({"Authorization": "sandbox"}, None, 401),
    ],
)
def test_only_the_documented_credentials_are_accepted(server, headers, auth, status):
    response = get(server, METRIC_PATH, headers=headers, auth=auth, start_time=0)
    assert response.status_code == status
    if status == 401:
        assert response.json() == {"error": "Couldn't authenticate you"}


GRANT = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox", "scope": "read"}


@pytest.mark.parametrize("encoding", ["data", "json"])
def test_issued_token_works_until_it_expires(encoding):
    clock = HandClock()
    with SandboxServer(account(), clock=clock, token_lifetime_seconds=100) as server:
        granted = requests.post(f"{server.base_url}/oauth/tokens", **{encoding: GRANT}, timeout=10).json()
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        assert granted["expires_in"] == 100
        assert get(server, METRIC_PATH, headers=headers, start_time=0).status_code == 200
        clock.now += 100
        assert get(server, METRIC_PATH, headers=headers, start_time=0).status_code == 401


@pytest.mark.parametrize("encoding", ["data", "json"])
@pytest.mark.parametrize(("asked", "status"), [(300, 400), (301, 200), (172_799, 200), (172_800, 400), ("soon", 400)])
def test_a_requested_token_lifetime_is_granted_within_limits(server, encoding, asked, status):
    response = requests.post(f"{server.base_url}/oauth/tokens", **{encoding: {**GRANT, "expires_in": asked}}, timeout=10)
    assert response.status_code == status
    assert response.json().get("expires_in") == (asked if status == 200 else None)


CURRENT_TOKEN = "/api/v2/oauth/tokens/current.json"


def test_the_token_in_use_states_its_end():
    clock = HandClock()
    with SandboxServer(account(), clock=clock, tokens=TokenWorld(states_lifetime=False)) as server:
        asked = {**GRANT, "expires_in": 600}
        granted = requests.post(f"{server.base_url}/oauth/tokens", json=asked, timeout=10).json()
        assert "expires_in" not in granted
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        token = get(server, CURRENT_TOKEN, headers=headers).json()["token"]
        assert {name: token[name] for name in ("scopes", "created_at", "expires_at")} == {
            "scopes": ["read"],
            "created_at": iso(clock.now),
            "expires_at": iso(clock.now + 600),
        }
        assert get(server, CURRENT_TOKEN).json()["token"]["expires_at"] is None
        assert get(server, CURRENT_TOKEN, headers={}, auth=("sandbox@example.com", "sandbox")).status_code == 404
        clock.now += 600
        assert get(server, CURRENT_TOKEN, headers=headers).status_code == 401
        assert [seen.path for seen in server.requests] == ["/oauth/tokens"]
        assert [seen.status for seen in server.lookups] == [200, 200, 404, 401]


def test_an_account_may_hide_a_tokens_end_and_revoke_older_tokens():
    world = TokenWorld(states_end=False, keeps_older=False, fixed_ends_at=NOW + 5)
    clock = HandClock()
    with SandboxServer(account(), clock=clock, tokens=world) as server:
        assert get(server, CURRENT_TOKEN).status_code == 404
        tokens = [requests.post(f"{server.base_url}/oauth/tokens", json=GRANT, timeout=10).json() for _ in range(2)]
        headers = [{"Authorization": f"Bearer {token['access_token']}"} for token in tokens]
        assert [get(server, METRIC_PATH, headers=one, start_time=0).status_code for one in headers] == [401, 200]
        assert get(server, METRIC_PATH, start_time=0).status_code == 200
        clock.now += 5
        assert get(server, METRIC_PATH, start_time=0).status_code == 401


@pytest.mark.parametrize(("scope", "status"), [("agent", 200), ("all", 200), ("ai_agent", 200), ("everybody", 400)])
def test_ticket_events_take_the_three_support_type_scopes(server, scope, status):
    response = get(server, EVENTS_PATH, start_time=0, support_type_scope=scope)
    assert response.status_code == status
    assert get(server, METRIC_PATH, start_time=0, support_type_scope=scope).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [({"client_secret": "guess"}, 401), ({"grant_type": "password"}, 400), ({"scope": "tickets"}, 200)],
)
def test_token_is_refused_as_zendesk_refuses_it(server, change, status):
    """A wrong scope name is granted, and its token is refused with a 403 everywhere."""
    response = requests.post(f"{server.base_url}/oauth/tokens", json={**GRANT, **change}, timeout=10)
    assert response.status_code == status
    if status == 200:
        headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
        assert get(server, METRIC_PATH, headers=headers, start_time=0).status_code == 403


def test_token_request_that_is_neither_form_nor_json_is_refused(server):
    headers = {"Content-Type": "application/json"}
    response = requests.post(f"{server.base_url}/oauth/tokens", data=b"{", headers=headers, timeout=10)
    assert response.status_code == 400


def test_both_streams_share_a_quota_that_its_headers_announce():
    clock = HandClock()
    header = "zendesk-ratelimit-incremental-exports"
    with SandboxServer(account(), clock=clock, requests_per_minute=2) as server:
        first = get(server, METRIC_PATH, start_time=0)
        clock.now += 10
        second = get(server, EVENTS_PATH, start_time=0)
        refused = get(server, METRIC_PATH, start_time=0)
        clock.now += 50
        later = get(server, METRIC_PATH, start_time=0)
    assert first.headers[header] == "total=2; remaining=1; resets=60"
    assert second.headers[header] == "total=2; remaining=0; resets=50"
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "50")
    assert refused.json()["error"] == "APIRateLimitExceeded"
    assert (later.status_code, later.headers[header]) == (200, "total=2; remaining=1; resets=60")


def test_quota_headers_can_be_switched_off():
    with SandboxServer(account(), clock=HandClock(), requests_per_minute=0, quota_headers=False) as server:
        response = get(server, METRIC_PATH, start_time=0)
    assert response.status_code == 429
    assert [name for name in response.headers if "limit" in name.lower()] == []


def test_date_header_comes_from_the_given_clock(server):
    assert parsedate_to_datetime(get(server, METRIC_PATH, start_time=0).headers["Date"]).timestamp() == NOW


def test_pages_are_compressed_for_clients_that_accept_it():
    rows = [{"id": number, "time": number} for number in range(200)]
    with SandboxServer(RecordedAccount({"ticket_metric_events": rows}), clock=HandClock()) as server:
        zipped = get(server, METRIC_PATH, start_time=0)
        plain = get(server, METRIC_PATH, headers={**BEARER, "Accept-Encoding": "identity"}, start_time=0)
    assert (zipped.headers.get("Content-Encoding"), plain.headers.get("Content-Encoding")) == ("gzip", None)
    assert zipped.json()["ticket_metric_events"] == plain.json()["ticket_metric_events"] == rows


def test_other_server_behaviours_can_be_chosen():
    """An overfull second that stays pinned, and metric events without end_of_stream."""
    rows = [{"id": number, "time": 100} for number in range(4)]
    recorded = RecordedAccount({"ticket_metric_events": rows})
    with SandboxServer(recorded, clock=HandClock(), page_limit=3, pinned=True, end_of_stream="absent") as server:
        body = get(server, METRIC_PATH, start_time=100).json()
    assert (body["count"], body["end_time"], "end_of_stream" in body) == (3, 100, False)


def test_rows_delivered_while_it_runs_are_served():
    recorded = account()
    with SandboxServer(recorded, clock=HandClock()) as server:
        assert get(server, METRIC_PATH, start_time=0).json()["count"] == 5
        recorded.deliver("ticket_metric_events", [{"id": 0, "time": 1}, {"id": 99, "time": 2}])
        assert [row["id"] for row in get(server, METRIC_PATH, start_time=0).json()["ticket_metric_events"]] == [
            0,
            99,
            1,
            2,
            3,
            4,
        ]


def test_scripted_responses_come_first_and_every_request_is_recorded():
    with SandboxServer(account(), clock=HandClock()) as server:
        server.script(Answer(503, b"<html>busy</html>", "text/html", {"Retry-After": "3"}), None)
        busy = get(server, METRIC_PATH, start_time=1)
        get(server, METRIC_PATH, start_time=2)
    assert (busy.status_code, busy.text, busy.headers["Retry-After"]) == (503, "<html>busy</html>", "3")
    assert server.requests == [
        SeenRequest(NOW, "GET", METRIC_PATH, {"start_time": "1"}, 503),
        SeenRequest(NOW, "GET", METRIC_PATH, {"start_time": "2"}, 200),
    ]


def test_the_server_starts_and_stops_without_output(caplog, capfd):
    with caplog.at_level(logging.INFO), SandboxServer(account()) as server:
        get(server, METRIC_PATH, start_time=0)
    assert [record for record in caplog.records if record.name.startswith(("uvicorn", "asyncio"))] == []
    assert tuple(capfd.readouterr()) == ("", "")


def test_stopped_server_can_be_started_again_at_the_same_port():
    server = SandboxServer(account())
    ports = set()
    for _ in range(2):
        with server:
            ports.add(server.base_url)
            assert get(server, METRIC_PATH, start_time=0).status_code == 200
    assert len(ports) == 1


def test_a_request_under_way_is_answered_before_the_server_stops_and_idle_connections_are_closed():
    body = b"grant_type=client_credentials&client_id=sandbox&client_secret=sandbox"
    head = f"POST /oauth/tokens HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    server = SandboxServer(account()).start()
    address = urlsplit(server.base_url).hostname, urlsplit(server.base_url).port
    with socket.create_connection(address) as idle, socket.create_connection(address) as asking, ThreadPoolExecutor(1) as pool:
        asking.sendall(head.encode())
        assert asking.recv(1000).startswith(b"HTTP/1.1 100 ")
        stopping = pool.submit(server.stop)
        assert idle.recv(1000) == b""
        asking.sendall(body)
        assert asking.recv(1000).startswith(b"HTTP/1.1 200 ")
        stopping.result(timeout=10)
    assert [seen.status for seen in server.requests] == [200]


def test_taken_port_is_an_error(server):
    port = int(server.base_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        SandboxServer(account(), port=port).start()


def test_foreground_server_ends_cleanly_on_ctrl_c():
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from ticket_events_pipeline.sandbox.account import SimulatedAccount\n"
        "from ticket_events_pipeline.sandbox.server import SandboxServer\n"
        "SandboxServer(SimulatedAccount()).run(lambda url: print(url, flush=True))"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert requests.get(f"{url}/", timeout=10).status_code == 404
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
