"""Audits whose objects and lists stay the JSON that was sent make the same table as those parsed and written again.

The pages are written by hand: no encoder repeats a name, spells a letter as an escape or puts a space where none belongs.
`INGEST_EXAMPLES` sets the number of pages.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.decoding.audit_lane import audit_fields
from ticket_events_pipeline.decoding.fast_lane import ColumnarRows
from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.decoding.nested_texts import NestedTexts
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE
from ticket_events_pipeline.zendesk.json_body import parse_json
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.page_reading import TIMES, assert_read_alike, page_of
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS

EXAMPLES = int(os.environ.get("INGEST_EXAMPLES", "150"))

# JSON as it stands on the page.
TEXTS = (
    *('""', '"open"', '"a b"', '"Comment"', '"]}"', '"{["', '",\\":"', '"},{"', '"\\\\"', '"\\""', '"\\\\\\""', '"\\\\\\\\"'),
    *('"\\n"', '"\\b\\f\\r\\t"', '"\\u0000"', '"\\u000b"', '"\\u001f"', '"\\u007f"', '"\\u0080"', '"\\u00e9"', '"\\u2028"'),
    *('"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00\\ud800"'),
)
OTHERWISE_SPELLED_TEXTS = (
    *('"é"', '"😀"', '"\x7f"', '"\u2028"', '"\\/"', '"\\u0041"', '"\\u0022"', '"\\u000a"', '"\\u00E9"', '"\\uD83D\\uDE00"'),
    *('"\\uD800"', '"\\u0043omment"', '"caf\\u00e9 é"'),
)
NUMBERS = (
    *("9007199254740993", "123.456789012345"),
    "0",
    "1",
    "-1",
    "60",
    "360041597112",
    "999999999999999999",
    "0.0",
    "-0.0",
    "1.5",
    "0.1",
    "0.0001",
    "-97.7431",
    "60.0",
)
OTHERWISE_SPELLED_NUMBERS = (
    *("-0", "1.50", "1.00", "1e5", "1E+2", "1e400", "0.00001", "123.4567890123456", "0.30000000000000004"),
    *(
        "9223372036854775808",
        "1" * 40,
        "1" * 5000,
        "1000000.5",
        "5e-324",
        "0.00010000",
        "0.000123456789012",
    ),
    *("NaN", "Infinity", "-Infinity"),
)
WORDS = ("true", "false", "null")
BROKEN = (
    "01",
    "1.",
    ".5",
    "+1",
    "-",
    "1 2",
    "tru",
    "True",
    "'a'",
    '"',
    '"\t"',
    '"\\x"',
    '"\\u12"',
    "",
    "[",
    "}",
    "]",
    "{]",
    "[}",
)
BROKEN_OBJECTS = (
    '{"a":1{"b":2}',
    '{"a":1,}',
    "[1,]",
    "{,}",
    '{"a"}',
    '{"a":}',
    "{1:2}",
    "[1[2]",
    '[{"a":1}{"b":2}]',
    '[{"a":1},]',
    '[{"a":1}:{}]',
    '[{"a":1}\0]',
)

SPACES = st.sampled_from(["", "", "", "", "", " ", "\n"])
PLAIN = st.sampled_from((*TEXTS, *NUMBERS, *WORDS))
ODD = st.sampled_from((*OTHERWISE_SPELLED_TEXTS, *OTHERWISE_SPELLED_NUMBERS))
NAMES = st.sampled_from(
    ('"id"', '"a"', '"value"', '"previous_value"', '"event_type"', '"custom"', *TEXTS[:12], '"\\u0061"', '"é"')
)
Pair = tuple[str, str]


def one_in(times: int, odd: st.SearchStrategy[str], usual: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(1, times).flatmap(lambda number: odd if number == 1 else usual)


def joined(pairs: Sequence[Pair], spaces: Sequence[str] = ("",) * 4) -> str:
    first, colon, comma, last = spaces
    return f"{{{first}" + f",{comma}".join(f"{name}:{colon}{value}" for name, value in pairs) + f"{last}}}"


def objects(pairs: st.SearchStrategy[list[Pair]]) -> st.SearchStrategy[str]:
    compact = st.builds(joined, pairs)
    return one_in(8, st.builds(joined, pairs, st.tuples(SPACES, SPACES, SPACES, SPACES)), compact)


def lists(items: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    compact = st.lists(items, max_size=most).map(lambda texts: f"[{','.join(texts)}]")
    spaced = st.lists(items, max_size=most).map(lambda texts: f"[ {', '.join(texts)}]")
    return one_in(12, spaced, compact)


def pairs_of(values: st.SearchStrategy[str], **kwargs: int) -> st.SearchStrategy[list[Pair]]:
    distinct = st.lists(st.tuples(NAMES, values), unique_by=lambda pair: pair[0], **kwargs)
    return st.integers(1, 6).flatmap(lambda number: st.lists(st.tuples(NAMES, values), **kwargs) if number == 1 else distinct)


SCALARS = one_in(15, ODD, PLAIN)
ANY = st.recursive(SCALARS, lambda inner: lists(inner) | objects(pairs_of(inner, max_size=3)), max_leaves=6)
FLAGS = st.sampled_from(["true", "true", "false", "null", "1", '"true"', "[true]"])


@st.composite
def children(draw) -> str:
    """A child event: names mostly once, some of them of a comment."""
    pairs = [('"id"', draw(st.sampled_from(["1", "20512000215028"])))]
    names = st.lists(st.sampled_from(['"comment_present"', '"comment_public"', '"public"']), unique=True)
    pairs += [(name, draw(FLAGS)) for name in draw(names)]
    pairs.append(
        ('"event_type"', draw(st.sampled_from(['"Comment"', '"Comment"', '"Change"', '"Comment "', '"\\u0043omment"'])))
    )
    pairs += draw(pairs_of(ANY, max_size=2))
    if draw(st.integers(1, 6)) > 1:
        pairs = list(dict(pairs).items())
    return joined(pairs if draw(st.booleans()) else pairs[::-1])


CHILD_EVENTS = one_in(8, ANY | lists(SCALARS | children()), lists(children(), most=4))
USUAL = {
    "id": st.sampled_from(["7", "8", "926256957613"]),
    "timestamp": st.sampled_from(["1772442000", "1772442001"]),
    "created_at": st.sampled_from(['"2026-03-02T09:00:00Z"', '"2026-03-02T09:00:01Z"']),
    "ticket_id": st.sampled_from(["5", "6"]),
    "updater_id": st.sampled_from(["360884401843", "-1", "null"]),
    "via": st.sampled_from(['"Web form"', '"Mail"', "null", '"é"']),
    "via_reference_id": st.sampled_from(["null", "360126900398"]),
    "system": one_in(6, ANY, objects(pairs_of(ANY, max_size=3))),
    "metadata": one_in(6, ANY, st.sampled_from(["{}", '{"system":{},"custom":{"a":[]}}', "null"])),
    "merged_ticket_ids": st.sampled_from(["[]", "[1,2]", "[1, 2]", "null", "{}"]),
    "event_type": st.just('"Audit"'),
    "child_events": CHILD_EVENTS,
}
ODD_MEMBERS = st.sampled_from(
    [
        *(("id", "1.0"), ("id", "null"), ("id", '"7"'), ("id", "[7]"), ("timestamp", "1772442000.5"), ("timestamp", "[5]")),
        *(("timestamp", "-1"), ("timestamp", "253402300800"), ("timestamp", "null"), ("timestamp", '"2026-03-02T09:00:00Z"')),
        *(("created_at", '"2026-03-02T09:00:00.123456Z"'), ("created_at", '"yesterday"'), ("updater_id", "[0]"), ("via", "{}")),
        *(("via", '"\\ud800"'), ("updater_id", "9223372036854775808"), ("system", "0"), ("system", "[0]"), ("system", '"[0]"')),
        *(
            ("metric", "null"),
            ("metric", '"reply_time"'),
            ("unheard_of", "{}"),
            ("sla", "null"),
            ("deleted", "false"),
            ("time", "1"),
        ),
        *(
            ("child_events", "null"),
            ("child_events", "0"),
            ("child_events", '"x"'),
            ("child_events", "{}"),
            ("child_events", "[1]"),
        ),
    ]
)


@st.composite
def rows(draw) -> str:
    members = {name: draw(values) for name, values in USUAL.items()}
    pairs = list(members.items())
    if draw(st.integers(1, 10)) == 1:
        pairs = draw(st.permutations(pairs))[draw(st.integers(0, 3)) :]
    if draw(st.integers(1, 10)) == 1:
        pairs.append(draw(ODD_MEMBERS))
    return joined([(f'"{name}"', value) for name, value in pairs])


def page_with(texts: Sequence[str], end: str = '"count":1,"end_time":1772442000,"end_of_stream":false') -> bytes:
    return f'{{"ticket_events":[{",".join(texts)}],{end}}}'.encode("utf-8", "surrogatepass")


def audit(**members: str) -> str:
    usual = {"id": "7", "timestamp": "1772442000", "ticket_id": "5", "system": "{}", "child_events": "[]"}
    return joined([(f'"{name}"', value) for name, value in (usual | members).items()])


def texts_parsed(body: bytes) -> int | None:
    """How many objects and lists of the page were parsed; None if the page wasn't read in columns."""
    page = page_of(TICKET_EVENTS, body)
    if isinstance(page, str) or not isinstance(page.rows, ColumnarRows):
        return None
    return len(NestedTexts(body).compact(parse_json)[1])


