"""A day while it is read: what it counts."""

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

DAY = Day.parse("2026-03-02")
LATER = Day.parse("2026-03-20").start


class WithoutServerTimes:
    """A source of two empty pages after the day, whose answers have no `Date`."""

    def pages(self, stream, start_time, **bounds):
        for end_time in (DAY.end + 400, DAY.end + 900):
            page = EventPage(stream, start_time, [], 0, end_time, False, None, None)
            yield WalkedPage(page, watermark=end_time, at_end=False, requests=1)
            start_time = end_time


def test_every_request_is_counted_without_server_times(tmp_path):
    """A page that only shows that the day is over is in no ledger, but its request counts."""
    (done,) = fetch_days(
        WithoutServerTimes(),
        FolderStore(tmp_path),
        stream=TICKET_METRIC_EVENTS,
        days=[DAY],
        ownership=Ownership("acme", "UTC", False),
        clock=Moment(LATER),
        log=lambda _: None,
    )
    assert done.footer.complete
    assert done.footer.requests == 2
