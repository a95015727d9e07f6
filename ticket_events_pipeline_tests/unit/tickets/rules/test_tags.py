"""Tags at a moment."""

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.rules.tags import tag_lists, tags_of


def test_each_tag_counts_once_and_is_text_that_a_table_can_hold():
    texts = pa.array(['["vip","vip"]', r'["\ud83d","a"]', r'["\ud83d","\udc00x"]', "[]", None, "no list"])
    assert tags_of(texts).to_pylist() == [["vip"], ["a", "\ufffd"], ["\ufffd", "\ufffdx"], [], None, None]


def test_what_a_change_adds_is_applied_to_the_tags_of_a_create_that_is_not_the_first_audit():
    change = {"ticket_id": 1, "field": "tags", "changed_at": 5000, "position": 0, "had_previous": False}
    rows = [
        {**change, "audit_id": 1, "is_create": False, "tags_added": ["late"], "tags_removed": ["a"]},
        {**change, "audit_id": 2, "is_create": True, "value": '["a","b"]'},
        {**change, "audit_id": 3, "is_create": False, "tags_added": ["c"]},
    ]
    found = tag_lists(pa.Table.from_pylist(rows, TICKET_STATES_TABLE.schema), np.array([5, 5, 5]))
    assert found.text.to_pylist() == ['["b","late"]', '["a","b"]', '["b","c","late"]']
