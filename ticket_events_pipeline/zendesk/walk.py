"""The walk along a stream: given a page, which start_time is asked next, or why there is nothing more to ask.

Pure rules, and the little memory they need. Who asks, waits and retries is in `client`. The facts behind the rules:
`next_page` is never null, `end_of_stream` may be missing, a page may stand still for ever, and `end_time` may be wrong. So the
rows decide how far a page leads: a request never starts later than the newest row that was delivered.
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
from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline.zendesk.answers import MINIMUM_AGE_SECONDS
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, EventPage

MAX_REPEATS = 5
"""How often the same start_time is asked again before the walk ends or fails."""

STALLED_WAIT_SECONDS = 15.0
"""Before asking a stalled stream again: MAX_REPEATS of them outlast the minute that the server withholds."""


MAX_EMPTY_PAGES = 10
"""Pages without rows in a row, whatever their end_time says, at which the walk fails: a server may never stop sending them."""

NEAR_NOW_SECONDS = 300
"""So close to the server's now, rows may be withheld for a while, and clocks differ."""


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


@dataclass(frozen=True)
class Proof:
    """What the rows of a page prove, whatever the envelope says.

    Attributes:
        newest: epoch second of the newest row that is not dated ahead (where rows don't ascend, see `_newest`); the page's
            start where all are.
        is_one_second: every row lies in the same second, and none is dated ahead.
        reaches_now: rows that are dated ahead follow, in order, behind all others: nothing up to now is missing.
    """

    newest: int
    is_one_second: bool
    reaches_now: bool


def proof_of(page: EventPage, now: float) -> Proof | None:
    """What the rows of `page` prove at `now` (epoch seconds); None if no row from its start on has a readable time."""
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
    """The second that rows lead to, in the page's order.

    Rows ascend. Where they don't, the last row leads: one that is dated far ahead of those behind it must not carry the walk
    past them. If the last one leads nowhere, the newest does.
    """
    if not len(seconds):
        return start_time
    return int(seconds[-1] if seconds[-1] > start_time else seconds.max())


def decide(page: EventPage, *, new_ids: int, repeats: int, now: float | None = None) -> Continue | End:
    """What follows `page`, of whose rows `new_ids` were not seen on the last pages.

    `repeats` is how often this start_time was asked before. `now` (epoch seconds) tells which rows are dated ahead; without
    it the page's server time does.

    Raises:
        OverfullSecondError: the server caps the page in the middle of a second and never gets past it.
        DataError: the server says there is more and never sends it.
    """
    now = _now(page) if now is None else now
    proof = proof_of(page, now)
    if page.end_of_stream:  # before end_time is looked at: it may lie before the page's only row
        return End(_end_of(page, proof))
    following = _claimed_start(page, now) if proof is None else _proven_start(page, proof, now)
    if proof is None and page.end_of_stream is False and (not repeats or _leaps(page, following, now)):
        return Continue(page.start_time, wait_seconds=0.0 if new_ids else STALLED_WAIT_SECONDS)
    if following is not None:
        return End(following) if _is_caught_up(page, following, now) else Continue(following)
    if proof is not None and proof.reaches_now:
        return End(page.start_time)
    if repeats < _patience(page, now) and (again := _ask_again(page, new_ids=new_ids)):
        return again
    if len(page.rows) >= page.page_limit:
        raise _overfull(page)
    if page.end_of_stream is False:
        raise _stalled(page, times=repeats + 1)
    return End(page.start_time)


def clamped_watermark(page: EventPage, watermark: int) -> int:
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
    """Where one walk stands. Remembers the rows of the last start_time's pages and the page before: repeats come from there.

    Now is the later of `clock` and the answer's `Date`: a clock that is behind would end the walk too early, one that is ahead
    only makes it ask for a start_time that the server refuses as too recent.
    """

    def __init__(self, start_time: int, *, clock: Clock = wall_clock) -> None:
        self.start_time = start_time
        self._clock = clock
        self._repeats = 0
        self._empty_pages = 0
        self._known: list[Sequence[dict[str, Any]]] = []
        self._starts_at_a_row = False

    def take(self, page: EventPage) -> Continue | End:
        """What follows `page`, the answer to this walk's start_time.

        Raises:
            OverfullSecondError, DataError: see `decide`; DataError also for MAX_EMPTY_PAGES in a row.
        """
        now = max(self._clock(), page.server_time or 0.0)
        # Elsewhere it decides nothing, and looking at a thousand rows takes its time.
        new_ids = self._new_ids(page) if _may_stand_still(page, now) else len(page.rows)
        step = decide(page, new_ids=new_ids, repeats=self._repeats, now=now)
        if self._lacks_its_first_row(page, now):
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

    def _lacks_its_first_row(self, page: EventPage, now: float) -> bool:
        """Whether the page holds no row that can be read, though the one before held a row of this very second."""
        return self._starts_at_a_row and not page.end_of_stream and proof_of(page, now) is None

    def _asked_again_for_it(self, page: EventPage, step: Continue | End) -> Continue | End:
        """Such a page is asked for once more. Then it may be the end, but leads nowhere else: rows would be skipped."""
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
        return hashlib.blake2b(repr(row).encode(), digest_size=16).digest()  # a page's texts are not kept a second time
    except RecursionError:  # nested as deep as the stack; such rows can't be told apart, and needn't be
        return "nested too deep"


