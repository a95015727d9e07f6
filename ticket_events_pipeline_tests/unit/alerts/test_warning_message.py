"""What a warning says: each target with all that somebody needs who can still act, and how old the data is."""

from dataclasses import replace

import pyarrow as pa
import pytest

from ticket_events_pipeline.alerts.plain_text import plain_text
from ticket_events_pipeline.alerts.rich_text import plain
from ticket_events_pipeline.alerts.slack import slack_payload
from ticket_events_pipeline.alerts.warning_message import MOST_LINES, Account, warning_message
from ticket_events_pipeline.alerts.warning_rules import Freshness, UrgentTarget
from ticket_events_pipeline.alerts.warning_state import WarningNews
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tickets.names import names_schema, read_names, write_kind
from ticket_events_pipeline_tests.support.warning_desk import HOUR, MINUTE

BERLIN = Day.parse("2026-11-30", "Europe/Berlin")
NOW = BERLIN.start + 13 * HOUR + 23 * MINUTE
FRESH = Freshness(NOW, 600, NOW - 90, NOW - 90)
ACCOUNT = Account("acme", BERLIN, tickets_url="https://acme.zendesk.com/agent/tickets/")
TARGET = UrgentTarget(
    4711, "reply_time", 1, "first_reply_time", "7", "Premium", True, None, None, True, True, at=NOW + 42 * MINUTE + 30
)


def lines(news, freshness=FRESH, account=ACCOUNT):
    """Title, sections and footer as text."""
    message = warning_message(news, freshness, account)
    body = [plain(line) for part in message.sections for line in (*([part.heading] if part.heading else []), *part.lines)]
    return plain(message.title), body, [plain(line) for line in message.footer]


def first_line(**changes):
    return lines(WarningNews((replace(TARGET, **changes),)))[1][0]


def test_a_warning_has_ticket_subject_metric_policy_due_time_group_and_agent(tmp_path):
    store = FolderStore(tmp_path)
    for kind, id_, name in (("groups", 9, "Support"), ("agents", 5, "Ana")):
        row = {"id": id_, "name": name, "is_deleted": False, "seen_from": 0, "seen_to": 0}
        rows = pa.Table.from_pylist([row], names_schema(kind))
        write_kind(store, kind, rows, fetched_at=0)
    account = replace(ACCOUNT, names=read_names(store), subjects=lambda _: {4711: "Printer on fire"})
    news = WarningNews((replace(TARGET, group_id=9, assignee_id=5),))
    assert lines(news, account=account) == (
        "SLA warning of acme: 1 target due soon",
        [
            "#4711 due in 42 min (14:05 CET, estimate) – Printer on fire – First reply time, Premium, business hours – "
            "Support, Ana"
        ],
        ["As of 2026-11-30 13:21 CET"],
    )
    text = slack_payload(warning_message(news, FRESH, account), has_blocks=True)["text"]
    assert "<https://acme.zendesk.com/agent/tickets/4711|#4711> *due in 42 min*" in text


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "no group, nobody"),
        ({"group_id": 9, "assignee_id": 5}, "group 9, agent 5"),
        ({"group_id": 9}, "group 9, nobody"),
        ({"group_id": 9, "assignee_is_known": False}, "group 9, agent unknown"),
        ({"group_id": 9, "group_is_known": False}, "group 9 (assumed), nobody"),
        ({"group_is_known": False, "assignee_is_known": False}, "group and agent unknown"),
    ],
)
def test_nobody_unknown_and_a_missing_name_are_three_things(changes, end):
    assert first_line(**changes).endswith(f" – {end}")


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({}, "First reply time, Premium, business hours"),
        ({"policy_title": None, "business_hours": False}, "First reply time, policy 7, calendar hours"),
        ({"policy_title": None, "policy_id": None, "business_hours": None}, "First reply time, no known policy, hours unknown"),
        ({"sla_metric": "<!channel>"}, "<!channel>, Premium, business hours"),
    ],
)
def test_a_policy_without_title_or_hours_is_named_as_far_as_it_is_known(changes, policy):
    assert f" – {policy} – " in first_line(**changes)


@pytest.mark.parametrize(
    ("at", "when"),
    [
        (NOW + 59, "due in 59 s (13:23 CET, estimate)"),
        (NOW, "due in 0 s (13:23 CET, estimate)"),
        (NOW - 3 * MINUTE, "due 3 min ago (13:20 CET, estimate), no breach is known"),
        (NOW + 20 * HOUR, "due in 20 h (Tue 1 Dec, 09:23 CET, estimate)"),
    ],
)
def test_a_due_time_is_local_and_relative(at, when):
    assert first_line(at=at).startswith(f"#4711 {when} – First")


def test_breaches_that_no_warning_came_before_stand_below():
    news = WarningNews(
        (TARGET,), (replace(TARGET, ticket_id=9, at=NOW - HOUR, is_breached=True),), undelivered_since=NOW - HOUR
    )
    title, body, footer = lines(news)
    assert title == "SLA warning of acme: 1 target due soon, 1 breach without a warning"
    assert [line.partition(" – ")[0] for line in body] == [
        "#4711 due in 42 min (14:05 CET, estimate)",
        "Breached before a warning got through:",
        "#9 breached 12:23 CET, 1 h ago",
    ]
    assert footer == ["As of 2026-11-30 13:21 CET", "Late: nothing could be delivered here since 2026-11-30 12:23 CET."]


