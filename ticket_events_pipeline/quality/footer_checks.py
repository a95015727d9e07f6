"""Whether a footer says of itself what its path, its clock and its neighbours say. Pure: a footer in, findings out.

A file that says another day, stream or account is another one's: nothing else about it is worth telling.
"""

from __future__ import annotations

from dataclasses import dataclass

from ticket_events_pipeline.credentials import AccountNames
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.quality.findings import Finding, read_again
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.tables.schemas import SCHEMA_VERSION
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.answers import MINIMUM_AGE_SECONDS
from ticket_events_pipeline.zendesk.page import utc_text
from ticket_events_pipeline.zendesk.row_times import NEWEST_EPOCH_SECOND

OPEN_GRACE_SECONDS = 2 * 3600
"""An hourly fetch needs up to an hour, and its run, to close a day that is over."""

CLOCK_SKEW_SECONDS = 3600
"""What is read a little later than now by our clock only tells that the server's is ahead."""

_COUNTS = ("requests", "rows", "duplicates", "rejected")


@dataclass(frozen=True)
class Owner:
    """What all files of the root should say; None where there is nothing to compare with."""

    account: str | None
    timezone: str
    sideload: bool | None
    support_type_scope: str | None = None
    former_accounts: tuple[str, ...] = ()

    @property
    def names(self) -> AccountNames:
        """The account's names, of now and of before."""
        return AccountNames(self.account, self.former_accounts)


def has_readable_numbers(footer: RawFooter) -> bool:
    """Whether all times are epoch seconds that a calendar has, and all counts and ids of the ledger whole numbers."""
    times = [footer.window_start, footer.window_end, footer.next_start_time, footer.fetched_at]
    times += [footer.begun_at, footer.missed.since]
    times += [page.start_time for page in footer.pages]
    times += [page.end_time for page in footer.pages if page.end_time is not None]
    counts = [page.count for page in footer.pages]
    counts += [number for page in footer.pages for number in (page.server_count, page.newest) if number is not None]
    ids = [found for page in footer.pages for found in (page.first_id, page.last_id) if found is not None]
    are_whole = all(type(number) is int for number in (*times, *counts, *ids))
    return are_whole and all(0 <= time <= NEWEST_EPOCH_SECOND for time in times) and all(abs(found) < 2**63 for found in ids)


def foreign_finding(footer: RawFooter, stream: Stream, day: Day, owner: Owner) -> Finding | None:
    """Why the file isn't this day's, of this stream and account; None if it is."""
    if (footer.stream, footer.partition) != (stream.name, str(day)):
        problem = f"The file says that it is {footer.stream} of {footer.partition}: it was put in this day's place."
        return Finding(problem, read_again(stream.name, day))
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
        f"If the variable is wrong, set it back; else take the file out of the root, since no pass replaces another's, and "
        f"materialise {stream.name} of {day} again."
    )
    return Finding(f"The file was made otherwise ({'; '.join(differing)}).", " ".join(filter(None, remedies)))


def claim_problems(footer: RawFooter, day: Day, *, now: float) -> list[str]:
    """What the footer says of its own file that can't be."""
    problems = []
    if footer.schema_version < 1:
        problems.append(f"Its footer says schema version {footer.schema_version}; there are versions 1 to {SCHEMA_VERSION}.")
    if (footer.window_start, footer.window_end) != (day.start, day.end):
        problems.append(
            f"Its footer says that the day goes from {utc_text(footer.window_start)} to {utc_text(footer.window_end)}, but it "
            f"goes from {utc_text(day.start)} to {utc_text(day.end)}."
        )
    problems += [f"Its footer says {name} {getattr(footer, name)}." for name in _COUNTS if getattr(footer, name) < 0]
    if footer.fetched_at > now + CLOCK_SKEW_SECONDS:
        problems.append(f"Its footer says that it was read at {utc_text(footer.fetched_at)}, which is still to come.")
    return problems


def unfinished_finding(footer: RawFooter, stream: Stream, day: Day, *, now: float) -> Finding | None:
    """That an open day could have been finished long ago, and wasn't."""
    if footer.complete or now < day.end + stream.lag_seconds + MINIMUM_AGE_SECONDS + OPEN_GRACE_SECONDS:
        return None
    problem = f"The day is over, but it was read only up to {utc_text(footer.next_start_time)} and is still open."
    remedy = f"Materialise {stream.name} of {day} to finish it. If it stays open, the run's log names the clock that is wrong."
    return Finding(problem, remedy)
