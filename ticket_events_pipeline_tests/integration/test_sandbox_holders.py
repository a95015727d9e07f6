"""Who holds the simulated account's tickets: its audits tell the same as its histories, and what they tell is varied."""

from __future__ import annotations

import json
from collections import Counter
from itertools import takewhile

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.catalog import AREA_FIELD, ESCALATION_FIELD, VIENNA_SCHEDULE
from ticket_events_pipeline.sandbox.history import History
from ticket_events_pipeline.sandbox.texts import BILLING, FIRST_LEVEL, SECOND_LEVEL

FIRST = Day.parse("2026-03-02")
DAYS = 14
END = FIRST.plus(DAYS)
NOW = FIRST.plus(90).start
PLAIN = ("status", "priority", "type", "group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id")


def rows_of(account: SimulatedAccount, stream: str, **asked) -> list[dict]:
    rows = account.rows(stream, FIRST.start, now=NOW, **asked)
    return [json.loads(row.json) for row in takewhile(lambda row: row.time < END.start, rows)]


@pytest.fixture(scope="module")
def account() -> SimulatedAccount:
    return SimulatedAccount()


@pytest.fixture(scope="module")
def audits(account) -> list[dict]:
    return rows_of(account, "ticket_events", scope="all")


@pytest.fixture(scope="module")
def breaches(account) -> list[tuple[int, int]]:
    """Ticket and second of every breach that stays."""
    found = rows_of(account, "ticket_metric_events")
    return [(row["ticket_id"], seconds(row["time"])) for row in found if row["type"] == "breach" and not row["deleted"]]


def seconds(text: str) -> int:
    hours, minutes, rest = map(int, text[11:19].split(":"))
    return Day.parse(text[:10]).start + hours * 3600 + minutes * 60 + rest


def child_events(audits: list[dict], kind: str) -> list[dict]:
    return [child for audit in audits for child in audit["child_events"] if child["event_type"] == kind]


def told_values(audit: dict) -> dict:
    """The fields that an audit sets, by their names in `Values`."""
    told = {}
    for child in audit["child_events"]:
        if child["event_type"] == "ScheduleAssignment":
            told["schedule_id"] = child["new_schedule_id"]
        elif child["event_type"] in ("Create", "Change"):
            told |= {name: child[name] for name in PLAIN if name in child}
            custom = child.get("custom_ticket_fields", {})
            names = {"area": str(AREA_FIELD), "escalation": str(ESCALATION_FIELD)}
            told |= {name: custom[key] for name, key in names.items() if key in custom}
            told |= {"tags": tuple(child["tags"])} if "tags" in child else {}
    return told


def test_audits_of_a_ticket_add_up_to_its_history(account, audits):
    """At every audit, from its Create on; a Create tells all that isn't empty."""
    empty = dict.fromkeys((*PLAIN, "area", "escalation", "schedule_id", "tags"))
    values: dict[int, dict] = {}
    for audit in audits:
        ticket_id, time = audit["ticket_id"], audit["timestamp"]
        if any(child["event_type"] == "Create" for child in audit["child_events"]):
            values[ticket_id] = dict(empty)
        if ticket_id in values:
            values[ticket_id] |= told_values(audit)
            truth = account.history(ticket_id).values_at(time)
            assert values[ticket_id] == {name: getattr(truth, name) for name in empty}
    assert len(values) > 50 * DAYS


def test_previous_values_are_true_where_a_change_has_one(account, audits):
    checked = Counter()
    for audit in audits:
        before = account.history(audit["ticket_id"]).values_at(audit["timestamp"], inclusive=False)
        for child in audit["child_events"]:
            if child["event_type"] != "Change":
                continue
            checked["previous_value" in child] += 1
            for name in PLAIN:
                if name in child and "previous_value" in child:
                    assert child["previous_value"] == getattr(before, name)
            if "tags" in child:
                assert {*before.tags} | {*child["added_tags"]} == {*child["tags"]} | {*child["removed_tags"]}
    assert 0 < checked[False] < checked[True] / 4


def test_custom_fields_come_with_both_forms_of_previous_values(audits):
    changed = [child for child in child_events(audits, "Change") if "custom_ticket_fields" in child]
    assert {isinstance(child["previous_value"], dict) for child in changed} == {True, False}
    assert any("custom_ticket_fields" in child for child in child_events(audits, "Create"))


