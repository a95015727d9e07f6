"""Delta tables, by delta-rs: one folder per asset, partitioned by `date`.

What was published of a day is a `txn` action of the commit that published it: an application id with a version, which Delta
keeps for this purpose, also in its checkpoints, and of which only the newest one per id counts. So the record costs one line a
commit. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
https://delta-io.github.io/delta-rs/api/delta_writer/
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager

import deltalake
import pyarrow as pa
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from ticket_events_pipeline.publish.columns import DATE
from ticket_events_pipeline.publish.delta_log import has_changed_rows, transaction_versions
from ticket_events_pipeline.publish.failures import Reading, library_errors
from ticket_events_pipeline.publish.plan import FINGERPRINT_DIGITS, fingerprint
from ticket_events_pipeline.publish.table_format import (
    ORPHAN_SECONDS,
    PREFIX,
    ConflictError,
    NewDay,
    Stamp,
    refuse_other_format,
    statistics_columns,
)
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import ROWS_PER_GROUP
from ticket_events_pipeline.tables.table import Table

_COMMIT, _EPOCH = f"{PREFIX}commit", f"{PREFIX}epoch"
_REMOVED = -1

_OWN_FILE = re.compile(
    rf"{DATE}=[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/part-[0-9]{{5}}-[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}-c[0-9]{{3}}\.[a-z]+\.parquet"
)
"""What the library calls a data file. Any other file that the log doesn't know is somebody else's."""

_WRITER = deltalake.WriterProperties(compression="ZSTD", max_row_group_size=ROWS_PER_GROUP)
"""A row group is held in memory until it is full; the library's own are eight times as large."""


class DeltaFormat:
    """The Delta tables below a URI."""

    name = "delta"

    def __init__(self, uri: str, options: Mapping[str, str]) -> None:
        """`options` are the object store's settings, beyond the provider's own variables."""
        self._uri, self._options, self._store = uri, dict(options), open_store(uri)

    def url(self, asset: str) -> str:
        """See `TableFormat.url`."""
        return f"{self._uri}/{asset}"

    def open(self, asset: str) -> DeltaCopy | None:
        """See `TableFormat.open`."""
        url = self.url(asset)
        with _errors(url):
            refuse_other_format(self._store, asset, self.name)
            try:
                return DeltaCopy(url, deltalake.DeltaTable(url, storage_options=self._options))
            except TableNotFoundError:
                return None

    def create(self, table: Table, schema: pa.Schema, stamp: Stamp) -> DeltaCopy:
        """See `TableFormat.create`."""
        url = self.url(table.name)
        configuration = {
            **stamp.to_properties(),
            # Without it, the log would hold the smallest and the largest text of every column.
            "delta.dataSkippingStatsColumns": ",".join(statistics_columns(table)),
        }
        with _errors(url):
            try:
                created = deltalake.DeltaTable.create(
                    url,
                    schema,
                    mode="error",
                    partition_by=[DATE],
                    name=table.name,
                    configuration=configuration,
                    storage_options=self._options,
                    raise_if_key_not_exists=False,
                )
            except DeltaError as error:
                if self.open(table.name) is None:
                    raise
                raise ConflictError(str(error)) from error
        return DeltaCopy(url, created)


