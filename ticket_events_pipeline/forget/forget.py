"""`forget`: from ids to a root that holds nothing of them.

The order makes it safe to stop anywhere and run again. The ledger comes first: whatever is fetched from then on is blanked.
Then the days of each stream are held, which waits for fetches that began before, and their files are rewritten. What is made
from them follows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from ticket_events_pipeline.day import Clock, Day, days_between, wall_clock
from ticket_events_pipeline.errors import DamagedFileError, DaysHeldError, UsageError
from ticket_events_pipeline.forget.person import SEARCHED_TABLES, Person, PersonSearch
from ticket_events_pipeline.forget.raw_files import blank_day, remove_journals, remove_rejected, to_blank
from ticket_events_pipeline.forget.ticket_files import (
    blank_changes,
    blank_dimensions,
    blank_names,
    blank_states,
    pages_of,
    pages_showing,
    remove_pages,
)
from ticket_events_pipeline.forgotten.blanking import Blanking, Changed
from ticket_events_pipeline.forgotten.ledger import ADDRESS, REQUESTER, TICKET, Ledger, add_to_ledger, read_ledger
from ticket_events_pipeline.forgotten.mentions import SMALLEST_USER_ID, normal_address
from ticket_events_pipeline.ingest.lease import Sleep, hold_days
from ticket_events_pipeline.report.files import LATEST, REPORT, day_of_page
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.journal_file import JOURNAL_FOLDER
from ticket_events_pipeline.storage.partition_file import days_of, partition_path, read_metadata, stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.rejected_rows import REJECTED
from ticket_events_pipeline.storage.run_beats import read_beats
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import AUDITS, STREAMS
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD
from ticket_events_pipeline.text import plural
from ticket_events_pipeline.tickets.changes import CHANGES
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS
from ticket_events_pipeline.tickets.names import USERS, ZENDESK_NAMES, read_kind
from ticket_events_pipeline.tickets.provenance import TRACKED_FIELDS
from ticket_events_pipeline.tickets.snapshots import TICKET_SNAPSHOTS, blank_snapshots, snapshot_paths
from ticket_events_pipeline.tickets.states import STATES

_ALL_DAYS = ("2000-01-01", "2999-12-31")
"""Also days that are not stored: a fetch of them may be in progress."""

LABEL = "ticket-events forget"

Log = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to forget: users by `requesters`, their ids; further e-mail `addresses` of theirs; `tickets` by number."""

    requesters: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    tickets: tuple[int, ...] = ()


@dataclass
class Cleared:
    """What was blanked or removed below a folder of the root."""

    files: int = 0
    rows: int = 0
    values: int = 0

    def take(self, found: Changed) -> None:
        """Count a file, if it changed."""
        self.files += bool(found.rows)
        self.rows += found.rows
        self.values += found.values


@dataclass
class Forgotten:
    """What `forget` did, or would do.

    Attributes:
        ledger: the ledger afterwards.
        tickets: those that are the users', without the ones that were named.
        addresses: those that the users wrote from.
        is_nowhere: whether nothing of it was stored.
        cleared: by folder, below the root.
        not_searched: audits that are not stored, as phrases: tickets of then are found by what was made from them alone.
        closed_pages: removed reports of closed days, which are not made again.
        problems: files that could not be read, as sentences.
        runs_in_progress: runs that may store again what they have read before.
    """

    ledger: Ledger | None = None
    tickets: int = 0
    addresses: int = 0
    is_nowhere: bool = False
    cleared: dict[str, Cleared] = field(default_factory=lambda: defaultdict(Cleared))
    not_searched: list[str] = field(default_factory=list)
    closed_pages: int = 0
    problems: list[str] = field(default_factory=list)
    runs_in_progress: int = 0


def forget(
    store: Store,
    settings: RootSettings,
    wanted: Wanted,
    *,
    dry_run: bool = False,
    clock: Clock = wall_clock,
    log: Log = lambda _: None,
    sleep: Sleep | None = None,
) -> Forgotten:
    """Forget users and tickets: enter them in the ledger, and blank or remove everything that the root holds of them.

    What earlier commands have entered is blanked again, so running it again completes a command that was stopped. With
    `dry_run` nothing changes.

    Raises:
        UsageError: a requester is an agent, by the stored names or by tickets held, or the number is too small for a user's id.
        DaysHeldError: a fetch is in progress and doesn't end in time. The ledger has the entries by then.
        DamagedFileError: the ledger or the names of agents can't be read.
    """
    return _Forgetting(store, settings, dry_run=dry_run, clock=clock, log=log, sleep=sleep).run(wanted)


