"""The progress of a fetch in the log, before it starts and while it runs."""

from __future__ import annotations

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.ingest.plan import RowsEstimate
from ticket_events_pipeline.ingest.progress_log import Progress
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.headers import QuotaHeader
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.streams import TICKET_EVENTS

DAYS = days_between(Day.parse("2026-03-01"), Day.parse("2026-03-10"))
START, END = DAYS[0].start, DAYS[-1].end
LONG_AFTER = END + 10**6


class Run:
    """A fetch whose pages arrive when a test sends them."""

    def __init__(self, *, at_end_of_server: float = LONG_AFTER, per_minute: int | None = None, **options) -> None:
        self.clock = Moment(LONG_AFTER)
        self.log: list[str] = []
        self.server_time = at_end_of_server
        self.quota = None if per_minute is None else QuotaHeader(remaining=1, total=per_minute)
        self.progress = Progress("ticket_events", DAYS, clock=self.clock, log=self.log.append, **options)

    def page(self, watermark: int, *, start_time: int = START, at_end: bool = False, seconds: float = 0, late: int = 0) -> None:
        self.clock.now += seconds
        page = EventPage(
            TICKET_EVENTS, start_time, [], 0, None, None, None, server_time=self.server_time, quota=self.quota, page_limit=1000
        )
        walked = WalkedPage(page, watermark=watermark, at_end=at_end, requests=2)
        self.progress.page(walked, rows=1000, before=1, late=late)


def middle(share: float) -> int:
    return int(START + share * (END - START))


def test_the_log_states_the_range_before_the_first_page() -> None:
    """The line includes a forecast, if there is one, and its basis."""
    assert Run().log == ["ticket_events: reading 2026-03-01 to 2026-03-10 (10 days, timezone UTC)"]
    expected = RowsEstimate(118_000, "as on 28 stored days, 2026-02-01 to 2026-02-28")
    assert Run(expected=expected, requests_per_minute=10).log == [
        "ticket_events: reading 2026-03-01 to 2026-03-10 (10 days, timezone UTC): about 118,000 rows in 120 requests, 12 min "
        "or more by the quota (as on 28 stored days, 2026-02-01 to 2026-02-28)"
    ]


def test_progress_is_logged_every_half_minute_and_at_the_end() -> None:
    """There is no line for every page."""
    run = Run()
    run.page(middle(0.1), seconds=29)
    assert len(run.log) == 1
    run.page(middle(0.25), seconds=1)
    run.page(middle(0.5), seconds=20, at_end=True)
    assert run.log[1:] == [
        "ticket_events: 25% of the time range, 2 pages, 2,000 rows (2 before the range), 4 requests, about 2 min left",
        "ticket_events: 100% of the time range, 3 pages, 3,000 rows (3 before the range), 6 requests",
    ]


@pytest.mark.parametrize("has_header", [True, False])
def test_the_first_requests_of_a_quota_window_are_not_extrapolated(has_header: bool) -> None:
    """They are not delayed; later ones follow the quota. After two minutes the observed pace is used."""
    run = Run(per_minute=10) if has_header else Run(requests_per_minute=10)
    for number in range(1, 11):
        run.page(middle(number / 100), seconds=3)
    assert run.log[-1].endswith("20 requests, about 18 min left")
    run.page(middle(0.2), seconds=120)
    assert run.log[-1].endswith("22 requests, about 10 min left")


def test_a_resumed_fetch_estimates_from_its_own_pages() -> None:
    """The share is of the whole range; the time left comes from what this fetch has read."""
    run = Run()
    run.page(middle(0.6), start_time=middle(0.5), seconds=60)
    [line] = run.log[1:]
    assert "60% of the time range" in line
    assert line.endswith("about 4 min left")


def test_a_range_into_the_future_ends_now() -> None:
    """Now is the server time."""
    run = Run(at_end_of_server=middle(0.5))
    run.page(middle(0.25), seconds=60)
    assert "50% of the time range" in run.log[-1]


def test_late_rows_are_logged_at_once() -> None:
    """The message states when they will be stored."""
    run = Run()
    run.page(middle(0.1), late=7)
    assert run.log[1].startswith("ticket_events: 7 rows belong to days that this fetch has written already")
