"""Whether a ledger proves that its day was read without a gap, and delivered what is stored. Pure: a footer in, problems out.

What the walk and the pass write into a ledger, and so what a healthy one looks like: a page begins where the one before ended,
or before that (a repeated second, a reading that was taken up again), at the latest where the day begins, and no later than the
newest row of the page before. Its `end_time` may lie anywhere: in the future, before its rows, or be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.answers import MINIMUM_AGE_SECONDS
from ticket_events_pipeline.zendesk.page import utc_text


def ledger_problems(footer: RawFooter, stream: Stream) -> list[str]:
    """What speaks against the ledger of a day's own file, one sentence each."""
    if not footer.pages:
        return ["Its ledger names no page."]
    return [
        *_gaps(footer),
        *_end_problems(footer, stream.lag_seconds),
        *_count_problems(footer),
        *_server_count_problems(footer),
        *_request_problems(footer, stream.lag_seconds),
    ]


def reach(page: LedgerPage) -> int | None:
    """The last epoch second at which the next page may have started; None where it can't be told.

    No later than the page's end_time, nor than its newest row's second and the next: a page that was enlarged holds its last
    second whole. Of pages in older files the newest row isn't known, nor where their `next_page` led.
    """
    proven = None if page.newest is None or page.newest < page.start_time else page.newest + 1
    if page.end_time is None:
        return proven if page.count else page.start_time
    claimed = max(page.start_time, page.end_time)
    if proven is None:
        return claimed
    # An end_time that doesn't lie ahead of its start leads nowhere: the rows alone do.
    return proven if page.end_time <= page.start_time else min(claimed, proven)


def pages_within(footer: RawFooter) -> list[LedgerPage]:
    """The pages all of whose rows belong to the day; none where readings overlap, for rows may have moved between them."""
    if any(after.start_time != before.end_time for before, after in pairwise(footer.pages)):
        return []
    return [
        page
        for page in footer.pages
        if page.end_time is not None
        and footer.window_start <= page.start_time < page.end_time < footer.window_end
        and (page.newest is None or page.newest < footer.window_end)
    ]


def _gaps(footer: RawFooter) -> Iterator[str]:
    reached: int | None = footer.window_start
    for page in footer.pages:
        if reached is not None and page.start_time > max(reached, footer.window_start):
            yield (
                f"Its ledger has a gap: no page between {utc_text(max(reached, footer.window_start))} and "
                f"{utc_text(page.start_time)}."
            )
        reached = reach(page)


def _end_problems(footer: RawFooter, lag_seconds: int) -> Iterator[str]:
    due = footer.window_end + lag_seconds
    if footer.complete and footer.fetched_at < due + MINIMUM_AGE_SECONDS:
        yield (
            f"Its footer says complete, but it was read at {utc_text(footer.fetched_at)}, when rows of the day could still "
            f"turn up (until {utc_text(due + MINIMUM_AGE_SECONDS)})."
        )
    start, reached = footer.pages[-1].start_time, reach(footer.pages[-1])
    if reached is None:
        return
    settled = footer.fetched_at - lag_seconds  # what is younger was not taken for read
    furthest = reached if footer.complete else max(start, min(reached, settled))
    if not min(start, settled) <= footer.next_start_time <= furthest:
        yield (
            f"Its last page, from {utc_text(start)} to {utc_text(reached)}, doesn't lead to where its footer goes on, "
            f"{utc_text(footer.next_start_time)}: a page is missing at the end of its ledger, or the footer was changed."
        )


def _count_problems(footer: RawFooter) -> Iterator[str]:
    """A page delivered every stored or replaced row; every row of a page inside the day was stored, replaced or refused."""
    delivered = sum(page.count for page in footer.pages)
    known = footer.rows + footer.duplicates
    if known > delivered:
        yield (
            f"Its pages delivered {delivered} rows, but {footer.rows} stored and {footer.duplicates} replaced ones are counted."
        )
    within = sum(page.count for page in pages_within(footer))
    if within > known + footer.rejected:
        yield (
            f"Its pages delivered at least {within} rows of the day, but only {footer.rows} stored, {footer.duplicates} "
            f"replaced and {footer.rejected} refused ones are counted."
        )


def _server_count_problems(footer: RawFooter) -> Iterator[str]:
    for page in pages_counted_otherwise(footer):
        if page.server_count is not None and page.server_count > page.count:
            yield f"Rows may be missing: {counted_otherwise(page)}."


def pages_counted_otherwise(footer: RawFooter) -> list[LedgerPage]:
    """The pages whose rows were not as many as the server said."""
    return [page for page in footer.pages if page.server_count is not None and page.server_count != page.count]


def counted_otherwise(page: LedgerPage) -> str:
    """Such a page and both numbers, for people."""
    return (
        f"the page from {utc_text(page.start_time)} (start_time={page.start_time}) said count {page.server_count}, but "
        f"{page.count} rows came"
    )


def _request_problems(footer: RawFooter, lag_seconds: int) -> Iterator[str]:
    # Pages before that may have been counted in the day before.
    own = sum(page.start_time > footer.window_start + lag_seconds for page in footer.pages)
    if footer.requests < own - 1:
        yield f"Its footer counts {footer.requests} requests for {own} pages."