class _Forgetting:
    def __init__(
        self, store: Store, settings: RootSettings, *, dry_run: bool, clock: Clock, log: Log, sleep: Sleep | None
    ) -> None:
        self._store = store
        self._settings = settings
        self._dry_run = dry_run
        self._clock = clock
        self._log = log
        self._sleep = sleep
        self._result = Forgotten()
        self._fields = {*settings.dimensions}
        self._subjects_of = set[int]()
        self._pages = set[str]()

    def run(self, wanted: Wanted) -> Forgotten:
        _refuse_small_ids(wanted)
        known = read_ledger(self._store)  # before anything else: a damaged one can't be added to
        _refuse_named_agents(self._store, wanted, known)
        search, seen = PersonSearch(wanted.requesters), dict[str, str]()
        self._search(search, seen)
        self._search_tables(search)
        _refuse_holders(search.found)
        self._find_fields()
        ledger = self._enter(wanted, search.found)
        for stream in STREAMS:
            if self._dry_run:
                self._clear_stream(self._store, stream, Blanking(ledger))
                continue
            ledger = self._with_days_held(stream, ledger, wanted=wanted, search=search, seen=seen)
        self._clear_tables(Blanking(ledger))
        if not self._dry_run:
            self._store.sweep()
        return self._finished(wanted, search.found, ledger)

    def _search(self, search: PersonSearch, seen: dict[str, str]) -> None:
        """Search the stored audits, but for files of the versions already `seen`."""
        versions = self._store.versions(AUDITS)
        days = [
            day
            for day in days_of(versions, self._settings.timezone)
            if versions.get(path := partition_path(AUDITS, day)) != seen.get(path)
        ]
        for day in days:
            self._noting_problems(partial(search.search, self._store, [day]))
        seen.update(versions)

    def _search_tables(self, search: PersonSearch) -> None:
        for asset in SEARCHED_TABLES:
            for day in stored_days(self._store, asset, self._settings.timezone):
                self._noting_problems(partial(search.search_table, self._store, asset, day))
        for path in snapshot_paths(self._store):
            self._noting_problems(partial(search.search_snapshots, self._store, path))

    def _find_fields(self) -> None:
        """Find the custom fields that the stored tables track: the command may run without the pipeline's variables."""

        def find(day: Day) -> None:
            listed = (read_metadata(self._store, STATES, day) or {}).get(TRACKED_FIELDS, "")
            self._fields.update(name for name in listed.split(",") if name.startswith(CUSTOM_FIELD))

        for day in stored_days(self._store, STATES, self._settings.timezone):
            self._noting_problems(partial(find, day))

    def _enter(self, wanted: Wanted, found: Person) -> Ledger:
        entries: dict[str, Iterable[int | str]] = {
            REQUESTER: wanted.requesters,
            TICKET: {*wanted.tickets, *found.tickets},
            ADDRESS: {*map(normal_address, wanted.addresses), *found.addresses},
        }
        fields = self._fields
        if self._dry_run:
            return (read_ledger(self._store) or Ledger(b"of a dry run")).with_entries(entries, fields)
        return add_to_ledger(self._store, entries, custom_fields=fields, log=self._log)

    def _with_days_held(
        self, stream: str, ledger: Ledger, *, wanted: Wanted, search: PersonSearch, seen: dict[str, str]
    ) -> Ledger:
        """Clear a stream while no fetch of it is in progress; returns the ledger with what such a fetch had brought."""
        days = [Day.parse(date, self._settings.timezone) for date in _ALL_DAYS]
        try:
            lease = hold_days(self._store, stream, days, label=LABEL, log=self._log, sleep=self._sleep)
        except DaysHeldError as error:
            raise DaysHeldError(
                f"{error} What is to be forgotten stands in the ledger, so later fetches blank it. Run the same command again "
                "to blank what is stored."
            ) from error
        try:
            if stream == AUDITS:
                self._search(search, seen)
                ledger = self._enter(wanted, search.found)
            self._store.sweep()
            self._clear_stream(lease.fenced(), stream, Blanking(ledger))
        finally:
            lease.release()  # as a fetch that stopped half-way: journals that were left can still be resumed
        return ledger

    def _clear_stream(self, store: Store, stream: str, blanking: Blanking) -> None:
        days = days_of(store.paths(stream), self._settings.timezone)
        changing = [day for day in days if self._take(stream, partial(to_blank, store, stream, day, blanking))]
        if stream == AUDITS:
            self._remove_pages(pages_showing(store, blanking, self._subjects_of))
        for day in () if self._dry_run else changing:
            self._noting_problems(partial(blank_day, store, stream, day, blanking, now=int(self._clock())))
        rejected, journals = (partial(clear, store, stream, blanking) for clear in (remove_rejected, remove_journals))
        self._take_all(f"{REJECTED}/{stream}", partial(rejected, dry_run=self._dry_run))
        self._take_all(f"{JOURNAL_FOLDER}/{stream}", partial(journals, dry_run=self._dry_run))

    def _clear_tables(self, blanking: Blanking) -> None:
        store, dry_run = self._store, self._dry_run
        tables = {CHANGES: blank_changes, STATES: blank_states, DIMENSIONS: blank_dimensions}
        days = [(asset, day) for asset in tables for day in stored_days(store, asset, self._settings.timezone)]
        known = set(self._subjects_of)
        changing = [
            day
            for asset, day in days
            if self._take(asset, partial(tables[asset], store, day, blanking, dry_run=True)) and asset == DIMENSIONS
        ]
        showing = pages_showing(store, blanking, self._subjects_of) if self._subjects_of > known else set()
        self._remove_pages(showing | (pages_of(store, changing) if changing else set()))
        for asset, day in () if dry_run else days:
            self._noting_problems(partial(tables[asset], store, day, blanking))
        for path in snapshot_paths(store):
            self._take(TICKET_SNAPSHOTS, partial(blank_snapshots, store, path, blanking, dry_run=dry_run))
        self._take(ZENDESK_NAMES, partial(blank_names, store, blanking, dry_run=dry_run))

    def _remove_pages(self, paths: set[str]) -> None:
        """Before what they were made from is blanked: a command that is run again finds by that which are to be removed."""
        self._pages |= paths - {LATEST}
        if paths and not self._dry_run:
            remove_pages(self._store, self._settings.timezone, paths)

    def _take(self, folder: str, blank: Callable[[], Changed]) -> bool:
        """Count what changes in a file; whether anything does."""
        before = self._result.cleared[folder].rows
        self._take_all(folder, lambda: [blank()])
        return self._result.cleared[folder].rows > before

    def _take_all(self, folder: str, blank: Callable[[], Iterable[Changed]]) -> None:
        """Count what changes in several files."""

        def take() -> None:
            for found in blank():
                self._result.cleared[folder].take(found)
                self._subjects_of |= found.subjects_of

        self._noting_problems(take)

    def _noting_problems(self, action: Callable[[], object]) -> None:
        try:
            action()
        except DamagedFileError as error:
            if str(error) not in self._result.problems:
                self._result.problems.append(str(error))

    def _finished(self, wanted: Wanted, found: Person, ledger: Ledger) -> Forgotten:
        result, pruned = self._result, read_pruned_days(self._store)
        result.cleared[REPORT] = Cleared(len(self._pages), len(self._pages), len(self._pages))
        days = [day_of_page(path, self._settings.timezone) for path in self._pages]
        result.closed_pages = sum(day is not None and pruned.is_closed(day) for day in days)
        result.ledger = None if self._dry_run else ledger
        result.tickets = len(found.tickets.difference(wanted.tickets))
        result.addresses = len(found.addresses)
        result.is_nowhere = not found.mentions and not any(cleared.rows for cleared in result.cleared.values())
        result.not_searched = _not_stored(self._store, self._settings.timezone) if wanted.requesters else []
        result.runs_in_progress = len(read_beats(self._store))
        return result


