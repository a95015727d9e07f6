"""The newest stored subject of a ticket is found, whichever day's change it stands in; what can't be read is left out."""

import json

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.subjects import LOOK_BACK_DAYS, newest_subjects
from ticket_events_pipeline_tests.support.raw_files import put_raw_table

DAY = Day.parse("2026-03-02")


def audit(number, ticket, day, second, kind="Create", **fields):
    children = json.dumps([{"id": number + 500, "event_type": kind, **fields}])
    time = (day.start + second) * 1000
    return {"id": number, "ticket_id": ticket, "time": time, "child_events": children, "child_event_count": 1}


@pytest.fixture
def store(tmp_path):
    by_day = {
        DAY: [
            audit(1, 1, DAY, 10, subject="Printer", priority="high"),
            audit(2, 2, DAY, 20, subject="Invoice"),
            audit(3, 2, DAY, 30, "Change", subject="Invoice twice"),
            audit(4, 2, DAY, 25, "Change", subject="Between"),
            audit(5, 3, DAY, 40, subject=""),
        ],
        DAY.plus(1): [
            audit(6, 1, DAY.plus(1), 10, "Change", subject="Printer on fire"),
            audit(7, 2, DAY.plus(1), 10, "Change", priority="low"),
        ],
    }
    for day, audits in by_day.items():
        rows = [{**dict.fromkeys(TABLES["ticket_events"].schema.names), **row} for row in audits]
        put_raw_table(tmp_path, pa.Table.from_pylist(rows, TABLES["ticket_events"].schema), "ticket_events", day)
    store = FolderStore(tmp_path)
    list(make_changes(store, list(by_day)))
    return store


def test_the_newest_subject_of_any_day_is_found(store):
    assert newest_subjects(store, DAY.plus(1), [1, 2, 3, 4], seconds=60) == {1: "Printer on fire", 2: "Invoice twice"}
    assert newest_subjects(store, DAY, [1], seconds=60) == {1: "Printer"}
    assert newest_subjects(store, DAY.plus(1), [], seconds=60) == {}


def test_only_the_last_days_are_searched_and_only_for_as_long_as_there_is_time(store):
    last = DAY.plus(LOOK_BACK_DAYS - 1)
    assert newest_subjects(store, last, [2], seconds=60) == {2: "Invoice twice"}
    assert newest_subjects(store, last.plus(1), [2], seconds=60) == {}
    assert newest_subjects(store, DAY.plus(1), [1, 2], seconds=-1) == {}


def test_a_damaged_file_is_left_out(store, tmp_path):
    (path,) = tmp_path.glob(f"ticket_field_changes/date={DAY.plus(1)}/*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    assert newest_subjects(store, DAY.plus(1), [1], seconds=60) == {1: "Printer"}