@given(st.lists(rows(), max_size=3))
@settings(max_examples=EXAMPLES)
def test_texts_as_they_were_sent_make_the_same_table(texts: list[str]) -> None:
    assert_read_alike(TICKET_EVENTS, page_with(texts))


@given(st.lists(ANY, min_size=1, max_size=4))
@settings(max_examples=EXAMPLES)
def test_any_json_is_stored_as_if_it_had_been_parsed(values: list[str]) -> None:
    for name in ("child_events", "metadata"):
        assert_read_alike(TICKET_EVENTS, page_with([audit(**{name: f"[{value}]"}) for value in values]))


@given(TIMES)
@example("0000-01-01T00:00:00Z")
@example("9999-12-31T23:59:59-05:00")
@settings(max_examples=EXAMPLES)
def test_a_time_is_the_same_moment_either_way(time: str) -> None:
    assert_read_alike(TICKET_EVENTS, page_with([audit(created_at=f'"{time}"')]))


@given(st.data(), st.lists(rows(), min_size=1, max_size=2))
@settings(max_examples=EXAMPLES)
def test_a_page_with_a_few_changed_bytes_is_read_alike(data: st.DataObject, texts: list[str]) -> None:
    body = bytearray(page_with(texts))
    for _ in range(data.draw(st.integers(1, 3))):
        place, byte = data.draw(st.integers(0, len(body) - 1)), data.draw(st.sampled_from(b'{}[]",:\\ 0e.-n\xc3\x00'))
        kind = data.draw(st.sampled_from(["replace", "insert", "delete"]))
        body[place : place + (kind != "insert")] = b"" if kind == "delete" else bytes([byte])
    assert_read_alike(TICKET_EVENTS, bytes(body))


