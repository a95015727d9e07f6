"""What a raw file says of itself: whose it is, which window it covers, how far it was read and by which pages.

Kept in the Parquet footer as text: times are epoch seconds, booleans `true`/`false`, the ledger JSON.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.credentials import DEFAULT_SUPPORT_TYPE_SCOPE
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.partition_file import (
    opened_partition,
    partition_path,
    read_metadata,
    read_partition_and_metadata,
)
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile

MOST_MISSED_IDS = 1000
"""Upper bound of the ids that a footer lists of each shape, some 15 KB; the rest is only counted."""


@dataclass(frozen=True)
class LedgerPage:
    """One page of the stream, as the ledger of every day that it touches holds it.

    Attributes:
        start_time: what was asked, epoch seconds.
        end_time: what the page said, epoch seconds; None if it said nothing.
        count: rows of the page that came, whatever day they belong to.
        first_id: id of its first row; None on an empty page.
        last_id: id of its last row.
        server_count: rows of the page as the server counted them; None in files that don't have it.
        newest: epoch second of its newest row; None if no row has a readable time, and in files that don't have it.
    """

    start_time: int
    end_time: int | None
    count: int
    first_id: int | None
    last_id: int | None
    server_count: int | None = None
    newest: int | None = None


@dataclass(frozen=True)
class MissedEvents:
    """Events that earlier readings of the day delivered and its newest one no longer did: they moved, or were withdrawn.

    Attributes:
        since: server time of the first page of the pass that missed the last of them, epoch seconds; a day whose reading began
            then or later shows whether they moved there.
        count: how many.
        ids: of the first of them, at most MOST_MISSED_IDS.
        metric_ids: the same of those with the metric-event shape in `ticket_events`, where the shape belongs to the key.
    """

    since: int = 0
    count: int = 0
    ids: tuple[int, ...] = ()
    metric_ids: tuple[int, ...] = ()

    @property
    def unlisted(self) -> int:
        """How many of them are counted without their id."""
        return self.count - len(self.ids) - len(self.metric_ids)

    def to_text(self) -> str:
        """As the footer holds it."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> MissedEvents:
        """The inverse of `to_text`.

        Raises:
            KeyError, ValueError, TypeError: it isn't one.
        """
        told = json.loads(text)
        since, count, ids, metric_ids = told["since"], told["count"], tuple(told["ids"]), tuple(told["metric_ids"])
        missed = cls(since, count, ids, metric_ids)
        if any(type(number) is not int or abs(number) >= 2**63 for number in (since, count, *ids, *metric_ids)):
            raise ValueError("not whole numbers")
        if missed.unlisted < 0:
            raise ValueError("more ids than events")
        return missed


@dataclass(frozen=True)
class RawFooter:
    """The key-value metadata of a raw file.

    Attributes:
        schema_version: of the columns, `schemas.SCHEMA_VERSION`.
        account: the Zendesk account's name.
        timezone: IANA zone of the partition days.
        sideload: whether comments were asked for (`ticket_events` only).
        stream: the stream's name, which is the asset's.
        partition: the day, YYYY-MM-DD.
        window_start: first epoch second of the day.
        window_end: first epoch second after it.
        complete: whether the stream was read past the day's end and the time that late rows take.
        next_start_time: where reading goes on, epoch seconds; an open day is resumed there.
        requests: HTTP requests that this file took; one that served several days counts in the first.
        rows: rows of the file.
        duplicates: rows of the day that were delivered again and replaced their earlier delivery.
        rejected: rows of the whole pass that could not be placed.
        fetched_at: when the last page was read for this file, epoch seconds: by the server's clock or by this machine's,
            whichever is behind.
        content_hash: of the rows alone.
        pages: the ledger.
        pass_id: which pass wrote the file; a pass that goes on where a dead one stopped keeps its id.
        support_type_scope: whose tickets were asked for (`ticket_events` only): agent, all or ai_agent.
        begun_at: server time of the first page that the file's rows come from, epoch seconds; 0 in older files. A resumed day
            keeps that of its first reading.
        missed: events that earlier readings of the day delivered, and the newest one didn't.
        metric_rows: rows of the metric-event shape; None in files that don't have it.
    """

    schema_version: int
    account: str
    timezone: str
    sideload: bool
    stream: str
    partition: str
    window_start: int
    window_end: int
    complete: bool
    next_start_time: int
    requests: int
    rows: int
    duplicates: int
    rejected: int
    fetched_at: int
    content_hash: str
    pages: tuple[LedgerPage, ...]
    pass_id: str = ""
    support_type_scope: str = DEFAULT_SUPPORT_TYPE_SCOPE
    begun_at: int = 0
    missed: MissedEvents = MissedEvents()
    metric_rows: int | None = None

    def is_of(self, stream: str, day: Day) -> bool:
        """Whether the file is of that stream and day; one that was copied to another day's place isn't."""
        return (self.stream, self.partition) == (stream, str(day))

    def to_metadata(self) -> dict[str, str]:
        """As the footer holds it."""
        shown: dict[str, str] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if value is not None:
                shown[item.name] = str(value).lower() if isinstance(value, bool) else str(value)
        shown["pages"] = json.dumps([vars(page) for page in self.pages], separators=(",", ":"))
        shown["missed"] = self.missed.to_text()
        return shown

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> RawFooter:
        """The inverse of `to_metadata`.

        Raises:
            KeyError, ValueError, TypeError: the metadata is not of a raw file.
        """
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            if item.name in metadata or item.default is dataclasses.MISSING:
                values[item.name] = _PARSERS[str(item.type)](metadata[item.name])
        return cls(**values)


