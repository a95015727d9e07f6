"""Any response is a page or a documented error, and every row and value of a page can be read back from the file.

`FUZZ_EXAMPLES` sets the number of responses; the slow test sends 2,500.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.errors import AccountError, TicketEventsError
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.answers import Retryable, TooRecent
from ticket_events_pipeline.zendesk.page import PageRequest, decode_page
from ticket_events_pipeline.zendesk.walk import Walk
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.client_bench import Bench
from ticket_events_pipeline_tests.support.decoding_oracle import differences, moment, through_parquet
from ticket_events_pipeline_tests.support.faulty_account import audit, metric_event
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer, garbage

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
T = 1_772_442_000

TEXTS = st.text(st.sampled_from("ab.\\/é\u2028😀\ud800\udfff\x00\"'{"), max_size=6)
NAMES = st.sampled_from(
    [
        *("id", "ticket_id", "metric", "instance_id", "type", "deleted", "time", "timestamp", "created_at", "sla", "group_sla"),
        *("status", "child_events", "system", "metadata", "merged_ticket_ids", "via", "via_reference_id", "updater_id"),
        *("event_type", "target", "target_in_seconds", "business_hours", "policy", "title", "calendar", "business", "public"),
        *("comment_public", "repeated_fields", "extra", "sla.policy", "sla.policy.id", "status.calendar"),
    ]
)
NUMBERS = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e400", "-1e400", "9223372036854775808", "-9223372036854775808", "9" * 5000, "1" + "0" * 4299),
        *(
            "1772442000",
            "1772442000000",
            "1772442000.1234567",
            "-0.0",
            "-0",
            "60.0",
            "9007199254740993.0",
            "1E2",
            "253402300799",
        ),
    ]
)
TIMES = st.sampled_from(
    [
        *("2026-03-02T09:00:00Z", "2026-03-02T09:00:00.1234567Z", "2026-03-02 09:00", "2026-03-02", "20260302T090000Z"),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-03-02T09:00:00,123456+01:00", "1712010112345"),
        *("2026-W10-1", "yesterday", "2026-03-02T24:00:00Z"),
    ]
)


def written(value: Any) -> str:
    return json.dumps(value)


def object_text(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{written(name)}:{value}" for name, value in members) + "}"


ATOMS = (
    st.sampled_from(["null", "true", "false", '"\\ud83d"', '""', "[]", "{}"])
    | NUMBERS
    | st.integers().map(written)
    | st.floats(allow_nan=False, allow_infinity=False).map(written)
    | (TEXTS | TIMES | st.text(max_size=4)).map(written)
)
JSON_TEXTS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(NAMES | TEXTS, inner), max_size=4).map(object_text)
    ),
    max_leaves=10,
)
PLACED = st.tuples(st.integers(1, 9), st.sampled_from(["time", "timestamp", "created_at"]), TIMES).map(
    lambda drawn: [("id", written(drawn[0])), (drawn[1], written(drawn[2]))]
)
MEMBERS = st.lists(st.tuples(NAMES | TEXTS, JSON_TEXTS), max_size=8)
ROWS = st.tuples(PLACED | st.just([]), MEMBERS).map(lambda parts: object_text(parts[0] + parts[1])) | JSON_TEXTS

REAL = [
    *json.loads((SAMPLES / "docs_metric_event_type_examples.json").read_text()),
    json.loads((SAMPLES / "estuary_recorded_metric_event.json").read_text()),
    audit(7, T, system={"client": "Mozilla", "location": "Zürich"}, merged_ticket_ids=[], metadata={}),
    metric_event(8, T, type="apply_group_sla", group_sla={"target": 30, "policy": {"id": "01ABC", "title": "Groups"}}),
    metric_event(9, T, type="update_status", status={"calendar": 3, "business": 2}),
]


@st.composite
def changed_rows(draw: st.DrawFn) -> str:
    """A real row in which some members are other ones, gone, or there twice."""
    members = [(name, written(value)) for name, value in draw(st.sampled_from(REAL)).items()]
    for _ in range(draw(st.integers(0, 3))):
        index = draw(st.integers(0, len(members) - 1))
        name, value = members[index]
        members[index : index + 1] = draw(
            st.sampled_from([[(name, draw(JSON_TEXTS))], [], [(name, value), (name, draw(JSON_TEXTS))], [(draw(NAMES), value)]])
        ) or [(name, "null")]
    return object_text(members)


@st.composite
def envelopes(draw: st.DrawFn, stream: str) -> bytes:
    rows = draw(st.lists(changed_rows() | ROWS, max_size=5))
    around = draw(
        st.lists(st.tuples(st.sampled_from(["count", "end_time", "next_page", "end_of_stream", "x"]), JSON_TEXTS), max_size=4)
    )
    return object_text([(stream, f"[{','.join(rows)}]"), *around]).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, stream: str) -> bytes:
    """A real page with bytes changed, cut out or repeated."""
    body = bytearray(json.dumps({stream: REAL, "count": 8, "end_time": T, "end_of_stream": False}).encode())
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(body))), draw(st.integers(0, 12))
        body[at : at + length] = draw(st.binary(max_size=4) | st.just(bytes(body[at : at + length]) * 2))
    return bytes(body)


HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Retry-After", "Location", "zendesk-ratelimit-incremental-exports", "Content-Type"]),
    st.text(max_size=20)
    | st.sampled_from(["Mon, 02 Mar 2026 10:00:00 GMT", "total=10; remaining=0; resets=7", "1e9", "nan", "-1"]),
    max_size=3,
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, int, dict[str, str], bytes]:
    stream = draw(st.sampled_from(sorted(STREAMS)))
    kinds: list[Callable[[], st.SearchStrategy[bytes]]] = [
        lambda: envelopes(stream),
        lambda: envelopes(stream),
        lambda: damaged(stream),
        lambda: JSON_TEXTS.map(lambda text: text.encode()),
        lambda: st.binary(max_size=200),
        lambda: st.sampled_from(
            ["Too recent start_time. Use a start_time older than 5 minutes", "<html><title>No</title>"]
        ).map(str.encode),
    ]
    body = draw(draw(st.sampled_from(kinds))())
    status = draw(st.sampled_from([200, 200, 200, 200, 400, 422, 429]) | st.integers(100, 599))
    return stream, status, draw(HEADERS), body


def is_short_and_printable(message: str | None) -> bool:
    return message is not None and 0 < len(message) < 1000 and message.isprintable()


def attempt(stream: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Decodes, stores and reads back; a response that isn't a page must be a documented error with a short message."""
    page = refusal = None
    try:
        page = decode_page(PageRequest(STREAMS[stream], T), status, headers, body)
    except (AccountError, Retryable, TooRecent) as error:
        refusal = str(error)
    if page is None:
        assert is_short_and_printable(refusal)
        return
    assert status == 200
    stored, batch = through_parquet(stream, page.rows)
    rejected = [one.row for one in batch.rejected]
    placed = [row for row in page.rows if not any(row is other for other in rejected)]
    assert len(placed) + len(rejected) == len(page.rows)
    assert [differences(stream, row, found) for row, found in zip(placed, stored, strict=True)] == [[]] * len(placed)
    for row in rejected:
        row_id = row.get("id")
        is_whole = isinstance(row_id, int) and not isinstance(row_id, bool) and -(2**63) <= row_id <= 2**63 - 1
        assert not is_whole or not any((moment(row.get(name)) or 0) > 0 for name in ("time", "timestamp", "created_at"))
    Walk(T).take(page)


