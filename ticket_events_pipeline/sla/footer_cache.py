"""A cache of the footers of a root's files: only files that have changed are read again.

A file is identified by its path and version, which a listing provides. The cache only saves work: it is in the memory of the
process, and in a file of the root for the next process. If either is lost or damaged, the footers are read again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError, TicketEventsError, TransientError
from ticket_events_pipeline.sla.inputs import RawState
from ticket_events_pipeline.sla.sources import raw_state
from ticket_events_pipeline.storage.partition_file import read_metadata
from ticket_events_pipeline.storage.store import INFLIGHT, Store
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tables.tickets import TICKET_FIELD_CHANGES_TABLE
from ticket_events_pipeline.tables.tickets import TICKET_TABLES as TICKET_TABLE_VALUES

SLA_TABLES = (SLA_CLOCKS_TABLE.name, SLA_TARGETS_TABLE.name, DAILY_SLA_BREACH_SUMMARY_TABLE.name)
TICKET_TABLES = tuple(table.name for table in TICKET_TABLE_VALUES)
MADE_AFTER_SUMMARY = tuple(name for name in TICKET_TABLES if name != TICKET_FIELD_CHANGES_TABLE.name)
TABLES = (*STREAMS, *SLA_TABLES, *TICKET_TABLES)
"""Those of a root with ticket tables, in the order in which they are made."""

WITHOUT_TICKET_TABLES = (*STREAMS, *SLA_TABLES)

CACHE = f"{INFLIGHT}/footers.json.gz"
CACHE_FORMAT = 1
"""Goes up when the cached entries of a footer change."""

READ_SECONDS = 25.0
"""Dagster ends a tick after 60 seconds; the first read of years of days in a bucket takes longer, and continues in the next."""

HANGS_SECONDS = 15.0
"""A file that hasn't answered for so long counts as unreachable: the store's client retries for minutes."""

FILES_AT_ONCE = 16
"""Concurrent reads: a request to an object store takes some thirty milliseconds."""

SAVED_AFTER = 100
"""Reading so many footers takes a second or two: for fewer, rewriting the whole cache file doesn't pay."""

LONGEST_ENTRY = 100
"""Characters. Hashes, times and flags are shorter; ticket ids and policy titles are longer and aren't needed."""

MOST_ROOTS = 8
"""A process reads one root, or one for each of its accounts."""

_DAY = re.compile(r"(\w+)/date=(\d{4}-\d{2}-\d{2})/\1\.parquet")

Footer = Mapping[str, str]
"""The short entries of a file's footer."""


@dataclass(frozen=True)
class Unreadable:
    """A file whose footer can't be read.

    Attributes:
        reason: names the file and says what to do.
        may_be_replaced: whether making the day again replaces it: true if it is damaged, false if it is of a newer version.
    """

    reason: str
    may_be_replaced: bool

    @classmethod
    def because_of(cls, error: TicketEventsError, url: str) -> Unreadable:
        """From the error of reading the file at `url`. An error of the store says nothing about the file."""
        reason = str(error) if url in str(error) else f"{url} can't be read now: {error}"
        return cls(reason, isinstance(error, DamagedFileError) and not isinstance(error, NewerFileError))


@dataclass(frozen=True)
class StoredFooters:
    """The footers of the files stored in a root.

    Attributes:
        footers: by table and day.
        unreadable: by table and day, the files that can't be read or reached; the next read tries again.
        unread: how many files there was no time to read: nothing is known of their days.
        files: how many files are stored.
    """

    footers: Mapping[str, Mapping[Day, Footer]]
    unreadable: Mapping[str, Mapping[Day, Unreadable]]
    unread: int
    files: int


