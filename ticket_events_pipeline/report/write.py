"""Writes the pages of the reports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.explained import explained_page
from ticket_events_pipeline.report.files import (
    EXPLAINED,
    LATEST,
    bring_latest_up_to_date,
    put_page,
    report_days,
    report_path,
)
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.storage.store import Store


@dataclass(frozen=True)
class MadeReport:
    """A day's report that has been written.

    Attributes:
        day: whose.
        url: of its page, for people.
        latest_url: the page that shows the newest day, this one or a later one.
        size_bytes: of the day's page.
    """

    day: Day
    url: str
    latest_url: str
    size_bytes: int


def write_report(store: Store, report: DayReport) -> MadeReport:
    """Replace the day's page, and bring `latest.html` and `explained.html` up to date.

    Raises:
        UsageError: the store can't be written.
        TransientError: it can't be reached, or other processes don't stop storing pages.
    """
    stored = report_days(store, report.day.timezone)
    page = report_page(
        report,
        previous=max((day for day in stored if day < report.day), default=None),
        following=min((day for day in stored if day > report.day), default=None),
    ).encode()
    put_explained(store)  # first: the page has a link to it
    put_page(store, report_path(report.day), page)
    bring_latest_up_to_date(store, report.day.timezone)
    return MadeReport(report.day, store.url(report_path(report.day)), store.url(LATEST), len(page))


@lru_cache(maxsize=1)
def _explained() -> bytes:
    return explained_page().encode()


def put_explained(store: Store) -> None:
    """Bring the page that explains the numbers up to date; see `put_page`."""
    put_page(store, EXPLAINED, _explained())
