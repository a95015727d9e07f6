"""The footer of a raw file: its account, the window it covers, how far it was read and through which pages.

It is stored in the Parquet footer as text: times are epoch seconds, booleans `true`/`false`, the ledger JSON.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ticket_events_pipeline.credentials import DEFAULT_SUPPORT_TYPE_SCOPE
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.partition_file import (
    no_footer_error,
    opened_partition,
    read_metadata,
)
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile

MOST_MISSED_IDS = 1000
"""The most ids that a footer lists per shape, some 15 KB; the rest is only counted."""


@dataclass(frozen=True)
class LedgerPage:
    """One page of the stream, as listed in the ledger of every day that it has rows of.

    Attributes:
        start_time: the requested start time, epoch seconds.
        end_time: the page's end time, epoch seconds; None if it had none.
        count: rows of the page, of all days.
        first_id: id of its first row; None on an empty page.
        last_id: id of its last row.
        server_count: rows of the page as the server counted them; None in files without it.
        newest: epoch second of its newest row; None if no row has a readable time, and in files without it.
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
    """Events that earlier fetches of the day delivered and the newest one didn't: they moved, or were withdrawn.

    Attributes:
        since: server time of the first page of the fetch that missed the last of them, epoch seconds; a day whose fetch began
            then or later shows whether they moved there.
        count: how many.
        ids: the first of their ids, at most MOST_MISSED_IDS.
        metric_ids: the same for those with the metric-event shape in `ticket_events`, where the shape belongs to the key.
    """

    since: int = 0
    count: int = 0
    ids: tuple[int, ...] = ()
    metric_ids: tuple[int, ...] = ()

    @property
    def unlisted(self) -> int:
        """How many of them are counted without an id."""
        return self.count - len(self.ids) - len(self.metric_ids)

    def to_text(self) -> str:
        """As stored in the footer."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> MissedEvents:
        """The inverse of `to_text`.

        Raises:
            KeyError, ValueError, TypeError: the text has another form.
        """
        fields = json.loads(text)
        since, count, ids, metric_ids = fields["since"], fields["count"], tuple(fields["ids"]), tuple(fields["metric_ids"])
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
        schema_version: version of the columns.
        account: the Zendesk account's name.
        timezone: IANA zone of the partition days.
        sideload: whether comments were requested (`ticket_events` only).
        stream: the stream's name, which is the asset's.
        partition: the day, YYYY-MM-DD.
        window_start: first epoch second of the day.
        window_end: first epoch second after it.
        complete: whether the stream was read past the day's end and the time that late rows take.
        next_start_time: where the next fetch of an open day resumes, epoch seconds.
        requests: HTTP requests made for this file; one that served several days counts for the first.
        rows: rows of the file.
        duplicates: rows of the day that were delivered again and replaced the earlier delivery.
        rejected: rows that the whole fetch rejected.
        fetched_at: when the last page was read for this file, epoch seconds: by the server's or this machine's clock, whichever
            is earlier.
        content_hash: hash of the rows.
        pages: the ledger.
        pass_id: which fetch wrote the file; a resumed fetch keeps its id.
        support_type_scope: whose tickets were requested (`ticket_events` only): agent, all or ai_agent.
        begun_at: server time of the first page that the file's rows come from, epoch seconds; 0 in older files. A resumed day
            keeps that of its first fetch.
        missed: events that earlier fetches of the day delivered and the newest one didn't.
        metric_rows: rows of the metric-event shape; None in files without it.
        stopped_at: up to when the stream was read, epoch seconds, if the reading stopped before its end; else None.
        forgotten_rows: rows that were blanked because `ticket-events forget` was run for them; None if there are none.
        forgotten_at: when that command last rewrote the file, epoch seconds; None if a fetch has blanked the rows.
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
    stopped_at: int | None = None
    forgotten_rows: int | None = None
    forgotten_at: int | None = None

    @property
    def read_up_to(self) -> int:
        """The time whose events the file holds, as far as the server showed them: epoch seconds."""
        return self.fetched_at if self.stopped_at is None else min(self.fetched_at, self.stopped_at)

    def is_of(self, stream: str, day: Day) -> bool:
        """Whether the file belongs to that stream and day: a file may have been copied to another day's path."""
        return (self.stream, self.partition) == (stream, str(day))

    def to_metadata(self) -> dict[str, str]:
        """As stored in the footer."""
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
            KeyError, ValueError, TypeError: the metadata is not that of a raw file.
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

    `dictionary_columns` is as in `opened_partition`.

    Raises:
        DamagedFileError: the file can't be read, or isn't a raw file of this pipeline.
    """
    with opened_partition(store, stream, day, dictionary_columns=dictionary_columns) as file:
        yield None if file is None else (file, _footer_of(store, stream, day, file.metadata))


def _footer_of(store: Store, stream: str, day: Day, metadata: dict[str, str]) -> RawFooter:
    try:
        return RawFooter.from_metadata(metadata)
    except (KeyError, ValueError, TypeError) as error:
        raise no_footer_error(store, stream, day, error) from error


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
