"""The state of a raw file by its footer alone, as the sensor and the carry-over compare it without reading rows."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.ingest.catch_up import CompleteFiles
from ticket_events_pipeline.sla.sources import raw_state, read_raw
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition
from ticket_events_pipeline.tables.streams import SLA_STREAMS
from ticket_events_pipeline_tests.support.damages import rewrite
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import METRIC, put_audits, put_raw_day

DAY = Clock.DAY
EVENTS = Clock().apply(9, 60).events
AUDITS = Clock().ticket(3, "deleted").audits


def one_column_each(table):
    """No row has both columns of a metric event, though each column has a value."""
    rows = [dict(row) for row in table.to_pylist() * 2]
    rows[0]["instance_id"] = rows[1]["metric"] = None
    return pa.Table.from_pylist(rows[:2], schema=table.schema)


@pytest.mark.parametrize(
    ("put", "stream"),
    [
        (lambda root: put_raw_day(root, EVENTS, DAY), METRIC),
        (lambda root: put_raw_day(root, EVENTS, DAY, now=DAY.start + 40_000), METRIC),
        (lambda root: put_raw_day(root, [], DAY), METRIC),
        (lambda root: put_audits(root, AUDITS, DAY), "ticket_events"),
        (lambda root: put_raw_day(root, EVENTS, DAY, stream="ticket_events", audits=AUDITS), "ticket_events"),
    ],
)
def test_the_state_from_the_footer_equals_that_from_the_rows(tmp_path, put, stream):
    put(tmp_path)
    found = raw_state(FolderStore(tmp_path), stream, DAY)
    assert {stream: found} == read_raw(FolderStore(tmp_path), DAY).states


def test_a_day_without_a_file_has_no_state(tmp_path):
    assert [raw_state(FolderStore(tmp_path), stream, DAY) for stream in SLA_STREAMS] == [None, None]


def test_rows_are_read_where_statistics_do_not_decide(tmp_path):
    put_raw_day(tmp_path, EVENTS, DAY)
    rewrite(tmp_path, METRIC, DAY, rows=one_column_each)
    assert read_partition(FolderStore(tmp_path), METRIC, DAY)["metric"].null_count == 1
    assert raw_state(FolderStore(tmp_path), METRIC, DAY).metric_rows == 0


def test_the_count_in_the_footer_is_used(tmp_path):
    put_raw_day(tmp_path, EVENTS, DAY, more_footer={"metric_rows": "7"})
    assert raw_state(FolderStore(tmp_path), METRIC, DAY).metric_rows == 7


@pytest.mark.parametrize(("stream", "of"), [(METRIC, DAY.plus(-1)), ("ticket_events", DAY)])
def test_a_file_of_another_day_or_stream_is_not_used(tmp_path, stream, of):
    """Neither by the sensor nor by a run; and the hourly fetch counts the day as incomplete."""
    put_raw_day(tmp_path, [], of, stream=stream)
    store, path = FolderStore(tmp_path), tmp_path / partition_path(METRIC, DAY)
    path.parent.mkdir(parents=True)
    shutil.copy(tmp_path / partition_path(stream, of), path)
    problem = f"{path} holds {stream} of {of}, not {METRIC} of {DAY}. Materialize it again"
    with pytest.raises(DamagedFileError, match=problem):
        raw_state(store, METRIC, DAY)
    with pytest.raises(DamagedFileError, match=problem):
        read_raw(store, DAY)
    assert not CompleteFiles().is_complete(store, METRIC, DAY, "1")
    put_raw_day(tmp_path, [], DAY)
    assert CompleteFiles().is_complete(store, METRIC, DAY, "2")
