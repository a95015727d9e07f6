"""Where the stored pages are: one for each day, `latest.html`, which always shows the newest of them, and `explained.html`.

Every file appears whole or not at all.
"""

from __future__ import annotations

import re

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.storage.store import Store

REPORT = "sla_breach_report"
LATEST = f"{REPORT}/latest.html"
EXPLAINED = f"{REPORT}/explained.html"

_DAY_PAGE = re.compile(rf"{REPORT}/date=(\d{{4}}-\d{{2}}-\d{{2}})/{REPORT}\.html")

_ATTEMPTS = 20
"""Each repeats only because another process has just stored a page."""

# All links to a page's neighbours begin so. No text of the account can: a quotation mark in it is escaped.
_FROM_A_DAY, _FROM_ABOVE = b'href="../', b'href="'


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
