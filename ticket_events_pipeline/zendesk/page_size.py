"""The size of a page: how many rows a walk asks for, less where a page is too much for the server, the line or us.

Only ticket events let it be chosen. Retrying is `retry`'s, what a page means is `page`'s.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

from ticket_events_pipeline.errors import OverfullSecondError
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, PageRequest
from ticket_events_pipeline.zendesk.refusals import Overtaxed, Retryable, TooLarge, Unreadable

# Grown back soon, or a passing trouble would cost many small pages; later after each growth that went wrong.
_GOOD_PAGES_BEFORE_GROWTH = 3


class PageSize:
    """How many rows one walk asks for: halved where a page is too much, grown back slowly."""

    def __init__(self, stream: Stream) -> None:
        self._is_adjustable = stream.takes_per_page
        self._failures = self._good_pages = 0
        self._patience = _GOOD_PAGES_BEFORE_GROWTH
        self._has_grown = False
        self.rows = PAGE_LIMIT

    def lighten(self, request: PageRequest, failure: Retryable) -> bool:
        """Ask for half as much from now on if that may help against `failure`; whether it does.

        Raises:
            OverfullSecondError: the page is too large, and can't be made smaller.
        """
        self._failures += 1
        # One failure may be a mishap: only a second one speaks against the size.
        may_be_size = isinstance(failure, TooLarge) or (isinstance(failure, Overtaxed | Unreadable) and self._failures > 1)
        if may_be_size and self._is_adjustable and self.rows > 1:
            self._halve()
            return True
        if isinstance(failure, TooLarge):
            raise OverfullSecondError(
                f"{request}: {failure.reason}, and no smaller page can be asked for. The second "
                f"{utc_text(request.start_time)} holds more than we can take. Nothing was skipped; retrying cannot clear this. "
                f"Ask Zendesk's support to export that second."
            ) from failure
        return False

    def note_good_page(self) -> None:
        """A page of this size came through."""
        self._failures = 0
        self._good_pages += 1
        if self.rows < PAGE_LIMIT and self._good_pages >= self._patience:
            self._good_pages, self._has_grown = 0, True
            self.rows = min(PAGE_LIMIT, self.rows * 2)

    def restore(self) -> None:
        """Ask for full pages again."""
        self._good_pages = 0
        self.rows = PAGE_LIMIT

    def _halve(self) -> None:
        if self._has_grown:
            self._patience *= 2
        self._good_pages, self._has_grown = 0, False
        self.rows //= 2
