"""The simulated account: deterministic, realistic, and as irregular as Zendesk."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import takewhile

import pytest
import requests

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.account import FOUNDED, SimulatedAccount
from ticket_events_pipeline.sandbox.metric_rows import PLAN_HORIZON_DAYS
from ticket_events_pipeline.sandbox.schedule import add_business_seconds, business_seconds
from ticket_events_pipeline.sandbox.server import SandboxServer

FIRST = Day.parse("2026-03-02")
LONG_AFTER = Day.parse("2026-06-01").start
DAYS = 21
METRIC_EVENTS, TICKET_EVENTS = "ticket_metric_events", "ticket_events"


def rows_between(account: SimulatedAccount, stream: str, first: Day, end: Day, *, now: float = LONG_AFTER, **asked) -> list:
    rows = account.rows(stream, first.start, now=now, **asked)
    return [json.loads(row.json) for row in takewhile(lambda row: row.time < end.start, rows)]


@pytest.fixture(scope="module")
def account() -> SimulatedAccount:
    """Of the default size; shared, because drawing its weeks takes seconds."""
    return SimulatedAccount()


@pytest.fixture(scope="module")
def metric_events(account) -> list:
    return rows_between(account, METRIC_EVENTS, FIRST, FIRST.plus(DAYS))


@pytest.fixture(scope="module")
def audits(account) -> list:
    return rows_between(account, TICKET_EVENTS, FIRST, FIRST.plus(DAYS))


@dataclass(frozen=True)
class SeenClock:
    rows: tuple[dict, ...]

    def of_type(self, *types: str) -> list[dict]:
        return [row for row in self.rows if row["type"] in types]

    @property
    def targets(self) -> list:
        return [row.get("sla", row.get("group_sla")) for row in self.of_type("apply_sla", "apply_group_sla")]

    @property
    def is_simple(self) -> bool:
        """One target, applied at the start; no pause, one fulfilment."""
        if self.of_type("pause") or not self.of_type("activate") or None in self.targets:
            return False
        steady = len(self.of_type("activate")) == len(self.of_type("fulfill")) == len(self.targets) == 1
        return steady and self.of_type("apply_sla", "apply_group_sla")[0]["time"] == self.of_type("activate")[0]["time"]

    @property
    def ran(self) -> tuple[int, int]:
        return epoch(self.of_type("activate")[0]), epoch(self.of_type("fulfill")[0])


def epoch(row: dict) -> int:
    hours, minutes, seconds = map(int, row["time"][11:19].split(":"))
    return Day.parse(row["time"][:10]).start + hours * 3600 + minutes * 60 + seconds


@pytest.fixture(scope="module")
def clocks(metric_events) -> dict[tuple, SeenClock]:
    grouped = defaultdict(list)
    for row in metric_events:
        if row["instance_id"] != 0:
            grouped[row["ticket_id"], row["metric"], row["instance_id"]].append(row)
    return {key: SeenClock(tuple(rows)) for key, rows in grouped.items()}


def test_same_seed_gives_the_same_rows_in_every_process():
    """No value of a row depends on hash randomisation."""
    program = (
        "from itertools import islice\nimport hashlib\n"
        "from ticket_events_pipeline.sandbox.account import SimulatedAccount\n"
        "account = SimulatedAccount(seed=7, tickets_per_day=4)\n"
        "digest = hashlib.sha256()\n"
        f"for stream in ('{METRIC_EVENTS}', '{TICKET_EVENTS}'):\n"
        f"    rows = account.rows(stream, {FIRST.start}, now={LONG_AFTER}, comments=True)\n"
        "    digest.update(b''.join(row.json for row in islice(rows, 1000)))\n"
        "print(digest.hexdigest())"
    )
    digests = {
        subprocess.check_output([sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, text=True)
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_other_seed_gives_other_rows():
    digests = set()
    for seed in (1, 2):
        rows = rows_between(SimulatedAccount(seed=seed, tickets_per_day=3), METRIC_EVENTS, FIRST, FIRST.plus(1))
        digests.add(hashlib.sha256(repr(rows).encode()).hexdigest())
    assert len(digests) == 2


@pytest.mark.parametrize("stream", [METRIC_EVENTS, TICKET_EVENTS])
def test_rows_do_not_depend_on_the_requested_range(stream):
    whole = rows_between(SimulatedAccount(tickets_per_day=4), stream, FIRST, FIRST.plus(6))
    account = SimulatedAccount(tickets_per_day=4)
    by_day = [rows_between(account, stream, FIRST.plus(day), FIRST.plus(day + 1)) for day in (5, 4, 3, 2, 1, 0)]
    assert [row for day in reversed(by_day) for row in day] == whole


def test_the_current_time_decides_only_which_rows_are_visible(account, metric_events):
    """A visible row does not change, except that `deleted` may become true."""
    finally_seen = {row["id"]: row for row in metric_events}
    now = FIRST.plus(5).start + 12 * 3600
    earlier = rows_between(account, METRIC_EVENTS, FIRST, FIRST.plus(9), now=now)
    assert [row for row in earlier if {**finally_seen[row["id"]], "deleted": row["deleted"]} != row] == []
    assert [row for row in earlier if row["deleted"] and not finally_seen[row["id"]]["deleted"]] == []


def test_rows_become_visible_up_to_four_minutes_late(account, metric_events):
    """After rows of a later time, so that a reader of only the newest rows would miss them."""
    now = FIRST.plus(1).start + 12 * 3600
    seen = {row["id"]: epoch(row) for row in rows_between(account, METRIC_EVENTS, FIRST, FIRST.plus(2), now=now)}
    newest = max(time for time in seen.values() if time <= now)
    late = [row for row in metric_events if row["id"] not in seen and epoch(row) <= newest]
    assert late
    assert all(now - epoch(row) <= 240 for row in late)


def test_future_breaches_are_announced_and_deleted_when_the_target_is_met(account, metric_events):
    """Rows in the future are breaches, at most three days ahead; some of them occur."""
    finally_deleted = {row["id"]: row["deleted"] for row in metric_events}
    outcomes = set()
    for now in (FIRST.plus(day).start + 11 * 3600 for day in range(1, 12)):
        ahead = [
            row
            for row in rows_between(account, METRIC_EVENTS, Day.containing(now), FIRST.plus(20), now=now)
            if epoch(row) > now
        ]
        assert {row["type"] for row in ahead} <= {"breach"}
        assert all(epoch(row) <= now + PLAN_HORIZON_DAYS * 86_400 for row in ahead)
        outcomes |= {(row["deleted"], finally_deleted[row["id"]]) for row in ahead}
    assert {(False, True), (False, False)} <= outcomes


def test_a_few_breaches_of_yesterday_are_deleted(account, metric_events):
    """Rows of a closed day may differ when they are read again, but rarely."""
    finally_deleted = {row["id"]: row["deleted"] for row in metric_events}
    restated = []
    for day in (FIRST.plus(offset) for offset in range(DAYS)):
        at_its_end = rows_between(account, METRIC_EVENTS, day, day.plus(1), now=day.end + 300)
        restated += [row for row in at_its_end if finally_deleted[row["id"]] and not row["deleted"]]
    assert {row["type"] for row in restated} == {"breach"}
    assert len(restated) < 2 * DAYS


def test_a_day_has_realistic_numbers_of_rows(metric_events, audits):
    assert 1500 < len(metric_events) / DAYS < 3000
    assert 200 < len(audits) / DAYS < 700


def test_working_days_are_busier_than_weekends(metric_events):
    by_day = Counter(row["time"][:10] for row in metric_events)
    weekdays = [by_day[str(FIRST.plus(day))] for day in range(DAYS) if FIRST.plus(day).date.weekday() < 5]
    weekends = [by_day[str(FIRST.plus(day))] for day in range(DAYS) if FIRST.plus(day).date.weekday() >= 5]
    assert min(weekdays) > max(weekends)


def test_every_kind_of_metric_event_occurs(metric_events):
    assert set(Counter(row["type"] for row in metric_events)) == {
        *("activate", "pause", "fulfill", "apply_sla", "apply_group_sla", "breach", "update_status", "measure")
    }
    assert {row["metric"] for row in metric_events} == {
        *("agent_work_time", "pausable_update_time", "periodic_update_time", "reply_time"),
        *("requester_wait_time", "resolution_time", "group_ownership_time"),
    }
    assert {row["instance_id"] for row in metric_events if row["type"] == "measure"} == {0}


def test_every_kind_of_clock_history_occurs(clocks):
    """Policies of four kinds, second replies, re-opens, raised and lowered targets, cancelled ones."""
    policies = {type(target["policy"]["id"]) for clock in clocks.values() for target in clock.targets if target}
    hours = {target["business_hours"] for clock in clocks.values() for target in clock.targets if target}
    titles = {target["policy"]["title"] for clock in clocks.values() for target in clock.targets if target}
    assert (policies, hours, len(titles)) == ({int, str}, {True, False}, 4)
    assert any(metric == "reply_time" and instance > 1 for _, metric, instance in clocks)
    assert any(len(clock.of_type("fulfill")) > 1 for clock in clocks.values())
    assert any(None in clock.targets for clock in clocks.values())
    changes = [clock.targets for clock in clocks.values() if len(clock.targets) > 1 and None not in clock.targets]
    assert {now["target"] > before["target"] for before, now, *_ in changes} == {True, False}


def test_some_targets_are_relaxed_after_their_breach(clocks):
    """So that superseded breaches occur."""
    relaxed = 0
    for clock in clocks.values():
        breaches = [epoch(row) for row in clock.of_type("breach") if not row["deleted"]]
        applies = [epoch(row) for row in clock.of_type("apply_sla")]
        relaxed += bool(breaches and len(applies) > 1 and applies[-1] > breaches[0])
    assert relaxed > 3


def test_the_achievement_rate_is_realistic(clocks):
    """85 to 93 percent overall, and no metric far from it or always achieved."""
    met, missed = Counter(), Counter()
    for (_, metric, _), clock in clocks.items():
        if not any(clock.targets) or not clock.of_type("fulfill"):
            continue
        is_missed = any(not row["deleted"] for row in clock.of_type("breach"))
        (missed if is_missed else met)[metric] += 1
    rates = {metric: met[metric] / (met[metric] + missed[metric]) for metric in met}
    assert 0.85 < met.total() / (met.total() + missed.total()) < 0.93
    assert all(0.8 < rate < 0.96 for rate in rates.values())
    assert len(set(rates.values())) == len(rates) == 7


def test_a_breach_exists_exactly_if_the_clock_exceeded_its_target(account, clocks):
    """By the policy's hours, at that second; an announced breach that does not occur is deleted."""
    checked = 0
    for (ticket_id, _, _), clock in clocks.items():
        if not clock.is_simple:
            continue
        start, end = clock.ran
        (target,) = clock.targets
        later = account.history(ticket_id).hours.later if target["business_hours"] else int.__add__
        due = later(start, target.get("target_in_seconds", target["target"] * 60))
        breaches = clock.of_type("breach")
        assert all(epoch(row) == due for row in breaches)
        assert all(row["deleted"] for row in breaches) or due < end
        assert bool(breaches) or due >= end
        checked += 1
    assert checked > 1000