def _not_stored(store: Store, timezone: str) -> list[str]:
    """The audits that are not stored, as phrases: those that were pruned, and of other days of the root."""
    first_kept = read_pruned_days(store).before.get(AUDITS)
    searched = set(stored_days(store, AUDITS, timezone))
    known = {day for asset in (*STREAMS, *SEARCHED_TABLES) for day in stored_days(store, asset, timezone)}
    days = days_between(min(known), max(known)) if known else []
    missing = [day for day in days if day not in searched and (first_kept is None or day.date >= first_kept)]
    phrases = [] if first_kept is None else [f"audits before {first_kept}, which were pruned"]
    if missing:
        span = str(missing[0]) if len(missing) == 1 else f"{plural(len(missing), 'day')} from {missing[0]} to {missing[-1]}"
        phrases.append(f"audits of {span}, which are not stored")
    return phrases


def _refuse_small_ids(wanted: Wanted) -> None:
    small = next((one for one in wanted.requesters if one < SMALLEST_USER_ID), None)
    if small is not None:
        raise UsageError(f"{small} is no user's id: those have seven digits or more. To forget a ticket: --ticket {small}.")


def _refuse_named_agents(store: Store, wanted: Wanted, known: Ledger | None) -> None:
    """Raises UsageError where the stored names have one of the users, unless it was forgotten before it became an agent."""
    names = read_kind(store, USERS) if wanted.requesters else None
    agents = set() if names is None else set(names["id"].to_pylist())
    new = {one for one in wanted.requesters if known is None or not known.holds(REQUESTER, one)}
    _refuse(new & agents, "has a name in zendesk_names/agents.parquet, so it is an agent's id")


def _refuse_holders(found: Person) -> None:
    """Raises UsageError where one of the users held a ticket: figures by agent would change."""
    _refuse(found.assignees, "held tickets as an agent, and the figures by agent would change")


def _refuse(agents: set[int], reason: str) -> None:
    if agents:
        raise UsageError(
            f"{min(agents)} {reason}. Nothing was changed. What is stored of an agent, and how to remove it: "
            "docs/how-to/delete-personal-data.md, section Agents."
        )
