#!/bin/sh
# A folder of Parquet files that became a Delta table is counted too high by DuckDB's glob, from the first checkpoint on.
#
# Versions:  deltalake 1.6.6, duckdb 2.0.1, pyarrow 26.0.1.
# Expected:  `convert_to_deltalake` leaves the data files as they are (delta-rs, API reference, "Writer"), so a query that
#            was right before, `read_parquet('folder/*/*.parquet')` (DuckDB, "Hive Partitioning"), stays right.
# Seen:      it stays right until a checkpoint is written, which writers do on their own every so many commits. The
#            checkpoint is a Parquet file in `_delta_log/`, one level deep like the data. DuckDB's glob skips neither `_`
#            nor `.`, and the other schema raises no error: its rows (one per data file, one each for protocol and metadata)
#            are counted as data, with NULL in every column. With `hive_partitioning = true` the same query raises instead.
# Matters:   a count or an average is wrong some days after the conversion, without an error.
# Way out:   `folder/date=*/*.parquet`, or `hive_partitioning = true` to have the error.
# Prints:    the counts before the conversion, after it and after the checkpoint, and what the two ways out give.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check deltalake==1.6.6 duckdb==2.0.1 pyarrow==26.0.1

cd "$work" && venv/bin/python - <<'PY'
import pathlib
import sys

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

print(f"deltalake {deltalake.__version__}, duckdb {duckdb.__version__}, pyarrow {pa.__version__}")
for day in range(1, 6):
    folder = pathlib.Path(f"lake/date=2026-03-{day:02d}")
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": range(day * 1000, day * 1000 + 100)}), folder / "part.parquet")


def count(glob: str, options: str = "") -> int | str:
    try:
        return duckdb.sql(f"SELECT count(*) FROM read_parquet('lake/{glob}'{options})").fetchall()[0][0]
    except duckdb.Error as error:
        return f"{type(error).__name__}: {str(error).split(' between')[0]}"


before = count("*/*.parquet")
date = deltalake.Field("date", deltalake.schema.PrimitiveType("string"))
deltalake.convert_to_deltalake("lake", partition_by=deltalake.Schema([date]), partition_strategy="hive")
converted = count("*/*.parquet")
table = deltalake.DeltaTable("lake")
table.create_checkpoint()
seen = {
    "before": before,
    "converted": converted,
    "checkpoint": count("*/*.parquet"),
    "checkpoint, hive_partitioning": count("*/*.parquet", ", hive_partitioning = true"),
    "checkpoint, date=*": count("date=*/*.parquet"),
    "in Delta": table.count(),
}
for name, value in seen.items():
    print(f"{name:32}{value}")
expected = [500, 500, 507, "BinderException: Binder Error: Hive partition mismatch", 500, 500]
sys.exit(0 if list(seen.values()) == expected else f"the behaviour has changed; it was {expected}")
PY
