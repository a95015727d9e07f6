"""What a pass makes of pages that a well-behaved server seldom sends: flips, late rows behind newer ones, repeats."""

import datetime as dt
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
from ticket_events_pipeline_tests.support.fetches import Moment, fetch, ownership_of, stored_ids
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
LAG = TICKET_METRIC_EVENTS.lag_seconds
METRIC = "ticket_metric_events"


def iso(time):
    return dt.datetime.fromtimestamp(time, dt.UTC).isoformat()


def row(number, time, **more):
    base = {"id": number, "ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "breach"}
    return {**base, "time": iso(time), **more}


@dataclass
class Pages:
    """A source whose pages are given: rows, and the watermark that the walk has after them; the last one is the end."""

    given: list
    asked: int = field(default=0, init=False)

    def pages(self, stream, start_time):
        for rows, watermark in self.given:
            self.asked += 1
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
            yield WalkedPage(page, watermark=watermark, at_end=self.asked == len(self.given), requests=1)
            start_time = watermark


def passed(root, *given):
    """The committed day, and how many pages were asked for."""
    source = Pages(list(given))
    (done,) = fetch_days(
        source,
        FolderStore(root),
        stream=TICKET_METRIC_EVENTS,
        days=[DAY],
        ownership=ownership_of(DAY),
        clock=Moment(DAY.end + 86_400),
        log=lambda _: None,
    )
    return done, source.asked


def test_a_row_told_behind_newer_ones_still_finds_its_day(tmp_path):
    """The stream has gone past the end of the day, but not by the lag."""
    first = ([row(1, NOON), row(2, DAY.end + 100)], DAY.end + LAG - 1)
    done, asked = passed(tmp_path, first, ([row(3, DAY.end - 1)], DAY.end + LAG + 5), ([], DAY.end + 9000))
    assert stored_ids(tmp_path, METRIC, DAY) == [1, 3]
    assert done.footer.complete
    assert asked == 2


def test_a_day_is_closed_once_the_stream_is_past_its_end_by_the_lag_and_no_page_later(tmp_path):
    done, asked = passed(tmp_path, ([row(1, NOON)], DAY.end + LAG), ([row(2, NOON)], DAY.end + 9000), ([], DAY.end + 9000))
    assert stored_ids(tmp_path, METRIC, DAY) == [1]
    assert done.footer.next_start_time == DAY.end + LAG
    assert asked == 1


def test_of_two_deliveries_in_one_pass_the_last_wins(tmp_path):
    done, _ = passed(tmp_path, ([row(1, NOON, deleted=False)], NOON), ([row(1, NOON, deleted=True)], DAY.end + LAG))
    assert read_partition(FolderStore(tmp_path), METRIC, DAY)["deleted"].to_pylist() == [True]
    assert (done.footer.rows, done.footer.duplicates) == (1, 1)


def test_of_a_stored_row_and_its_next_delivery_the_delivery_wins(tmp_path):
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


def test_rows_that_cannot_be_placed_are_set_aside_with_the_reason_and_once(tmp_path):
    """The same rows read again make the same file."""
    nameless, timeless = {"ticket_id": 5, "time": iso(NOON)}, {"id": 7, "ticket_id": 5}
    for _ in range(2):
        done, _ = passed(tmp_path, ([nameless, row(1, NOON), timeless], DAY.end + LAG))
        assert (done.footer.rows, done.footer.rejected) == (1, 2)
    (path,) = FolderStore(tmp_path).paths("_rejected")
    assert path.startswith(f"_rejected/{METRIC}/{DAY.start}-")
    assert [json.loads(line) for line in (tmp_path / path).read_text().splitlines()] == [
        {"reason": "no id that is a 64-bit integer", "row": nameless},
        {"reason": "no readable time in time, timestamp, created_at", "row": timeless},
    ]


def crowded_noon():
    """A row an hour, and in the second of noon more than the server puts on a page."""
    hours = [row(hour + 1, DAY.start + hour * 3600) for hour in range(24)]
    return hours + [row(100 + number, NOON) for number in range(1300)]


def test_a_second_that_the_server_never_gets_past_leaves_the_day_open_until_it_does(tmp_path):
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


def test_a_day_that_was_complete_is_not_replaced_by_what_could_be_read_of_it(tmp_path):
    clock, account = Moment(DAY.end + 9000), RecordedAccount({METRIC: crowded_noon()})
    with SandboxServer(account, clock=clock) as server:
        (before,) = fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    with (
        SandboxServer(account, clock=clock, pinned=True) as server,
        pytest.raises(OverfullSecondError, match="2026-03-02T12:00:00Z"),
    ):
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY), clock=clock)
    assert read_raw_footer(FolderStore(tmp_path), METRIC, DAY) == before.footer


def test_the_days_that_a_page_finishes_are_told_in_one_entry_a_line_each(tmp_path):
    """Each entry costs Dagster's log a write, and a quiet account's year has three days a page."""
    told, clock = [], Moment(DAY.plus(3).end)
    account = RecordedAccount({METRIC: [row(1, NOON), row(2, DAY.plus(1).start), row(3, clock.now - 600)]})
    with SandboxServer(account, clock=clock) as server:
        fetch(server, tmp_path, METRIC, str(DAY), str(DAY.plus(3)), clock=clock, log=told.append)
    entries = [line.splitlines() for line in told if " rows, complete, " in line or " rows, open, " in line]
    assert entries == [
        [
            f"{METRIC} 2026-03-02: 1 rows, complete, 1 requests",
            f"{METRIC} 2026-03-03: 1 rows, complete, 0 requests",
            f"{METRIC} 2026-03-04: 0 rows, complete, 0 requests",
            f"{METRIC} 2026-03-05: 1 rows, open, 0 requests",
        ]
    ]
