"""Rules of paging: given a page, the start_time of the next request, or that the stream has ended.

The rules answer these facts: `next_page` is never null, `end_of_stream` may be missing, the server may repeat a page for ever,
and `end_time` may be wrong. So the rows decide how far a page leads: no request starts later than the newest delivered row.
https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api/
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.errors import DataError, OverfullSecondError
from ticket_events_pipeline.text import plural, utc_text
from ticket_events_pipeline.zendesk.answers import MINIMUM_AGE_SECONDS
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, EventPage

MAX_REPEATS = 5
"""How often the same start_time is requested again before the walk ends or fails."""

STALLED_WAIT_SECONDS = 15.0
"""Wait before a retry on a stalled stream: MAX_REPEATS of them exceed the minute that the server withholds."""

MAX_EMPTY_PAGES = 10
"""Consecutive empty pages at which the walk fails, regardless of their end_time: a server may never stop sending them."""

NEAR_NOW_SECONDS = 300
"""Within this time before now, the server may withhold rows for a while, and clocks may differ."""


@dataclass(frozen=True)
class Continue:
    """Request `start_time` next, in `wait_seconds`; with full-size pages again if `wants_full_page`."""

    start_time: int
    wait_seconds: float = 0.0
    wants_full_page: bool = False


@dataclass(frozen=True)
class End:
    """Everything that the server shows before `watermark` (epoch seconds, not yet clamped) has been read."""

    watermark: int


@dataclass(frozen=True)
class Proof:
    """What the rows of a page prove, regardless of the envelope.

    Attributes:
        newest: epoch second of the newest row that is not in the future (where rows don't ascend, see `_newest`); the page's
            start if all rows are.
        is_one_second: all rows are in the same second, and none is in the future.
        reaches_now: the rows in the future come after all others, so nothing up to now is missing.
    """

    newest: int
    is_one_second: bool
    reaches_now: bool


def proof_of(page: EventPage, now: float) -> Proof | None:
    """What the rows of `page` prove at `now` (epoch seconds); None if no row at or after its start has a readable time."""
    seconds = page.seconds[page.seconds >= page.start_time]
    if not len(seconds):
        return None
    passed = seconds <= now
    newest = _newest(seconds[passed], page.start_time)
    return Proof(
        newest,
        is_one_second=bool(passed.all() and (page.seconds == newest).all()),
        reaches_now=not passed.all() and bool(passed[: passed.sum()].all()),
    )


def _newest(seconds: NDArray[np.int64], start_time: int) -> int:
    """The second up to which the rows, in the page's order, have been delivered.

    Rows ascend. Where they don't, the last row counts: a row far later than those after it must not make the walk skip them.
    If the last row is not after the page's start, the newest row counts.
    """
    if not len(seconds):
        return start_time
    return int(seconds[-1] if seconds[-1] > start_time else seconds.max())


def decide(page: EventPage, *, new_ids: int, repeats: int, now: float | None = None) -> Continue | End:
    """The step after `page`, which holds `new_ids` rows that the last pages did not have.

    `repeats` is how often this start_time was requested before. `now` (epoch seconds) decides which rows are in the future; its
    default is the page's server time.

    Raises:
        OverfullSecondError: the server cuts the page off within a second and never gets past that second.
        DataError: the server says that more rows follow and never sends them.
    """
    now = _now(page) if now is None else now
    return _step(page, proof_of(page, now), new_ids=new_ids, repeats=repeats, now=now)


def _step(page: EventPage, proof: Proof | None, *, new_ids: int, repeats: int, now: float) -> Continue | End:
    if page.end_of_stream:  # before end_time is considered: it may be earlier than the page's only row
        return End(_end_of(page, proof))
    following = _claimed_start(page, now) if proof is None else _proven_start(page, proof, now)
    if proof is None and page.end_of_stream is False and (not repeats or _leaps(page, following, now)):
        return Continue(page.start_time, wait_seconds=0.0 if new_ids else STALLED_WAIT_SECONDS)
    if following is not None:
        return End(following) if _is_caught_up(page, following, now) else Continue(following)
    if proof is not None and proof.reaches_now:
        return End(page.start_time)
    if repeats < _max_repeats(page, now) and (again := _ask_again(page, new_ids=new_ids)):
        return again
    if len(page.rows) >= page.page_limit:
        raise _overfull(page)
    if page.end_of_stream is False:
        raise _stalled(page, times=repeats + 1)
    return End(page.start_time)


def clamped_watermark(page: EventPage, watermark: int) -> int:
    """`watermark`, but at least the stream's lag before the server time of `page`, since rows may still arrive within it.

    Without this limit, a row in the future, such as a breach, would declare a time as read that has not come yet. Without a
    server time the page's start is the limit: the wall clock is not trusted here.
    """
    if page.server_time is None:
        return min(watermark, page.start_time)
    return min(watermark, int(page.server_time) - page.stream.lag_seconds)


def row_key(row: dict[str, Any]) -> Hashable:
    """The key by which rows are deduped: the id, per shape (audits and metric events have separate ids)."""
    row_id = row.get("id")
    return ("child_events" in row, row_id if isinstance(row_id, int | str) else _likeness(row))


class Walk:
    """State of one walk. Keeps the rows of the last start_time's pages and of the page before, which duplicates come from.

    Now is when a page came, not when it is used: a row that was in the future then proves nothing, even if its time has come
    meanwhile. It is the later of `clock` and the response's `Date`: a slow clock would end the walk too early, a fast one only
    leads to a start_time that the server refuses as too recent.
    """

    def __init__(self, start_time: int, *, clock: Clock = wall_clock) -> None:
        self.start_time = start_time
        self._clock = clock
        self._repeats = 0
        self._empty_pages = 0
        self._known: list[Sequence[dict[str, Any]]] = []
        self._starts_at_a_row = False

    def take(self, page: EventPage) -> Continue | End:
        """The step after `page`, the response to this walk's start_time.

        Raises:
            OverfullSecondError, DataError: see `decide`; DataError also for MAX_EMPTY_PAGES in a row.
        """
        received_at = self._clock() if page.received_at is None else page.received_at
        now = max(received_at, page.server_time or 0.0)
        # The ids of other pages decide nothing, and comparing a thousand rows is slow.
        proof = proof_of(page, now)
        new_ids = self._new_ids(page) if _may_stand_still(page, proof, now) else len(page.rows)
        step = _step(page, proof, new_ids=new_ids, repeats=self._repeats, now=now)
        if self._lacks_its_first_row(page, proof):
            step = self._asked_again_for_it(page, step)
        self._empty_pages = 0 if page.rows else self._empty_pages + 1
        if isinstance(step, Continue):
            if self._empty_pages >= MAX_EMPTY_PAGES:
                raise _empty(page)
            stays = step.start_time == self.start_time
            self._repeats = self._repeats + 1 if stays else 0
            self._known = [*self._known, page.rows] if stays else [page.rows]
            self._starts_at_a_row = stays or bool((page.seconds == step.start_time).any())
            self.start_time = step.start_time
        return step

    def _lacks_its_first_row(self, page: EventPage, proof: Proof | None) -> bool:
        """Whether the page has no row with a readable time, although the page before had a row in this second."""
        return self._starts_at_a_row and not page.end_of_stream and proof is None

    def _asked_again_for_it(self, page: EventPage, step: Continue | End) -> Continue | End:
        """One retry of such a page. After it the stream may end, but the walk must not move ahead: it would skip rows."""
        if not self._repeats:
            return Continue(page.start_time, wait_seconds=STALLED_WAIT_SECONDS)
        if isinstance(step, Continue) and step.start_time > page.start_time:
            raise _lost(page, times=self._repeats + 1)
        return step

    def _new_ids(self, page: EventPage) -> int:
        known = {row_key(row) for rows in self._known for row in rows}
        return len({row_key(row) for row in page.rows} - known)


def _likeness(row: dict[str, Any]) -> bytes | str:
    try:
        return hashlib.blake2b(repr(row).encode(), digest_size=16).digest()  # a second copy of a page's texts would take memory
    except RecursionError:  # nested as deep as the stack; such rows need not be distinguished
        return "nested too deep"


def _now(page: EventPage) -> float:
    return float("inf") if page.server_time is None else page.server_time


def _claimed(page: EventPage) -> int | None:
    """The next start_time by the envelope, if it is later; of two, the earlier one, which can only repeat rows."""
    ahead = [value for value in (page.end_time, page.next_start_time) if value is not None and value > page.start_time]
    if page.end_time is not None and page.end_time <= page.start_time:
        return None
    return min(ahead, default=None)


def _claimed_start(page: EventPage, now: float) -> int | None:
    """The next start_time after a page whose rows prove nothing: what it claims, unless that is in the future."""
    claimed = _claimed(page)
    return None if claimed is None or claimed > now + NEAR_NOW_SECONDS else claimed


def _proven_start(page: EventPage, proof: Proof, now: float) -> int | None:
    """The next start_time, if it is later: as claimed, but no later than the rows prove; as proven if nothing is claimed.

    The server enlarges a page to hold a whole second, and then claims the second after it. Otherwise more rows of the last
    second may follow.
    """
    claimed = _claimed(page)
    if proof.is_one_second and _holds_its_second(page, proof, claimed):
        return proof.newest + 1
    if proof.newest > page.start_time:
        return proof.newest if claimed is None else min(claimed, proof.newest)
    if proof.reaches_now and claimed is not None and len(page.rows) >= page.page_limit:
        # A full page whose later rows are in the future: more past rows may follow if rows are not in order of time.
        return claimed if claimed <= now else None
    return None


def _holds_its_second(page: EventPage, proof: Proof, claimed: int | None) -> bool:
    if len(page.rows) > PAGE_LIMIT:  # only a page enlarged for its second is that long, regardless of its end_time
        return True
    if claimed is None:
        return False
    if claimed == proof.newest + 1 or (claimed > proof.newest and len(page.rows) > page.page_limit):
        return True
    # A page that wasn't enlarged and claims more is requested again from that second, if that differs from its start.
    return claimed > proof.newest == page.start_time and len(page.rows) < page.page_limit


def _end_of(page: EventPage, proof: Proof | None) -> int:
    """The watermark at the end of the stream."""
    claimed = next((value for value in (page.end_time, page.next_start_time) if value is not None), None)
    if proof is None:
        return max(page.start_time, page.start_time if claimed is None else claimed)
    return max(page.start_time, proof.newest if claimed is None else min(claimed, proof.newest))


def _may_stand_still(page: EventPage, proof: Proof | None, now: float) -> bool:
    """Whether the page may leave the walk at its start_time, so that it matters which rows are new."""
    if page.end_of_stream:
        return False
    return proof is None or _proven_start(page, proof, now) is None


def _max_repeats(page: EventPage, now: float) -> int:
    """How often the page's start_time may be requested again: an empty page far from now won't fill by waiting."""
    return MAX_REPEATS if page.rows or page.start_time > now - NEAR_NOW_SECONDS else 1


def _leaps(page: EventPage, following: int | None, now: float) -> bool:
    """Whether an empty page claims rows at a later start_time, although a page holds all there is from its start.

    Continuing there would skip rows if the response is wrong. A retry may bring the right one.
    """
    return following is not None and not page.rows and not _is_caught_up(page, following, now)


def _is_caught_up(page: EventPage, start_time: int, now: float) -> bool:
    if not page.rows and start_time >= now - page.stream.lag_seconds:
        return True  # such a server may say for ever that more follows; a day is complete only if it ended before that
    # The server would refuse it as too recent; without a server time, only a request can show that.
    return page.server_time is not None and start_time > now - MINIMUM_AGE_SECONDS


def _ask_again(page: EventPage, *, new_ids: int) -> Continue | None:
    if new_ids:
        return Continue(page.start_time)
    if len(page.rows) >= page.page_limit:
        # A small page may get stuck where a full one doesn't: the size was halved to relieve the server.
        return Continue(page.start_time, wants_full_page=True) if page.page_limit < PAGE_LIMIT else None
    return Continue(page.start_time, wait_seconds=STALLED_WAIT_SECONDS) if page.end_of_stream is False else None


def _overfull(page: EventPage) -> OverfullSecondError:
    return OverfullSecondError(
        f"{page.stream.name}: the second {utc_text(page.start_time)} (start_time={page.start_time}) holds more events than the "
        f"server puts on a page: it answers with the same {plural(len(page.rows), 'row')} for ever (page limit "
        f"{page.page_limit}, end_time {page.end_time}). Nothing was skipped, and nothing after that second can be read. Ask "
        "Zendesk's support to export that second; retrying cannot clear this."
    )


def _stalled(page: EventPage, *, times: int) -> DataError:
    came_back = f"the same {plural(len(page.rows), 'row')}" if page.rows else "no rows"
    return DataError(
        f"{page.stream.name}: the server says there is more after {utc_text(page.start_time)} (start_time={page.start_time}, "
        f"end_of_stream=false), but answered {times} times with {came_back} and end_time "
        f"{page.end_time}. Nothing was skipped. Try again later; if it stays so, report it to Zendesk's support."
    )


def _lost(page: EventPage, *, times: int) -> DataError:
    return DataError(
        f"{page.stream.name}: the server delivered an event of {utc_text(page.start_time)} (start_time={page.start_time}), and "
        f"now answers {times} times without any event from that second on whose time can be read, but with a later end_time "
        f"({page.end_time}). Nothing was skipped. Try again later; if it stays so, report it to Zendesk's support."
    )


def _empty(page: EventPage) -> DataError:
    return DataError(
        f"{page.stream.name}: {MAX_EMPTY_PAGES} pages in a row without rows, the last from {utc_text(page.start_time)} "
        f"(start_time={page.start_time}, end_time {page.end_time}, end_of_stream {page.end_of_stream}), though each says that "
        f"more follows. Nothing stored was touched. Try again later; if it stays so, report it to Zendesk's support."
    )