def test_schedules_are_assigned_at_birth_and_sometimes_changed(audits):
    assigned = child_events(audits, "ScheduleAssignment")
    kinds = Counter((child["previous_schedule_id"] is None, child["new_schedule_id"] == VIENNA_SCHEDULE) for child in assigned)
    assert len(kinds) == 4
    assert kinds[True, False] > 5 * kinds[True, True] > kinds[False, True]


def test_breaches_lie_with_several_groups_and_with_nobody(account, breaches):
    at = [account.history(ticket_id).values_at(time, inclusive=False) for ticket_id, time in breaches]
    groups = Counter(values.group_id for values in at)
    assert len([group for group in groups if group is not None and groups[group] >= 10]) >= 3
    unassigned = sum(values.assignee_id is None for values in at) / len(at)
    assert 0.05 < unassigned < 0.5


def test_late_tickets_of_billing_go_on_to_two_other_groups(account, breaches):
    """Every week: Billing at the breach, first level at the day's end, second level later; some leave in that second."""
    leaves_then, weeks = set(), set()
    for ticket_id, time in breaches:
        history, day = account.history(ticket_id), Day.containing(time)
        groups = [history.values_at(moment, inclusive=False).group_id for moment in (time, day.end, NOW)]
        if groups == [BILLING, FIRST_LEVEL, SECOND_LEVEL]:
            leaves_then.add(history.values_at(time).group_id != BILLING)
            weeks.add((time - FIRST.start) // (7 * 86_400))
    assert (leaves_then, weeks) == ({True, False}, set(range(DAYS // 7)))


def last_assigned(history: History) -> int:
    """When the ticket was created, or last got another group or agent; epoch seconds."""
    holders = [(step.values.group_id, step.values.assignee_id) for step in history.steps]
    changed = [
        step.update.time for step, before, now in zip(history.steps[1:], holders, holders[1:], strict=False) if before != now
    ]
    return max([history.steps[0].update.time, *changed])


@pytest.mark.slow
def test_one_in_ten_late_tickets_was_created_and_assigned_before_a_month(account):
    """What is fetched for thirty days says nothing of who has them: no audit in it assigns them."""
    rows = account.rows("ticket_metric_events", FIRST.start, now=NOW)
    month = [json.loads(row.json) for row in takewhile(lambda row: row.time < FIRST.plus(30).start, rows)]
    late = {row["ticket_id"] for row in month if row["type"] == "breach" and not row["deleted"]}
    before = [ticket_id for ticket_id in late if last_assigned(account.history(ticket_id)) < FIRST.start]
    assert 0.08 < len(before) / len(late) < 0.16


@pytest.mark.slow
def test_tickets_that_an_ai_agent_holds_are_hidden_from_agents(account, audits):
    """One that it solved alone has no audit for agents and no metric events; one that it handed over, those since then."""
    for_agents = rows_of(account, "ticket_events")
    with_ai = rows_of(account, "ticket_events", scope="ai_agent")
    ids = {name: {row["id"] for row in rows} for name, rows in (("all", audits), ("agent", for_agents), ("ai", with_ai))}
    assert ids["agent"] < ids["all"]
    assert ids["ai"] < ids["all"]
    hidden = {row["ticket_id"] for row in audits if row["id"] not in ids["agent"]}
    assert {row["ticket_id"] for row in with_ai} >= hidden
    alone = hidden - {row["ticket_id"] for row in for_agents}
    assert alone
    assert hidden - alone
    assert not alone & {row["ticket_id"] for row in rows_of(account, "ticket_metric_events")}
    assert {account.history(ticket_id).values_at(NOW).group_id for ticket_id in alone} == {None}
    for audit in (row for row in audits if row["ticket_id"] in hidden - alone and row["id"] not in ids["agent"]):
        assert account.history(audit["ticket_id"]).values_at(audit["timestamp"]).group_id is None


def test_a_small_account_has_no_ticket_that_lies_for_weeks():
    """So that what costs more is made only where there is enough of it."""
    small = SimulatedAccount(tickets_per_day=4)
    ids = [ticket_id for number in range(60) for ticket_id in small.ticket_ids(FIRST.plus(number))]
    lives = [small.history(ticket_id).steps for ticket_id in ids]
    assert max(steps[-1].update.time - steps[0].update.time for steps in lives) <= 21 * 86_400
