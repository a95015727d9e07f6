"""Metric events read directly into columns make the same page and the same table as those read row by row.

The oracle is the reader that reads every page of the other stream: an unknown member in the envelope makes it read these
pages too. `INGEST_EXAMPLES` sets the number of pages.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.decoding.fast_lane import ColumnarRows, columnar_envelope, table_of
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE
from ticket_events_pipeline.zendesk.json_body import parse_json
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.page_reading import TIMES, page_of
from ticket_events_pipeline_tests.support.page_reading import assert_read_alike as assert_pages_alike
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

METRIC = "ticket_metric_events"
EXAMPLES = int(os.environ.get("INGEST_EXAMPLES", "150"))

ROW = {"id": 7, "ticket_id": 5, "metric": "reply_time", "instance_id": 1, "type": "apply_sla", "time": "2026-03-02T09:00:00Z"}
POLICY = {"id": 531, "title": "Main Policy", "description": "Measure all tickets"}
SLA = {"target": 60, "business_hours": True, "policy": POLICY}


def body_of(rows: list[Any], **members: Any) -> bytes:
    return json.dumps({METRIC: rows, "count": len(rows), "end_time": 1772442000, **members}).encode()


def assert_read_alike(body: bytes) -> None:
    assert_pages_alike(TICKET_METRIC_EVENTS, body)


def is_columnar(body: bytes) -> bool:
    """Whether the page's table is made without decoding single rows."""
    page = page_of(TICKET_METRIC_EVENTS, body)
    return (
        isinstance(page, EventPage)
        and isinstance(page.rows, ColumnarRows)
        and table_of(page.rows.columns, TICKET_METRIC_EVENTS_TABLE) is not None
    )


def in_columns(body: bytes) -> dict[str, Any] | None:
    return columnar_envelope(METRIC, body, parse=parse_json)


ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 1.5, 2**63, -(2**63), 10**30, "", "5", "é", "\ud800", "a\x00b", [], {}, [1], {"x": 1}]
)


