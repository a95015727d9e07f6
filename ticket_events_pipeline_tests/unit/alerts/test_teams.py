"""Cards for Teams: within its limits and the schema, and with no text of the account that its Markdown acts on."""

import re

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from ticket_events_pipeline.alerts.rich_text import Message, Section, bold, code, link, text
from ticket_events_pipeline.alerts.teams import teams_payload
from ticket_events_pipeline_tests.support.messages import EVIL, MESSAGES, check_teams

MARKDOWN = MarkdownIt("commonmark", {"linkify": True}).enable(["linkify", "strikethrough", "table"])
"""More of Markdown than any client of Teams knows."""


def test_a_message_is_a_card_with_a_block_for_each_line():
    lines = (
        (code("ticket_events", is_bold=True), bold(" has not been read"), text(", since noon")),
        (text("5 breaches "), link("#1", "https://a.example/?a=(1)&b=2")),
    )
    message = Message(
        (bold("SLA alert"), text(" of "), code("acme")), (Section(lines, (text("Monday"),)),), ((text("Explained."),),)
    )
    assert check_teams(teams_payload(message)) == [
        "**SLA alert** of acme",
        "Monday",
        "• **ticket_events has not been read**, since noon",
        "• 5 breaches [#1](https://a.example/?a=%281%29&b=2)",
        "Explained.",
    ]


@given(MESSAGES)
def test_any_message_is_within_the_limits_of_teams(message):
    check_teams(teams_payload(message))


def test_a_long_message_says_how_many_lines_it_leaves_out():
    message = Message((bold("SLA alert"),), (Section(((code("ü" * 80),),) * 300),))
    texts = check_teams(teams_payload(message))
    shown = sum(found.startswith("•") for found in texts)
    assert 20 < shown < 300
    assert texts[-1] == f"… and {300 - shown} more."


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_text_of_the_account_is_shown_as_text(evil):
    """By a renderer that knows more of Markdown than Teams: no element comes of it."""
    line = (text("under "), code(evil), text(", "), link("#1", "https://a.example/1"), text(" "), code(evil))
    title, shown = check_teams(teams_payload(Message((code(evil),), (Section((line,)),))))
    for made, links in ((MARKDOWN.render(title), 0), (MARKDOWN.render(shown), 1)):
        assert re.sub(r"</?p>|<a href=\"https://a.example/1\">#1</a>", "", made, count=3).count("<") == 0
        assert made.count("<a ") == links
    assert "{{" not in shown
    assert "@" not in shown


def test_an_ordinary_name_stays_as_it_is():
    name = "first_reply_time: R&D (EMEA) - 5 > 4, <3, 50% #1"
    assert check_teams(teams_payload(Message((text("of "), code(name)))))[0] == f"of {name}"
