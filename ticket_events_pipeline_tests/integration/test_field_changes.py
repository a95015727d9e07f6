"""`ticket_field_changes` as files: made from the day's audits, and read with or without the stored file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_metadata, read_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tickets.changes import CHANGES, changes_of, make_changes, read_changes
from ticket_events_pipeline.tickets.fields import TRACKED_FIELDS
from ticket_events_pipeline_tests.support.raw_files import put_raw_table

DAY = Day.parse("2026-03-09")
AUDITS = "ticket_events"
SCHEMA = TABLES[AUDITS].schema


def audit(number, ticket, children, *, second=0, via="Web form"):
    text = children if isinstance(children, str) else json.dumps(children, separators=(",", ":"))
    time = (DAY.start + second) * 1000
    return {
        "id": number,
        "ticket_id": ticket,
        "time": time,
        "updater_id": 7,
        "via": via,
        "event_type": "Audit",
        "child_events": text,
    }


def created(number, **values):
    return [
        {"id": number * 10 + place, name: value, "event_type": "Create"} for place, (name, value) in enumerate(values.items())
    ]


def changed(name, value, previous):
    return {"id": 1, name: value, "event_type": "Change", "previous_value": previous}


METRIC_EVENT = {
    "id": 9,
    "ticket_id": 99,
    "time": DAY.start * 1000,
    "metric": "reply_time",
    "instance_id": 1,
    "type": "activate",
}
COMMENT = {"id": 3, "comment_present": True, "comment_public": True, "event_type": "Comment"}
ROWS = [
    audit(1, 5, created(1, status="new", subject="Hi", group_id=3), via="Mail"),
    audit(2, 4, [COMMENT, changed("status", "open", "new")], second=1),
    audit(3, 8, [COMMENT], second=2),
    audit(4, 6, "[{", second=3),
    METRIC_EVENT,
]


def put(root, rows, day=DAY, **more):
    table = pa.Table.from_pylist([{**dict.fromkeys(SCHEMA.names), **row} for row in rows], schema=SCHEMA)
    put_raw_table(root, table, AUDITS, day, **more)


@pytest.fixture
def store(tmp_path):
    put(tmp_path, ROWS)
    return FolderStore(tmp_path)


def facts(rows):
    return [(row["ticket_id"], row["field"], row["value"]) for row in rows.to_pylist()]


CHANGED = [(4, "status", "open"), (5, "status", "new"), (5, "subject", "Hi"), (5, "group_id", "3")]


def test_a_day_has_a_row_for_each_field_that_an_audit_sets(store):
    [made] = make_changes(store, [DAY])
    assert facts(made.table) == CHANGED
    assert read_partition(store, CHANGES, DAY).equals(made.table)
    assert made.counts == {"changes": 4, "unreadable_audits": 1}


def test_the_footer_says_which_file_it_was_made_from_and_how_far_that_was_read(tmp_path, store):
    put(tmp_path, ROWS, read_to=DAY.start + 3600)
    [made] = make_changes(store, [DAY])
    footer = read_metadata(store, CHANGES, DAY)
    raw_hash = read_metadata(store, AUDITS, DAY)["content_hash"]
    assert footer["made_from_ticket_events"] == f"{raw_hash} open"
    assert (footer["read_up_to"], footer["complete"]) == (str(DAY.start + 3600), "false")
    assert (footer["unreadable_audits"], footer["content_hash"]) == ("1", made.content_hash)


def test_making_a_day_again_gives_the_same_bytes(store):
    path = Path(store.location) / partition_path(CHANGES, DAY)
    list(make_changes(store, [DAY]))
    first = path.read_bytes()
    list(make_changes(store, [DAY]))
    assert path.read_bytes() == first


def test_a_day_without_audits_can_not_be_made(store):
    with pytest.raises(DayNotFetchedError, match="2026-03-10"):
        list(make_changes(store, [DAY, DAY.plus(1)]))
    assert read_changes(store, DAY.plus(1)) is None


def test_a_day_is_read_alike_with_and_without_the_stored_file(store):
    computed = read_changes(store, DAY)
    list(make_changes(store, [DAY]))
    stored = read_changes(store, DAY)
    for read in (computed, stored):
        assert facts(read.rows) == CHANGED
        assert read.tickets.tolist() == [4, 5, 6, 8]  # every ticket with an audit; a metric event is none
        assert (read.unreadable, read.read_up_to) == (1, DAY.end)
    assert computed.tracked(TRACKED_FIELDS).to_pylist() == stored.tracked(TRACKED_FIELDS).to_pylist()


def test_a_stored_file_of_other_audits_is_not_believed(tmp_path, store):
    list(make_changes(store, [DAY]))
    put(tmp_path, [audit(7, 2, [changed("status", "solved", "open")])])
    assert facts(read_changes(store, DAY).rows) == [(2, "status", "solved")]
    assert facts(changes_of(store, np.array([2]), DAY, DAY, ["status"])) == [(2, "status", "solved")]


def test_a_damaged_file_is_computed_again(store):
    list(make_changes(store, [DAY]))
    (Path(store.location) / partition_path(CHANGES, DAY)).write_bytes(b"PAR1 no more")
    assert facts(read_changes(store, DAY).rows) == CHANGED


def test_tracked_fields_come_with_the_channel_of_the_audit_that_created_the_ticket(store):
    rows = read_changes(store, DAY).tracked(("status", "channel"))
    assert rows.schema == TABLES["ticket_states"].schema
    assert facts(rows) == [(4, "status", "open"), (5, "channel", "email"), (5, "status", "new")]
    assert rows.filter(pa.array([False, True, False]))["is_create"].to_pylist() == [True]


def test_a_channel_without_a_known_word_stays_and_one_that_is_no_text_is_unknown(tmp_path, store):
    put(tmp_path, [audit(1, 5, created(1, status="new"), via="Pigeon"), audit(2, 6, created(2, status="new"), via=None)])
    assert facts(read_changes(store, DAY).tracked(("channel",))) == [(5, "channel", "Pigeon"), (6, "channel", None)]


def test_a_field_that_is_called_channel_is_not_the_channel(tmp_path, store):
    put(tmp_path, [audit(1, 5, created(1, channel="mine")), audit(2, 5, [changed("channel", "b", "a")], second=1)])
    assert facts(read_changes(store, DAY).tracked(("channel",))) == [(5, "channel", "web")]


@pytest.mark.parametrize("is_stored", [True, False])
def test_the_changes_of_some_tickets_over_some_days(tmp_path, store, is_stored):
    put(tmp_path, [{**row, "time": row["time"] + 86_400_000} for row in ROWS[:2]], DAY.plus(2))
    if is_stored:
        list(make_changes(store, [DAY]))
        list(make_changes(store, [DAY.plus(2)]))
    found = changes_of(store, np.array([4, 77]), DAY, DAY.plus(3), TRACKED_FIELDS)
    assert facts(found) == [(4, "status", "open")] * 2
    assert changes_of(store, np.array([], np.int64), DAY, DAY, TRACKED_FIELDS).num_rows == 0