def fields(usual: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these members, most of them with usual values, and a few unknown ones."""
    members = {name: st.one_of(value, value, value, value, ODD) for name, value in usual.items()}
    return st.fixed_dictionaries({}, optional=members) | st.fixed_dictionaries(members) | st.fixed_dictionaries(usual)


NUMBERS = st.integers(0, 2000)
TEXTS = st.sampled_from(["", "VIP", "Bürozeiten", 'a "quoted": b', '"description":', "\\"])
POLICIES = [fields({"id": ids, "title": TEXTS, "description": TEXTS | st.none()}) for ids in (NUMBERS, NUMBERS.map(str))]
TARGETS = [
    fields({"target": NUMBERS, "target_in_seconds": NUMBERS, "business_hours": st.booleans(), "policy": policy})
    for policy in POLICIES
]
DOCUMENTED = {
    "id": st.integers(1, 50),
    "ticket_id": NUMBERS,
    "metric": st.sampled_from(["reply_time", "agent_work_time"]),
    "instance_id": st.integers(0, 3),
    "type": st.sampled_from(["activate", "apply_sla", "apply_group_sla", "update_status"]),
    "time": TIMES,
    "deleted": st.booleans(),
}
ROWS = st.one_of(
    st.fixed_dictionaries({**DOCUMENTED, "time": st.just("2026-03-02T09:00:00Z")}),
    st.fixed_dictionaries({**DOCUMENTED, "sla": TARGETS[0]}),
    st.fixed_dictionaries({**DOCUMENTED, "group_sla": TARGETS[1]}),
    st.fixed_dictionaries({**DOCUMENTED, "status": fields({"calendar": NUMBERS, "business": NUMBERS})}),
    fields({**DOCUMENTED, "sla": TARGETS[0], "group_sla": TARGETS[1], "status": fields({"calendar": NUMBERS})}),
    fields({**DOCUMENTED, "child_events": st.just([]), "unheard_of": NUMBERS}),
    ODD,
)
ENVELOPES = fields(
    {
        "count": NUMBERS,
        "end_time": NUMBERS,
        "end_of_stream": st.booleans(),
        "next_page": st.just("https://x.zendesk.com/api/v2/incremental/ticket_metric_events?start_time=1772442000"),
    }
)


@given(st.lists(ROWS, max_size=4), ENVELOPES)
@example([ROW | {"sla": SLA}, ROW | {"group_sla": {**SLA, "policy": {**POLICY, "id": "531"}}}], {})
@example([ROW | {"sla": {**SLA, "policy": {**POLICY, "description": None}}}], {})
@example([ROW | {"sla": {**SLA, "policy": {"id": 1}}}, ROW | {"sla": {**SLA, "policy": {**POLICY, "description": None}}}], {})
@example([ROW | {"sla": SLA, "group_sla": SLA}], {})
@settings(max_examples=EXAMPLES)
def test_columns_and_rows_hold_the_same_values(rows: list[Any], members: dict[str, Any]) -> None:
    assert_read_alike(body_of(rows, **members))


@given(TIMES)
@settings(max_examples=EXAMPLES)
def test_a_time_is_the_same_moment_either_way(time: str) -> None:
    assert_read_alike(body_of([ROW | {"time": time}]))


# JSON that no encoder writes.
WRITTEN = [
    b'{"id":1,"id":2}',
    b'{"metric":null,"metric":"m"}',
    b'{"sla":null,"sla":{"target":1}}',
    b'{"sla":{"target":1,"target":1}}',
    b'{"sla":{"policy":{"id":1,"description" : null}}}',
    b'{"sla":{"policy":{"id":1,"d\\u0065scription":null}}}',
    b'{"sla":{"policy":{"id":1,"title":"\\"description\\":"}}}',
    b'{"status":{"calendar":-0}}',
    b'{"status":{"calendar":1e3}}',
    b'{"status":{"calendar":NaN}}',
    b'{"status":{"calendar":01}}',
    b'{"type":"\\ud800"}',
    b'{"type":"\\ud83d\\ude00"}',
    b'{"type":"\xff"}',
    b'{"type":"\t"}',
    b'{"ty\\u0070e":"x"}',
    b'{"type":"a"} {"type":"b"}',
    b"null",
    b"[]",
    b"",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_json_that_is_odd_or_broken_is_read_alike(written: bytes) -> None:
    whole = json.dumps(ROW).encode()
    for row in (written, whole[:-1] + b"," + written[1:]):
        assert_read_alike(b'{"ticket_metric_events":[' + whole + b"," + row + b'],"end_time":1772442000}')


BODIES = [
    b"",
    b"null",
    b" null{}",
    b'{"ticket_metric_events":[]} null',
    b"[]",
    b"{}",
    b'{"ticket_metric_events":null}',
    b'{"ticket_metric_events":{}}',
    b'{"ticket_metric_events":[],"ticket_metric_events":[]}',
    b'{"ticket_metric_events":[],"count":1,"count":2}',
    b'{"ticket_metric_events":[]}{"ticket_metric_events":[]}',
    b'{"ticket_metric_events":[]} x',
    b'\n{"ticket_metric_events":\n[]}\n\n',
    b'\xef\xbb\xbf{"ticket_metric_events":[]}',
    '{"ticket_metric_events":[]}'.encode("utf-16"),
    b'{"ticket_metric_events":[],"count":"3","end_time":1.0,"end_of_stream":"true","next_page":null}',
    b'{"ticket_metric_events":[],"end_time":-5,"next_page":"?start_time=x"}',
]


@pytest.mark.parametrize("body", BODIES)
def test_an_odd_or_broken_envelope_is_read_alike(body: bytes) -> None:
    assert_read_alike(body)


@pytest.mark.parametrize(
    "name", ["docs_metric_event_type_examples", "docs_ticket_metric_events_example", "estuary_recorded_metric_event"]
)
def test_documented_and_recorded_pages_are_read_in_columns(name: str) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    rows = sample[METRIC] if METRIC in sample else sample if isinstance(sample, list) else [sample]
    assert is_columnar(body_of(rows))
    assert_read_alike(body_of(rows))


def test_the_sandbox_account_s_pages_are_read_in_columns() -> None:
    account = SimulatedAccount(tickets_per_day=5)
    rows = [json.loads(row.json) for row in account.rows(METRIC, 1772409600, now=1772409600 + 5 * 86_400)]
    assert len(rows) > 300
    assert {name for row in rows for name in row} >= {"sla", "group_sla", "status", "deleted"}
    assert is_columnar(body_of(rows, end_of_stream=True, next_page=None))
    assert_read_alike(body_of(rows))


def test_a_page_with_unknown_members_is_not_read_in_columns() -> None:
    """Otherwise the tests above would compare the row-by-row result with itself."""
    assert in_columns(body_of([ROW])) is not None
    assert in_columns(body_of([ROW | {"unheard_of": None}])) is None
    assert in_columns(body_of([ROW | {"ticket_id": "5"}])) is None
    assert not is_columnar(body_of([ROW | {"metric": None}]))
    assert not is_columnar(body_of([ROW | {"sla": SLA, "group_sla": {**SLA, "policy": {**POLICY, "id": "531"}}}]))
