#!/bin/sh
# A hive partition key in the path above a glob silently replaces the key of the same name that the glob is about.
#
# Versions:  duckdb 2.0.1 (1.1.0 to 1.5.5 do the same).
# Expected:  `read_parquet('backup/date=2026-03-20/lake/date=*/*.parquet', hive_partitioning = true)` reads the key that varies,
#            the folder nearest to the file, as pyarrow 26.0.1, pandas 3.1.1 and polars 2.1.0 do when they are given the
#            folder `lake`; or it says that the path has two keys of one name.
# Seen:      the first key in the path counts, for every row. A filter by the days that are there finds nothing.
# Matters:   a copy of a lake in a folder of its backup's date has one and the same wrong date in all rows, without an error.
# Way out:   no folder above the lake may have the name of a partition key; or take the date from `filename`.
# Prints:    the dates of two days read below a plain folder, and below a folder with a date.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1

cd "$work" && venv/bin/python - <<'PY'
import pathlib
import sys

import duckdb

print(f"duckdb {duckdb.__version__}")
seen = []
for lake in ("plain/lake", "backup/date=2026-03-20/lake"):
    for day in ("2026-03-01", "2026-03-02"):
        folder = pathlib.Path(lake) / f"date={day}"
        folder.mkdir(parents=True)
        duckdb.sql("SELECT 1 AS id").write_parquet(str(folder / "part.parquet"))
    rows = f"read_parquet('{lake}/date=*/*.parquet', hive_partitioning = true)"
    dates = [str(date) for (date,) in duckdb.sql(f"SELECT date FROM {rows} ORDER BY date").fetchall()]
    found = duckdb.sql(f"SELECT count(*) FROM {rows} WHERE date = '2026-03-01'").fetchall()[0][0]
    print(f"{lake:30}{', '.join(dates)}; rows of 2026-03-01: {found}")
    seen.append((dates, found))
expected = [(["2026-03-01", "2026-03-02"], 1), (["2026-03-20", "2026-03-20"], 0)]
sys.exit(0 if seen == expected else f"the behaviour has changed; it was {expected}")
PY