def test_update_status_has_the_minutes_that_the_clock_ran(account, clocks):
    simple = {key: clock for key, clock in clocks.items() if clock.is_simple}
    for (ticket_id, _, _), clock in simple.items():
        start, end = clock.ran
        business = account.history(ticket_id).hours.seconds(start, end)
        expected = {"calendar": (end - start) // 60, "business": business // 60}
        assert [row["status"] for row in clock.of_type("update_status")] == [expected]


@dataclass(frozen=True)
class Deletion:
    """A ticket's deletion, epoch seconds; `restored` is None where it stays deleted."""

    ticket_id: int
    deleted: int
    restored: int | None


@pytest.fixture(scope="module")
def deletions(audits) -> list[Deletion]:
    """From the audits: a Change of status to deleted, and perhaps a later one to another status."""
    found: dict[int, Deletion] = {}
    for row in audits:
        for child in row["child_events"]:
            if child["event_type"] == "Change" and child.get("status") == "deleted":
                assert child.get("previous_value", "open") in {"new", "open", "pending", "hold"}
                found[row["ticket_id"]] = Deletion(row["ticket_id"], row["timestamp"], None)
            elif child["event_type"] == "Change" and "status" in child and row["ticket_id"] in found:
                earlier = found[row["ticket_id"]]
                found[row["ticket_id"]] = replace(earlier, restored=earlier.restored or row["timestamp"])
    return list(found.values())


def test_every_day_at_least_one_ticket_is_deleted(deletions):
    assert {Day.containing(deletion.deleted) for deletion in deletions} == {FIRST.plus(day) for day in range(DAYS)}


def test_deleted_ticket_sends_no_metric_event_until_it_is_restored(deletions, metric_events):
    by_ticket = {deletion.ticket_id: deletion for deletion in deletions}
    while_deleted = [
        row
        for row in metric_events
        if (deletion := by_ticket.get(row["ticket_id"])) is not None
        and not row["deleted"]  # an announced breach is deleted
        and deletion.deleted < epoch(row) < (deletion.restored or LONG_AFTER)
    ]
    assert (while_deleted, len(by_ticket) > DAYS) == ([], True)


def weeks_of(times) -> set[int]:
    """Which of the weeks of the rows, counted from 0, the epoch seconds lie in."""
    return {(time - FIRST.start) // (7 * 86_400) for time in times}


def test_every_week_a_ticket_is_deleted_while_a_target_is_late(deletions, clocks):
    deleted = {deletion.ticket_id: deletion.deleted for deletion in deletions if deletion.restored is None}
    late = [
        epoch(clock.rows[0])
        for (ticket, _, _), clock in clocks.items()
        if ticket in deleted and not clock.of_type("fulfill") and any(not row["deleted"] for row in clock.of_type("breach"))
    ]
    assert weeks_of(late) == set(range(DAYS // 7))


def test_every_week_a_deleted_ticket_is_restored_and_continues(deletions, metric_events):
    """Hours to two days later; its clocks are fulfilled in the end."""
    restored = [deletion for deletion in deletions if deletion.restored is not None]
    assert weeks_of(deletion.deleted for deletion in restored) == set(range(DAYS // 7))
    assert all(3 * 3600 <= deletion.restored - deletion.deleted <= 2 * 86_400 for deletion in restored)
    first, *_ = restored
    later = {row["type"] for row in metric_events if row["ticket_id"] == first.ticket_id and epoch(row) > first.restored}
    assert {"fulfill", "update_status"} <= later


def raised_in_the_reply(clocks) -> list[int]:
    """Times of first replies fulfilled in the second in which a shorter target was applied, which they missed."""
    return [
        epoch(clock.of_type("fulfill")[0])
        for (_, metric, _), clock in clocks.items()
        if metric == "reply_time" and len(clock.targets) == 2 and not clock.of_type("breach") and clock.of_type("fulfill")
        if clock.of_type("apply_sla")[1]["time"] == clock.of_type("fulfill")[0]["time"]
        if clock.of_type("update_status")[0]["status"]["calendar"] > clock.targets[1]["target"]
    ]


def test_every_week_the_duration_of_a_reply_contradicts_its_target(clocks):
    times = raised_in_the_reply(clocks)
    assert weeks_of(times) >= set(range(1, DAYS // 7))
    assert len(times) <= DAYS // 7 + 1


@pytest.mark.parametrize("stream", [METRIC_EVENTS, TICKET_EVENTS])
def test_ids_are_unique_and_of_fourteen_digits(stream, request):
    rows = request.getfixturevalue("metric_events" if stream == METRIC_EVENTS else "audits")
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert {len(str(row_id)) for row_id in ids} == {14}


def test_audit_has_the_live_shape(audits):
    fields = {
        *("id", "ticket_id", "timestamp", "created_at", "updater_id", "via", "via_reference_id", "system", "metadata"),
        *("merged_ticket_ids", "event_type", "child_events"),
    }
    assert {frozenset(row) for row in audits} == {frozenset(fields)}
    assert {row["event_type"] for row in audits} == {"Audit"}
    assert {type(row["via"]) for row in audits} == {str}
    kinds = {child["event_type"] for row in audits for child in row["child_events"]}
    assert kinds == {"Create", "Change", "Comment", "Notification", "ScheduleAssignment"}


def test_audits_hold_text_beyond_ascii(audits):
    assert any(not str(row["child_events"]).isascii() for row in audits)


def test_audits_name_only_addresses_reserved_for_documentation(audits):
    addresses = {row["system"]["ip_address"] for row in audits if "ip_address" in row["system"]}
    assert all(address.startswith("192.0.2.") for address in addresses)


def test_sideload_changes_nothing_but_the_comments():
    account = SimulatedAccount(tickets_per_day=4)
    plain = rows_between(account, TICKET_EVENTS, FIRST, FIRST.plus(2))
    full = rows_between(account, TICKET_EVENTS, FIRST, FIRST.plus(2), comments=True)
    bodies = [child["body"] for row in full for child in row["child_events"] if child["event_type"] == "Comment"]
    assert bodies
    for row in (*plain, *full):
        row["child_events"] = [child["id"] for child in row["child_events"]]
    assert plain == full


def test_business_time_skips_nights_and_weekends():
    """From Friday 17:00, two business hours end on Monday at 09:00, and one ends at closing time."""
    friday = Day.parse("2026-03-06")
    at_five = friday.start + 17 * 3600
    assert add_business_seconds(at_five, 3600) == friday.start + 18 * 3600
    assert add_business_seconds(at_five, 7200) == friday.plus(3).start + 9 * 3600
    assert business_seconds(at_five, friday.plus(3).start + 9 * 3600) == 7200


def test_the_account_has_no_rows_before_its_start():
    account = SimulatedAccount(tickets_per_day=1)
    first = next(iter(account.rows(METRIC_EVENTS, 0, now=LONG_AFTER)))
    assert FOUNDED.start <= first.time < FOUNDED.plus(2).start
    assert list(account.rows(METRIC_EVENTS, 0, now=FOUNDED.start - 1)) == []


@pytest.mark.parametrize("stream", [METRIC_EVENTS, TICKET_EVENTS])
def test_a_walk_over_http_yields_all_rows_of_the_account(stream):
    """Each page's end_time is the next start_time, up to the end of the stream."""
    small = SimulatedAccount(tickets_per_day=4)
    expected = {json.loads(row.json)["id"] for row in small.rows(stream, FIRST.start, now=FIRST.plus(3).start)}
    seen, start_time, is_last = set(), FIRST.start, False
    with SandboxServer(small, clock=lambda: FIRST.plus(3).start, page_limit=20) as server:
        while not is_last:
            url, headers = f"{server.base_url}/api/v2/incremental/{stream}", {"Authorization": "Bearer sandbox"}
            page = requests.get(url, params={"start_time": start_time}, headers=headers, timeout=10).json()
            seen |= {row["id"] for row in page[stream]}
            start_time, is_last = page["end_time"], page["end_of_stream"]
    assert (seen, len(server.requests) > 2) == (expected, True)


@pytest.mark.parametrize("tickets_per_day", [0, 40_001])
def test_impossible_volume_is_refused(tickets_per_day):
    with pytest.raises(ValueError, match="tickets_per_day"):
        SimulatedAccount(tickets_per_day=tickets_per_day)


def test_unknown_stream_is_an_error(account):
    with pytest.raises(KeyError):
        next(account.rows("tickets", 0, now=LONG_AFTER))
