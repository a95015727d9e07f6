"""The size limits of a page: rows and JSON values are limited before they use memory, and no real page is refused."""

import itertools
import json
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.answers import Unreadable
from ticket_events_pipeline.zendesk.json_body import holds_more_values
from ticket_events_pipeline.zendesk.page import MAX_JSON_VALUES, MAX_ROWS, PageRequest, decode_page
from ticket_events_pipeline.zendesk.walk import MAX_REPEATS, Walk
from ticket_events_pipeline_tests.support.client_bench import T, bench, last_page
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS, TICKET_METRIC_EVENTS

MILLION = 1_000_000


def body_of(row, count, stream=TICKET_EVENTS):
    return b'{"%s":[%s],"count":1,"end_time":%d}' % (stream.name.encode(), b",".join([row] * count), T)


def decoded(body, stream=TICKET_EVENTS):
    return decode_page(PageRequest(stream, T), 200, {}, body)


def refused(body, stream=TICKET_EVENTS):
    """The reason why the page is refused, and the MB of memory used beyond the body."""
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable) as caught:
            decoded(body, stream)
        return caught.value.reason, tracemalloc.get_traced_memory()[1] / MILLION
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("row", [b"{}", b"7"], ids=["objects", "numbers"])
def test_more_rows_than_any_second_holds_are_no_page(row, stream):
    reason, megabytes = refused(body_of(row, MAX_ROWS + 1, stream), stream)
    assert reason == "200 with 100,001 rows on one page"
    assert megabytes < 30


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("row", [b"{}", b'{"a":1}', b"1000"])
def test_a_million_empty_rows_use_little_memory(row, stream):
    """They once took over 460 MB: each made a row of columns, or an object that wraps it."""
    reason, megabytes = refused(body_of(row, MILLION, stream), stream)
    assert reason == "200 with 1,000,000 rows on one page"
    assert megabytes < 250


@pytest.mark.parametrize(("values", "marks"), [(b"{}", 2), (b"[[[[]]]]", 5), (b"0", 1)], ids=str)
def test_more_values_than_a_page_can_hold_are_refused_before_parsing(values, marks):
    """They may be in a single row. The body itself is copied at most twice."""
    body = body_of(b'{"id":1,"x":[' + b",".join([values] * (MAX_JSON_VALUES // marks + 1)) + b"]}", 1)
    reason, megabytes = refused(body)
    assert reason == "200 with more than 4,000,000 JSON values on one page"
    assert megabytes < 2 * len(body) / MILLION + 20


def marks_of(value):
    """Commas and opening brackets in the JSON of a value, outside of texts."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(0, len(value) - 1) + sum(map(marks_of, value.values() if isinstance(value, dict) else value))


@settings(max_examples=30)
@example([{'a"b\\': 'x,\\"{', "c": []}] * 20_000)  # more than one chunk of the scan
@given(
    st.recursive(
        st.text('\\",{[]}:a\u0416', max_size=6) | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('\\",{[]}:a', max_size=4), inner),
    )
)
def test_values_are_counted_by_the_characters_before_them(value):
    """For any content of their texts."""
    body, marks = json.dumps([value], ensure_ascii=False).encode(), marks_of([value])
    assert not holds_more_values(body, marks)
    assert holds_more_values(body, marks - 1)


def test_brackets_and_commas_in_texts_do_not_count_as_values():
    """Quotes in texts are escaped, and so are the backslashes before them."""
    text = ("{[,\\" + '"') * MILLION
    body = json.dumps({"ticket_events": [{"id": 1, "x": text}]}).encode()
    assert len(body) > MAX_JSON_VALUES
    assert decoded(body).rows[0]["x"] == text
    assert not holds_more_values(body, MAX_JSON_VALUES)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le"])
def test_the_ends_of_texts_are_not_guessed_in_unusual_encodings(encoding):
    """A character of two bytes may hold the byte of a quote, and would hide the values after it."""
    body = '{"a":"≢","b":[1,2,3]}'.encode(encoding)
    assert holds_more_values(body, 3)
    assert not holds_more_values(body, 7)


@pytest.mark.parametrize("end", [b'"', b'"\\', b'"\\"', b""])
def test_an_unterminated_text_is_counted_quickly(end):
    assert not holds_more_values(b'["' + b'\\"' * MILLION + end, 2)


def test_a_full_page_of_audits_with_many_child_events_is_accepted():
    """A thousand audits, each with 120 child events of nested values: far more than real accounts send."""
    via = {"channel": "rule", "source": {"from": {"id": 1, "title": "Notify, then close {all}"}, "to": {}, "rel": "trigger"}}
    child = {"id": 1, "via": via, "tags": ["a", "b"], "status": "open", "event_type": "Change", "previous_value": "new"}
    audit = {"id": 1, "ticket_id": 2, "timestamp": T, "system": {}, "metadata": {}, "child_events": [child] * 120}
    body = body_of(json.dumps(audit, separators=(",", ":")).encode(), 1000)
    assert not holds_more_values(body, MAX_JSON_VALUES)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_page_enlarged_for_its_second_is_accepted(stream):
    """Five times the page limit."""
    row = b'{"id":1,"ticket_id":2,"metric":"reply_time","instance_id":1,"type":"activate","time":"2023-11-14T22:13:20Z"}'
    assert len(decoded(body_of(row, 5_000, stream), stream).rows) == 5_000


def test_a_page_of_too_many_rows_is_retried_and_then_made_smaller():
    """Like any page that can't be read."""
    bad = (200, {}, body_of(b"{}", MAX_ROWS + 1))
    with bench(bad, bad, last_page(1)) as b:
        assert [walked.requests for walked in b.walk()] == [3]
        assert b.asked("per_page") == ["1000", "1000", "500"]
        assert any("200 with 100,001 rows on one page; waiting" in line for line in b.log)


def test_a_run_fails_if_all_pages_have_too_many_rows():
    bad = (200, {}, body_of(b"7", MAX_ROWS + 1, TICKET_METRIC_EVENTS))
    with (
        bench(*itertools.repeat(bad, 12)) as b,
        pytest.raises(TransientError, match="12 times 200 with 100,001 rows on one page"),
    ):
        b.walk(TICKET_METRIC_EVENTS)


def test_texts_of_rows_without_an_id_are_not_stored_twice_in_memory():
    """A repeated page is compared with the pages before."""
    rows = b",".join(b'{"x":"%d%s"}' % (number, b"x" * 10_000) for number in range(100))
    body = b'{"ticket_events":[%s],"end_time":%d,"end_of_stream":false}' % (rows, T)
    walk, pages = Walk(T), [decoded(body) for _ in range(MAX_REPEATS)]
    tracemalloc.start()
    try:
        for page in pages:
            walk.take(page)
        assert tracemalloc.get_traced_memory()[1] < MILLION / 5  # each page has a million bytes
    finally:
        tracemalloc.stop()
