"""Iceberg tables, by PyIceberg: format version 2, partitioned by identity(date).

What was published of a day is a property of the table, set in the transaction that makes the day's snapshot. Two publishers are
kept apart by the catalog: a commit holds only for the snapshot that it was made after. https://py.iceberg.apache.org/api/
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager

import pyarrow as pa
from pyarrow.fs import FileSelector
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchNamespaceError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
    ValidationError,
    ValidationException,
)
from pyiceberg.io.pyarrow import PyArrowFileIO, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table import TableProperties, Transaction, WriteTask
from pyiceberg.table.snapshots import Operation
from pyiceberg.utils.datetime import days_to_date
from sqlalchemy.exc import SQLAlchemyError

from ticket_events_pipeline.publish.columns import DATE
from ticket_events_pipeline.publish.failures import Reading, library_errors
from ticket_events_pipeline.publish.plan import fingerprint
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
from ticket_events_pipeline.tables.table import Table

FILE_BYTES = 64 * 1024 * 1024
"""Rows of one data file, in memory: PyIceberg writes a file from rows that it holds as a whole."""

_DAY, _SNAPSHOT = f"{PREFIX}day.", f"{PREFIX}snapshot"

_ERRORS = (RESTError, NoSuchTableError, NoSuchNamespaceError, ValidationError, ValidationException)

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_OWN_FILE = re.compile(
    rf"data/{DATE}=[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/[0-9]{{5}}-[0-9]+-{_UUID}\.parquet"
    rf"|metadata/(?:[0-9]{{5,}}-{_UUID}\.metadata\.json|{_UUID}-m[0-9]+\.avro|snap-[0-9]+-[0-9]+-{_UUID}\.avro)"
)
"""What the library calls its files in a table's folder. Any other file that no snapshot knows is somebody else's."""

_METRICS = "write.metadata.metrics"


class IcebergFormat:
    """The tables of a namespace in a catalog, their files below a URI."""

    name = "iceberg"

    def __init__(self, uri: str, catalog: Catalog, namespace: str) -> None:
        self._uri, self._catalog, self._namespace, self._store = uri, catalog, namespace, open_store(uri)

    def url(self, asset: str) -> str:
        """See `TableFormat.url`."""
        return f"{self._uri}/{asset}"

    def open(self, asset: str) -> IcebergCopy | None:
        """See `TableFormat.open`."""
        with _errors(self.url(asset)):
            refuse_other_format(self._store, asset, self.name)
            try:
                return IcebergCopy(self.url(asset), self._catalog.load_table((self._namespace, asset)))
            except NoSuchTableError:
                return None

    def create(self, table: Table, schema: pa.Schema, stamp: Stamp) -> IcebergCopy:
        """See `TableFormat.create`."""
        properties = {
            **stamp.to_properties(),
            TableProperties.FORMAT_VERSION: "2",
            # A retry of the library's own would add a day that another publish has added meanwhile.
            TableProperties.COMMIT_NUM_RETRIES: "0",
            # Each commit writes a metadata file with all snapshots in it.
            "write.metadata.delete-after-commit.enabled": "true",
            "write.metadata.previous-versions-max": "10",
            # The smallest and the largest value of other columns would hold texts of people.
            f"{_METRICS}.default": "counts",
            **{f"{_METRICS}.column.{name}": "full" for name in (DATE, *statistics_columns(table))},
        }
        with _errors(self.url(table.name)):
            self._catalog.create_namespace_if_not_exists(self._namespace)
            try:
                with (
                    self._catalog.create_table_transaction(
                        (self._namespace, table.name), schema, location=self._location(table.name), properties=properties
                    ) as transaction,
                    transaction.update_spec() as spec,
                ):
                    spec.add_identity(DATE)
            except TableAlreadyExistsError as error:
                raise ConflictError(str(error)) from error
        found = self.open(table.name)
        if found is None:
            raise ConflictError(f"{self.url(table.name)} was dropped as soon as it was made")
        return found

    def _location(self, asset: str) -> str:
        return f"{self._uri}/{asset}" if "://" in self._uri else f"file://{self._uri}/{asset}"


class IcebergCopy:
    """See `PublishedTable`."""

    def __init__(self, url: str, table: IcebergTable) -> None:
        self.url, self._table = url, table

    @property
    def stamp(self) -> Stamp | None:
        """See `PublishedTable.stamp`."""
        return Stamp.of(self._table.properties)

    @property
    def schema(self) -> pa.Schema:
        """See `PublishedTable.schema`."""
        return pa.schema([(column.name, column.type) for column in self._table.schema().as_arrow()])

    @property
    def version(self) -> str:
        """The id of the newest snapshot; empty without any."""
        snapshot = self._table.current_snapshot()
        return "" if snapshot is None else str(snapshot.snapshot_id)

    def fingerprints(self, dates: Collection[dt.date]) -> dict[dt.date, str]:
        """See `PublishedTable.fingerprints`."""
        with _errors(self.url):
            if self._is_own:
                return {dt.date.fromisoformat(name.removeprefix(_DAY)): value for name, value in self._days.items()}
            return {days_to_date(task.file.partition[0]): "" for task in self._table.scan().plan_files()}

    @property
    def _days(self) -> dict[str, str]:
        """The properties that remember days."""
        return {name: value for name, value in self._table.properties.items() if name.startswith(_DAY)}

    @property
    def _is_own(self) -> bool:
        """Whether every change of rows was remembered; a compaction changes none.

        A rollback, for one, brings old rows back, and leaves the newest properties.
        """
        remembered, snapshot = self._table.properties.get(_SNAPSHOT), self._table.current_snapshot()
        while snapshot is not None and str(snapshot.snapshot_id) != remembered:
            if snapshot.summary is None or snapshot.summary.operation is not Operation.REPLACE:
                return False
            snapshot = self._table.snapshot_by_id(snapshot.parent_snapshot_id or 0)
        return (snapshot is None) == (remembered is None)

    def put(self, day: NewDay) -> None:
        """See `PublishedTable.put`."""
        name = f"{_DAY}{day.change.date}"
        summary, reading = day.commit_metadata(self.schema), Reading(day.batches)
        with _errors(self.url, reading), self._table.transaction() as transaction:
            if day.schema.names != self.schema.names:
                with transaction.update_schema() as update:
                    update.union_by_name(day.schema)
            with transaction.update_snapshot(snapshot_properties=summary).overwrite() as overwrite:
                for task in self._table.scan(row_filter=f"{DATE} = '{day.change.date}'").plan_files():
                    overwrite.delete_data_file(task.file)
                for file in _data_files(transaction, self._table, day, reading, overwrite.commit_uuid):
                    overwrite.append_data_file(file)
            remembered = self._days if self._is_own else {f"{_DAY}{date}": "" for date in self.fingerprints(())}
            remembered[name] = fingerprint(day.content_hash)
            if not day.content_hash:
                del remembered[name]
            transaction.remove_properties(*self._days.keys() - remembered.keys())
            transaction.set_properties({**remembered, _SNAPSHOT: str(transaction.table_metadata.current_snapshot_id)})

    def restamp(self, stamp: Stamp) -> None:
        """See `PublishedTable.restamp`."""
        with _errors(self.url), self._table.transaction() as transaction:
            transaction.set_properties(stamp.to_properties())

    def has_state_before(self, moment: dt.datetime, *, now: dt.datetime) -> bool:
        """See `PublishedTable.has_state_before`."""
        return bool(self._snapshots_before(moment))

    def _snapshots_before(self, moment: dt.datetime) -> list[int]:
        """The ids of older snapshots, but for the newest one and those that a branch or tag keeps."""
        kept, milliseconds = {ref.snapshot_id for ref in self._table.metadata.refs.values()}, moment.timestamp() * 1000
        old = [snapshot for snapshot in self._table.snapshots() if snapshot.timestamp_ms < milliseconds]
        return [snapshot.snapshot_id for snapshot in old if snapshot.snapshot_id not in kept]

    def expire(self, *, before: dt.datetime, now: dt.datetime) -> int:
        """See `PublishedTable.expire`. The catalog forgets the old snapshots first: a killed clean-up only leaves files."""
        with _errors(self.url):
            needed_before = _data_paths(self._table)
            old = self._snapshots_before(before)
            if old:
                self._table.maintenance.expire_snapshots().by_ids(old).commit()
                self._table.refresh()
            needed = _data_paths(self._table)
            kept = {entry.metadata_file for entry in self._table.metadata.metadata_log} | {self._table.metadata_location}
            orphans = {
                path
                for path, written_at in _own_files(self._table).items()
                if written_at < min(before.timestamp(), now.timestamp() - ORPHAN_SECONDS)
            }
            gone = ((needed_before | orphans) - needed) - kept
            for path in gone:
                self._table.io.delete(path)
        return len([path for path in gone if path.endswith(".parquet")])


def _data_files(
    transaction: Transaction, table: IcebergTable, day: NewDay, reading: Reading, commit: uuid.UUID
) -> Iterator[DataFile]:
    """Write the rows into new data files, some FILE_BYTES each; no snapshot knows them yet."""
    metadata = transaction.table_metadata
    spec, schema = metadata.spec(), metadata.schema()
    key = PartitionKey([PartitionFieldValue(spec.fields[0], day.change.date)], spec, schema)
    for number, batches in enumerate(_packed(reading)):
        task = WriteTask(write_uuid=commit, task_id=number, schema=schema, record_batches=batches, partition_key=key)
        yield from write_file(table.io, metadata, iter([task]))


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """The batches with rows, some FILE_BYTES at a time."""
    packed, size = list[pa.RecordBatch](), 0
    for batch in batches:
        if not batch.num_rows:
            continue
        packed.append(batch)
        size += batch.nbytes
        if size >= FILE_BYTES:
            yield packed
            packed, size = [], 0
    if packed:
        yield packed


def _data_paths(table: IcebergTable) -> set[str]:
    """The files that any snapshot of the table needs, but for its metadata files."""
    found = set[str]()
    for snapshot in table.snapshots():
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in found:
                found.add(manifest.manifest_path)
                found.update(
                    entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                )
    return found


def _own_files(table: IcebergTable) -> dict[str, float]:
    """By location, when each file that the library wrote for the table was written, epoch seconds; none where it can't list."""
    if not isinstance(table.io, PyArrowFileIO):
        return {}
    scheme, host, path = PyArrowFileIO.parse_location(table.location())
    system = table.io.fs_by_scheme(scheme, host)
    begin = table.location()[: -len(path)] if table.location().endswith(path) else ""
    files = system.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    own = (file for file in files if file.is_file and _OWN_FILE.fullmatch(file.path[len(path) :].lstrip("/")))
    return {f"{begin}{file.path}": file.mtime_ns / 1e9 for file in own}


def _errors(url: str, reading: Reading | None = None) -> AbstractContextManager[None]:
    return library_errors(url, conflicts=(CommitFailedException,), others=(SQLAlchemyError, *_ERRORS), reading=reading)
