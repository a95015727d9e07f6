"""What a long pass tells before and while it runs: how much there is to do, how far it is, and how long it will take.

How much there may be is estimated in `estimate`. Everything here is words for the log; nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.ingest.estimate import RowsEstimate, requests_for
from ticket_events_pipeline.text import estimated_duration_text

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.client import WalkedPage

SECONDS_BETWEEN_LINES = 30

# Before, the quota's first requests, which go at once, would promise too much.
_SECONDS_OF_A_KNOWN_PACE = 120


class Progress:
    """Counts pages, rows and requests, and writes a line now and then.

    `expected` is how much there is to read, if that is known; `requests_per_minute` the quota, if the server doesn't tell it.
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
        self._begun_at = self._told_at = clock()
        self._begun_from: int | None = None
        self._per_minute = requests_per_minute
        self._pages = self._rows = self._before = self._requests = 0
        span = f"{days[0]} to {days[-1]} ({len(days)} days of {days[0].timezone})"
        log(f"{stream}: reading {span}{'' if expected is None else self._foretold(expected)}")

    def page(self, walked: WalkedPage, *, rows: int, before: int, late: int) -> None:
        """Note a page: its rows, those that lie before the range, and those that came too late for a committed day."""
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
                f"{self._stream}: {late} rows belong to days that this pass has committed already; they are stored when those "
                "days are read again (the daily_restatement schedule does that for the last closed days)."
            )
        if walked.at_end or self._clock() - self._told_at >= SECONDS_BETWEEN_LINES:
            self._tell(walked)

    def _foretold(self, expected: RowsEstimate) -> str:
        requests = requests_for(expected.rows)
        at_pace = (
            f", {estimated_duration_text(requests * 60 / self._per_minute)} or more by the quota" if self._per_minute else ""
        )
        return f": about {expected.rows:,} rows in {requests:,} requests{at_pace} ({expected.basis})"

    def _tell(self, walked: WalkedPage) -> None:
        self._told_at = self._clock()
        end = min(self._end, walked.page.server_time or self._end)
        share = 1.0 if walked.at_end else _share(walked.watermark, self._start, end)
        left = "" if walked.at_end else self._left(walked.watermark, end)
        self._log(
            f"{self._stream}: {share:.0%} of the time range, {self._pages:,} pages, {self._rows:,} rows "
            f"({self._before:,} before the range), {self._requests:,} requests{left}"
        )

    def _left(self, watermark: int, end: float) -> str:
        """How long it will take, by what this pass has read so far: a resumed one begins in the middle."""
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