def test_what_the_encoder_writes_is_not_parsed() -> None:
    for value in (*TEXTS, *NUMBERS, *WORDS):
        assert compact_json(json.loads(value)) == value
        flat = (f"[{value}]", f'{{"a":{value}}}', f'{{"a":{{"b":{value},"c":{value}}}}}')
        body = page_with([audit(child_events=f'[{{"a":{value},"b":[{value}]}},{{}}]', system=text) for text in flat])
        assert texts_parsed(body) == 0, body
        assert_read_alike(TICKET_EVENTS, body)


@pytest.mark.parametrize(
    "text", ["[%s]", '{"a":%s}', '[{"a":%s}]', '[{"a":[%s]}]', '[{"a":{"b":%s}}]', "[{},%s]", "[{},%s,{}]", "%s"]
)
def test_what_the_encoder_writes_otherwise_is_read_alike(text: str) -> None:
    repeated = ('{"a":1,"a":2}', '{"é":1}', "[1, 2]")
    for value in (*OTHERWISE_SPELLED_TEXTS, *OTHERWISE_SPELLED_NUMBERS, *BROKEN, *BROKEN_OBJECTS, *repeated):
        for name in ("child_events", "system"):
            assert_read_alike(TICKET_EVENTS, page_with([audit(), audit(**{name: text % value}), audit()]))


def test_what_the_encoder_writes_otherwise_is_parsed_and_nothing_else() -> None:
    for value in (*OTHERWISE_SPELLED_TEXTS, *OTHERWISE_SPELLED_NUMBERS, '{"a":1,"a":2}', "[ ]"):
        body = page_with([audit(), audit(child_events=f'[{{"a":{value}}}]', system='{"a":1}')])
        assert texts_parsed(body) == 1, body


@pytest.mark.parametrize(
    "children",
    [
        *(
            '[{"id":1,"id":2}]',
            '[{"a":{"id":1}},{"id":2}]',
            '[{"id":1,"a":{"id":1}}]',
            '[{"a":{"b":1,"b":2}}]',
            '[{"a":1},{"a":1}]',
        ),
        *(
            '[{"comment_present":true}]',
            '[{"comment_present":true,"comment_present":false}]',
            '[{"a":{"comment_present":true}}]',
        ),
        *('[{"event_type":"Comment","public":true}]', '[{"event_type":"Comment","public":true,"comment_public":null}]'),
        *(
            '[{"event_type":"Comment","comment_public":false,"public":true},{"public":true}]',
            '[{"a":["event_type","Comment"]}]',
        ),
        *(
            '[[{"event_type":"Comment"}]]',
            '[{"event_type":"Comment"},5]',
            '[5,{"event_type":"Comment"}]',
            "[1,2,3]",
            "[[],[]]",
            "[{}]",
        ),
        *('[{"a":"event_type\\":\\"Comment"}]', '[{},[{"event_type":"Comment"}]]', '[{"x":1},["event_type"],{"y":2}]'),
    ],
)
def test_facts_of_child_events_are_read_alike(children: str) -> None:
    assert_read_alike(TICKET_EVENTS, page_with([audit(child_events=children), audit(child_events='[{"a":"b"}]')]))


