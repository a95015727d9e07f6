"""A fetch of unusual pages: changed rows, late rows after newer ones, duplicates."""

import json
from dataclasses import dataclass, field

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import OverfullSecondError
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.events import iso
from ticket_events_pipeline_tests.support.fetches import Moment, fetch, ownership_of, stored_ids
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
LAG = TICKET_METRIC_EVENTS.lag_seconds
METRIC = "ticket_metric_events"


def row(number, time, **more):
    base = {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "breach"}
    return {**base, "time": iso(time), **more}


@dataclass
class Pages:
    """A source of the given pages: rows, and the watermark after them; the last page ends the stream."""

    script: list
    requested: int = field(default=0, init=False)

    def pages(self, stream, start_time, **bounds):
        for rows, watermark in self.script:
            self.requested += 1
            page = EventPage(
                stream=stream,
                start_time=start_time,
                rows=rows,
                count=len(rows),
                end_time=watermark,
                end_of_stream=None,
                next_start_time=watermark,
                server_time=DAY.end + 86_400.0,
            )
            yield WalkedPage(page, watermark=watermark, at_end=self.requested == len(self.script), requests=1)
            start_time = watermark


def fetched(root, *script):
    """The committed day, and the number of requested pages."""
    source = Pages(list(script))
    (done,) = fetch_days(
        source,
        FolderStore(root),
        stream=TICKET_METRIC_EVENTS,
        days=[DAY],
        ownership=ownership_of(DAY),
        clock=Moment(DAY.end + 86_400),
        log=lambda _: None,
    )
    return done, source.requested


def test_a_row_that_arrives_after_newer_rows_is_stored_in_its_day(tmp_path):
    """The watermark is after the end of the day, but by less than the lag."""
    first = ([row(1, NOON), row(2, DAY.end + 100)], DAY.end + LAG - 1)
    done, requested = fetched(tmp_path, first, ([row(3, DAY.end - 1)], DAY.end + LAG + 5), ([], DAY.end + 9000))
    assert stored_ids(tmp_path, METRIC, DAY) == [1, 3]
    assert done.footer.complete
    assert requested == 2


def test_a_day_is_closed_by_the_first_page_that_is_the_lag_past_its_end(tmp_path):
    done, requested = fetched(tmp_path, ([row(1, NOON)], DAY.end + LAG), ([row(2, NOON)], DAY.end + 9000), ([], DAY.end + 9000))
    assert stored_ids(tmp_path, METRIC, DAY) == [1]
    assert done.footer.next_start_time == DAY.end + LAG
    assert requested == 1


def test_the_last_delivery_in_a_fetch_wins(tmp_path):
    done, _ = fetched(tmp_path, ([row(1, NOON, deleted=False)], NOON), ([row(1, NOON, deleted=True)], DAY.end + LAG))
    assert read_partition(FolderStore(tmp_path), METRIC, DAY)["deleted"].to_pylist() == [True]
    assert (done.footer.rows, done.footer.duplicates) == (1, 1)


def test_a_new_delivery_replaces_the_stored_row(tmp_path):
    clock = Moment(NOON)
    account = RecordedAccount({METRIC: [row(1, NOON - 30, deleted=False), row(2, NOON - 20)]})
    with SandboxServer(account, clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
        account.deliver(METRIC, [row(1, NOON - 30, deleted=True)])
        clock.now += 600
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    assert read_partition(FolderStore(tmp_path), METRIC, DAY).select(["id", "deleted"]).to_pylist() == [
        {"id": 1, "deleted": True},
        {"id": 2, "deleted": False},
    ]


def test_rejected_rows_are_stored_once_and_with_the_reason(tmp_path):
    """A second fetch of the same rows writes the same file."""
    nameless, timeless = {"ticket_id": 5, "time": iso(NOON)}, {"id": 7, "ticket_id": 5}
    for _ in range(2):
        done, _ = fetched(tmp_path, ([nameless, row(1, NOON), timeless], DAY.end + LAG))
        assert (done.footer.rows, done.footer.rejected) == (1, 2)
    (path,) = FolderStore(tmp_path).paths("_rejected")
    assert path.startswith(f"_rejected/{METRIC}/{DAY.start}-")
    assert [json.loads(line) for line in (tmp_path / path).read_text().splitlines()] == [
        {"reason": "no id that is a 64-bit integer", "row": nameless},
        {"reason": "no readable time in time, timestamp, created_at", "row": timeless},
    ]


def crowded_noon():
    """A row every hour, and in the second of noon more rows than fit on a page."""
    hours = [row(hour + 1, DAY.start + hour * 3600) for hour in range(24)]
    return hours + [row(100 + number, NOON) for number in range(1300)]


def test_an_overfull_second_leaves_the_day_open_until_the_server_gets_past_it(tmp_path):
    clock, account = Moment(DAY.end + 9000), RecordedAccount({METRIC: crowded_noon()})
    with SandboxServer(account, clock=clock, pinned=True) as server:
        for _ in range(2):
            before = len(server.requests)
            with pytest.raises(OverfullSecondError, match="2026-03-02T12:00:00Z"):
                fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
            assert len(server.requests) - before <= 4
            footer = read_raw_footer(FolderStore(tmp_path), METRIC, DAY)
            assert not footer.complete
            assert footer.next_start_time == NOON
            assert stored_ids(tmp_path, METRIC, DAY)[:12] == list(range(1, 13))
    with SandboxServer(account, clock=clock) as server:
        (done,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    assert done.footer.complete
    assert sorted(stored_ids(tmp_path, METRIC, DAY)) == [*range(1, 25), *range(100, 1400)]


def test_a_complete_day_is_not_replaced_by_an_incomplete_fetch(tmp_path):
    clock, account = Moment(DAY.end + 9000), RecordedAccount({METRIC: crowded_noon()})
    with SandboxServer(account, clock=clock) as server:
        (before,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    with (
        SandboxServer(account, clock=clock, pinned=True) as server,
        pytest.raises(OverfullSecondError, match="2026-03-02T12:00:00Z"),
    ):
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    assert read_raw_footer(FolderStore(tmp_path), METRIC, DAY) == before.footer


def test_the_days_that_a_page_completes_are_logged_in_one_entry_of_a_line_each(tmp_path):
    """Dagster writes each entry separately, and a page of a quiet account may cover three days."""
    messages, clock = [], Moment(DAY.plus(3).end)
    account = RecordedAccount({METRIC: [row(1, NOON), row(2, DAY.plus(1).start), row(3, clock.now - 600)]})
    with SandboxServer(account, clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY.plus(3)), clock=clock, log=messages.append)
    entries = [line.splitlines() for line in messages if " rows, complete, " in line or " rows, open, " in line]
    assert entries == [
        [
            f"{METRIC} 2026-03-02: 1 row, complete, 1 request",
            f"{METRIC} 2026-03-03: 1 row, complete, 0 requests",
            f"{METRIC} 2026-03-04: 0 rows, complete, 0 requests",
            f"{METRIC} 2026-03-05: 1 row, open, 0 requests",
        ]
    ]
