"""Checks of a raw file's footer: it fits its path, its account and the clock, and its page ledger has no gap.

Pure: a footer in, problems out. What the walk and the fetch write into a ledger defines a healthy one: a page begins where the
one before ended, or earlier (a repeated second, a resumed reading); the first one no later than the day begins, and each no
later than the newest row of the page before. Its `end_time` may lie anywhere: in the future, before its rows, or be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ticket_events_pipeline.credentials import AccountNames
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.row_times import NEWEST_EPOCH_SECOND
from ticket_events_pipeline.quality.findings import Finding, materialize_again
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.text import plural, utc_text
from ticket_events_pipeline.zendesk.answers import MINIMUM_AGE_SECONDS

OPEN_GRACE_SECONDS = 2 * 3600
"""An hourly fetch needs up to an hour, and its run, to close a day that is over."""

CLOCK_SKEW_SECONDS = 3600
"""A file read a little later than now by our wall clock only shows that the server's clock is ahead."""

_COUNTS = ("requests", "rows", "duplicates", "rejected")


@dataclass(frozen=True)
class Owner:
    """What the footers of all files of the root should say; None where nothing is known to compare with."""

    account: str | None
    timezone: str
    sideload: bool | None
    support_type_scope: str | None = None
    former_accounts: tuple[str, ...] = ()

    @property
    def names(self) -> AccountNames:
        """The account's current and former names."""
        return AccountNames(self.account, self.former_accounts)


def has_readable_numbers(footer: RawFooter) -> bool:
    """Whether all times are epoch seconds that a calendar has, and all counts and ids of the ledger are whole numbers."""
    times = [footer.window_start, footer.window_end, footer.next_start_time, footer.fetched_at]
    times += [footer.begun_at, footer.missed.since]
    times += [page.start_time for page in footer.pages]
    times += [page.end_time for page in footer.pages if page.end_time is not None]
    counts = [page.count for page in footer.pages]
    counts += [number for page in footer.pages for number in (page.server_count, page.newest) if number is not None]
    ids = [event_id for page in footer.pages for event_id in (page.first_id, page.last_id) if event_id is not None]
    are_whole = all(type(number) is int for number in (*times, *counts, *ids))
    return (
        are_whole and all(0 <= time <= NEWEST_EPOCH_SECOND for time in times) and all(abs(event_id) < 2**63 for event_id in ids)
    )


def foreign_finding(footer: RawFooter, stream: Stream, day: Day, owner: Owner) -> Finding | None:
    """Why the file belongs to another day, stream or account; None if it doesn't. Nothing else about such a file matters."""
    if (footer.stream, footer.partition) != (stream.name, str(day)):
        problem = f"The file says that it is {footer.stream} of {footer.partition}: it was put in this day's place."
        return Finding(problem, materialize_again(stream.name, day))
    account = owner.names.current_of(footer.account)
    differing = [
        f"{variable} {theirs}, not {ours}"
        for variable, theirs, ours in (
            ("ZENDESK_SUBDOMAIN", account, owner.account),
            ("TICKET_EVENTS_TIMEZONE", footer.timezone, owner.timezone),
            ("ZENDESK_INCLUDE_COMMENTS", int(footer.sideload), None if owner.sideload is None else int(owner.sideload)),
            ("ZENDESK_SUPPORT_TYPE_SCOPE", footer.support_type_scope, owner.support_type_scope),
        )
        if ours is not None and theirs != ours
    ]
    if not differing:
        return None
    remedies = [] if account == owner.account else [owner.names.how_to_include(account)]
    remedies.append(
        "If the variable is wrong, set it back. Otherwise take the file out of the root, since a fetch never replaces a file "
        f"of other settings, and materialize {stream.name} of {day} again."
    )
    return Finding(f"The file was made with other settings ({'; '.join(differing)}).", " ".join(filter(None, remedies)))


def footer_problems(footer: RawFooter, stream: Stream, day: Day, *, now: float) -> list[str]:
    """Everything in the footer, its ledger included, that can't be true; one sentence each."""
    return [*_statement_problems(footer, day, now=now), *ledger_problems(footer, stream)]


def _statement_problems(footer: RawFooter, day: Day, *, now: float) -> Iterator[str]:
    if footer.schema_version < 1:
        yield f"Its footer says schema version {footer.schema_version}; there are versions 1 to {SCHEMA_VERSION}."
    if (footer.window_start, footer.window_end) != (day.start, day.end):
        yield (
            f"Its footer says that the day goes from {utc_text(footer.window_start)} to {utc_text(footer.window_end)}, but it "
            f"goes from {utc_text(day.start)} to {utc_text(day.end)}."
        )
    for name in _COUNTS:
        if getattr(footer, name) < 0:
            yield f"Its footer says {name} {getattr(footer, name)}."
    if footer.fetched_at > now + CLOCK_SKEW_SECONDS:
        yield f"Its footer says that it was read at {utc_text(footer.fetched_at)}, which is in the future."


