"""Work beside the request for the next page: done in another thread, waited for, and never failing unheard."""

import threading

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.beside import Beside
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.ingest.range_pass import fetch_days
from ticket_events_pipeline.lake.store import FolderStore
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import TICKET_METRIC_EVENTS, EventPage

DAY = Day.parse("2026-03-02")


def failing():
    raise ValueError("the work")


def test_the_work_goes_on_while_something_else_is_done():
    other_is_done, seen = threading.Event(), []
    with Beside() as beside:
        beside.start(lambda: seen.append(other_is_done.wait(10)))
        other_is_done.set()
        beside.finish()
        assert seen == [True]


def test_leaving_waits_for_the_work():
    may_end, seen = threading.Event(), []
    with Beside() as beside:
        beside.start(lambda: seen.append(may_end.wait(10)))
        threading.Timer(0.05, may_end.set).start()
    assert seen == [True]


def test_what_goes_wrong_is_raised_once_where_it_is_waited_for():
    with Beside() as beside:
        beside.finish()
        beside.start(failing)
        beside.wait()
        with pytest.raises(ValueError, match="the work"):
            beside.finish()
        beside.finish()


class Source:
    """One page in the middle of the day, and then nothing."""

    def __init__(self, rows):
        self.rows = rows

    def pages(self, stream, start_time):
        page = EventPage(stream, start_time, self.rows, 1, start_time + 60, False, None, DAY.end + 9999)
        yield WalkedPage(page, watermark=start_time + 60, at_end=False, requests=1)


def test_a_page_that_cannot_be_taken_in_fails_the_pass_though_no_other_follows(tmp_path):
    """A source that ends without its last page would else leave the day unwritten, and say nothing."""
    days = fetch_days(
        Source(7), FolderStore(tmp_path), stream=TICKET_METRIC_EVENTS, days=[DAY], ownership=Ownership("acme", "UTC", False),
        clock=lambda: DAY.end + 9999.0, log=print,
    )  # fmt: skip
    with pytest.raises(TypeError):
        list(days)
