"""Audits are searched for tickets whose status they set or that they may delete, before any is parsed."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.sla.rules.deletions import AUDIT_COLUMNS, status_changes, status_setters
from ticket_events_pipeline_tests.support.drawn_histories import audits
from ticket_events_pipeline_tests.support.sla_cases import raw_table


def batches_of(rows):
    return raw_table(rows, "ticket_events").select(AUDIT_COLUMNS).to_batches()


@given(st.lists(audits(), max_size=3).map(lambda parts: [row for part in parts for row in part]))
def test_no_ticket_is_missed(rows):
    setting, deleting = status_setters(batches_of(rows))
    changes = status_changes(batches_of(rows)).to_pylist()
    assert {change["ticket_id"] for change in changes} <= set(setting.tolist())
    assert {change["ticket_id"] for change in changes if change["is_deletion"]} <= set(deleting.tolist())
    assert set(deleting.tolist()) <= set(setting.tolist())
    assert sorted({*setting.tolist()}) == setting.tolist()


@pytest.mark.parametrize(
    "word", ["deleted", "\\u0064eleted", "delete\\u0064", "d\\u0065leted", "de\\u006Ceted", "dele\\u0074ed"]
)
def test_a_deletion_is_found_however_its_letters_are_written(word):
    child = f'[{{"id":1,"status":"{word}","event_type":"Change"}}]'
    assert json.loads(child)[0]["status"] == "deleted"
    table = raw_table([{"id": 1, "ticket_id": 7, "time": 0, "child_events": []}], "ticket_events").select(AUDIT_COLUMNS)
    table = table.set_column(AUDIT_COLUMNS.index("child_events"), "child_events", pa.array([child]))
    assert status_setters(table.to_batches())[1].tolist() == [7]
    assert status_changes(table.to_batches())["is_deletion"].to_pylist() == [True]
