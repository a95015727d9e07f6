#!/bin/sh
# Daft takes the schema of a glob from any one of its files: equal calls give different columns, without an error.
#
# Versions:  daft 0.7.26.
# Expected:  the newer files have one more column, so the schema is that of the first file by name, or the union of all.
#            In either case two equal calls agree (Daft, API reference, `read_parquet`, says nothing about it).
# Seen:      with a glob the column is there in some calls and missing in others, in one process over unchanged files.
#            With a list of paths it is that of the first path, each time.
# Matters:   after a producer has added a column, a job reads it on one day, and drops it or fails on the next.
# Way out:   a sorted list of paths, or the `schema` parameter.
# Prints:    how often each schema was given by the glob and by the list.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check daft==0.7.26 pyarrow==25.0.1

cd "$work" && DO_NOT_TRACK=true venv/bin/python - <<'PY'
import collections
import pathlib
import sys

import daft
import pyarrow as pa
import pyarrow.parquet as pq

print(f"daft {daft.__version__}, pyarrow {pa.__version__}")
for day in range(1, 31):
    folder = pathlib.Path(f"lake/date=2026-03-{day:02d}")
    folder.mkdir(parents=True)
    columns = {"id": range(100)} | ({"added": ["x"] * 100} if day > 15 else {})
    pq.write_table(pa.table(columns), folder / "part.parquet")


def schemas(source: str | list[str], calls: int) -> collections.Counter[str]:
    seen: collections.Counter[str] = collections.Counter()
    while seen.total() < calls:
        seen[", ".join(daft.read_parquet(source).schema().column_names())] += 1
    return seen


paths = sorted(str(path) for path in pathlib.Path("lake").rglob("*.parquet"))
by_glob = schemas("lake/*/*.parquet", 300)
while len(by_glob) == 1 and by_glob.total() < 6000:
    by_glob += schemas("lake/*/*.parquet", 300)
by_list = schemas(paths, 300)
print(f"glob: {dict(by_glob)}")
print(f"list: {dict(by_list)}")
sys.exit(0 if len(by_glob) == 2 and list(by_list) == ["id"] else "the behaviour has changed: equal calls agree")
PY
