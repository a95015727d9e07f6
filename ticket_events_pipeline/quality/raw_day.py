"""Whether the stored days of a stream are whole, and which rows were rejected. Reads stored files alone, and changes none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.quality.duplicates import duplicate_events
from ticket_events_pipeline.quality.findings import PRUNED, Finding, VerifiedDay, materialize_again
from ticket_events_pipeline.quality.footer_checks import (
    Owner,
    footer_problems,
    foreign_finding,
    has_readable_numbers,
    other_count_text,
    pages_with_other_count,
    unfinished_finding,
)
from ticket_events_pipeline.quality.moved_events import days_around, moved_finding
from ticket_events_pipeline.quality.raw_rows import row_problems
from ticket_events_pipeline.storage.partition_file import opened_partition, stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footers
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.text import plural, utc_text

_T = TypeVar("_T")

NEIGHBOURS = 3
"""So many stored days on either side of the range say, too, which account the root belongs to."""


def verify_days(
    store: Store, *, stream: Stream, days: list[Day], owner: Owner, now: float, asset: str | None = None
) -> Iterator[VerifiedDay]:
    """Verify each of `days`, in order; `now` is epoch seconds, `asset` the key of the stream's asset in Dagster.

    Raises:
        UsageError: the store can't be read at all.
    """
    asset = asset or stream.name
    stored, pruned = stored_days(store, stream.name, owner.timezone), read_pruned_days(store)
    duplicates = duplicate_events(store, stream.name, days, around=days_around(days, stored), asset=asset)
    for day in days:
        if pruned.has(stream.name, day):
            yield VerifiedDay(stream.name, day, PRUNED)
            continue
        find_moved = partial(moved_finding, store, day=day, stored=stored, asset=asset)
        yield _verify_day(
            store, stream, day, owner=owner, now=now, duplicates=tuple(duplicates.get(day, ())), find_moved=find_moved
        )


def owner_of(
    store: Store, stream: str, days: list[Day], *, account: str | None, timezone: str, former: tuple[str, ...] = ()
) -> Owner:
    """What the footers of `stream` should say, see `owners_of`."""
    return owners_of(store, [stream], days, account=account, timezone=timezone, former=former)[stream]


def owners_of(
    store: Store, streams: Sequence[str], days: list[Day], *, account: str | None, timezone: str, former: tuple[str, ...] = ()
) -> dict[str, Owner]:
    """What the footers of each stream should say: the settings, and otherwise what most files of the days and around them say.

    `former` are names that the account had before: a file with one of them says nothing about its current name.
    """
    accounts: Counter[str] = Counter()
    sideloads: dict[str, Counter[bool]] = {name: Counter() for name in STREAMS}
    scopes: dict[str, Counter[str]] = {name: Counter() for name in STREAMS}
    for name in STREAMS if account is None else streams:
        for _, footer in read_raw_footers(store, name, _days_and_neighbours(store, name, days, timezone)):
            accounts[footer.account] += 1
            sideloads[name][footer.sideload] += 1
            scopes[name][footer.support_type_scope] += 1
    newer = Counter({name: count for name, count in accounts.items() if name not in former})
    owner = account or _most_common(newer or accounts)
    return {
        name: Owner(owner, timezone, _most_common(sideloads[name]), _most_common(scopes[name]), former_accounts=former)
        for name in streams
    }


def _days_and_neighbours(store: Store, stream: str, days: list[Day], timezone: str) -> list[Day]:
    stored = stored_days(store, stream, timezone)
    before = [day for day in stored if day < days[0]]
    after = [day for day in stored if day > days[-1]]
    wanted = set(days)
    return [*before[-NEIGHBOURS:], *(day for day in stored if day in wanted), *after[:NEIGHBOURS]]


def _most_common(counted: Counter[_T]) -> _T | None:
    return counted.most_common(1)[0][0] if counted else None


def _verify_day(
    store: Store,
    stream: Stream,
    day: Day,
    *,
    owner: Owner,
    now: float,
    duplicates: tuple[Finding, ...],
    find_moved: Callable[[RawFooter], Finding | str | None],
) -> VerifiedDay:
    try:
        with opened_partition(store, stream.name, day) as file:
            if file is None:
                return _without_file(stream, day, now=now)
            checked = _check_file(file, stream, day, owner=owner, now=now)
    except NewerFileError as error:
        return VerifiedDay(stream.name, day, "unreadable", findings=(Finding(error.problem, error.remedy),))
    except DamagedFileError as error:
        reason = " ".join(str(error.__cause__).split())  # some are of several lines
        finding = Finding(f"The file can't be read as Parquet ({reason}).", materialize_again(stream.name, day))
        return VerifiedDay(stream.name, day, "unreadable", findings=(finding,))
    if isinstance(checked, VerifiedDay):
        return checked
    footer, problems = checked
    moved = find_moved(footer)
    further = (lost_rejected_rows_finding(store, footer, day), unfinished_finding(footer, stream, day, now=now), moved)
    findings = [Finding(problem, materialize_again(stream.name, day)) for problem in problems]
    findings += [*duplicates, *(finding for finding in further if isinstance(finding, Finding))]
    notes = (*_notes(store, footer), *([moved] if isinstance(moved, str) else []))
    state = "complete" if footer.complete else "open"
    return VerifiedDay(stream.name, day, state, footer.rows, len(footer.pages), tuple(findings), notes)


def _check_file(
    file: StoredFile, stream: Stream, day: Day, *, owner: Owner, now: float
) -> tuple[RawFooter, list[str]] | VerifiedDay:
    """The footer and the problems of the day's own file; for a foreign file, the verified day."""
    footer = _readable_footer(file)
    if footer is None:
        finding = Finding("The file has no readable footer of this pipeline.", materialize_again(stream.name, day))
        return VerifiedDay(stream.name, day, "foreign", rows=file.num_rows, findings=(finding,))
    foreign = foreign_finding(footer, stream, day, owner)
    if foreign is not None:
        return VerifiedDay(stream.name, day, "foreign", footer.rows, len(footer.pages), (foreign,))
    return footer, [*footer_problems(footer, stream, day, now=now), *row_problems(file, footer, day)]


