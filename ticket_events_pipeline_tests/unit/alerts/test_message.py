"""The texts of messages, in which text of the account is shown literally."""

import re
from dataclasses import replace

import pytest

from ticket_events_pipeline.alerts.observe import NO_TICKETS, BreachedTickets, DayState, FailedRun, MetricState
from ticket_events_pipeline.alerts.slack import LONGEST_TEXT
from ticket_events_pipeline.text import slack_code
from ticket_events_pipeline_tests.support.alert_desk import DAY, HOUR, NOON, SETTINGS, Desk, day, run, started_desk

DASH = "\N{EN DASH}"


@pytest.fixture
def desk():
    return started_desk()


STATE = DayState(DAY, NOON - 600, False, (MetricState("first_reply_time", 14, 31, "Premium", 9, True),))


def test_a_message_has_a_line_for_each_metric_and_explains_its_lines_once(desk):
    """Breaches and rate of a metric share a line."""
    sight = {"read_at": {"ticket_events": NOON - 4 * HOUR}, "failed": [run(1, reason="401: no")]}
    assert desk.tick(NOON, STATE, **sight) == [
        "• *`ticket_events` has not been read for 4 h*, since 2026-03-02 08:00 UTC",
        f"• *A run of `fetch_ticket_events` failed* at 2026-03-02 12:00 UTC: `401: no` {DASH} run `00000001-0000`",
        "2026-03-02, so far, as of 2026-03-02 11:50 UTC",
        f"• *First reply time: 14 breaches, 68.9% met* {DASH} 9 under `Premium`, business hours",
        "After 3 h without a reading: is hourly_fetch turned on? See its last runs. Dagster will not retry failed runs named "
        "here. Breaches are posted from 10 a day on, and at each doubling. A rate is posted once a day below 80%, from 20 met "
        "or breached targets on.",
    ]
    assert desk.posted[0].split("\n")[0] == "*SLA alert* of `acme`"
    assert desk.summary == "destination 1 (webhook): Posted 4 alerts."
    for minutes in range(1, 6):
        now = NOON + 60 * minutes
        assert desk.tick(now, STATE, read_at={"ticket_events": NOON - 4 * HOUR}, failed=[run(1)]) == []
    assert desk.summary == "Nothing new to post."


def test_what_was_posted_before_is_context_and_not_bold(desk):
    assert desk.tick(NOON, day(6, 19))[1] == "• *First reply time: 76.0% met*, 6 breaches"
    assert desk.tick(NOON + 60, day(12, 19))[1] == "• *First reply time: 12 breaches*, 61.3% met"


def test_every_count_has_thousands_separators(desk):
    busy = DayState(DAY, NOON - 600, False, (MetricState("first_reply_time", 12_000, 31_000, "Premium", 9_999, True),))
    assert f"12,000 breaches, 72.1% met* {DASH} 9,999 under `Premium`" in desk.tick(NOON, busy)[1]


def test_links_lead_to_the_ui_the_report_and_the_tickets_if_their_addresses_are_set():
    desk = Desk(
        replace(SETTINGS, dagster_url="http://127.0.0.1:3000"),
        about={
            "report_url": "https://reports.example",
            "tickets_url": "https://acme.zendesk.com/agent/tickets/",
            "goal_percent": 97.5,
            "tickets": lambda day, metric: BreachedTickets((9, 8), 5) if metric == "first_reply_time" else NO_TICKETS,
        },
    )
    lines = desk.tick(NOON, STATE, read_at={"ticket_events": 0}, failed=[run(1)])
    summary = "http://127.0.0.1:3000/assets/daily_sla_breach_summary?partition=2026-03-02&amp;view=partitions"
    assert [re.findall("<(.*?)>", line) for line in lines] == [
        [],
        ["http://127.0.0.1:3000/runs/00000001-0000|the run"],
        [f"https://reports.example/date={DAY}/sla_breach_report.html|report", f"{summary}|in Dagster"],
        [f"https://acme.zendesk.com/agent/tickets/{number}|#{number}" for number in (9, 8)],
        ["http://127.0.0.1:3000/runs|its last runs"],
    ]
    assert "68.9% met* (goal 97.5%)" in lines[3]
    assert lines[3].endswith(" and 3 more")


def test_tickets_without_an_address_are_numbers():
    """As in the sandbox, which has no page of a ticket."""
    desk = Desk(about={"tickets": lambda day, metric: BreachedTickets((7,), 1)})
    assert desk.tick(NOON, day(10))[1].endswith(f" {DASH} #7")


def test_a_message_has_a_maximum_length_and_counts_the_omitted_lines(desk):
    failed = [run(number, NOON + number, reason="<&>" * 99) for number in range(100)]
    lines = desk.tick(NOON + HOUR, day(10), failed=failed)
    assert len(desk.posted[0]) <= LONGEST_TEXT
    shown = len([line for line in lines if line.startswith("•")])
    assert f"… and {101 - shown} more." in lines
    assert shown > 1
    assert desk.summary == "destination 1 (webhook): Posted 101 alerts."
    assert desk.tick(NOON + HOUR + 60, day(10), failed=failed) == []


EVIL = [
    "<!channel>",
    "@here",
    "*b* _i_ ~s~ `c` ```x```",
    "a\nb\r\x1b[31m\u202e\ud800",
    "<script>&amp;</script>|[x](http://x)",
    "",
]


@pytest.mark.parametrize("evil", EVIL)
def test_text_of_the_account_is_shown_literally_everywhere(evil):
    desk = Desk()
    state = DayState(DAY, NOON, False, (MetricState(evil, 90, 1, evil, 90),))
    desk.tick(NOON, state, failed=[FailedRun("0-0", evil, NOON, evil)])
    (text,) = desk.posted
    assert slack_code(evil) in text
    for line in text.split("\n"):
        # None of it is outside of code, and inside it nothing ends the code.
        assert line.count("`") % 2 == 0
        outside, inside = line.split("`")[::2], line.split("`")[1::2]
        assert not re.search(r"[@<>~|\[\]]|@here|channel|script", "".join(outside))
        assert not re.search("[@<>]", "".join(inside))
    assert text.replace("\n", "").isprintable()
