"""For any audits, `ticket_field_changes` agrees with the plain oracle, in whole tables."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tickets.rules.field_changes import AUDIT_COLUMNS, field_changes
from ticket_events_pipeline_tests.support import field_changes_oracle
from ticket_events_pipeline_tests.support.drawn_audits import audit_rows

# After a change of the rules, run it with TICKET_EXAMPLES=5000.
EXAMPLES = int(os.environ.get("TICKET_EXAMPLES", "40"))

COLUMNS = [
    TABLES["ticket_field_changes"].schema.field(name) for name in ("audit_id", "ticket_id", "changed_at", "updater_id", "via")
]
SCHEMA = pa.schema(
    [*(item.with_name(name) for item, name in zip(COLUMNS, AUDIT_COLUMNS, strict=False)), ("child_events", pa.string())]
)

AS_NUMBERS = pa.schema(
    [item.with_type(pa.int64()) if item.name == "changed_at" else item for item in TABLES["ticket_field_changes"].schema]
)
"""Times as numbers."""


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None)
@given(rows=audit_rows(), batch_rows=st.sampled_from([1, 4, 13]))
def test_any_audits_change_what_the_oracle_says_however_they_are_cut_into_batches(rows, batch_rows):
    batches = pa.Table.from_pylist(rows, schema=SCHEMA).combine_chunks().to_batches(max_chunksize=batch_rows)
    found = field_changes(batches)
    expected, unreadable = field_changes_oracle.field_changes(rows)
    assert found.rows.cast(AS_NUMBERS).to_pylist() == [{name: row[name] for name in AS_NUMBERS.names} for row in expected]
    assert found.unreadable == unreadable
