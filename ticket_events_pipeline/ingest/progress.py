"""What a long pass tells while it runs: how far it is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable

from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.zendesk.client import WalkedPage

SECONDS_BETWEEN_LINES = 30


class Progress:
    """Counts pages and rows, and writes a line now and then."""

    def __init__(self, stream: str, days: list[Day], *, clock: Clock, log: Callable[[str], None]) -> None:
        self._stream = stream
        self._start, self._end = days[0].start, days[-1].end
        self._clock = clock
        self._log = log
        self._begun_at = self._told_at = clock()
        self._pages = self._rows = self._before = 0
        log(f"{stream}: reading {days[0]} to {days[-1]} ({len(days)} days of {days[0].timezone})")

    def page(self, walked: WalkedPage, *, rows: int, before: int, late: int) -> None:
        """Note a page: its rows, those that lie before the range, and those that came too late for a committed day."""
        self._pages += 1
        self._rows += rows
        self._before += before
        if late:
            self._log(
                f"{self._stream}: {late} rows belong to days that this pass has committed already; they are stored when those "
                "days are read again (the daily_restatement schedule does that for the last closed days)."
            )
        if walked.at_end or self._clock() - self._told_at >= SECONDS_BETWEEN_LINES:
            self._tell(walked)

    def _tell(self, walked: WalkedPage) -> None:
        self._told_at = now = self._clock()
        end = min(self._end, walked.page.server_time or self._end)
        share = 1.0 if walked.at_end else min(1.0, max(0.0, (walked.watermark - self._start) / max(1.0, end - self._start)))
        elapsed = now - self._begun_at
        left = f", about {elapsed * (1 - share) / share:,.0f} s left" if 0 < share < 1 else ""
        self._log(
            f"{self._stream}: {share:.0%} of the time range, {self._pages} pages, {self._rows:,} rows "
            f"({self._before} before the range){left}"
        )
