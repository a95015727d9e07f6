"""What the sandbox tells beside its exports: names, settings and tickets as they are now, over HTTP."""

from __future__ import annotations

import time

import pytest
import requests

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.catalog import FORMER_AGENT_ID, VIENNA_SCHEDULE
from ticket_events_pipeline.sandbox.lookups import LISTS, SHOW_TICKETS, WHOLE_LISTS, LookupWorld
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer

NOW = Day.parse("2026-03-04").start
LISTED = {"groups": 4, "users": 31, "organizations": 60, "brands": 3, "group_slas/policies": 1}


@pytest.fixture(scope="module")
def account() -> SimulatedAccount:
    return SimulatedAccount(tickets_per_day=40)


@pytest.fixture
def server(account):
    with SandboxServer(account, clock=lambda: NOW) as running:
        yield running


def get(server: SandboxServer, path: str, token: str = "sandbox", **query: str) -> requests.Response:
    url = path if path.startswith("http") else f"{server.base_url}/api/v2/{path}"
    return requests.get(url, params=query, headers={"Authorization": f"Bearer {token}"}, timeout=10)


@pytest.mark.parametrize("path", LISTS)
def test_pages_by_cursor_have_every_object_once(server, path):
    found, answer = [], get(server, path, **{"page[size]": "7"}).json()
    while True:
        found += [one["id"] for one in answer[LISTS[path]]]
        if not answer["meta"]["has_more"]:
            break
        by_cursor = get(server, path, **{"page[size]": "7", "page[after]": answer["meta"]["after_cursor"]}).json()
        answer = get(server, answer["links"]["next"]).json()
        assert answer == by_cursor
    assert (len(found), len(set(found))) == (LISTED[path], LISTED[path])
    assert answer["links"]["next"] is None


@pytest.mark.parametrize("path", LISTS)
def test_numbered_pages_have_every_object_once(server, path):
    found, answer = [], get(server, path, per_page="25").json()
    found += answer[LISTS[path]]
    while answer["next_page"]:
        answer = get(server, answer["next_page"]).json()
        found += answer[LISTS[path]]
    assert len({one["id"] for one in found}) == len(found) == answer["count"] == LISTED[path]


@pytest.mark.parametrize(("path", "count"), [("ticket_forms", 3), ("slas/policies", 3), ("business_hours/schedules", 2)])
def test_settings_come_whole(server, path, count):
    answer = get(server, path, **{"page[size]": "1"}).json()
    assert (len(answer[WHOLE_LISTS[path]]), answer["count"]) == (count, count)


@pytest.mark.parametrize("query", [{"page[size]": "101"}, {"page[size]": "0"}, {"page[size]": "5", "page[after]": "?"}])
def test_a_page_that_cannot_be_is_refused(server, query):
    assert get(server, "groups", **query).status_code == 400


def test_only_a_schedule_with_holidays_tells_some(server):
    first, second = (one["id"] for one in get(server, "business_hours/schedules").json()["schedules"])
    assert second == VIENNA_SCHEDULE
    assert get(server, f"business_hours/schedules/{first}/holidays").json() == {"holidays": []}
    dates = {one["start_date"] for one in get(server, f"business_hours/schedules/{second}/holidays.json").json()["holidays"]}
    assert {"2026-10-26", "2026-12-25"} <= dates
    assert get(server, "business_hours/schedules/5/holidays").status_code == 404


def test_a_former_agent_is_shown_by_id_alone(server):
    """Nor are the AI agent and the administrator left out where both roles are asked for."""
    agents = get(server, "users?role[]=agent&role[]=admin").json()["users"]
    assert {one["role"] for one in agents} == {"agent", "admin"}
    assert FORMER_AGENT_ID not in {one["id"] for one in agents}
    (shown,) = get(server, "users/show_many", ids=f"{FORMER_AGENT_ID},1").json()["users"]
    assert (shown["id"], shown["role"]) == (FORMER_AGENT_ID, "end-user")


