"""The log lines of a long fetch: how much there is to read, how far it is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.ingest.plan import RowsEstimate, requests_for
from ticket_events_pipeline.text import estimated_duration_text, plural

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.client import WalkedPage

SECONDS_BETWEEN_LINES = 30

# Earlier, an estimate would be too short: the first requests of the quota don't wait.
_SECONDS_OF_A_KNOWN_PACE = 120


class Progress:
    """Counts pages, rows and requests, and logs a line every SECONDS_BETWEEN_LINES.

    `expected` is how much there is to read, if known; `requests_per_minute` is the quota until the server states it.
    """

    def __init__(
        self,
        stream: str,
        days: list[Day],
        *,
        clock: Clock,
        log: Callable[[str], None],
        expected: RowsEstimate | None = None,
        requests_per_minute: int | None = None,
    ) -> None:
        self._stream = stream
        self._start, self._end = days[0].start, days[-1].end
        self._clock = clock
        self._log = log
        self._begun_at = self._logged_at = clock()
        self._begun_from: int | None = None
        self._per_minute = requests_per_minute
        self._pages = self._rows = self._before = self._requests = 0
        span = f"{days[0]} to {days[-1]} ({plural(len(days), 'day')}, timezone {days[0].timezone})"
        log(f"{stream}: reading {span}{'' if expected is None else self._estimate(expected)}")

    def page(self, walked: WalkedPage, *, rows: int, before: int, late: int) -> None:
        """Count a page: its rows, those from before the range, and those that came too late for a finished day."""
        self._pages += 1
        self._requests += walked.requests
        self._rows += rows
        self._before += before
        if self._begun_from is None:
            self._begun_from = walked.page.start_time
        if walked.page.quota is not None and walked.page.quota.total:
            self._per_minute = walked.page.quota.total
        if late:
            self._log(
                f"{self._stream}: {late} rows belong to days that this fetch has written already; they are stored when those "
                "days are read again (the daily_restatement schedule does that for the last closed days)."
            )
        if walked.at_end or self._clock() - self._logged_at >= SECONDS_BETWEEN_LINES:
            self._log_progress(walked)

    def _estimate(self, expected: RowsEstimate) -> str:
        requests = requests_for(expected.rows)
        at_pace = (
            f", {estimated_duration_text(requests * 60 / self._per_minute)} or more by the quota" if self._per_minute else ""
        )
        return f": about {plural(expected.rows, 'row')} in {plural(requests, 'request')}{at_pace} ({expected.basis})"

    def _log_progress(self, walked: WalkedPage) -> None:
        self._logged_at = self._clock()
        end = min(self._end, walked.page.server_time or self._end)
        share = 1.0 if walked.at_end else _share(walked.watermark, self._start, end)
        left = "" if walked.at_end else self._left(walked.watermark, end)
        self._log(
            f"{self._stream}: {share:.0%} of the time range, {plural(self._pages, 'page')}, "
            f"{plural(self._rows, 'row')} ({self._before:,} before the range), {plural(self._requests, 'request')}{left}"
        )

    def _left(self, watermark: int, end: float) -> str:
        """How long it will take, by what this fetch has read itself: a resumed one begins in the middle."""
        share = _share(watermark, self._begun_from or self._start, end)
        if not 0 < share < 1:
            return ""
        elapsed = self._clock() - self._begun_at
        seconds = elapsed * (1 - share) / share
        if self._per_minute and elapsed < _SECONDS_OF_A_KNOWN_PACE:
            seconds = max(seconds, self._requests * (1 - share) / share * 60 / self._per_minute)
        return f", about {estimated_duration_text(seconds)} left"


def _share(moment: float, start: float, end: float) -> float:
    return min(1.0, max(0.0, (moment - start) / max(1.0, end - start)))