def test_stale_data_is_told_with_what_to_do():
    old = Freshness(NOW, 600, NOW - 45 * MINUTE, NOW - 45 * MINUTE)
    title, body, footer = lines(WarningNews(is_stale=True), old)
    assert title == "SLA warning of acme: the data is stale"
    assert body == [
        "No new data for 45 min, since 2026-11-30 12:38 CET: warnings come late or not at all. Is frequent_fetch "
        "turned on? hourly_fetch alone is too seldom for warnings. See the last runs."
    ]
    assert footer == []
    (line,) = lines(WarningNews(is_stale=True), Freshness(NOW, 600))[1]
    assert line.startswith("No SLA table of today or yesterday can be read: warnings come late")
    (line,) = lines(WarningNews(is_stale=True), replace(old, read_at=NOW - 60))[1]
    assert "Events were read at 2026-11-30 13:22 CET, but the SLA tables are older. See the last runs." in line


def test_old_data_says_how_old_it_is_and_fresh_data_that_it_is_fresh():
    old = Freshness(NOW, 600, NOW - 11 * MINUTE, NOW - 11 * MINUTE)
    assert lines(WarningNews((TARGET,)), old)[2] == [
        "As of 2026-11-30 13:12 CET, 11 min ago: what has happened since then is not known"
    ]
    fresh = "The data is fresh again: as of 2026-11-30 13:21 CET. Stale data is reported every 6 hours at most."
    assert lines(WarningNews(is_fresh_again=True)) == ("SLA warning of acme: the data is fresh again", [fresh], [])
    title, body, _ = lines(WarningNews((TARGET,), is_fresh_again=True))
    assert (title, body[1:]) == ("SLA warning of acme: 1 target due soon", [fresh])


def test_a_message_names_the_twenty_most_urgent_tickets_and_counts_the_targets_of_the_others():
    many = tuple(replace(TARGET, ticket_id=number) for number in range(1, 19))
    late = tuple(replace(TARGET, ticket_id=100 + number, is_breached=True, at=NOW - HOUR) for number in range(7))
    asked = []
    account = replace(ACCOUNT, within_hours=2, subjects=lambda tickets: asked.extend(tickets) or {})
    title, body, footer = lines(WarningNews(many, late), account=account)
    assert title == "SLA warning of acme: 18 targets due soon, 7 breaches without a warning"
    assert len(body) == len(asked) + 1 == MOST_LINES + 1
    assert footer[0] == "And 5 targets of other tickets: ticket-events due --within 2h"


def test_the_targets_of_a_ticket_stand_in_one_line_where_its_first_one_is():
    others = [
        replace(TARGET, sla_metric="next_reply_time"),
        replace(TARGET, sla_metric="agent_work_time", at=NOW + 50 * MINUTE),
    ]
    news = WarningNews((TARGET, others[0], replace(TARGET, ticket_id=9, at=NOW + 45 * MINUTE), others[1]))
    title, body, _ = lines(news)
    assert title == "SLA warning of acme: 4 targets due soon"
    assert body == [
        "#4711 due in 42 min (14:05 CET, estimate) – First reply time, Premium, business hours; Next reply time, Premium, "
        "business hours; Agent work time, Premium, business hours: due in 50 min (14:13 CET, estimate) – no group, nobody",
        "#9 due in 45 min (14:08 CET, estimate) – First reply time, Premium, business hours – no group, nobody",
    ]
    assert "; 3 more – no group" in lines(WarningNews(tuple(replace(TARGET, instance_id=number) for number in range(7))))[1][0]


def test_the_title_tells_due_times_that_have_passed_from_those_to_come():
    past = replace(TARGET, ticket_id=9, at=NOW - 1)
    assert lines(WarningNews((past, TARGET)))[0] == "SLA warning of acme: 1 target due soon, 1 target past its due time"
    assert lines(WarningNews((past,)))[0] == "SLA warning of acme: 1 target past its due time"


def test_a_warning_says_how_many_targets_none_can_come_before():
    message = warning_message(WarningNews((TARGET,)), FRESH, ACCOUNT, without_estimate=11)
    said = "11 more open targets have no estimate and may breach without a warning: ticket-events due"
    assert plain(message.footer[0]) == said
    assert warning_message(WarningNews(is_stale=True), FRESH, ACCOUNT, without_estimate=11).footer == ()


def test_text_of_the_account_is_no_markup_and_not_endless():
    account = replace(ACCOUNT, name="*a*", subjects=lambda _: {4711: "<!here> `x`\n" + "y" * 5000})
    message = warning_message(WarningNews((replace(TARGET, policy_title="@all"),)), FRESH, account)
    text = slack_payload(message, has_blocks=False)["text"]
    assert "<!here>" not in text
    assert "@" not in text
    assert len(text) < 500
    assert "due in 42 min" in plain_text(message)


def test_links_lead_to_report_and_runs_if_their_addresses_are_set():
    account = replace(ACCOUNT, report_url="https://reports.example/latest.html", dagster_url="https://dagster.example")
    old = Freshness(NOW, 600, NOW - HOUR, NOW - HOUR)
    text = slack_payload(warning_message(WarningNews((TARGET,), is_stale=True), old, account), has_blocks=False)["text"]
    assert "<https://reports.example/latest.html|report>" in text
    assert "<https://dagster.example/runs|the last runs>" in text
    assert (
        "<"
        not in slack_payload(
            warning_message(WarningNews((TARGET,)), FRESH, replace(ACCOUNT, tickets_url=None)), has_blocks=False
        )["text"]
    )