@dataclass
class _Root:
    """The cached state of one root.

    Attributes:
        known: by path, the version that was read and its footer.
        days: the table and the day of each path.
        versions, stored: of the last read.
        unreached: by path, the version that couldn't be reached at the last attempt, and why.
        unsaved: how many footers were read since the cache file was written.
    """

    known: dict[str, tuple[str, Footer]]
    days: dict[str, tuple[str, Day] | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    stored: StoredFooters | None = None
    unreached: dict[str, tuple[str, Unreadable]] = field(default_factory=dict)
    unsaved: int = 0


class FooterCache:
    """The footers that a process has read, per root. Not thread-safe."""

    def __init__(
        self, tables: Sequence[str] = TABLES, *, seconds: float = READ_SECONDS, hangs_seconds: float = HANGS_SECONDS
    ) -> None:
        """Of these `tables`. `seconds` is how long one `read` may take, `hangs_seconds` how long a file may take to answer."""
        self._tables, self._seconds, self._hangs_seconds = tables, seconds, hangs_seconds
        self._roots: dict[str, _Root] = {}

    def read(self, store: Store, timezone: str) -> StoredFooters:
        """The stored footers of the root; the same object as the last time if nothing has changed.

        Raises:
            UsageError, TransientError: the root can't be listed.
        """
        root = self._root(store, timezone)
        versions = store.table_versions(self._tables)
        is_settled = root.stored is not None and not root.stored.unread and not any(root.stored.unreadable.values())
        if root.stored is not None and is_settled and versions == root.versions:
            return root.stored
        places = {path: place for path in versions if (place := _place(root, path, timezone)) is not None}
        # Forget removed files: one that comes back is read again, whatever its version.
        root.known = {path: root.known[path] for path in places if path in root.known}
        changed = [path for path in places if root.known.get(path, ("", {}))[0] != versions[path]]
        changed.sort(key=root.unreached.__contains__)  # last: they may hang, and the others need their time
        unreadable = self._read(store, root, {path: (versions[path], *places[path]) for path in changed})
        root.versions = versions
        root.stored = _stored_footers(self._tables, root, places, unreadable)
        if root.unsaved >= SAVED_AFTER:
            _save(store, root, timezone)
        return root.stored

    def _root(self, store: Store, timezone: str) -> _Root:
        name = f"{store.location} {timezone}"
        root = self._roots.pop(name, None) or _Root(_saved(store, timezone))
        self._roots[name] = root  # most recently used last
        for old in list(self._roots)[:-MOST_ROOTS]:
            del self._roots[old]
        return root

    def _read(self, store: Store, root: _Root, wanted: Mapping[str, tuple[str, str, Day]]) -> dict[str, Unreadable]:
        """Read what can be read in time; returns the files that can't be read or reached."""
        unreadable: dict[str, Unreadable] = {}
        # For a file that isn't tried this time, the last result holds.
        before = {path: found for path, found in root.unreached.items() if path in wanted and found[0] == wanted[path][0]}
        root.unreached = {}

        def store_result(path: str, read: Future[Footer | None]) -> None:
            before.pop(path, None)
            try:
                footer = read.result()
            except TransientError as error:
                root.unreached[path] = wanted[path][0], Unreadable.because_of(error, store.url(path))
            except TicketEventsError as error:
                unreadable[path] = Unreadable.because_of(error, store.url(path))
            else:
                if footer is not None:  # None: removed since it was listed
                    root.known[path] = wanted[path][0], footer
                    root.unsaved += 1

        work = {path: _reading(store, table, day) for path, (_, table, day) in wanted.items()}
        for path in in_time(work, store_result, seconds=self._seconds, hangs_seconds=self._hangs_seconds):
            error = TransientError(f"it has not answered for {self._hangs_seconds:g} seconds. Check the store.")
            before[path] = wanted[path][0], Unreadable.because_of(error, store.url(path))
        root.unreached |= before
        return unreadable | {path: found for path, (_, found) in root.unreached.items()}


def in_time(
    work: Mapping[str, Callable[[], Footer | None]],
    take: Callable[[str, Future[Footer | None]], None],
    *,
    seconds: float,
    hangs_seconds: float,
) -> list[str]:
    """Run the pieces of `work` concurrently and `take` each result; pieces that don't start within `seconds` are skipped.

    Returns the pieces that started and hang. Ends early when all that still run hang.
    """
    if not work:
        return []
    begun: dict[str, float] = {}
    done: SimpleQueue[Future[Footer | None]] = SimpleQueue()

    def do(name: str) -> Footer | None:
        begun[name] = monotonic()
        return work[name]()

    pool = ThreadPoolExecutor(min(FILES_AT_ONCE, len(work)))
    names = {pool.submit(do, name): name for name in work}
    for future in names:
        future.add_done_callback(done.put)
    end, left, hanging = monotonic() + seconds, len(work), list[str]()
    while len(hanging) < min(left, FILES_AT_ONCE) and monotonic() < end:
        with suppress(Empty):
            future = done.get(timeout=max(0.0, min(end - monotonic(), hangs_seconds / 10)))
            take(names[future], future)
            del begun[names[future]]
            left -= 1
        hanging = [name for name, since in begun.copy().items() if monotonic() - since >= hangs_seconds]
    # Don't wait for a request that hangs: its thread ends by itself.
    pool.shutdown(wait=False, cancel_futures=True)
    return hanging


def _place(root: _Root, path: str, timezone: str) -> tuple[str, Day] | None:
    """The table and the day of a file; None for any other file."""
    if path not in root.days:
        found = _DAY.fullmatch(path)
        root.days[path] = None
        with suppress(ValueError):  # date=2026-02-30: not one of ours
            root.days[path] = (found[1], Day.parse(found[2], timezone)) if found else None
    return root.days[path]


def _reading(store: Store, table: str, day: Day) -> Callable[[], Footer | None]:
    if table in STREAMS:
        return lambda: _of_state(raw_state(store, table, day))
    return lambda: _short(read_metadata(store, table, day))


def _of_state(state: RawState | None) -> Footer | None:
    if state is None:
        return None
    return {
        "content_hash": state.content_hash,
        "complete": str(state.complete).lower(),
        "fetched_at": str(state.fetched_at),
        "metric_rows": str(state.metric_rows),
    }


def state_of(footer: Footer) -> RawState:
    """The state of a raw file, from its cached footer."""
    return RawState(
        content_hash=footer["content_hash"],
        complete=footer["complete"] == "true",
        fetched_at=int(footer["fetched_at"]),
        metric_rows=int(footer["metric_rows"]),
    )


def _short(metadata: dict[str, str] | None) -> Footer | None:
    if metadata is None:
        return None
    return {name: text for name, text in metadata.items() if len(text) <= LONGEST_ENTRY}


def _stored_footers(
    tables: Sequence[str], root: _Root, places: Mapping[str, tuple[str, Day]], unreadable: Mapping[str, Unreadable]
) -> StoredFooters:
    footers: dict[str, dict[Day, Footer]] = {table: {} for table in tables}
    problems: dict[str, dict[Day, Unreadable]] = {table: {} for table in tables}
    unread = 0
    for path, (table, day) in places.items():
        known = root.known.get(path)
        if path in unreadable:
            problems[table][day] = unreadable[path]
        elif known is not None and known[0] == root.versions[path]:
            footers[table][day] = known[1]
        else:
            unread += 1
    return StoredFooters(footers, problems, unread, len(places))


def _saved(store: Store, timezone: str) -> dict[str, tuple[str, Footer]]:
    """The cache that another process has saved; empty if it can't be read, for whatever reason."""
    try:
        with store.reader(CACHE) as file:
            content = gzip.decompress(file.read())
        digest, _, text = content.partition(b"\n")
        saved = json.loads(text) if digest.decode() == hashlib.sha256(text).hexdigest() else {}
        if (saved.get("format"), saved.get("timezone")) != (CACHE_FORMAT, timezone):
            return {}
        return {path: (version, footer) for path, (version, footer) in saved["files"].items()}
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, TicketEventsError):
        return {}


def _save(store: Store, root: _Root, timezone: str) -> None:
    text = json.dumps({"format": CACHE_FORMAT, "timezone": timezone, "files": root.known}, separators=(",", ":")).encode()
    content = gzip.compress(hashlib.sha256(text).hexdigest().encode() + b"\n" + text, compresslevel=3, mtime=0)
    with suppress(TicketEventsError), store.writer(CACHE) as file:  # a read-only root can still be compared
        file.write(content)
        root.unsaved = 0
