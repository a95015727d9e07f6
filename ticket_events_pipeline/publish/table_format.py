"""What a table format offers to a publish: tables that can be opened or created, and days that are replaced by one commit.

The record of what was published is a part of the commit that publishes it, so that a killed publish leaves both or none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import pyarrow as pa

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.publish.delta_log import LOG
from ticket_events_pipeline.publish.plan import Change
from ticket_events_pipeline.publish_settings import DELTA, ICEBERG
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.table import EVENT_KEY, Table

PREFIX = "ticket-events."
"""How the names of this program's entries in a table's properties and commits begin."""

ORPHAN_SECONDS = 3600
"""A file without a commit may be one that another publish is about to commit; after so long, it was left by a killed one."""


METADATA = {DELTA: (LOG, ".json"), ICEBERG: ("metadata", ".metadata.json")}
"""By table format, the folder in a table's folder that holds its states, and how the names of their files end."""


class ConflictError(Exception):
    """Another program has changed the table meanwhile: nothing was committed."""


@dataclass(frozen=True)
class Stamp:
    """Whose copy a table is; in its properties.

    Attributes:
        asset: the stored table.
        account: the Zendesk account.
        timezone: IANA zone of the days.
        root: where the files are that it was made from.
    """

    asset: str
    account: str
    timezone: str
    root: str

    def to_properties(self) -> dict[str, str]:
        """As properties of a table."""
        return {f"{PREFIX}{name}": value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Stamp | None:
        """The stamp in a table's properties; None if the table was made by another program."""
        names = ("asset", "account", "timezone", "root")
        found = [properties.get(f"{PREFIX}{name}") for name in names]
        return cls(*map(str, found)) if None not in found else None


@dataclass(frozen=True)
class NewDay:
    """What a published day becomes.

    Attributes:
        change: which day, and why.
        content_hash: of the rows; empty for a day that is removed.
        schema: the columns of the table from then on.
        batches: the rows, with the columns of `schema`; none for a day that is removed.
    """

    change: Change
    content_hash: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def commit_metadata(self, columns_before: pa.Schema) -> dict[str, str]:
        """What the table's history says of the commit."""
        added = [name for name in self.schema.names if name not in columns_before.names]
        entries = {"date": str(self.change.date), "why": self.change.why.value, "content_hash": self.content_hash}
        entries |= {"new_columns": ", ".join(added)} if added else {}
        return {f"{PREFIX}{name}": value for name, value in entries.items() if value}


class PublishedTable(Protocol):
    """A table of a lakehouse, as it was when it was opened or last changed through this object."""

    url: str

    @property
    def stamp(self) -> Stamp | None:
        """Whose copy it is; None if another program made it."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""

    @property
    def version(self) -> str:
        """Names its newest state in the format's own way."""

    def fingerprints(self, dates: Collection[dt.date]) -> dict[dt.date, str]:
        """By day, what is remembered of its content: of those of `dates` that were published, and of all that have rows."""

    def put(self, day: NewDay) -> None:
        """Replace the rows of a day, and remember it, by one commit.

        Raises:
            ConflictError: another program has changed the table.
        """

    def restamp(self, stamp: Stamp) -> None:
        """Replace the stamp.

        Raises:
            ConflictError: another program has changed the table.
        """

    def has_state_before(self, moment: dt.datetime, *, now: dt.datetime) -> bool:
        """Whether files are kept that only states before the moment need."""

    def expire(self, *, before: dt.datetime, now: dt.datetime) -> int:
        """Remove what only states before a moment need, and files of killed publishes; returns how many data files went.

        Raises:
            ConflictError: another program has changed the table.
        """


class TableFormat(Protocol):
    """The tables at a URI."""

    name: str

    def url(self, asset: str) -> str:
        """Where the table of an asset is, or would be."""

    def open(self, asset: str) -> PublishedTable | None:
        """The table of an asset; None if there is none.

        Raises:
            UsageError: another format has a table in the same folder.
            UsageError, TransientError: the URI can't be read.
        """

    def create(self, table: Table, schema: pa.Schema, stamp: Stamp) -> PublishedTable:
        """A new, empty table.

        Raises:
            ConflictError: another program has made it meanwhile.
            UsageError, TransientError: the URI can't be written.
        """


def statistics_columns(table: Table) -> list[str]:
    """The columns whose least and greatest values a table's own files may hold: numbers and times, no text of a person."""
    return [name for name in dict.fromkeys((*table.key, *EVENT_KEY)) if name in table and not _is_text(table[name].type)]


def _is_text(kind: pa.DataType) -> bool:
    return not (pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def refuse_other_format(store: Store, asset: str, own: str) -> None:
    """Check that the folder of the asset's table in the format `own` isn't that of another format's table, too.

    Raises:
        UsageError: it is.
    """
    for other, (folder, suffix) in METADATA.items():
        if other != own and any(path.endswith(suffix) for path in store.paths(f"{asset}/{folder}")):
            raise UsageError(
                f"{store.url(asset)} has a table in the format {other}: {folder}. Two formats can't share a folder, since the "
                f"clean-up of one may remove files of the other. Nothing was changed there. Publish to another URI; or, if "
                f"nothing reads the {other} table any more, drop it and remove its files."
            )


def refuse_foreign(found: Stamp | None, own: Stamp, former_accounts: Collection[str], url: str, *, adopts: bool) -> None:
    """Check that a table is the copy that a publish would make.

    Raises:
        UsageError: it isn't; says what differs.
    """
    if found is None:
        raise UsageError(
            f"{url} is a table that another program made: it doesn't say of which stored table it is a copy. Nothing was "
            "changed there. Publish to another URI."
        )
    account = own.account if found.account in former_accounts else found.account
    differing = [
        f"its {name} is {theirs}, not {ours}"
        for name, theirs, ours in (
            ("asset", found.asset, own.asset),
            ("account", account, own.account),
            ("timezone", found.timezone, own.timezone),
        )
        if theirs != ours
    ]
    if differing:
        raise UsageError(f"{url} is a copy of something else: {'; '.join(differing)}. Publish to another URI.")
    if found.root != own.root and not adopts:
        raise UsageError(
            f"{url} is a copy of the files at {found.root}, not of those at {own.root}. If they were moved here, publish once "
            "with --adopt; else publish to another URI."
        )
