#!/bin/sh
# A DataFusion session counts the files as they were at its first query: a replaced or new Parquet file is not seen.
#
# Versions:  datafusion 55.0.0 (Python), pyarrow 26.0.1.
# Expected:  `register_parquet` registers a location, and each query lists it, as in earlier releases (DataFusion for
#            Python, "Data Sources", mentions no cache; the Rust API does, under CacheManagerConfig: it is on by default in
#            55, off in 41, and its entries don't expire).
# Seen:      after a day's file was replaced by one with more rows, and a day was added, `count(*)` is the old count,
#            without an error. Reading rows of the replaced file raises an error that speaks of a damaged page or footer,
#            though the file is sound.
# Matters:   a service that keeps one SessionContext gives old figures until it is restarted.
# Way out:   registering the folder anew, or SET datafusion.runtime.list_files_cache_limit = '0M' before the first query.
# Prints:    the true count, and the counts of the old session, a second name in it and a session without the cache.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check datafusion==55.0.0 pyarrow==26.0.1

cd "$work" && venv/bin/python - <<'PY'
import os
import pathlib
import sys

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq

print(f"datafusion {datafusion.__version__}, pyarrow {pa.__version__}")


def write(day: int, rows: int) -> None:
    folder = pathlib.Path(f"lake/date=2026-03-{day:02d}")
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": range(rows)}), "new.parquet")
    os.replace("new.parquet", folder / "part.parquet")


def session(*settings: str) -> datafusion.SessionContext:
    context = datafusion.SessionContext()
    for setting in settings:
        context.sql(setting).collect()
    context.register_parquet("events", "lake", table_partition_cols=[("date", pa.string())])
    return context


def count(context: datafusion.SessionContext, table: str = "events") -> int:
    return context.sql(f"SELECT count(*) AS n FROM {table}").to_pydict()["n"][0]


for day in range(1, 6):
    write(day, 100)
kept = session()
uncached = session("SET datafusion.runtime.list_files_cache_limit = '0M'")
first = [count(kept), count(uncached)]
write(5, 300)
write(6, 100)
kept.register_parquet("again", "lake", table_partition_cols=[("date", pa.string())])
seen = [first, count(kept), count(kept, "again"), count(uncached)]
print(f"before: {seen[0]}; true count now: 800")
print(f"same session: {seen[1]}, second name: {seen[2]}, without the cache: {seen[3]}")
try:
    read = kept.sql("SELECT id FROM events").to_arrow_table().num_rows
except Exception as error:
    read = f"{type(error).__name__}: {error}"
print(f"rows read in the same session: {read}")
sys.exit(0 if seen == [[500, 500], 500, 800, 800] else "the behaviour has changed; it was 500, 800, 800")
PY
