"""An account of given rows."""

from __future__ import annotations

import json

import pytest

from ticket_events_pipeline.sandbox.rows import RecordedAccount, row_time

METRIC_EVENTS, TICKET_EVENTS = "ticket_metric_events", "ticket_events"


def delivered(account: RecordedAccount, stream: str = METRIC_EVENTS, *, start_time: int = 0, comments: bool = False) -> list:
    return [json.loads(row.json) for row in account.rows(stream, start_time, now=0, comments=comments)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"time": "1970-01-01T00:01:00Z"}, 60),
        ({"created_at": "1970-01-01T00:02:00Z", "time": "1970-01-01T00:01:00Z"}, 120),
        ({"timestamp": 180, "created_at": "1970-01-01T00:02:00Z"}, 180),
        ({"timestamp": None, "time": 60}, 60),
        ({"time": "1970-01-01T00:01:00"}, 60),
        ({"time": "yesterday"}, None),
        ({"time": float("inf")}, None),
        ({}, None),
    ],
)
def test_a_row_is_ordered_by_timestamp_or_created_at_or_time(row, expected):
    assert row_time(row) == expected


def test_rows_come_in_order_of_time_from_start_time_on():
    account = RecordedAccount({METRIC_EVENTS: [{"id": 1, "time": 30}, {"id": 2, "time": 10}, {"id": 3, "time": 20}]})
    assert [row["id"] for row in delivered(account, start_time=20)] == [3, 1]


def test_later_delivery_of_an_id_replaces_the_earlier_one():
    account = RecordedAccount({METRIC_EVENTS: [{"id": 1, "time": 10}, {"id": 2, "time": 20}]})
    account.deliver(METRIC_EVENTS, [{"id": 1, "time": 30, "deleted": True}, {"id": 3, "time": 5}])
    assert delivered(account) == [{"id": 3, "time": 5}, {"id": 2, "time": 20}, {"id": 1, "time": 30, "deleted": True}]


def test_audit_and_metric_event_of_one_id_are_two_rows():
    account = RecordedAccount({TICKET_EVENTS: [{"id": 1, "timestamp": 10, "child_events": []}, {"id": 1, "time": 10}]})
    assert len(delivered(account, TICKET_EVENTS)) == 2


def test_rows_without_id_or_time_are_sent_too():
    """They follow the row before them; several rows without an id don't replace each other."""
    rows = [{"id": 1, "time": 10}, {"time": "never"}, {"time": "never"}, {"id": None, "time": 20}]
    assert delivered(RecordedAccount({METRIC_EVENTS: rows})) == rows


def test_lone_surrogate_can_be_sent():
    account = RecordedAccount({METRIC_EVENTS: [{"id": 1, "time": 10, "note": "\ud83d"}]})
    assert delivered(account)[0]["note"] == "\ud83d"


def test_comments_are_reduced_to_two_flags_without_the_sideload():
    comment = {"id": 2, "event_type": "Comment", "body": "Grüß Gott", "public": False, "author_id": 3}
    account = RecordedAccount({TICKET_EVENTS: [{"id": 1, "timestamp": 10, "child_events": [comment, "odd"]}]})
    expected = {"id": 2, "event_type": "Comment", "comment_present": True, "comment_public": False}
    assert delivered(account, TICKET_EVENTS)[0]["child_events"] == [expected, "odd"]
    assert delivered(account, TICKET_EVENTS, comments=True)[0]["child_events"] == [comment, "odd"]
