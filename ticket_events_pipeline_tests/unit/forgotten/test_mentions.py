"""In which texts a forgotten address or ticket is found, and in which it isn't."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.forgotten.ledger import ADDRESS, TICKET, Ledger
from ticket_events_pipeline.forgotten.mentions import Mentions, normal_address

MAIL = "marlene.q@example.org"
KNOWN = {ADDRESS: map(normal_address, [MAIL, "jörg@büro.example"]), TICKET: [71, 333, 333333, 8217]}
MENTIONS = Mentions(Ledger(b"salt" * 8).with_entries(KNOWN))


def is_found(text):
    """In a JSON column, in a column of plain texts, and by itself: all say the same."""
    document = [{"body": text}]
    column = pa.array([compact_json([{"body": "x"}]), compact_json(document)])
    found = MENTIONS.of_column(column).tolist()
    assert not found[0]
    assert MENTIONS.is_in(compact_json(document)) == found[1]
    return found[1]


@pytest.mark.parametrize(
    "text",
    [
        MAIL,
        MAIL.upper(),
        f"mailto:{MAIL}?subject=x",
        f"<a href='mailto:{MAIL}'>",
        f"“{MAIL}”",
        f"„{MAIL}‟",
        f"E-Mail:\u00a0{MAIL}\u00a0",
        f"\u200b{MAIL}\u200b",
        f"•{MAIL}",
        f"{MAIL}…",
        f"email={MAIL}",
        f"https://crm.example/search?email={MAIL}&x=1",
        f"https://crm.example/?q=Mail+{MAIL.replace('@', '%40')}",
        f"https://crm.example/?q%3D{MAIL.replace('@', '%2540')}",
        f"{MAIL}.Bitte",
        f"{MAIL}-bitte",
        f"To=3D{MAIL}",
        MAIL.replace("@", "&#64;"),
        MAIL.replace("@", "&#x40;"),
        MAIL.replace("@", "&commat;"),
        f"&lt;{MAIL}&gt;",
        "bounce+marlene.q=example.org@mail.acme.example",
        "bounces-12-Marlene.Q=example.org@mail.acme.example",
        json.dumps({"x": f"“{MAIL}”\n{MAIL.upper()}"}),
        json.dumps(json.dumps({"x": f"\n{MAIL}\n"})),
        json.dumps({"x": f"\u00a0{MAIL}"}),
        f"_{MAIL}_ ",
        f"邮箱{MAIL}是",
        "Jörg@Büro.example",
        "an JÖRG@BÜRO.EXAMPLE: ja",
    ],
)
def test_an_address_is_found_in_common_surroundings_and_spellings(text):
    assert is_found(text)
    assert MENTIONS.is_in(text)


@pytest.mark.parametrize(
    "text",
    [
        f"x{MAIL}",
        f"anna.{MAIL}",
        f"anna-{MAIL}",
        f"anna+{MAIL}",
        f"{MAIL}x",
        "marlene.q@example.orgx.example",
        "marlene.q at example.org",
        "marlene.q@mail.example.org",
        "@media (max-width: 100px)",
        "50%40",
        "@",
        "@" * 2000,
        "&#64;" * 1000,
        "%40" * 1000,
    ],
)
def test_another_address_is_not_taken_for_it(text):
    assert not is_found(text)


@pytest.mark.parametrize(
    "text",
    [
        "#71",
        "see #71, please",
        "(#71)",
        "\n#71 ",
        "\u00a0#71\u00a0",
        "<b>#71</b>",
        'Ticket #71 (Umzug) was closed and merged into this ticket. Last comment in ticket #71: "x"',
        'Request #71 "Umzug" was closed and merged into this request.',
        "This request was closed and merged into this request #71.",
        "<p style='color:#333333'>merged: #71</p>",
        "https://acme.zendesk.com/agent/tickets/71",
        "<a href='/agent/tickets/71'>",
        "https://acme.zendesk.com/tickets/71.json",
        "https://acme.zendesk.com/hc/requests/71?x=1",
        "?to=https%3A%2F%2Facme.zendesk.com%2Fagent%2Ftickets%2F71",
        '{"ticket_id":71}',
        '{"ticket_id": 71, "t": 1}',
        '{"ticket_id":"71"}',
        {"ticket_id": 71},
        {"ticket_id": "71"},
        {"via": {"source": {"rel": "merge", "from": {"ticket_ids": [9, 71], "subjects": ["x", "y"]}}}},
        {"via": {"source": {"rel": "follow_up", "from": {"ticket_id": 71, "subject": "x"}}}},
        {"via": "Merge", "via_reference_id": 71},
        {"via_reference_id": 71, "id": 4, "via": "Closed ticket"},
    ],
)
def test_a_ticket_is_found_by_its_number_and_by_links(text):
    assert is_found(text)


@pytest.mark.parametrize(
    "text",
    [
        "#710",
        "#171",
        "#71a",
        "x#71",
        "It&#8217;s",
        "It&amp;#8217;s",
        "<p style='color:#333333'>",
        '<p style="border: 1px solid #333; color: #333333">',
        '<td background="#333333">',
        "<style>p { box-shadow: 0 0 3px #333 }</style>",
        "border: 1px solid #333333; margin: 0",
        "background-color: #333333",
        {"color": "#333333"},
        "https://example.org/page#71",
        "https://example.org/#71",
        "https://git.example/merge_requests/71",
        "https://acme.zendesk.com/agent/tickets/710",
        '{"ticket_id": 710}',
        {"via": {"source": {"from": {"ticket_ids": [710, 171]}}}},
        {"via": "Web form", "via_reference_id": 71},
        {"via": "Merge", "via_reference_id": 710},
        {"amount": 71},
    ],
)
def test_what_only_looks_like_a_ticket_is_none(text):
    assert not is_found(text)


@pytest.mark.parametrize("opened", ["style='", "<style>", "style="])
def test_an_open_style_hides_nothing_of_other_texts(opened):
    column = pa.array([compact_json([opened]), compact_json([opened, "see #71"]), compact_json(["see #71"])])
    assert MENTIONS.of_column(column).tolist() == [False, True, True]


def test_what_is_found_does_not_depend_on_the_row_before():
    column = pa.array([compact_json(["see 9 7"]), compact_json(["1 #71"]), None, compact_json([MAIL]), compact_json(["x"])])
    assert MENTIONS.of_column(column).tolist() == [False, True, False, True, False]
