"""The walk along a stream: given a page, which start_time is asked next, or why there is nothing more to ask.

Pure rules, and the little memory they need. Who asks, waits and retries is in `client`. The facts behind the rules:
`next_page` is never null, `end_of_stream` may be missing, and a page may stand still for ever.
https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api/
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from ticket_events_pipeline.errors import DataError, OverfullSecondError
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, EventPage, utc_text
from ticket_events_pipeline.zendesk.refusals import MINIMUM_AGE_SECONDS

MAX_REPEATS = 5
"""How often the same start_time is asked again before the walk ends or fails."""

STALLED_WAIT_SECONDS = 15.0
"""Before asking a stalled stream again: MAX_REPEATS of them outlast the minute that the server withholds."""


@dataclass(frozen=True)
class Continue:
    """Ask `start_time` next, `wait_seconds` from now; with pages of full size again if `wants_full_page`."""

    start_time: int
    wait_seconds: float = 0.0
    wants_full_page: bool = False


@dataclass(frozen=True)
class End:
    """Everything before `watermark` (epoch seconds, not yet clamped) has been read, as far as the server shows it."""

    watermark: int


def decide(page: EventPage, *, new_ids: int, repeats: int) -> Continue | End:
    """What follows `page`, of whose rows `new_ids` were not seen on the last pages.

    `repeats` is how often this start_time was asked before.

    Raises:
        OverfullSecondError: the server caps the page in the middle of a second and never gets past it.
        DataError: the server says there is more and never sends it.
    """
    if page.end_of_stream:  # before end_time is looked at: it may lie before the page's only row
        return End(max(page.start_time, _first_known(page.end_time, page.next_start_time, page.start_time)))
    following = _following_start(page)
    if following is not None:
        return End(following) if _is_caught_up(page, following) else Continue(following)
    if repeats < MAX_REPEATS and (again := _ask_again(page, new_ids=new_ids)):
        return again
    if len(page.rows) >= page.page_limit:
        raise _overfull(page)
    if page.end_of_stream is False:
        raise _stalled(page)
    return End(page.start_time)


def read_for_good(page: EventPage, watermark: int) -> int:
    """`watermark` kept the stream's lag behind the server's time at `page`, within which rows still turn up.

    A row dated in the future, as breaches are, would else declare read what has not happened yet. Without a server time the
    page's own start holds: our clock is not trusted with it.
    """
    if page.server_time is None:
        return min(watermark, page.start_time)
    return min(watermark, int(page.server_time) - page.stream.lag_seconds)


def row_key(row: dict[str, Any]) -> Hashable:
    """What makes two rows the same event: the id, per shape (audits and metric events number apart)."""
    row_id = row.get("id")
    return ("child_events" in row, row_id if isinstance(row_id, int | str) else _likeness(row))


class Walk:
    """Where one walk stands. Remembers the rows of the last start_time's pages and the page before: repeats come from there."""

    def __init__(self, start_time: int) -> None:
        self.start_time = start_time
        self._repeats = 0
        self._known: list[Sequence[dict[str, Any]]] = []

    def take(self, page: EventPage) -> Continue | End:
        """What follows `page`, the answer to this walk's start_time.

        Raises:
            OverfullSecondError, DataError: see `decide`.
        """
        stands_still = not page.end_of_stream and _following_start(page) is None
        # Elsewhere it decides nothing, and looking at a thousand rows takes its time.
        new_ids = self._new_ids(page) if stands_still else len(page.rows)
        step = decide(page, new_ids=new_ids, repeats=self._repeats)
        if isinstance(step, Continue):
            stays = step.start_time == self.start_time
            self._repeats = self._repeats + 1 if stays else 0
            self._known = [*self._known, page.rows] if stays else [page.rows]
            self.start_time = step.start_time
        return step

    def _new_ids(self, page: EventPage) -> int:
        known = {row_key(row) for rows in self._known for row in rows}
        return len({row_key(row) for row in page.rows} - known)


def _likeness(row: dict[str, Any]) -> str:
    try:
        return repr(row)
    except RecursionError:  # nested as deep as the stack; such rows can't be told apart, and needn't be
        return "nested too deep"


def _first_known(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _following_start(page: EventPage) -> int | None:
    """The next start_time if it lies ahead; of two that do, the nearer, which can only repeat rows."""
    ahead = [value for value in (page.end_time, page.next_start_time) if value is not None and value > page.start_time]
    if page.end_time is not None and page.end_time <= page.start_time:
        return None
    return min(ahead, default=None)


def _is_caught_up(page: EventPage, start_time: int) -> bool:
    # The server would refuse it as too recent; without its time only asking can tell.
    return page.server_time is not None and start_time > page.server_time - MINIMUM_AGE_SECONDS


def _ask_again(page: EventPage, *, new_ids: int) -> Continue | None:
    if new_ids:
        return Continue(page.start_time)
    if len(page.rows) >= page.page_limit:
        # A small page may be pinned where a full one isn't: the size was halved for the server's sake, not for the data's.
        return Continue(page.start_time, wants_full_page=True) if page.page_limit < PAGE_LIMIT else None
    return Continue(page.start_time, wait_seconds=STALLED_WAIT_SECONDS) if page.end_of_stream is False else None


def _overfull(page: EventPage) -> OverfullSecondError:
    return OverfullSecondError(
        f"{page.stream.name}: the second {utc_text(page.start_time)} (start_time={page.start_time}) holds more events than the "
        f"server puts on a page: it answers with the same {len(page.rows)} rows for ever (page limit {page.page_limit}, "
        f"end_time {page.end_time}). Nothing was skipped, and nothing after that second can be read. Ask Zendesk's support to "
        f"export that second; retrying cannot clear this."
    )


def _stalled(page: EventPage) -> DataError:
    return DataError(
        f"{page.stream.name}: the server says there is more after {utc_text(page.start_time)} (start_time={page.start_time}, "
        f"end_of_stream=false), but answered {MAX_REPEATS + 1} times with the same {len(page.rows)} rows and end_time "
        f"{page.end_time}. Nothing was skipped. Try again later; if it stays so, report it to Zendesk's support."
    )
