"""Any audits: blanking agrees with a plain second implementation, is idempotent, and moves no figure."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.forgotten.blanking import Blanking
from ticket_events_pipeline.forgotten.ledger import ADDRESS, REQUESTER, TICKET, Ledger
from ticket_events_pipeline.sla.rules.deletions import AUDIT_COLUMNS, status_changes
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE
from ticket_events_pipeline.tickets.rules import field_changes as changes
from ticket_events_pipeline_tests.support.drawn_audits import BROKEN, CHILDREN, DAY, SCALARS
from ticket_events_pipeline_tests.support.forget_oracle import Oracle

EXAMPLES = int(os.environ.get("FORGET_EXAMPLES", "60"))

PERSON, ADDRESS_OF, TICKETS, CUSTOM = 381_555_777_999, "jo.doe+x@example.org", {2, 4711}, "360041597112"
ORACLE = Oracle(person=PERSON, address=ADDRESS_OF, tickets=TICKETS, custom=CUSTOM)
BLANKING = Blanking(
    Ledger(b"salt" * 8).with_entries({REQUESTER: [PERSON], ADDRESS: [ADDRESS_OF], TICKET: TICKETS}, [f"custom_field:{CUSTOM}"])
)

IDS_SAID = [PERSON, str(PERSON), f"\u1234{PERSON}", f"x{PERSON}y", f"{PERSON}0", f"0{PERSON}", -PERSON]
ADDRESSES_SAID = [ADDRESS_OF, ADDRESS_OF.upper(), f"a\n{ADDRESS_OF}", f"<{ADDRESS_OF}>,", f"x{ADDRESS_OF}", f"{ADDRESS_OF}x"]
SPELLINGS = [ADDRESS_OF.replace("@", one) for one in ("&#64;", "%40", "&commat;", "=")]
SURROUNDINGS = ["“{}”", "\u00a0{}", "\u200b{}\u2026", "?email={}&x=1", "{}.Bitte", "To=3D{}", "{}@mail.example", "a.{}", "a+{}"]
ADDRESSES_SAID += [around.format(one) for around in SURROUNDINGS for one in (ADDRESS_OF, *SPELLINGS)]
TICKETS_SAID = ["#4711", "#47110", "&#4711;", "color:#4711", "<p style='border: 1px #4711'>", "/p#4711", "a\n#4711", "(#4711)"]
TICKETS_SAID += ["/agent/tickets/4711", "/tickets/47110", '{"ticket_id": 4711}', '{"ticket_id":"4711"}']
LINKS_SAID = [{"ticket_id": "4711"}, {"ticket_ids": [5, 4711]}, {"via": "Merge", "via_reference_id": 4711}]
LINKS_SAID += [{"ticket_ids": [5]}, {"via": "Mail", "via_reference_id": 4711}]
SAID = st.sampled_from([*IDS_SAID, *ADDRESSES_SAID, *TICKETS_SAID, *LINKS_SAID])
FIELDS = st.sampled_from(["subject", "requester_id", "assignee_id", "tags", "status", "author_id", "body", "group_id", "later"])
PLANTED = st.builds(
    lambda name, value, kind: {"id": 3, name: value, "event_type": kind},
    FIELDS,
    SAID | st.lists(SAID, max_size=2),
    st.sampled_from(["Create", "Change", "Comment"]),
)
TEXTS_OF_CHILDREN = st.one_of(
    st.lists(CHILDREN | PLANTED, max_size=4).map(compact_json), st.sampled_from([one for one in BROKEN if len(one) < 1000])
)
OBJECTS = st.none() | st.dictionaries(st.sampled_from(["ip_address", "a"]), SCALARS | SAID, max_size=2).map(compact_json)


@st.composite
def raw_tables(draw):
    rows = [
        {
            "id": number,
            "ticket_id": draw(st.sampled_from([1, 1, 2, 3, None])),
            "time": DAY.start * 1000 + number,
            "created_at": DAY.start * 1000,
            "updater_id": draw(st.sampled_from([7, 8, PERSON, None])),
            "via": draw(st.sampled_from(["Web form", "Merge", "mail by jo.doe+x@example.org", None])),
            "via_reference_id": draw(st.sampled_from([None, 5, 4711])),
            "event_type": "Audit",
            "child_events": draw(TEXTS_OF_CHILDREN),
            "system": draw(OBJECTS),
            "metadata": draw(OBJECTS),
            "merged_ticket_ids": draw(st.sampled_from([None, "[]", "[4711]", "[9]"])),
            "child_event_count": 1,
            "extra": draw(OBJECTS),
        }
        for number in range(draw(st.integers(0, 6)))
    ]
    return pa.Table.from_pylist(rows, TICKET_EVENTS_TABLE.schema)


def changes_of(table):
    return changes.field_changes(table.select(changes.AUDIT_COLUMNS).combine_chunks().to_batches())


@pytest.mark.slow
@settings(max_examples=EXAMPLES * 5, deadline=None)
@given(table=raw_tables())
def test_blanking_agrees_with_the_oracle_and_leaves_other_rows_alone(table):
    found = BLANKING.raw(table).to_pylist()
    expected = [ORACLE.blanked(row) for row in table.to_pylist()]
    assert [row["extra"] for row in found] == [row["extra"] for row in expected]
    assert found == expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(table=raw_tables(), cut=st.integers(1, 6))
def test_blanking_is_idempotent_and_does_not_depend_on_pages(table, cut):
    once = BLANKING.raw(table)
    assert BLANKING.raw(once) is once or BLANKING.raw(once).equals(once)
    parts = [BLANKING.raw(table.slice(start, cut)) for start in range(0, len(table), cut)]
    assert pa.concat_tables([table.schema.empty_table(), *parts]).equals(once)


@settings(max_examples=EXAMPLES, deadline=None)
@given(table=raw_tables())
def test_deletions_of_tickets_and_who_was_created_are_as_before(table):
    after = BLANKING.raw(table)
    before_and_after = [status_changes(one.select(AUDIT_COLUMNS).combine_chunks().to_batches()) for one in (table, after)]
    assert before_and_after[0].equals(before_and_after[1])
    created = [
        {(row["audit_id"], row["position"]) for row in changes_of(one).rows.to_pylist() if row["is_create"]}
        for one in (table, after)
    ]
    assert created[0] == created[1]
    assert changes_of(table).unreadable == changes_of(after).unreadable