def unfinished_finding(footer: RawFooter, stream: Stream, day: Day, *, now: float) -> Finding | None:
    """That an open day could have been finished long ago, and wasn't."""
    if footer.complete or now < day.end + stream.lag_seconds + MINIMUM_AGE_SECONDS + OPEN_GRACE_SECONDS:
        return None
    problem = f"The day is over, but it was read only up to {utc_text(footer.next_start_time)} and is still open."
    remedy = f"Materialize {stream.name} of {day} to finish it. If it stays open, the run's log names the clock that is wrong."
    return Finding(problem, remedy)


def ledger_problems(footer: RawFooter, stream: Stream) -> list[str]:
    """What is wrong with the page ledger, one sentence each."""
    if not footer.pages:
        return ["Its ledger names no page."]
    return [
        *_gaps(footer),
        *_end_problems(footer, stream.lag_seconds),
        *_count_problems(footer),
        *_server_count_problems(footer),
        *_request_problems(footer, stream.lag_seconds),
    ]


def latest_next_start(page: LedgerPage) -> int | None:
    """The last epoch second at which the next page may have started; None where unknown.

    No later than the page's end_time, nor than the second after its newest row: a page that was enlarged holds its last second
    whole. Pages of older files don't record the newest row, nor where their `next_page` led.
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
    """The pages all of whose rows belong to the day; none where readings overlap, since rows may have moved between them."""
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
        reached = latest_next_start(page)


def _end_problems(footer: RawFooter, lag_seconds: int) -> Iterator[str]:
    due = footer.window_end + lag_seconds
    if footer.complete and footer.fetched_at < due + MINIMUM_AGE_SECONDS:
        yield (
            f"Its footer says complete, but it was read at {utc_text(footer.fetched_at)}, when rows of the day could still "
            f"turn up (until {utc_text(due + MINIMUM_AGE_SECONDS)})."
        )
    start, reached = footer.pages[-1].start_time, latest_next_start(footer.pages[-1])
    if reached is None:
        return
    settled = footer.fetched_at - lag_seconds  # younger rows don't count as read
    furthest = reached if footer.complete else max(start, min(reached, settled))
    if not min(start, settled) <= footer.next_start_time <= furthest:
        yield (
            f"Its last page, from {utc_text(start)} to {utc_text(reached)}, doesn't lead to its footer's next start time, "
            f"{utc_text(footer.next_start_time)}: a page is missing at the end of its ledger, or the footer was changed."
        )


def _count_problems(footer: RawFooter) -> Iterator[str]:
    """A page delivered every stored or replaced row; every row of a page inside the day was stored, replaced or rejected."""
    delivered = sum(page.count for page in footer.pages)
    known = footer.rows + footer.duplicates
    if known > delivered:
        yield (
            f"Its pages delivered {plural(delivered, 'row')}, but "
            f"{footer.rows} stored and {footer.duplicates} replaced ones are counted."
        )
    within = sum(page.count for page in pages_within(footer))
    if within > known + footer.rejected:
        yield (
            f"Its pages delivered at least {plural(within, 'row')} of the day, but only {footer.rows} stored, "
            f"{footer.duplicates} replaced and {footer.rejected} rejected ones are counted."
        )


def _server_count_problems(footer: RawFooter) -> Iterator[str]:
    for page in pages_with_other_count(footer):
        if page.server_count is not None and page.server_count > page.count:
            yield f"Rows may be missing: {other_count_text(page)}."


def pages_with_other_count(footer: RawFooter) -> list[LedgerPage]:
    """The pages that held another number of rows than the server said."""
    return [page for page in footer.pages if page.server_count is not None and page.server_count != page.count]


def other_count_text(page: LedgerPage) -> str:
    """Such a page with both numbers."""
    return (
        f"the page from {utc_text(page.start_time)} (start_time={page.start_time}) said count {page.server_count}, but "
        f"{plural(page.count, 'row')} came"
    )


def _request_problems(footer: RawFooter, lag_seconds: int) -> Iterator[str]:
    # The requests of earlier pages may be counted in the day before.
    own = sum(page.start_time > footer.window_start + lag_seconds for page in footer.pages)
    if footer.requests < own - 1:
        yield f"Its footer counts {plural(footer.requests, 'request')} for {plural(own, 'page')}."
