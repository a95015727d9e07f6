"""Rows to columns: every field goes to its column or to `extra`, and a rejected row has a reason."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.released import in_released_columns

STREAM_NAMES = sorted(STREAMS)


def columns_of(stream, row):
    """The columns that a row fills, with times as ISO text."""
    table = decode_rows(stream, [row]).table
    (columns,) = in_released_columns(stream, table.to_pylist())
    shown = {name: value for name, value in columns.items() if value is not None}
    return {name: value.isoformat() if name in ("time", "created_at") else value for name, value in shown.items()}


def metric_event(**fields):
    base = {"id": 1, "ticket_id": 2, "metric": "reply_time", "instance_id": 1, "type": "apply_sla"}
    return {**base, "time": "2026-03-02T09:00:00Z", **fields}


@pytest.mark.parametrize("stream", STREAM_NAMES)
def test_the_documented_samples_are_stored_unchanged_in_both_streams(stream):
    for name in ("docs_ticket_events_example", "docs_ticket_metric_events_example"):
        page = json.loads((SAMPLES / f"{name}.json").read_text())
        rows = page.get("ticket_events", page.get("ticket_metric_events"))
        batch = decode_rows(stream, rows)
        assert batch.rejected == []
        assert batch.table.schema == TABLES[stream].schema
        stored = batch.table.select(["id", "instance_id", "metric", "ticket_id", "type"]).to_pylist()
        assert stored == [{name: row[name] for name in ("id", "instance_id", "metric", "ticket_id", "type")} for row in rows]


def test_an_applied_policy_fills_its_columns_and_its_description_goes_to_extra():
    rows = json.loads((SAMPLES / "docs_metric_event_type_examples.json").read_text())
    assert columns_of("ticket_metric_events", rows[1]) == {
        "id": 123457,
        "ticket_id": 987,
        "metric": "requester_wait_time",
        "instance_id": 1,
        "type": "apply_sla",
        "time": "2015-08-27T08:00:00+00:00",
        "deleted": False,
        "sla_target_minutes": 60,
        "sla_business_hours": True,
        "sla_policy_id": "531",
        "sla_policy_title": "Main Policy",
        "sla_is_group": False,
        "extra": '{"sla.policy.description":"Measure all tickets"}',
    }


def test_a_group_policy_fills_the_same_columns_and_is_marked():
    group_sla = {"target": 30, "target_in_seconds": 1790, "business_hours": False, "policy": {"id": "01ABC", "title": "Groups"}}
    row = columns_of("ticket_metric_events", metric_event(type="apply_group_sla", group_sla=group_sla))
    assert (row["sla_is_group"], row["sla_policy_id"], row["sla_target_seconds"]) == (True, "01ABC", 1790)


@pytest.mark.parametrize("sla", [None, "absent"])
def test_sla_is_group_is_null_exactly_where_no_sla_object_is_carried(sla):
    row = metric_event() if sla == "absent" else metric_event(sla=sla)
    assert "sla_is_group" not in columns_of("ticket_metric_events", row)
    assert columns_of("ticket_metric_events", metric_event(sla={}))["sla_is_group"] is False


def test_an_audit_fills_the_audit_columns_and_leaves_the_metric_ones_null():
    audit = {
        "id": 7,
        "ticket_id": 155,
        "timestamp": 1772442000,
        "created_at": "2026-03-02T09:00:00Z",
        "updater_id": 35,
        "via": "Web form",
        "via_reference_id": None,
        "system": {"client": "Mozilla", "location": "Zürich"},
        "metadata": {},
        "merged_ticket_ids": [],
        "event_type": "Audit",
        "child_events": [{"event_type": "Comment", "comment_present": True, "comment_public": False}, {"status": "open"}],
    }
    assert columns_of("ticket_events", audit) == {
        "id": 7,
        "ticket_id": 155,
        "time": "2026-03-02T09:00:00+00:00",
        "created_at": "2026-03-02T09:00:00+00:00",
        "updater_id": 35,
        "via": "Web form",
        "event_type": "Audit",
        "child_events": '[{"event_type":"Comment","comment_present":true,"comment_public":false},{"status":"open"}]',
        "system": '{"client":"Mozilla","location":"Z\\u00fcrich"}',
        "metadata": "{}",
        "merged_ticket_ids": "[]",
        "child_event_count": 2,
        "comment_present": True,
        "comment_public": False,
    }


def test_an_audit_in_the_metric_stream_is_stored_whole_in_extra():
    audit = {"id": 7, "ticket_id": 155, "timestamp": 1772442000, "child_events": [{"a": 1}], "metric": "odd", "instance_id": 3}
    row = columns_of("ticket_metric_events", audit)
    assert row == {"id": 7, "ticket_id": 155, "time": "2026-03-02T09:00:00+00:00", "extra": row["extra"]}
    assert json.loads(row["extra"]) == audit


def test_an_audit_with_metric_fields_is_an_audit_and_keeps_them_in_extra():
    """Otherwise the SLA tables would read it as a metric event."""
    metric = {"metric": "reply_time", "instance_id": 1, "type": "breach", "sla": {"target": 5}, "deleted": False}
    row = columns_of("ticket_events", {"id": 7, "ticket_id": 155, "timestamp": 1772442000, "child_events": [], **metric})
    assert json.loads(row.pop("extra")) == metric
    assert row == {
        "id": 7,
        "ticket_id": 155,
        "time": "2026-03-02T09:00:00+00:00",
        "child_events": "[]",
        "child_event_count": 0,
        "comment_present": False,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ticket_id", 2**63),
        ("ticket_id", "155"),
        ("ticket_id", 1.5),
        ("instance_id", True),
        ("metric", {"name": "reply_time"}),
        ("type", ["breach"]),
        ("deleted", "false"),
        ("status", 5),
        ("unheard_of", None),
    ],
)
def test_a_value_of_another_type_goes_to_extra_and_leaves_null(field, value):
    row = columns_of("ticket_metric_events", metric_event(**{field: value}))
    assert json.loads(row["extra"]) == {field: value}
    assert row.get(field) is (False if field == "deleted" else None)


def test_a_lone_surrogate_is_replaced_in_the_column_and_exact_in_extra():
    row = columns_of("ticket_metric_events", metric_event(sla={"policy": {"id": 1, "title": "VIP \ud83d"}}))
    assert row["sla_policy_title"] == "VIP \ufffd"
    assert row["extra"] == '{"sla.policy.title":"VIP \\ud83d"}'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"ticket_id": 1, "time": "2026-03-02T09:00:00Z"}, "no id"),
        ({"id": "1", "time": "2026-03-02T09:00:00Z"}, "no id"),
        ({"id": 1}, "no readable time"),
        ({"id": 1, "time": "yesterday"}, "no readable time"),
        ({"id": 1, "time": 1772442000000}, "no readable time"),
        (["id", 1], "no JSON object"),
    ],
)
@pytest.mark.parametrize("stream", STREAM_NAMES)
def test_a_rejected_row_has_a_reason_and_the_other_rows_are_stored(stream, row, reason):
    batch = decode_rows(stream, [metric_event(id=1), row, metric_event(id=2)])
    assert batch.table["id"].to_pylist() == [1, 2]
    assert [rejected.row for rejected in batch.rejected] == [row]
    assert reason in batch.rejected[0].reason


@pytest.mark.parametrize(
    "time", ["2026-03-02T09:00:00Z", "2026-03-02T10:00:00+01:00", 1772442000, 1772442000.0, "2026-03-02 09:00:00"]
)
def test_a_time_is_read_in_every_spelling(time):
    assert columns_of("ticket_metric_events", metric_event(time=time))["time"] == "2026-03-02T09:00:00+00:00"


def test_a_time_finer_than_milliseconds_keeps_its_digits_in_extra():
    row = columns_of("ticket_metric_events", metric_event(time="2026-03-02T09:00:00.123456Z"))
    assert row["time"] == "2026-03-02T09:00:00.123000+00:00"
    assert row["extra"] == '{"time":"2026-03-02T09:00:00.123456Z"}'


def test_the_timestamp_of_an_audit_decides_its_day_and_created_at_is_kept():
    row = columns_of(
        "ticket_events", {"id": 1, "timestamp": 1772442000, "created_at": "2026-03-01T00:00:00Z", "child_events": []}
    )
    assert (row["time"], row["created_at"]) == ("2026-03-02T09:00:00+00:00", "2026-03-01T00:00:00+00:00")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["ticket_id", "metric", "instance_id", "type", "deleted", "sla", "group_sla", "status", "via", "child_events", "system"]
)


@given(
    st.lists(st.dictionaries(NAMES | st.text(max_size=3), json_values, max_size=6), max_size=4), st.sampled_from(STREAM_NAMES)
)
def test_any_json_is_stored_and_no_unknown_field_is_lost(bodies, stream):
    rows = [{**body, "id": number, "time": "2026-03-02T09:00:00Z"} for number, body in enumerate(bodies)]
    batch = decode_rows(stream, rows)
    batch.table.validate(full=True)
    assert batch.rejected == []
    known = set(TABLES[stream].schema.names) | {"sla", "group_sla", "status", "timestamp", "created_at", "time"}
    for row, stored in zip(rows, batch.table.to_pylist(), strict=True):
        extra = json.loads(stored["extra"] or "{}")
        assert {name: row[name] for name in row if name not in known} == {
            name: extra[name] for name in row if name not in known
        }
        for name in ("metric", "ticket_id", "instance_id"):
            kept = extra.get(name, stored[name])
            assert kept == row.get(name)


def test_an_empty_page_makes_an_empty_table_of_the_schema():
    for stream in STREAM_NAMES:
        assert decode_rows(stream, []).table == pa.table(TABLES[stream].schema.empty_table())
