"""The stored pages: one for each day, `latest.html`, which always shows the newest of them, and `explained.html`.

Every file appears whole or not at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.report.explained import explained_page
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.storage.store import Store

REPORT = "sla_breach_report"
LATEST = f"{REPORT}/latest.html"
EXPLAINED = f"{REPORT}/explained.html"

_DAY_PAGE = re.compile(rf"{REPORT}/date=(\d{{4}}-\d{{2}}-\d{{2}})/{REPORT}\.html")

_ATTEMPTS = 20
"""Each repeats only because another process has just stored a page."""

# All links to a page's neighbours begin so. No text of the account can: a quotation mark in it is escaped.
_FROM_A_DAY, _FROM_ABOVE = b'href="../', b'href="'


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


def report_path(day: Day) -> str:
    """The path of the day's page below the root."""
    return f"{REPORT}/date={day}/{REPORT}.html"


def report_days(store: Store, timezone: str) -> list[Day]:
    """The days that have a page, in order."""
    found = (day_of_page(path, timezone) for path in store.paths(REPORT))
    return sorted(day for day in found if day is not None)


def day_of_page(path: str, timezone: str) -> Day | None:
    """The day whose page is at the path below the root; None where that is no page of a day."""
    match = _DAY_PAGE.fullmatch(path)
    try:
        return Day.parse(match.group(1), timezone) if match else None
    except ValueError:  # date=2026-02-30: not written by this program
        return None


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


def bring_latest_up_to_date(store: Store, timezone: str) -> None:
    """Make `latest.html` the newest stored page, also if another process stored it.

    Processes do this concurrently. Each stores its page first, then writes `latest.html`, then checks that it still is the
    newest page: so the last one to write it has seen the last page.
    """
    for _ in range(_ATTEMPTS):
        newest = _newest_page(store, timezone)
        put_page(store, LATEST, newest.replace(_FROM_A_DAY, _FROM_ABOVE))
        if _newest_page(store, timezone) == newest:
            return
    raise TransientError(f"{store.url(LATEST)}: other processes stored newer pages {_ATTEMPTS} times in between. Run it again.")


def _newest_page(store: Store, timezone: str) -> bytes:
    for day in reversed(report_days(store, timezone)):
        page = read_page(store, report_path(day))
        if page is not None:  # None: removed just now
            return page
    raise TransientError(f"{store.url(REPORT)}: the pages were removed while they were read. Run it again.")


def put_explained(store: Store) -> None:
    """Bring the page that explains the numbers up to date; see `put_page`."""
    put_page(store, EXPLAINED, _explained())


def put_page(store: Store, path: str, content: bytes) -> None:
    """Write the file unless it is there already: every day of a long range would write the same again."""
    try:
        is_there = read_page(store, path) == content
    except TransientError:  # replaced while it was read
        is_there = False
    if not is_there:
        with store.writer(path) as file:
            file.write(content)


def read_page(store: Store, path: str) -> bytes | None:
    """A page as it is stored, or None."""
    try:
        with store.reader(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
