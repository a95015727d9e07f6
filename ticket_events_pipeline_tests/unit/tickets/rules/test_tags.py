"""Tags at a moment."""

import pyarrow as pa

from ticket_events_pipeline.tickets.rules.tags import tags_of


def test_each_tag_counts_once_and_is_text_that_a_table_can_hold():
    texts = pa.array(['["vip","vip"]', r'["\ud83d","a"]', r'["\ud83d","\udc00x"]', "[]", None, "no list"])
    assert tags_of(texts).to_pylist() == [["vip"], ["a", "\ufffd"], ["\ufffd", "\ufffdx"], [], None, None]
