"""Server time and wall clock: warns when they differ, or when answers have no `Date` header."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline.zendesk.headers import server_time

MAX_DIFFERENCE_SECONDS = 300
"""Clocks synchronised by NTP differ by less than a second; five minutes mean a wrong clock, not a slow network."""


class ClockComparison:
    """Compares the `Date` of answers with the wall clock, and logs each kind of problem once."""

    def __init__(self, host: str, *, log: Callable[[str], None]) -> None:
        self._host = host
        self._log = log
        self._has_logged_difference = self._has_logged_absence = False

    def note(self, headers: Mapping[str, str], ours: float) -> None:
        """Check the headers of an answer that came when the wall clock said `ours`, epoch seconds."""
        theirs = server_time(headers)
        if theirs is None:
            if not self._has_logged_absence:
                self._has_logged_absence = True
                self._log(self._absence())
        elif abs(theirs - ours) > MAX_DIFFERENCE_SECONDS and not self._has_logged_difference:
            self._has_logged_difference = True
            self._log(self._difference(theirs, ours))

    def _difference(self, theirs: float, ours: float) -> str:
        return (
            f"The clocks differ by {abs(theirs - ours):,.0f} seconds: {self._host} says {utc_text(theirs)} in the Date header, "
            f"this machine says {utc_text(ours)}. A day is complete only when it is over by both clocks. Check this machine's "
            f"clock (NTP); if it is right, ask who runs the proxy in front of {self._host}."
        )

    def _absence(self) -> str:
        return (
            f"Answers of {self._host} carry no readable Date header, which Zendesk always sends: a proxy strips it. Without it "
            f"a day is complete 24 hours after its end by this machine's clock, if the stream was read to end_of_stream: true. "
            f"Let the proxy pass the Date header on (HTTPS_PROXY or ZENDESK_BASE_URL leads to it)."
        )
