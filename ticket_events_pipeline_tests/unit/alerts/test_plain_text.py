"""Messages as text, Markdown and HTML: within the room that a service gives, and with no text of the account that acts."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ticket_events_pipeline.alerts.plain_text import HTML, MARKDOWN, TEXT, letter, plain_text, title_text
from ticket_events_pipeline.alerts.rich_text import Message, Section, bold, code, link, text
from ticket_events_pipeline_tests.support.messages import EVIL, MESSAGES

MESSAGE = Message(
    (bold("SLA alert"), text(" of "), code("acme")),
    (Section(((bold("5 breaches"), text(" under "), code("Silver & Co"), text(" "), link("#1", "https://a.example/1")),)),),
    ((text("Explained."),),),
)


def test_a_message_as_text_markdown_and_html():
    assert plain_text(MESSAGE).split("\n") == [
        "SLA alert of `acme`",
        "• 5 breaches under `Silver & Co` #1 (https://a.example/1)",
        "Explained.",
    ]
    text_letter = letter(MESSAGE, TEXT, limit=1000, has_title=True)
    assert (text_letter.title, text_letter.body.split("\n")[0]) == ("SLA alert of acme", plain_text(MESSAGE).split("\n")[1])
    assert letter(MESSAGE, MARKDOWN, limit=1000, has_title=False).body.split("\n\n") == [
        "**SLA alert** of `acme`",
        "• **5 breaches** under `Silver & Co` [#1](https://a.example/1)",
        "Explained.",
    ]
    assert letter(MESSAGE, HTML, limit=1000, has_title=True).body.split("<br/>\n") == [
        '• <b>5 breaches</b> under <code>Silver &amp; Co</code> <a href="https://a.example/1">#1</a>',
        "Explained.",
    ]


@given(MESSAGES, st.sampled_from([TEXT, MARKDOWN, HTML]), st.integers(600, 4000))
def test_any_message_has_room(message, markup, limit):
    made = letter(message, markup, limit=limit, has_title=False)
    assert len(made.body) > 0
    assert len(made.body) <= max(limit, 1000)
    assert 0 < len(title_text(message)) <= 150


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *attrs))


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_text_of_the_account_does_nothing(evil):
    message = Message((code(evil),), (Section(((code(evil), text(" and "), code(evil, is_bold=True)),)),))
    tags = Tags()
    tags.feed(letter(message, HTML, limit=4000, has_title=False).body)
    assert sorted(tags.found) == [("b",), ("br",), ("code",), ("code",), ("code",)]
    reader = MarkdownIt("commonmark", {"linkify": True}).enable(["linkify", "strikethrough", "table"])
    for markup in (MARKDOWN, TEXT):
        body = letter(message, markup, limit=4000, has_title=False).body
        tags = Tags()
        tags.feed(reader.render(body))
        assert {tag for tag, *_ in tags.found} <= {"p", "code", "strong"}
        assert "@" not in body
