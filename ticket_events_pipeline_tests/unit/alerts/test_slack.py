"""Slack's messages: within its limits, and with nothing of the account outside of code."""

import re

import pytest
from hypothesis import given

from ticket_events_pipeline.alerts.rich_text import Message, Section, bold, code, link, text
from ticket_events_pipeline.alerts.slack import LONGEST_TEXT, slack_payload
from ticket_events_pipeline_tests.support.messages import EVIL, MESSAGES, check_slack

TITLE = (bold("SLA alert"), text(" of "), code("acme"))
LINES = (
    (code("ticket_events", is_bold=True), bold(" has not been read"), text(", since noon")),
    (text("5 < 6 & 7: "), link("#1", "https://a.example/?a=1&b=2")),
)


def test_a_message_is_text_and_for_slack_itself_blocks_as_well():
    message = Message(TITLE, (Section(LINES, (text("Monday"),)),), ((text("Explained."),),))
    payload = slack_payload(message, has_blocks=True)
    lines = [
        "Monday",
        "• *`ticket_events` has not been read*, since noon",
        "• 5 &lt; 6 &amp; 7: <https://a.example/?a=1&amp;b=2|#1>",
    ]
    assert payload["text"] == "\n".join(["*SLA alert* of `acme`", *lines, "Explained."])
    assert payload["blocks"] == [
        {"type": "header", "text": {"type": "plain_text", "text": "SLA alert of acme", "emoji": False}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "Explained.", "verbatim": True}]},
    ]
    assert slack_payload(message, has_blocks=False) == {"text": payload["text"]}


@given(MESSAGES)
def test_any_message_is_within_the_limits_of_slack(message):
    check_slack(slack_payload(message, has_blocks=True))


def test_a_long_message_says_how_many_lines_it_leaves_out():
    message = Message(TITLE, tuple(Section(((code("x" * 60),),) * 10, (text("A day"),)) for _ in range(9)))
    payload = slack_payload(message, has_blocks=True)
    shown = payload["text"].count("• ")
    assert 30 < shown < 90
    assert payload["text"].endswith(f"… and {90 - shown} more.")
    assert len(payload["text"]) <= LONGEST_TEXT
    check_slack(payload)


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_text_of_the_account_does_nothing(evil):
    line = (text("under "), code(evil), text(", "), code(evil, is_bold=True), bold(" failed"))
    payload = slack_payload(Message((bold("SLA alert"), text(" of "), code(evil)), (Section((line,), line),)), has_blocks=True)
    check_slack(payload)
    for shown in [*payload["text"].split("\n"), *payload["blocks"][1]["text"]["text"].split("\n")]:
        outside, inside = shown.split("`")[::2], shown.split("`")[1::2]
        assert len(outside) == len(inside) + 1
        assert not re.search(r"[@<>~|\[\]{}]|evil|script|channel", "".join(outside))
        assert not re.search("[@<>]", "".join(inside))
        assert shown.isprintable()
    assert not re.search("[<>]", payload["blocks"][0]["text"]["text"])
