"""The texts of messages, in which text of the account is shown literally."""

import re
from dataclasses import replace

import pytest

from ticket_events_pipeline.alerts.message import LONGEST_TEXT
from ticket_events_pipeline.alerts.observe import DayState, FailedRun, MetricState
from ticket_events_pipeline.text import slack_code
from ticket_events_pipeline_tests.support.alert_desk import DAY, HOUR, NOON, SETTINGS, Desk, day, run, started_desk


@pytest.fixture
def desk():
    return started_desk()


def test_each_fact_is_posted_once_and_explains_its_numbers(desk):
    state = DayState(DAY, NOON - 600, False, (MetricState("first_reply_time", 14, 31, "Premium", 9),))
    assert desk.tick(NOON, state, read_at={"ticket_events": NOON - 4 * HOUR}, failed=[run(1, reason="401: no")]) == [
        "• *`ticket_events` has not been read for 4 h*: its newest file was last fetched at 2026-03-02 08:00 UTC. Posted once, "
        "after 3 h. Is the hourly fetch turned on, and what do its last runs say?",
        "• *A run of `fetch_ticket_events` failed* at 2026-03-02 12:00 UTC, and Dagster will not retry it. Error: `401: no`. "
        "Run id: `00000001-0000`.",
        "• *14 new breaches of `first_reply_time` on 2026-03-02*, so far, as of 2026-03-02 11:50 UTC: targets that first "
        "breached on that day. Most under the policy `Premium`: 9. Posted from 10 on, next at 20. The tickets are in "
        "`sla_targets` of that day.",
        "• *68.8 % of `first_reply_time` achieved on 2026-03-02*, so far, as of 2026-03-02 11:50 UTC: 31 targets met, 14 "
        "breached. Posted once a day below 80 %, from 20 decided targets on. The tickets are in `sla_targets` of that day.",
    ]
    assert desk.posted[0].split("\n")[0] == "*SLA alert* of `acme`"
    assert desk.summary == "Posted 4 alerts."
    for minutes in range(1, 6):
        now = NOON + 60 * minutes
        assert desk.tick(now, state, read_at={"ticket_events": NOON - 4 * HOUR}, failed=[run(1)]) == []
    assert desk.summary == "Nothing new to post."


def test_links_lead_to_the_ui_if_its_address_is_set():
    desk = Desk(replace(SETTINGS, dagster_url="http://127.0.0.1:3000"))
    lines = desk.tick(NOON, day(10), read_at={"ticket_events": 0}, failed=[run(1)])
    assert [re.findall("<(.*?)>", line) for line in lines] == [
        ["http://127.0.0.1:3000/runs|The runs"],
        ["http://127.0.0.1:3000/runs/00000001-0000|Open it"],
        ["http://127.0.0.1:3000/assets/daily_sla_breach_summary?partition=2026-03-02&amp;view=partitions|Summary of the day"],
    ]


def test_a_message_has_a_maximum_length_and_counts_the_omitted_lines(desk):
    failed = [run(number, NOON + number, reason="<&>" * 99) for number in range(100)]
    lines = desk.tick(NOON + HOUR, day(10), failed=failed)
    assert len(desk.posted[0]) <= LONGEST_TEXT
    assert lines[-1] == f"… and {101 - (len(lines) - 1)} more."
    assert len(lines) > 1
    assert desk.summary == "Posted 101 alerts."
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
        assert not re.search(r"[@<>~|\[\]]|here|channel|script", "".join(outside))
        assert not re.search("[@<>]", "".join(inside))
    assert text.replace("\n", "").isprintable()