@settings(max_examples=EXAMPLES)
@given(answers())
@example(
    ("ticket_events", 200, {}, b'{"ticket_events":[{"id":1,"time":"2026-03-02","sla.policy.id":7,"sla":{"policy":{"id":8}}}]}')
)
def test_any_response_is_stored_without_loss_or_is_a_documented_error(answer):
    attempt(*answer)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=2_500)
@given(answers())
def test_thousands_of_responses_are_stored_or_are_documented_errors(answer):
    attempt(*answer)


LINES = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 302 Found",
            b"HTTP/9 x",
            b"Content-Length: 5",
            b"Content-Length: -1",
            b"Content-Length: x",
        ),
        *(b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Content-Encoding: br, gzip", b"Location: https://["),
        *(b"Set-Cookie: \xff", b"Retry-After: 1", b": x", b"A" * 70_000, b"", b"", b"5", b"hello", b"0"),
        *(b'{"ticket_events":[]}', b"\x1f\x8b\x08"),
    ]
)
RAW = st.lists(LINES | st.binary(max_size=10), max_size=9).map(b"\r\n".join) | st.binary(max_size=60)


@pytest.fixture(scope="module")
def line():
    """A client, and a dict for the bytes that it receives."""
    box: dict[str, bytes] = {}
    with ScriptedServer(iter(lambda: lambda _: garbage(box["raw"]), None)) as server:
        made = Bench(server, BearerToken("t"))
        with made.client:
            yield made, box


@settings(max_examples=EXAMPLES // 2, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(raw=RAW, whole=st.booleans())
def test_any_bytes_from_a_server_are_a_page_or_a_documented_error(line, raw, whole):
    made, box = line
    box["raw"] = b"HTTP/1.1 200 OK\r\n" + raw if whole else raw
    message: str | None = "a page"
    try:
        made.client.check()
    except TicketEventsError as error:
        message = str(error)
    assert is_short_and_printable(message)
