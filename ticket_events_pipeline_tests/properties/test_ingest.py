"""Any stream in any pages, read in any order of days, makes the same files: every event once, in its own day.

The oracle is a dict of the last delivery of each event, by its local date.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.sandbox.answers import Answer
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.journal_file import JOURNAL_FOLDER
from ticket_events_pipeline_tests.support.drawn_streams import DAYS, FIRST, LAG, row_time, streams, truth
from ticket_events_pipeline_tests.support.events import metric_event
from ticket_events_pipeline_tests.support.fetches import Moment, fetching, stored_ids

STREAMS = ["ticket_events", "ticket_metric_events"]
EXAMPLES = int(os.environ.get("INGEST_EXAMPLES", "50"))
"""Set it to some thousands for a thorough run."""

WITHHELD = 60
"""Seconds of its newest rows that the server doesn't show."""

account = RecordedAccount()
clock = Moment(0)


@pytest.fixture(scope="module")
def servers():
    """A server of the same account for each page size and each way to end a stream."""
    worlds = [(limit, end) for limit in (2, 7, 1000) for end in ("present", "absent")]
    running = {
        world: SandboxServer(account, clock=clock, page_limit=world[0], end_of_stream=world[1]).start() for world in worlds
    }
    yield running
    for server in running.values():
        server.stop()


@given(streams(), st.sampled_from(STREAMS), st.data())
@settings(max_examples=EXAMPLES)
def test_a_closed_range_is_exact_in_any_pages_and_any_order_of_days(servers, drawn, stream, data):
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    account.clear(stream)
    account.deliver(stream, rows)
    days = days_between(Day.parse(FIRST, timezone), Day.parse(FIRST, timezone).plus(DAYS - 1))
    clock.now = days[-1].end + data.draw(st.integers(LAG[stream] + 60, 90_000))
    expected = truth(rows, timezone)
    with tempfile.TemporaryDirectory() as folder:
        together, apart = Path(folder, "together"), Path(folder, "apart")
        before = len(server.requests)
        committed = list(fetching(server, together, stream, days, clock=clock))
        requests = len(server.requests) - before
        one_by_one = {}
        for day in data.draw(st.permutations(days)):
            (one_by_one[day],) = fetching(server, apart, stream, [day], clock=clock)
        for done in committed:
            assert stored_ids(together, stream, done.day) == expected[done.day]
            assert stored_ids(apart, stream, done.day) == expected[done.day]
            assert done.footer.complete
            assert done.footer.content_hash == one_by_one[done.day].footer.content_hash
        assert [done.day for done in committed] == days
        assert sum(done.footer.requests for done in committed) == requests


@given(streams(), st.sampled_from(STREAMS), st.data())
@settings(max_examples=EXAMPLES)
def test_an_open_day_is_resumed_until_it_is_complete_and_then_exact(servers, drawn, stream, data):
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    first = Day.parse(FIRST, timezone)
    around_the_end = st.integers(first.end - 100, first.end + LAG[stream] + 100)
    moments = sorted(data.draw(st.lists(st.integers(first.start, first.end) | around_the_end, min_size=1, max_size=4)))
    # Rows that appear just before the watermark of a fetch: the next fetch has to read that time again.
    behind = data.draw(st.lists(st.tuples(st.sampled_from(moments), st.integers(0, LAG[stream])), max_size=6))
    rows = rows + [metric_event(1000 + number, moment - ago) for number, (moment, ago) in enumerate(behind)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for moment in [*moments, first.end + LAG[stream] + 61]:
            clock.now = moment
            # Past rows appear with a delay of less than the lag; rows in the future appear at once.
            delays = {row["id"]: row["id"] * 37 % LAG[stream] for row in rows}
            account.clear(stream)
            account.deliver(stream, [row for row in rows if not 0 <= clock.now - row_time(row) < delays[row["id"]]])
            (done,) = fetching(server, root, stream, [first], clock=clock)
            assert done.footer.complete == (clock.now >= first.end + LAG[stream] + 60)
        assert stored_ids(root, stream, first) == truth(rows, timezone)[first]
        chained = [page.start_time for page in done.footer.pages]
        assert chained[0] == first.start
        assert done.footer.rows == len(truth(rows, timezone)[first])


@given(streams(), st.sampled_from(STREAMS), st.integers(2, 4), st.data())
@settings(max_examples=EXAMPLES)
def test_bounded_fetches_make_the_files_of_one_fetch_in_as_many_requests_each_as_they_may(
    servers, drawn, stream, most_requests, data
):
    """Fetched at some moments while the first two days are open, then until they are complete; some requests fail.

    After a midnight with more rows than the requests bring, the log names the standstill, and a fetch without a bound reads on.
    """
    timezone, rows = drawn
    server = servers[data.draw(st.sampled_from(sorted(servers)))]
    first = Day.parse(FIRST, timezone)
    days = [first, first.plus(1)]
    account.clear(stream)
    account.deliver(stream, rows)
    clock.now = days[-1].end + LAG[stream] + 61
    with tempfile.TemporaryDirectory() as folder:
        bounded, whole = Path(folder, "bounded"), Path(folder, "whole")
        expected_ids = truth(rows, timezone)
        expected = [done.footer.content_hash for done in fetching(server, whole, stream, days, clock=clock)]
        moments = sorted(data.draw(st.lists(st.integers(first.start + 600, days[-1].end), max_size=4)))
        log: list[str] = []
        for moment in [*moments, *[clock.now] * (4 * len(rows) + 8)]:
            clock.now = moment
            log.clear()
            server.script(*[Answer(503, b"") for _ in range(data.draw(st.sampled_from([0, 0, 0, 1, 2])))])
            wanted = [day for day in days if day.start <= moment]
            before, written = len(server.requests), []
            with suppress(TransientError):
                written = list(
                    fetching(server, bounded, stream, wanted, clock=clock, most_requests=most_requests, log=log.append)
                )
            server.unscript()
            assert len(server.requests) - before <= most_requests
            assert not any(Path(bounded, JOURNAL_FOLDER).rglob("*.parquet"))
            for done in written:
                shown = min(done.footer.read_up_to, moment - WITHHELD)
                read = [row["id"] for row in rows if row["id"] in expected_ids[done.day] and row_time(row) < shown]
                assert set(read) <= set(stored_ids(bounded, stream, done.day)) <= set(expected_ids[done.day])
            if len(written) == len(days) and all(done.footer.complete for done in written):
                break
        if any("A fetch without such a bound reads on" in line for line in log):
            written = list(fetching(server, bounded, stream, days, clock=clock))
        assert all(done.footer.complete for done in written)
        assert [done.footer.content_hash for done in written] == expected
