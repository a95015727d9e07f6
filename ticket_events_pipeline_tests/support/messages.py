"""Messages of every kind for the renderers, and the limits and schemas of the receivers, by their documentation."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from ticket_events_pipeline.alerts.rich_text import Message, Section, bold, code, link, text
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE

MARKUP = [
    "*b* _i_ ~s~ ~~s~~ **b** __b__",
    "[x](https://evil.example) <https://evil.example|x> ![x](https://evil.example)",
    "https://evil.example www.evil.example mailto:me@evil.example",
    "@here @everyone <!channel> <@U1> <at>everyone</at>",
    "`c` ```c``` `",
    "{{DATE(2026-11-30T06:00:00Z, SHORT)}} ${x} {{x}}",
    "# h\n- item\r1. item\n> quote | a | b |",
    "<b>b</b><script>alert(1)</script>&lt;b&gt;&#42;",
    "trailing \\",
    "_start and end_ in_side",
    "",
]
EVIL = [*HOSTILE, *MARKUP]

TEXTS = st.sampled_from(EVIL) | st.text(max_size=100)
LINES = st.lists(
    st.builds(code, TEXTS) | st.sampled_from([text("of "), bold("5 breaches"), link("#1", "https://a.example/1")]), max_size=5
).map(tuple)
SECTIONS = st.builds(
    lambda lines, heading, times: Section(tuple(lines * times), heading),
    st.lists(LINES, max_size=4),
    st.none() | LINES,
    st.integers(1, 12),
)
MESSAGES = st.builds(
    lambda name, sections, times, footer: Message(
        (bold("SLA alert"), text(" of "), code(name)), tuple(sections * times), ((text("Explained."),),) * footer
    ),
    TEXTS,
    st.lists(SECTIONS, max_size=3),
    st.integers(1, 12),
    st.integers(0, 2),
)


def check_slack(payload: dict[str, object]) -> None:
    """https://docs.slack.dev/reference/block-kit/blocks"""
    assert 0 < len(payload["text"]) <= 4000
    blocks = payload.get("blocks")
    if blocks is None:
        return
    assert 1 <= len(blocks) <= 50
    assert sum(len(json.dumps(block)) for block in blocks) < 40_000
    for block in blocks:
        match block["type"]:
            case "header":
                assert set(block["text"]) <= {"type", "text", "emoji"}
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(block["text"]["text"]) <= 150
            case "section":
                texts = [block["text"]]
                assert_slack_texts(texts)
            case "context":
                assert 1 <= len(block["elements"]) <= 10
                assert_slack_texts(block["elements"])
            case other:
                raise AssertionError(other)


def assert_slack_texts(texts: list[dict[str, object]]) -> None:
    for found in texts:
        assert set(found) == {"type", "text", "verbatim"}
        assert found["type"] == "mrkdwn"
        assert 1 <= len(found["text"]) <= 3000


BLOCK_KEYS = {"type", "text", "wrap", "size", "spacing", "isSubtle", "separator"}


def check_teams(payload: dict[str, object]) -> list[str]:
    """The texts of a card. https://adaptivecards.io/explorer/TextBlock.html"""
    assert len(json.dumps(payload).encode()) <= 28 * 1024
    assert list(payload) == ["type", "attachments"]
    assert payload["type"] == "message"
    (attachment,) = payload["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    for block in card["body"]:
        assert block["type"] == "TextBlock"
        assert set(block) <= BLOCK_KEYS
        assert isinstance(block["text"], str)
        assert block["wrap"] is True
        assert block.get("size", "Default") in ("Default", "Small", "Medium", "Large")
        assert block.get("spacing", "Default") in ("Default", "None", "Small")
    return [block["text"] for block in card["body"]]
