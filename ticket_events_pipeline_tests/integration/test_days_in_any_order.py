"""A fortnight of a believable account: days fetched one by one in any order equal those of one range, footers included."""

import json
import random
from itertools import takewhile
from pathlib import Path

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.fetches import Moment, fetching

FOOTER = """
schema_version account timezone sideload stream partition window_start window_end complete next_start_time requests rows
duplicates rejected fetched_at content_hash pages pass_id support_type_scope begun_at missed metric_rows
"""
HOUR = 3600

clock = Moment(0)
account = SimulatedAccount(tickets_per_day=40)


@pytest.mark.parametrize(
    ("stream", "timezone", "first", "last"),
    [
        ("ticket_metric_events", "America/New_York", "2026-03-02", "2026-03-13"),  # 8 March has 23 hours
        ("ticket_events", "Europe/Berlin", "2026-10-20", "2026-10-29"),  # 25 October has 25
        ("ticket_metric_events", "Asia/Kolkata", "2026-02-20", "2026-03-02"),
    ],
)
def test_days_fetched_one_by_one_in_any_order_equal_those_of_one_range(tmp_path, stream, timezone, first, last):
    days = days_between(Day.parse(first, timezone), Day.parse(last, timezone))
    clock.now = days[-1].end + HOUR
    shuffled = random.Random(3).sample(days, len(days))  # noqa: S311 - the same order every time
    assert shuffled != days
    with SandboxServer(account, clock=clock) as server:
        together = {done.day: done.footer for done in fetching(server, tmp_path / "range", stream, days, clock=clock)}
        asked_for_range = len(server.requests)
        alone = {}
        for day in shuffled:
            (done,) = fetching(server, tmp_path / "alone", stream, [day], clock=clock)
            alone[day] = done.footer
        asked = len(server.requests) - asked_for_range
    ranged, single = FolderStore(tmp_path / "range"), FolderStore(tmp_path / "alone")
    for day in days:
        table = read_partition(ranged, stream, day)
        assert table == read_partition(single, stream, day)
        assert table.num_rows > 20
        assert together[day].content_hash == alone[day].content_hash
        assert together[day].complete
        assert alone[day].complete
    assert sum(footer.requests for footer in together.values()) == asked_for_range
    assert sum(footer.requests for footer in alone.values()) == asked


@pytest.mark.parametrize("stream", ["ticket_events", "ticket_metric_events"])
def test_the_footer_has_each_fact_as_text(tmp_path, stream):
    """Times as epoch seconds, booleans as true and false, the partition as an ISO date, the ledger as JSON."""
    days = days_between(Day.parse("2026-03-07", "America/New_York"), Day.parse("2026-03-10", "America/New_York"))
    clock.now = days[-1].start + 12 * HOUR
    with SandboxServer(account, clock=clock) as server:
        list(fetching(server, tmp_path, stream, days, clock=clock, sideload=stream == "ticket_events"))
        requests = [int(seen.query["start_time"]) for seen in server.requests]
    footers = {day: read_metadata(FolderStore(tmp_path), stream, day) for day in days}
    for day, footer in footers.items():
        table = read_partition(FolderStore(tmp_path), stream, day)
        assert sorted(footer) == sorted(FOOTER.split())
        assert (footer["schema_version"], footer["account"], footer["timezone"]) == (
            str(SCHEMA_VERSION),
            "recorded",
            "America/New_York",
        )
        assert (footer["stream"], footer["partition"], footer["rows"]) == (stream, str(day), str(table.num_rows))
        assert footer["sideload"] == ("true" if stream == "ticket_events" else "false")
        assert (footer["window_start"], footer["window_end"]) == (str(day.start), str(day.end))
        assert footer["complete"] == ("false" if day == days[-1] else "true")
        assert (footer["rejected"], len(footer["content_hash"])) == ("0", 64)
        assert int(footer["fetched_at"]) == clock.now
        assert day.start < int(footer["next_start_time"]) <= clock.now
        ledger = json.loads(footer["pages"])
        names = ["start_time", "end_time", "count", "first_id", "last_id", "server_count", "newest"]
        assert [list(page) for page in ledger] == [names] * len(ledger)
        assert {page["start_time"] for page in ledger} <= set(requests)
    assert int(footers[days[1]]["window_end"]) - int(footers[days[1]]["window_start"]) == 23 * HOUR
    assert sum(int(footer["requests"]) for footer in footers.values()) == len(requests)
    walked = {page["start_time"] for footer in footers.values() for page in json.loads(footer["pages"])}
    assert walked == set(requests)


def test_a_file_does_not_depend_on_the_folder_that_holds_it(tmp_path):
    """No file has a column `date`, and no footer names this machine."""
    day = Day.parse("2026-03-02")
    clock.now = day.end + HOUR
    with SandboxServer(account, clock=clock) as server:
        (done,) = fetching(server, tmp_path, "ticket_events", [day], clock=clock)
    content = Path(done.url).read_bytes()
    assert str(tmp_path).encode() not in content
    assert b"127.0.0.1" not in content
    assert "date" not in read_partition(FolderStore(tmp_path), "ticket_events", day).column_names


@pytest.mark.slow
def test_the_sla_tables_are_equal_once_the_sensor_has_settled(tmp_path):
    """A week of the simulated account, its days fetched in a shuffled order with ticks between, against one range."""
    days = [f"2026-03-{number:02}" for number in range(2, 9)]
    simulated, later = SimulatedAccount(seed=7, tickets_per_day=30), Day.parse("2026-03-20").start
    tables = {}
    for way, order in {"range": [days], "apart": [[day] for day in random.Random(3).sample(days, len(days))]}.items():  # noqa: S311
        with deployed(tmp_path / way, now=later) as deployment:
            for stream in STREAMS:
                rows = takewhile(lambda row: row.time < later, simulated.rows(stream, Day.parse(days[0]).start, now=later))
                deployment.account.deliver(stream, [json.loads(row.json) for row in rows])
            for asked in order:
                deployment.fetch(asked[0], asked[-1])
                deployment.settle()
            assert deployment.settle() == []
            tables[way] = {
                (asset, day): deployment.table(asset, day)
                for asset in ("sla_clocks", "sla_targets", "daily_sla_breach_summary")
                for day in days
            }
    assert tables["apart"] == tables["range"]
    assert sum(table.num_rows for (asset, _), table in tables["range"].items() if asset == "sla_targets") > 1000