class DeltaCopy:
    """See `PublishedTable`."""

    def __init__(self, url: str, table: deltalake.DeltaTable) -> None:
        self.url, self._table, self._store = url, table, open_store(url)

    @property
    def stamp(self) -> Stamp | None:
        """See `PublishedTable.stamp`."""
        return Stamp.of(self._table.metadata().configuration)

    @property
    def schema(self) -> pa.Schema:
        """See `PublishedTable.schema`."""
        return pa.schema(self._table.schema().to_arrow())

    @property
    def version(self) -> str:
        """The number of the newest commit."""
        return str(self._table.version())

    def fingerprints(self, dates: Collection[dt.date]) -> dict[dt.date, str]:
        """See `PublishedTable.fingerprints`."""
        with _errors(self.url):
            filled = {dt.date.fromisoformat(str(part[DATE])) for part in self._table.partitions()}
            names = {date: _application(self._epoch, date) for date in filled.union(dates)}
            known = {date: _text(version) for date, name in names.items() if (version := self._remembered(name)) >= 0}
        return {date: known.get(date, "") for date in filled.union(known)}

    @functools.cached_property
    def _epoch(self) -> int:
        """The number of the commit since which every change of rows was remembered; a new one if another program made some.

        RESTORE, for one, brings old rows back, and leaves the newest transaction identifiers.
        """
        newest = self._remembered(_COMMIT)
        if newest < 0 or has_changed_rows(self._store, newest, self._table.version()):
            return self._table.version() + 1
        return self._remembered(_EPOCH)

    @functools.cached_property
    def _versions(self) -> Mapping[str, int] | None:
        return transaction_versions(self._store, self._table.version())

    def _remembered(self, application: str) -> int:
        """The version of a transaction identifier; negative without any."""
        versions = self._versions
        found = self._table.transaction_version(application) if versions is None else versions.get(application)
        return _REMOVED if found is None else found

    def put(self, day: NewDay) -> None:
        """See `PublishedTable.put`."""
        date, number, reading = day.change.date, self._table.version() + 1, Reading(day.batches)
        remembered = {
            _application(self._epoch, date): _number(day.content_hash),
            _EPOCH: self._epoch,
            _COMMIT: number,
        }
        properties = deltalake.CommitProperties(
            custom_metadata=day.commit_metadata(self.schema),
            app_transactions=[deltalake.Transaction(*entry) for entry in remembered.items()],
            max_commit_retries=0,  # the commit says its own number
        )
        rows = pa.RecordBatchReader.from_batches(day.schema, reading)
        with _errors(self.url, reading):
            deltalake.write_deltalake(
                self._table,
                rows,
                mode="overwrite",
                predicate=f"{DATE} = '{date}'",
                schema_mode="merge",
                commit_properties=properties,
                writer_properties=_WRITER,
            )
            self._table.update_incremental()
        if self._table.version() != number:
            raise ConflictError(f"commit {number + 1} came right after")

    def restamp(self, stamp: Stamp) -> None:
        """See `PublishedTable.restamp`."""
        with _errors(self.url):
            self._table.alter.set_table_properties(stamp.to_properties(), raise_if_not_exists=False)
            self._table.update_incremental()

    def has_state_before(self, moment: dt.datetime, *, now: dt.datetime) -> bool:
        """See `PublishedTable.has_state_before`."""
        with _errors(self.url):
            return bool(self._table.vacuum(_hours(now - moment), dry_run=True, enforce_retention_duration=False))

    def expire(self, *, before: dt.datetime, now: dt.datetime) -> int:
        """See `PublishedTable.expire`."""
        hours = _hours(now - before)
        with _errors(self.url):
            gone = self._table.vacuum(hours, dry_run=False, enforce_retention_duration=False)
            orphan_hours = max(hours, math.ceil(ORPHAN_SECONDS / 3600))
            unknown = self._table.vacuum(orphan_hours, dry_run=True, enforce_retention_duration=False, full=True)
            orphans = [path for path in unknown if _OWN_FILE.fullmatch(path)]
            self._store.delete(*orphans)
            self._table.update_incremental()
        return len(gone) + len(orphans)


def _hours(time: dt.timedelta) -> int:
    return max(0, math.ceil(time.total_seconds() / 3600))


def _application(epoch: int, date: dt.date) -> str:
    return f"{PREFIX}{epoch}.{date}"


def _number(content_hash: str) -> int:
    return int(fingerprint(content_hash), 16) if content_hash else _REMOVED


def _text(version: int) -> str:
    return f"{version:0{FINGERPRINT_DIGITS}x}"


def _errors(url: str, reading: Reading | None = None) -> AbstractContextManager[None]:
    return library_errors(url, conflicts=(CommitFailedError,), others=(DeltaError,), reading=reading)