def read_raw_footer(store: Store, stream: str, day: Day) -> RawFooter | None:
    """The footer of a day's raw file, or None where the day has no file.

    Raises:
        DamagedFileError: the file can't be read, or isn't a raw file of this pipeline.
    """
    metadata = read_metadata(store, stream, day)
    return None if metadata is None else _footer_of(store, stream, day, metadata)


def read_raw_footers(
    store: Store, stream: str, days: Iterable[Day], *, on_damaged: Callable[[Day, DamagedFileError], None] | None = None
) -> Iterator[tuple[Day, RawFooter]]:
    """The footers of those of `days` that have a file; one that can't be read is skipped, and given to `on_damaged`."""
    for day in days:
        try:
            footer = read_raw_footer(store, stream, day)
        except DamagedFileError as error:
            if on_damaged is not None:
                on_damaged(day, error)
            continue
        if footer is not None:
            yield day, footer


@contextmanager
def opened_raw_day(
    store: Store, stream: str, day: Day, *, dictionary_columns: Sequence[str] = ()
) -> Iterator[tuple[StoredFile, RawFooter] | None]:
    """A day's raw file, to be read in parts, and its footer; None where the day has no file.

    `dictionary_columns` is `opened_parquet`'s.

    Raises:
        DamagedFileError: the file can't be read, or isn't a raw file of this pipeline.
    """
    with opened_partition(store, stream, day, dictionary_columns=dictionary_columns) as file:
        yield None if file is None else (file, _footer_of(store, stream, day, file.metadata))


def read_raw_day(
    store: Store, stream: str, day: Day, columns: list[str], *, dictionary_columns: Sequence[str] = ()
) -> tuple[pa.Table, RawFooter] | None:
    """The rows and the footer of a day's raw file, from one version of it; None where the day has no file.

    `dictionary_columns` is `opened_parquet`'s.

    Raises:
        DamagedFileError: the file can't be read, or isn't a raw file of this pipeline.
    """
    found = read_partition_and_metadata(store, stream, day, columns, dictionary_columns=dictionary_columns)
    return None if found is None else (found[0], _footer_of(store, stream, day, found[1]))


def _footer_of(store: Store, stream: str, day: Day, metadata: dict[str, str]) -> RawFooter:
    try:
        return RawFooter.from_metadata(metadata)
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedFileError(
            f"{store.url(partition_path(stream, day))} bears no footer of this pipeline ({error!r}). "
            f"Materialise {stream} of {day} again to replace it."
        ) from error


def _as_bool(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _as_ledger(text: str) -> tuple[LedgerPage, ...]:
    return tuple(LedgerPage(**page) for page in json.loads(text))


_PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "int | None": int,
    "bool": _as_bool,
    "str": str,
    "tuple[LedgerPage, ...]": _as_ledger,
    "MissedEvents": MissedEvents.from_text,
}
