"""A month that the real pipeline stored: days of an older release, of today's code, a restated day and an empty one.

Beside it, small roots of one raw asset, in which a day is empty, is replaced, or lies beside files of other tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, convert_to_deltalake
from deltalake.schema import Field, PrimitiveType, Schema

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import Layout, read_metadata, write_partition
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.deployment import ASSETS, deployed
from ticket_events_pipeline_tests.support.released import unpack_released_root
from ticket_events_pipeline_tests.support.ticket_days import make_ticket_days

FIRST, LAST = Day.parse("2026-03-01"), Day.parse("2026-03-31")
RESTATED, EMPTY, TODAY = Day.parse("2026-03-28"), Day.parse("2026-03-30"), Day.parse("2026-04-01")
LARGER = Day.parse("2026-03-02")
"""Replaces `DAY` in the small roots: it has more rows."""

IN_GROUPS = Day.parse("2026-03-10")
RAW = "ticket_metric_events"
DAY = Day.parse("2026-03-29")
"""A day of today's code, with rows."""

SUMMARY, ADDED = "daily_sla_breach_summary", "contradicted"
"""An asset, and a column that the release before didn't have."""

KINDS = {
    "integer": pa.types.is_integer,
    "float": pa.types.is_floating,
    "bool": pa.types.is_boolean,
    "time": pa.types.is_timestamp,
    "list": pa.types.is_list,
}

ROWS_PER_GROUP = 50
ZONE = "America/New_York"


def make_lake(root: Path) -> None:
    """March 2026: through the 27th as a release stored it, then fetched again, the 30th now empty; and the day after, open."""
    root.mkdir(parents=True)
    unpack_released_root(root)
    rmtree(root / "_inflight")
    make_ticket_days(root, FIRST, RESTATED.plus(-1))
    now = TODAY.start + 14 * 3600
    with deployed(root, now=now) as deployment:
        for stream in STREAMS:
            deployment.account.deliver(stream, _rows(stream, now))
        deployment.fetch(str(RESTATED), str(TODAY))
        deployment.settle()
    for asset in ASSETS:
        _write_in_groups(root, asset, IN_GROUPS)


def _rows(stream: str, now: float) -> list[dict[str, Any]]:
    """What the account has from the restated day on: fewer rows of that day, and none of the empty one."""
    rows = SimulatedAccount(seed="released", tickets_per_day=8).rows(stream, RESTATED.start, now=now)
    kept = [row for row in rows if not EMPTY.start <= row.time < EMPTY.end]
    return [json.loads(row.json) for row in kept if row.time >= RESTATED.end or row.time % 2]


def _write_in_groups(root: Path, asset: str, day: Day) -> None:
    """Write the day again, with its own columns, in small row groups: a day of millions of rows has several."""
    footer = read_metadata(FolderStore(root), asset, day)
    assert footer is not None
    (rows,) = file_tables(root, asset, day, day)
    write_partition(FolderStore(root), asset, day, rows.replace_schema_metadata(), footer, layout=Layout(ROWS_PER_GROUP))


# The truth, of each file alone.


def files(root: Path, asset: str, first: Day = FIRST, last: Day = LAST) -> list[Path]:
    """The files of the days."""
    return sorted(path for path in root.glob(f"{asset}/date=*/*.parquet") if str(first) <= path.parent.name[5:] <= str(last))


def file_tables(root: Path, asset: str, first: Day = FIRST, last: Day = LAST) -> Iterator[pa.Table]:
    """The rows of each file, without a column of its folder."""
    for path in files(root, asset, first, last):
        with pq.ParquetFile(path) as file:
            yield file.read()


def kinds(root: Path, asset: str) -> dict[str, str]:
    """How each column of the newest file is summed."""
    (newest,) = files(root, asset, TODAY, TODAY)
    return {field.name: _kind(field.type) for field in pq.read_schema(newest)}


def _kind(type_: pa.DataType) -> str:
    return next((kind for kind, is_so in KINDS.items() if is_so(type_)), "other")


def true_sums(root: Path, asset: str) -> dict[str, Any]:
    """The sums of the month, added up file by file in Python."""
    kind_of = kinds(root, asset)
    found: dict[str, Any] = {"rows": 0, **{name: [0, 0] for name in kind_of}}
    for table in file_tables(root, asset):
        found["rows"] += table.num_rows
        for name in table.column_names:
            kind = kind_of[name]
            values = [value.value if kind == "time" else value.as_py() for value in table[name] if value.is_valid]
            found[name][0] += len(values)
            found[name][1] += 0 if kind == "other" else sum(map(len, values)) if kind == "list" else sum(values)
    return found


# Small roots.


def make_small_roots(lake: Path, folder: Path, names: list[str]) -> dict[str, Any]:
    """Make the small roots below `folder`, one to replace days in for each of the names; what to ask about them."""
    places = {"first": [EMPTY, LAST], "middle": [DAY, EMPTY, LAST], "last": [DAY, EMPTY], "only": [EMPTY]}
    for place, days in places.items():
        _copy_days(lake, folder / f"empty {place}", days)
    for name in names:
        _copy_days(lake, folder / f"replaced by {name}", [RESTATED, DAY, EMPTY, LAST])
    for other in ("copy", "log"):
        _copy_days(lake, folder / f"other {other}", [RESTATED, DAY, EMPTY, LAST])
    day = folder / "other copy" / RAW / f"date={DAY}"
    (day / "_copy.parquet").write_bytes((day / f"{RAW}.parquet").read_bytes())
    _convert_to_delta(folder / "other log" / RAW)
    return {
        "empty": {place: str(folder / f"empty {place}") for place in places},
        "other files": {other: str(folder / f"other {other}") for other in ("copy", "log")},
    }


def _copy_days(lake: Path, root: Path, days: list[Day]) -> None:
    for day in days:
        copytree(lake / RAW / f"date={day}", root / RAW / f"date={day}")


def _convert_to_delta(asset: Path) -> None:
    """A root as it must not be: with a Delta table in place, and its first checkpoint."""
    date = Schema([Field("date", PrimitiveType("date"))])
    convert_to_deltalake(str(asset), partition_by=date, partition_strategy="hive")
    DeltaTable(str(asset)).create_checkpoint()


def replacement(lake: Path, root: Path) -> dict[str, Any]:
    """The question of a day that is replaced by one of more rows, while another day lands."""
    larger, today = (lake / RAW / f"date={day}" / f"{RAW}.parquet" for day in (LARGER, TODAY))
    target = "data/{0}/date={1}/{0}.parquet"
    moved = [[str(larger), target.format(RAW, DAY)], [str(today), target.format(RAW, TODAY)]]
    return {"root": str(root), "day": str(DAY), "files": moved}


def questions(lake: Path, folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """What each reader is asked; makes the small roots."""
    asked = make_small_roots(lake, folder, names) | {
        "root": str(lake),
        "raw": RAW,
        "day": str(DAY),
        "month": [str(FIRST), str(LAST)],
        "zone": ZONE,
        "kinds": {asset: kinds(lake, asset) for asset in ASSETS},
        "added": {"asset": SUMMARY, "column": ADDED, "first": str(RESTATED)},
    }
    return {name: asked | {"replaced": replacement(lake, folder / f"replaced by {name}")} for name in names}