def _without_file(stream: Stream, day: Day, *, now: float) -> VerifiedDay:
    if now < day.start:
        return VerifiedDay(stream.name, day, "to come")
    finding = Finding("No file is stored.", f"Materialize {stream.name} of {day}.")
    return VerifiedDay(stream.name, day, "missing", findings=(finding,))


def _readable_footer(file: StoredFile) -> RawFooter | None:
    try:
        footer = RawFooter.from_metadata(file.metadata)
        return footer if has_readable_numbers(footer) else None
    except (KeyError, ValueError, TypeError):
        return None


def _notes(store: Store, footer: RawFooter) -> tuple[str, ...]:
    notes = [] if footer.complete else [f"read up to {utc_text(footer.next_start_time)}"]
    if footer.rejected > 0:
        notes.append(f"its fetch rejected {plural(footer.rejected, 'row')}, see {rejected_folder_url(store, footer.stream)}")
    more = [page for page in pages_with_other_count(footer) if page.count > (page.server_count or 0)]
    return (*notes, *map(other_count_text, more))


def rejected_folder_url(store: Store, stream: str) -> str:
    """The folder with the rejected rows of `stream`."""
    return store.url(_rejected_folder(stream))


def rejected_row_count(store: Store, stream: str, days: Iterable[Day]) -> int:
    """How many rows the fetch of `days` rejected: each footer holds the count of its fetch so far."""
    return max((footer.rejected for _, footer in read_raw_footers(store, stream, days)), default=0)


def lost_rejected_rows_finding(store: Store, footer: RawFooter, day: Day) -> Finding | None:
    """That rows were rejected, and none of them is kept any more."""
    if footer.rejected <= 0 or store.paths(_rejected_folder(footer.stream)):
        return None
    if footer.stream in read_pruned_days(store).before:  # the count is that of its fetch, which may have begun on a pruned day
        return None
    problem = (
        f"Its fetch rejected {plural(footer.rejected, 'row')}, no longer kept in {rejected_folder_url(store, footer.stream)}."
    )
    return Finding(problem, materialize_again(footer.stream, day))


def _rejected_folder(stream: str) -> str:
    return f"_rejected/{stream}"
