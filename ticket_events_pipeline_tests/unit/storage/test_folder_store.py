"""A folder as a store: errors of the file system name the root, and foreign folders are ignored."""

import resource

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline_tests.support.fetches import Moment, fetch

DAY = "2026-03-02"

clock = Moment(Day.parse("2026-03-20").start)


@pytest.fixture
def server():
    with SandboxServer(RecordedAccount(), clock=clock) as running:
        yield running


def test_an_error_names_what_blocks_a_path_before_any_request(tmp_path, server):
    (tmp_path / "ticket_events" / f"date={DAY}" / "ticket_events.parquet").mkdir(parents=True)
    (tmp_path / "ticket_metric_events").write_text("a file where a folder belongs")
    with pytest.raises(UsageError, match=r"TICKET_EVENTS_ROOT: can't read .*ticket_events\.parquet: Is a directory"):
        fetch(server, tmp_path, "ticket_events", DAY, DAY, clock=clock)
    with pytest.raises(UsageError, match=r"TICKET_EVENTS_ROOT: can't read .*: Not a directory"):
        fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=clock)
    assert server.requests == []


def test_a_full_disk_is_an_error_and_leaves_no_partial_file(tmp_path):
    store = FolderStore(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UsageError, match="TICKET_EVENTS_ROOT: can't write below"), store.writer("a/b") as file:
            file.write(bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.paths("") == []


def test_a_folder_whose_name_is_no_date_is_not_a_stored_day(tmp_path, server):
    folder = tmp_path / "ticket_events" / "date=2026-02-30"
    folder.mkdir(parents=True)
    (folder / "ticket_events.parquet").write_bytes(b"not ours")
    fetch(server, tmp_path, "ticket_events", DAY, DAY, clock=clock)
    assert stored_days(FolderStore(tmp_path), "ticket_events", "UTC") == [Day.parse(DAY)]
