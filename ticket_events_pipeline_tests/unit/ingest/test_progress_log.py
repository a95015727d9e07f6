"""What the log says of a pass before and while it runs."""

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


class Pass:
    """A pass whose pages come when a test says so."""

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


def test_before_the_first_page_the_log_says_what_is_to_be_read() -> None:
    """With a forecast where there is one, and what it rests on."""
    assert Pass().log == ["ticket_events: reading 2026-03-01 to 2026-03-10 (10 days of UTC)"]
    expected = RowsEstimate(118_000, "as on 28 stored days, 2026-02-01 to 2026-02-28")
    assert Pass(expected=expected, requests_per_minute=10).log == [
        "ticket_events: reading 2026-03-01 to 2026-03-10 (10 days of UTC): about 118,000 rows in 120 requests, 12 min or more "
        "by the quota (as on 28 stored days, 2026-02-01 to 2026-02-28)"
    ]


def test_lines_come_every_half_minute_and_at_the_end() -> None:
    """Not with every page."""
    run = Pass()
    run.page(middle(0.1), seconds=29)
    assert len(run.log) == 1
    run.page(middle(0.25), seconds=1)
    run.page(middle(0.5), seconds=20, at_end=True)
    assert run.log[1:] == [
        "ticket_events: 25% of the time range, 2 pages, 2,000 rows (2 before the range), 4 requests, about 2 min left",
        "ticket_events: 100% of the time range, 3 pages, 3,000 rows (3 before the range), 6 requests",
    ]


@pytest.mark.parametrize("told", [True, False])
def test_the_quotas_first_requests_promise_nothing(told: bool) -> None:
    """They go at once; the others come at its pace. After two minutes, what was seen is believed."""
    run = Pass(per_minute=10) if told else Pass(requests_per_minute=10)
    for number in range(1, 11):
        run.page(middle(number / 100), seconds=3)
    assert run.log[-1].endswith("20 requests, about 18 min left")
    run.page(middle(0.2), seconds=120)
    assert run.log[-1].endswith("22 requests, about 10 min left")


def test_a_pass_that_goes_on_in_the_middle_is_no_faster_for_it() -> None:
    """The share is of the range; the time that is left, by what this pass has read."""
    run = Pass()
    run.page(middle(0.6), start_time=middle(0.5), seconds=60)
    [line] = run.log[1:]
    assert "60% of the time range" in line
    assert line.endswith("about 4 min left")


def test_a_range_that_is_not_over_ends_now() -> None:
    """By the server's clock."""
    run = Pass(at_end_of_server=middle(0.5))
    run.page(middle(0.25), seconds=60)
    assert "50% of the time range" in run.log[-1]


def test_late_rows_are_told_at_once() -> None:
    """And when they will be stored."""
    run = Pass()
    run.page(middle(0.1), late=7)
    assert run.log[1].startswith("ticket_events: 7 rows belong to days that this fetch has written already")
