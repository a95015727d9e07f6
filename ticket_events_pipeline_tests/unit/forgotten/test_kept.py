"""Which tags and values of tracked custom fields are kept."""

from __future__ import annotations

import pytest

from ticket_events_pipeline.forgotten.kept import KeptValues
from ticket_events_pipeline.forgotten.ledger import REQUESTER, Ledger

KEPT = KeptValues(Ledger(b"salt" * 8, custom_fields=frozenset({"custom_field:5"})).with_entries({REQUESTER: [71]}))


@pytest.mark.parametrize("tag", ["tel:+4917012345678", "phone_01701234567", "4917012345678"])
def test_a_tag_that_may_be_a_phone_number_is_gone(tag):
    assert KEPT.tags(["vip", tag]) == ["vip"]
    assert KEPT.tags(f"vip {tag}") is None
    assert KEPT.field_text("custom_field:5", tag) is None


@pytest.mark.parametrize("tag", ["vip", "sla_2026", "2026-03-02", "order_123456"])
def test_a_tag_with_few_digits_stays(tag):
    assert KEPT.tags(["vip", tag]) == ["vip", tag]