def created_yesterday(account: SimulatedAccount) -> dict[int, str]:
    """The ids of tickets created on the day before, and their statuses now."""
    first = account.ticket_ids(Day.parse("2026-03-03"))
    now = {ticket_id: account.history(ticket_id).values_at(NOW) for ticket_id in first}
    return {ticket_id: values.status for ticket_id, values in now.items()}


def test_tickets_are_shown_as_they_are_now_without_deleted_and_unknown_ones(server, account):
    statuses = created_yesterday(account)
    gone = {ticket_id for ticket_id, status in statuses.items() if status == "deleted"}
    shown = get(server, SHOW_TICKETS, ids=",".join(map(str, [10**15, *statuses]))).json()["tickets"]
    assert gone
    assert [one["id"] for one in shown] == [ticket_id for ticket_id in statuses if ticket_id not in gone]
    for ticket in shown:
        values = account.history(ticket["id"]).values_at(NOW)
        names = ("status", "priority", "type", "group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id")
        assert {name: ticket[name] for name in names} == {name: getattr(values, name) for name in names}
        assert tuple(ticket["tags"]) == values.tags


def test_a_ticket_of_tomorrow_is_unknown_and_its_values_follow_the_time(account):
    (first, *_) = account.ticket_ids(Day.parse("2026-03-03"))
    later, earlier = (account.tickets([first], now=NOW + offset) for offset in (30 * 86_400, -2 * 86_400))
    (at_once,) = account.tickets([first], now=account.history(first).steps[0].update.time)
    assert (earlier, later[0]["status"], at_once["updated_at"]) == ([], "closed", at_once["created_at"])


@pytest.mark.parametrize("ids", ["", "1,x", ",".join(map(str, range(101)))])
def test_ids_that_cannot_be_are_refused(server, ids):
    assert get(server, SHOW_TICKETS, ids=ids).status_code == 400


@pytest.mark.parametrize("path", ["groups", SHOW_TICKETS, "slas/policies"])
def test_credentials_are_checked(server, path):
    assert get(server, path, "wrong", ids="1").status_code == 401


def test_the_quota_counts_down_refuses_and_leaves_the_exports_alone(account):
    now = float(NOW)
    world = LookupWorld(requests_per_minute=3)
    with SandboxServer(account, clock=lambda: now, requests_per_minute=1, lookup_world=world) as server:
        answers = [get(server, "groups") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["x-rate-limit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert [answer.headers["ratelimit-limit"] for answer in answers] == ["3"] * 4
        assert answers[3].headers["Retry-After"] == answers[3].headers["ratelimit-reset"] == "60"
        assert get(server, "incremental/ticket_events", start_time=str(NOW - 3600)).status_code == 200
        now += 60
        assert get(server, "groups").status_code == 200
        assert ([seen.path for seen in server.requests], len(server.account_requests)) == (
            ["/api/v2/incremental/ticket_events"],
            5,
        )


def test_tickets_can_be_refused_or_late_where_names_are_not(account):
    with SandboxServer(account, clock=lambda: NOW, lookup_world=LookupWorld(refused=frozenset({SHOW_TICKETS}))) as server:
        assert [get(server, path, ids="1").status_code for path in (SHOW_TICKETS, "groups")] == [403, 200]
    with SandboxServer(account, clock=lambda: NOW, lookup_world=LookupWorld(delay_seconds=0.3)) as server:
        started = time.monotonic()
        assert get(server, SHOW_TICKETS, ids="1").status_code == 200
        assert time.monotonic() - started >= 0.3


def test_a_recorded_account_tells_what_it_is_given():
    account = RecordedAccount()
    account.listed["groups"] = [{"id": 1, "name": "One"}]
    account.current_tickets[5] = {"id": 5, "status": "open"}
    with SandboxServer(account) as server:
        assert get(server, "groups").json()["groups"] == [{"id": 1, "name": "One"}]
        assert get(server, SHOW_TICKETS, ids="4,5").json()["tickets"] == [{"id": 5, "status": "open"}]
        assert get(server, "brands").json()["brands"] == []
