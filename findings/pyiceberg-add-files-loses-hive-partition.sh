#!/bin/sh
# pyiceberg's add_files accepts Hive-partitioned files and loses their partition; an overwrite then doubles a day.
#
# Versions:  pyiceberg 0.12.0 (SQL catalogue on SQLite), pyarrow 26.0.1.
# Expected:  the table is partitioned by identity(date) and the files lie in `date=2026-03-05/`, so either their partition
#            value is taken from the path, as Spark's add_files procedure does, or the call is refused, as it is when a
#            required column is missing (PyIceberg, "Python API", "Add Files").
# Seen:      the partition value is read from the column statistics inside the file alone. Hive-partitioned files hold no
#            such column, so all files go to the partition `date = NULL`. A filter by date finds nothing, and
#            `dynamic_partition_overwrite` of one day deletes nothing and adds the day a second time.
# Matters:   the most natural way to register such a folder gives wrong numbers, while the row count looks right.
# Way out:   write the rows with `date` as a real column: `table.overwrite(rows, overwrite_filter="date = '...'")`.
# Prints:    rows and NULL dates after add_files, rows found by date, rows of the day after it was overwritten.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'pyiceberg[pyarrow,sql-sqlite]==0.12.0' pyarrow==26.0.1

cd "$work" && venv/bin/python -W ignore - <<'PY'
import datetime
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pyiceberg
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DateType, LongType, NestedField

print(f"pyiceberg {pyiceberg.__version__}, pyarrow {pa.__version__}")
files = []
for day in range(1, 6):
    file = pathlib.Path(f"lake/date=2026-03-{day:02d}/part.parquet").absolute()
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": range(day * 1000, day * 1000 + 100)}), file)
    files.append(str(file))

catalog = SqlCatalog("local", uri="sqlite:///catalog.db", warehouse=f"file://{pathlib.Path.cwd()}/warehouse")
catalog.create_namespace("lake")
table = catalog.create_table(
    "lake.events",
    schema=Schema(NestedField(1, "id", LongType()), NestedField(2, "date", DateType())),
    partition_spec=PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "date")),
)
table.add_files(files)
added = table.scan().to_arrow()
by_date = table.scan(row_filter="date = '2026-03-05'").to_arrow().num_rows
day = pa.table({"id": range(5000, 5100), "date": [datetime.date(2026, 3, 5)] * 100})
table.dynamic_partition_overwrite(day)
of_the_day = table.scan(row_filter="id >= 5000 and id < 5100").to_arrow().num_rows

seen = [added.num_rows, added["date"].null_count, by_date, of_the_day]
print(f"after add_files: {seen[0]} rows, {seen[1]} of them with date NULL; {seen[2]} rows found by date = 2026-03-05 (100 in its file)")
print(f"after the day was overwritten by its own 100 rows: {seen[3]} rows")
sys.exit(0 if seen == [500, 500, 0, 200] else "the behaviour has changed; it was [500, 500, 0, 200]")
PY
