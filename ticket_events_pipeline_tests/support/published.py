"""A root with made-up rows, and its copies in both table formats, read back by the formats' own libraries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.publish.open_format import opened_format
from ticket_events_pipeline.publish.publisher import Published, Wanted, publish
from ticket_events_pipeline.publish_settings import DEFAULT_CATALOG, parse_catalog
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, write_partition
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.raw_files import put_raw_table

FORMATS = ("delta", "iceberg")
ACCOUNT = "recorded"
"""Of `put_raw_table`."""

CATALOG = parse_catalog(DEFAULT_CATALOG)

Rows = list[dict[str, Any]]


def made_up(asset: str, count: int, seed: int = 0, *, text: str = "ü") -> pa.Table:
    """Rows with a value of its own in each column, and every third one NULL but for keys."""
    table = TABLES[asset]
    columns = {
        column.name: [
            None if column.name not in table.key and (number + place) % 3 == 2 else _value(column.type, seed, number, text)
            for number in range(count)
        ]
        for place, column in enumerate(table)
    }
    return pa.table({name: pa.array(values, _plain(table[name].type)) for name, values in columns.items()}).cast(table.schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _value(kind: pa.DataType, seed: int, number: int, text: str) -> Any:
    kind = _plain(kind)
    if pa.types.is_list(kind):
        return [f"{text} {seed}", f"tag {number}"][: number % 3]
    if pa.types.is_timestamp(kind):
        return dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(days=seed, milliseconds=1001 * number)
    if pa.types.is_date(kind):
        return dt.date(2026, 3, 1) + dt.timedelta(days=number)
    if pa.types.is_boolean(kind):
        return number % 2 == 0
    if pa.types.is_floating(kind):
        return seed + number / 8
    return (seed * 1000 + number) % 120 if pa.types.is_integer(kind) else f"{text} {seed}/{number}"


def put_day(root: Path, asset: str, day: Day, rows: pa.Table) -> None:
    """Write the day's file with these rows, as the pipeline leaves it."""
    if asset in STREAMS:
        put_raw_table(root, rows, asset, day)
        return
    digest = content_hash(rows, added=TABLES[asset].added)
    metadata = {"schema_version": str(SCHEMA_VERSION), "partition": str(day), "content_hash": digest}
    write_partition(FolderStore(root), asset, day, rows, metadata)


@dataclass
class Lakehouse:
    """A root, and the tables of one format that are made from it.

    Attributes:
        format: a member of FORMATS.
        folder: of the root, and of the tables if they lie in a folder.
        uri: where the tables are.
    """

    format: str
    folder: Path
    uri: str = ""
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.uri = self.uri or str(self.folder / self.format)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def settings(self) -> RootSettings:
        return RootSettings(root=str(self.root), timezone="UTC", account=ACCOUNT, tickets_url=None)

    @contextmanager
    def tables(self, *, is_to_change: bool = True) -> Iterator[Any]:
        with opened_format(self.format, self.uri, CATALOG, is_to_change=is_to_change) as tables:
            yield tables

    def publish(self, *assets: str, store: Any = None, settings: RootSettings | None = None, **how: bool) -> list[Published]:
        """What a publish of the assets says."""
        with self.tables(is_to_change=not how.get("is_dry_run")) as tables:
            store = store or FolderStore(self.root)
            return list(publish(store, settings or self.settings, tables, Wanted(assets, **how), log=self.log.append))

    def stored(self, asset: str) -> Rows:
        """The rows of the day files by pyarrow alone, with their day, in order."""
        found: Rows = []
        for path in sorted((self.root / asset).glob(f"date=*/{asset}.parquet")):
            date = dt.date.fromisoformat(path.parent.name.removeprefix("date="))
            found += [{"date": date, **row} for row in pq.ParquetFile(path).read().to_pylist()]
        return in_order(found)

    def published(self, asset: str) -> Rows:
        """The rows of the published table by the format's own library, in order."""
        return in_order(self.read(asset).to_pylist())

    def read(self, asset: str) -> pa.Table:
        if self.format == "delta":
            return pa.table(self.delta(asset).to_pyarrow_table())
        with self.catalog() as catalog:
            return catalog.load_table(f"{CATALOG.namespace}.{asset}").scan().to_arrow()

    def delta(self, asset: str) -> deltalake.DeltaTable:
        return deltalake.DeltaTable(f"{self.uri}/{asset}")

    @contextmanager
    def catalog(self) -> Iterator[Any]:
        """The tables' own catalog, opened as the documentation says."""
        with load_catalog(CATALOG.name, uri=f"sqlite:///{self.uri}/catalog.db") as catalog:
            yield catalog

    def commits(self, asset: str) -> list[dict[str, str]]:
        """What the table's history says of each published day, the oldest first."""
        if self.format == "delta":
            entries = [entry for entry in reversed(self.delta(asset).history()) if entry["operation"] == "WRITE"]
        else:
            with self.catalog() as catalog:
                snapshots = catalog.load_table(f"{CATALOG.namespace}.{asset}").snapshots()
            entries = [snapshot.summary.additional_properties for snapshot in snapshots]
        prefix = "ticket-events."
        return [{k.removeprefix(prefix): v for k, v in entry.items() if k.startswith(prefix)} for entry in entries]

    def file(self, asset: str, day: Day) -> Path:
        return self.root / partition_path(asset, day)


def in_order(rows: Rows) -> Rows:
    """The rows sorted by everything in them, without columns that are NULL in all of them."""
    filled = {name for row in rows for name, value in row.items() if value is not None}
    return sorted(({name: row.get(name) for name in sorted(filled)} for row in rows), key=repr)
