"""Days of a stream, one after the other: is each whole? Nothing is asked of the API here, and nothing stored is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.quality.duplicates import repeated_events
from ticket_events_pipeline.quality.findings import Finding, Verdict, read_again
from ticket_events_pipeline.quality.footer_checks import (
    Owner,
    claim_problems,
    foreign_finding,
    has_readable_numbers,
    unfinished_finding,
)
from ticket_events_pipeline.quality.ledger import counted_otherwise, ledger_problems, pages_counted_otherwise
from ticket_events_pipeline.quality.moved_events import days_around, moved_finding
from ticket_events_pipeline.quality.raw_rows import row_problems
from ticket_events_pipeline.quality.rejected import set_aside_url, vanished_finding
from ticket_events_pipeline.storage.partition_file import opened_partition, stored_days
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footers
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.zendesk.page import utc_text

_T = TypeVar("_T")

NEIGHBOURS = 3
"""Stored days on either side of the range that are asked whose files the root holds."""


def verify_days(
    store: Store, *, stream: Stream, days: list[Day], owner: Owner, now: float, asset: str | None = None
) -> Iterator[Verdict]:
    """The verdict on each of `days`, in order; `now` is epoch seconds, `asset` how Dagster calls the stream's asset.

    Raises:
        UsageError: the store can't be read at all.
    """
    asset = asset or stream.name
    stored = stored_days(store, stream.name, owner.timezone)
    repeated = repeated_events(store, stream.name, days, around=days_around(days, stored), asset=asset)
    for day in days:
        moved = partial(moved_finding, store, day=day, around=days_around([day], stored), asset=asset)
        yield _verified(store, stream, day, owner=owner, now=now, also=tuple(repeated.get(day, ())), moved=moved)


def owner_of(
    store: Store, stream: str, days: list[Day], *, account: str | None, timezone: str, former: tuple[str, ...] = ()
) -> Owner:
    """Whose the files of `stream` should be: where no setting tells, what most of them and of their neighbours say.

    `former` are names that the account had before: a file of before says nothing of its name of now.
    """
    accounts: Counter[str] = Counter()
    sideloads: Counter[bool] = Counter()
    scopes: Counter[str] = Counter()
    for name in STREAMS if account is None else [stream]:
        for _, footer in read_raw_footers(store, name, _witnesses(store, name, days, timezone)):
            accounts[footer.account] += 1
            sideloads.update([footer.sideload] if name == stream else [])
            scopes.update([footer.support_type_scope] if name == stream else [])
    newer = Counter({name: count for name, count in accounts.items() if name not in former})
    owner = account or _commonest(newer or accounts)
    return Owner(owner, timezone, _commonest(sideloads), _commonest(scopes), former_accounts=former)


def _witnesses(store: Store, stream: str, days: list[Day], timezone: str) -> list[Day]:
    stored = stored_days(store, stream, timezone)
    before = [day for day in stored if day < days[0]]
    behind = [day for day in stored if day > days[-1]]
    asked = set(days)
    return [*before[-NEIGHBOURS:], *(day for day in stored if day in asked), *behind[:NEIGHBOURS]]


def _commonest(counted: Counter[_T]) -> _T | None:
    return counted.most_common(1)[0][0] if counted else None


def _verified(
    store: Store,
    stream: Stream,
    day: Day,
    *,
    owner: Owner,
    now: float,
    also: tuple[Finding, ...],
    moved: Callable[[RawFooter], Finding | str | None],
) -> Verdict:
    try:
        with opened_partition(store, stream.name, day) as file:
            if file is None:
                return _absent(stream, day, now=now)
            footer = _footer_of(file)
            if footer is None:
                finding = Finding("The file bears no footer of this pipeline that can be read.", read_again(stream.name, day))
                return Verdict(stream.name, day, "foreign", rows=file.num_rows, findings=(finding,))
            foreign = foreign_finding(footer, stream, day, owner)
            if foreign is not None:
                return Verdict(stream.name, day, "foreign", footer.rows, len(footer.pages), (foreign,))
            problems = [*claim_problems(footer, day, now=now), *ledger_problems(footer, stream)]
            problems += row_problems(file, footer, day)
    except NewerFileError as error:
        return Verdict(stream.name, day, "unreadable", findings=(Finding(error.problem, error.remedy),))
    except DamagedFileError as error:
        reason = " ".join(str(error.__cause__).split())  # some are of several lines
        finding = Finding(f"The file can't be read as Parquet ({reason}).", read_again(stream.name, day))
        return Verdict(stream.name, day, "unreadable", findings=(finding,))
    findings = [Finding(problem, read_again(stream.name, day)) for problem in problems]
    move = moved(footer)
    further = (vanished_finding(store, footer, day), unfinished_finding(footer, stream, day, now=now), move)
    findings += [*also, *(finding for finding in further if isinstance(finding, Finding))]
    notes = (*_notes(store, footer), *([move] if isinstance(move, str) else []))
    state = "complete" if footer.complete else "open"
    return Verdict(stream.name, day, state, footer.rows, len(footer.pages), tuple(findings), notes)


def _absent(stream: Stream, day: Day, *, now: float) -> Verdict:
    if now < day.start:
        return Verdict(stream.name, day, "to come")
    finding = Finding("No file is stored.", f"Materialise {stream.name} of {day}.")
    return Verdict(stream.name, day, "missing", findings=(finding,))


def _footer_of(file: StoredFile) -> RawFooter | None:
    try:
        footer = RawFooter.from_metadata(file.metadata)
        return footer if has_readable_numbers(footer) else None
    except (KeyError, ValueError, TypeError):
        return None


def _notes(store: Store, footer: RawFooter) -> tuple[str, ...]:
    notes = [] if footer.complete else [f"read up to {utc_text(footer.next_start_time)}"]
    if footer.rejected > 0:
        notes.append(f"its pass set {footer.rejected} rows aside below {set_aside_url(store, footer.stream)}")
    more = [page for page in pages_counted_otherwise(footer) if page.count > (page.server_count or 0)]
    return (*notes, *map(counted_otherwise, more))