def _now(page: EventPage) -> float:
    return float("inf") if page.server_time is None else page.server_time


def _claimed(page: EventPage) -> int | None:
    """The next start_time by the envelope, if it lies ahead; of two that do, the nearer, which can only repeat rows."""
    ahead = [value for value in (page.end_time, page.next_start_time) if value is not None and value > page.start_time]
    if page.end_time is not None and page.end_time <= page.start_time:
        return None
    return min(ahead, default=None)


def _claimed_start(page: EventPage, now: float) -> int | None:
    """The next start_time behind a page whose rows prove nothing: what it claims, unless that is still to come."""
    claimed = _claimed(page)
    return None if claimed is None or claimed > now + NEAR_NOW_SECONDS else claimed


def _proven_start(page: EventPage, proof: Proof, now: float) -> int | None:
    """The next start_time if it lies ahead: as claimed, but no later than the rows prove; where nothing is claimed, as proven.

    The server enlarges a page to hold a whole second, and ends it one second later. Else the last second may go on.
    """
    claimed = _claimed(page)
    if proof.is_one_second and _holds_its_second(page, proof, claimed):
        return proof.newest + 1
    if proof.newest > page.start_time:
        return proof.newest if claimed is None else min(claimed, proof.newest)
    if proof.reaches_now and claimed is not None and len(page.rows) >= page.page_limit:
        # A full page, of which only the start has happened by now: more of that may follow if rows don't come by their time.
        return claimed if claimed <= now else None
    return None


def _holds_its_second(page: EventPage, proof: Proof, claimed: int | None) -> bool:
    if len(page.rows) > PAGE_LIMIT:  # no page is that long but one enlarged for its second, whatever its end_time says
        return True
    if claimed is None:
        return False
    if claimed == proof.newest + 1 or (claimed > proof.newest and len(page.rows) > page.page_limit):
        return True
    # One that wasn't enlarged and claims more is asked for again from that second on, if that makes a difference.
    return claimed > proof.newest == page.start_time and len(page.rows) < page.page_limit


def _end_of(page: EventPage, proof: Proof | None) -> int:
    """The watermark at the end of the stream."""
    claimed = next((value for value in (page.end_time, page.next_start_time) if value is not None), None)
    if proof is None:
        return max(page.start_time, page.start_time if claimed is None else claimed)
    return max(page.start_time, proof.newest if claimed is None else min(claimed, proof.newest))


def _may_stand_still(page: EventPage, now: float) -> bool:
    """Whether it may matter which rows of the page are new."""
    if page.end_of_stream:
        return False
    proof = proof_of(page, now)
    return proof is None or _proven_start(page, proof, now) is None


def _patience(page: EventPage, now: float) -> int:
    """How often the page's start_time is asked again: an empty page that is far from now won't fill by waiting."""
    return MAX_REPEATS if page.rows or page.start_time > now - NEAR_NOW_SECONDS else 1


def _leaps(page: EventPage, following: int | None, now: float) -> bool:
    """Whether a page without rows says that more follows, but later: a page holds what there is from its start on.

    Who went on there would skip rows if the answer is wrong. It may be right the next time.
    """
    return following is not None and not page.rows and not _is_caught_up(page, following, now)


def _is_caught_up(page: EventPage, start_time: int, now: float) -> bool:
    if not page.rows and start_time >= now - page.stream.lag_seconds:
        return True  # such a server may say for ever that more follows; a day is complete only when it ended before that
    # The server would refuse it as too recent; without its time only asking can tell.
    return page.server_time is not None and start_time > now - MINIMUM_AGE_SECONDS


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


def _stalled(page: EventPage, *, times: int) -> DataError:
    came_back = f"the same {len(page.rows)} rows" if page.rows else "no rows"
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
