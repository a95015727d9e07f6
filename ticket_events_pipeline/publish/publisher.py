"""Publishing: makes tables of a lakehouse equal the stored ones, by one commit per day that differs.

What a table says of itself decides what is published; nothing is remembered elsewhere. So the next publish continues one that
was killed at any moment. Two at once don't double a day: the later commit of the same day is refused, and compared again.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, UsageError
from ticket_events_pipeline.ingest.ownership import Ownership, refuse_foreign_files
from ticket_events_pipeline.publish.columns import evolved_schema, published_schema
from ticket_events_pipeline.publish.plan import Change, Why, changes
from ticket_events_pipeline.publish.stored import StoredDays, opened_day, read_stored_days
from ticket_events_pipeline.publish.table_format import (
    ConflictError,
    NewDay,
    PublishedTable,
    Stamp,
    TableFormat,
    refuse_foreign,
)
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import STREAMS

MOST_CONFLICTS = 10
"""In a row: so often another publisher may be faster before this one gives up."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What a publish is asked for.

    Attributes:
        assets: which stored tables.
        keeps_removed: whether days that are no longer stored stay in the table.
        is_dry_run: whether nothing is changed.
        adopts: whether a table that was made from another root is taken over, after the files were moved.
    """

    assets: Sequence[str]
    keeps_removed: bool = False
    is_dry_run: bool = False
    adopts: bool = False


@dataclass
class Published:
    """What became of one asset.

    Attributes:
        asset: the stored table.
        url: of its published table.
        stored: how many days are stored.
        days: how many days were published, by why.
        rows: of the days that were published.
        version: the newest state of the table, in the format's own way; empty if there is none.
        problems: why some days, or the whole asset, could not be published.
    """

    asset: str
    url: str
    stored: int
    days: Counter[Why] = field(default_factory=Counter)
    rows: int = 0
    version: str = ""
    problems: list[str] = field(default_factory=list)


def publish(store: Store, settings: RootSettings, tables: TableFormat, wanted: Wanted, *, log: Log) -> Iterator[Published]:
    """Publish the stored days of each asset, in order; a day or an asset that can't be published doesn't keep others from it.

    Raises:
        UsageError: the root or the account isn't known, or the files are of another account or timezone.
        TransientError: the root can't be listed, or a table can't be read or written.
    """
    if settings.account is None:
        raise UsageError("ZENDESK_SUBDOMAIN is not set: a published table says of which account it is a copy.")
    owner = Ownership(settings.account, settings.timezone, sideload=False, former_accounts=settings.former_accounts)
    stream = next(stream for stream in STREAMS.values() if not stream.takes_choices)
    refuse_foreign_files(store, stream.name, [], owner, log)
    stored = read_stored_days(store, settings.timezone)
    for asset in wanted.assets:
        stamp = Stamp(asset, settings.account, settings.timezone, store.location)
        publisher = _Publisher(store, settings, tables, wanted, stamp, log)
        yield publisher.publish(stored[asset])


@dataclass(frozen=True)
class _Publisher:
    """Of one asset."""

    store: Store
    settings: RootSettings
    tables: TableFormat
    wanted: Wanted
    stamp: Stamp
    log: Log

    def publish(self, stored: StoredDays) -> Published:
        asset = self.stamp.asset
        made = Published(asset, self.tables.url(asset), len(stored.hashes) + len(stored.problems))
        for _ in range(MOST_CONFLICTS):
            made.problems = list(stored.problems.values())
            try:
                self._publish_once(stored, made)
                return made
            except UsageError as error:
                made.problems.append(str(error))
                return made
            except ConflictError as error:
                self.log(f"{made.url}: another program has changed the table meanwhile ({error}); comparing again.")
                # It may have published days that were stored since then.
                stored = read_stored_days(self.store, self.settings.timezone)[asset]
        made.problems.append(
            f"{made.url}: another program was faster {MOST_CONFLICTS} times in a row. Publish again when it has ended."
        )
        return made

    def _publish_once(self, stored: StoredDays, made: Published) -> None:
        table = self.tables.open(self.stamp.asset)
        if table is None and not stored.hashes:
            return
        if table is not None:
            refuse_foreign(table.stamp, self.stamp, self.settings.former_accounts, table.url, adopts=self.wanted.adopts)
        todo = self._changes(table, stored)
        if self.wanted.is_dry_run:
            made.days = Counter(change.why for change in todo)
            made.version = "" if table is None else table.version
            return
        if table is None:
            schema = published_schema(TABLES[self.stamp.asset].schema)
            table = self.tables.create(TABLES[self.stamp.asset], schema, self.stamp)
        elif table.stamp != self.stamp:
            table.restamp(self.stamp)
        made.version = table.version
        for number, change in enumerate(todo, start=1):
            self._publish_day(table, change, made)
            made.version = table.version
            if number % 50 == 0:
                self.log(f"{table.url}: {number} of {len(todo)} days are published.")

    def _changes(self, table: PublishedTable | None, stored: StoredDays) -> list[Change]:
        published = {} if table is None else table.fingerprints(stored.hashes)
        keeps = self.wanted.keeps_removed
        if published and not (stored.hashes or stored.problems or keeps):
            url = self.tables.url(self.stamp.asset)
            raise UsageError(
                f"No day of {self.stamp.asset} is stored below {self.store.location}, and {url} has {len(published)}: nothing "
                "was removed there. Check TICKET_EVENTS_ROOT; or drop the table."
            )
        return changes(stored.hashes, published, unreadable=stored.problems, keeps_removed=keeps)

    def _publish_day(self, table: PublishedTable, change: Change, made: Published) -> None:
        asset, day = self.stamp.asset, Day(change.date, self.settings.timezone)
        try:
            with opened_day(self.store, asset, day) as opened:
                if (opened is None) != (change.why is Why.REMOVED):  # it came or went since the listing: for the next publish
                    return
                if opened is None:
                    table.put(NewDay(change, "", table.schema, iter(())))
                else:
                    schema = evolved_schema(TABLES[asset], opened.columns, table.schema, table.url)
                    table.put(NewDay(change, opened.content_hash, schema, opened.batches(schema)))
                    made.rows += opened.num_rows
                made.days[change.why] += 1
        except DamagedFileError as error:
            made.problems.append(str(error))


def expire_history(
    tables: TableFormat, assets: Sequence[str], *, before: dt.datetime, now: dt.datetime, slack: dt.timedelta = dt.timedelta()
) -> dict[str, int]:
    """By URL of the table, how many data files were removed that only states before a moment needed.

    A table without a state that is older by `slack` isn't looked through.

    Raises:
        ConflictError: another program changes a table again and again.
        UsageError, TransientError: a table can't be read or written; see `TableFormat.open`.
    """
    return {
        tables.url(asset): files
        for asset in assets
        if (files := _expire(tables, asset, before=before, now=now, slack=slack)) is not None
    }


def _expire(tables: TableFormat, asset: str, *, before: dt.datetime, now: dt.datetime, slack: dt.timedelta) -> int | None:
    """How many data files of the asset's table were removed; None if there is no table, or nothing that old in it."""
    for _ in range(MOST_CONFLICTS):
        table = tables.open(asset)
        if table is None or table.stamp is None or (slack and not table.has_state_before(before - slack, now=now)):
            return None
        with suppress(ConflictError):
            return table.expire(before=before, now=now)
    raise ConflictError(
        f"{tables.url(asset)}: another program was faster {MOST_CONFLICTS} times in a row, so old states stay. Publish again "
        "when it has ended."
    )