@pytest.mark.parametrize(
    "row",
    [
        *(audit(updater_id="[0]", system="0"), audit(via="[0]"), audit(system="[0]"), audit(child_events="[0]", system="null")),
        *(
            audit(timestamp="[1772442000]"),
            audit(created_at='"2026-03-02T09:00:00.1234Z"'),
            audit(timestamp="null"),
            audit(timestamp="-1"),
            audit(timestamp="253402300800"),
            audit(id="null"),
        ),
        *(
            audit(child_events="null"),
            audit(metric="null"),
            audit(unheard_of="[]"),
            '{"id":7,"timestamp":1772442000}',
            "[]",
            "null",
            "5",
        ),
        *(
            '{"id":7,"timestamp":1,"child_events":[],"child_events":[{}]}',
            audit(system="[1]5"),
            audit(system="[1] "),
            "[[]]",
            "{}",
        ),
        *('{"id":7,"timestamp":1,"child_events" :[{"a" :1}]}', audit(system='{"a":1]'), audit(child_events="[{}}")),
    ],
)
def test_odd_rows_are_read_alike(row: str) -> None:
    assert_read_alike(TICKET_EVENTS, page_with([row]))
    assert_read_alike(TICKET_EVENTS, page_with([audit(system="[1]"), row, audit(system="[2]")]))


@pytest.mark.parametrize("name", ["via", "child_events", "system"])
def test_bytes_that_are_not_utf_8_are_unreadable_either_way(name: str) -> None:
    body = page_with([audit(**{name: '"?"' if name == "via" else '[{"a":"?"}]'})]).replace(b"?", b"\xff")
    assert isinstance(page_of(TICKET_EVENTS, body), str)
    assert_read_alike(TICKET_EVENTS, body)


def test_a_metric_event_among_audits_sends_the_page_to_the_row_lane() -> None:
    metric_event = '{"id":1,"ticket_id":5,"metric":"reply_time","instance_id":1,"type":"breach","time":"2026-03-02T09:00:00Z"}'
    body = page_with([audit(), metric_event])
    assert texts_parsed(body) is None
    assert_read_alike(TICKET_EVENTS, body)


@given(st.lists(st.sampled_from(['"', "\\", "a", "{", "]", ",", ":"]), max_size=80))
@example(["\\"] * 70 + ['"'])
@settings(max_examples=EXAMPLES)
def test_runs_of_backslashes_end_where_json_says(letters: list[str]) -> None:
    text = "".join(letters)
    assert_read_alike(TICKET_EVENTS, page_with([audit(system=json.dumps({"a": text}), child_events='[{"a":1}]')]))
    assert_read_alike(TICKET_EVENTS, page_with([audit(system=f'{{"a":"{text}"}}', child_events='[{"a":1}]')]))


def test_the_sandbox_account_s_pages_are_not_parsed() -> None:
    account = SimulatedAccount(tickets_per_day=5)
    texts = [row.json.decode() for row in account.rows("ticket_events", 1772409600, now=1772409600 + 5 * 86_400)]
    compact = [json.dumps(json.loads(text), separators=(",", ":")) for text in texts]
    assert len(texts) > 100
    assert texts_parsed(page_with(compact)) == 0
    assert_read_alike(TICKET_EVENTS, page_with(compact))
    assert_read_alike(TICKET_EVENTS, page_with(texts))


def test_a_mark_at_any_place_of_a_block_is_found() -> None:
    """The scan reads a page in blocks: here the same rows begin at each place around the end of one."""
    row = audit(child_events='[{"a":"\\\\\\""},{"event_type":"Comment"}]')
    for filled in range(128 * 1024 - len(row) - 120, 128 * 1024):
        body = page_with([audit(via=f'"{"x" * filled}"'), row])
        assert texts_parsed(body) == 0


def test_the_lane_takes_every_column_of_an_audit() -> None:
    fields = audit_fields(TICKET_EVENTS_TABLE)
    assert fields is not None
    assert isinstance(page_of(TICKET_EVENTS, page_with([audit()])), EventPage)
    assert set(fields.names) >= set(USUAL)
