#!/bin/sh
# A view with `if(…)` made by DuckDB 2.0 can't be read by DuckDB 1.x, though the file's format is the old one on purpose.
#
# Versions:  duckdb 2.0.1 writes, duckdb 1.5.5 reads.
# Expected:  `storage_compatibility_version = 'v1.1.0'` makes a file that 1.x can use (DuckDB, "Storage Versions and Format");
#            both versions know `if(a, b, c)` (DuckDB, "Utility Functions"), so a view with it works in both.
# Seen:      the file opens and its other views work; the one with `if` fails in 1.5.5: "Scalar Function with name if does not
#            exist". 1.x has `if` only in its grammar, as another way to write CASE; 2.0 stores the call in quotes.
# Matters:   a file that is made with the new version for colleagues with the old one has single views that don't work.
# Way out:   write CASE WHEN … THEN … ELSE … END in views.
# Prints:    what each version reads from a view with CASE and from a view with `if`.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/2.0.1"
python3 -m venv "$work/1.5.5"
"$work/2.0.1/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1
"$work/1.5.5/bin/pip" install -q --disable-pip-version-check duckdb==1.5.5
cd "$work"
2.0.1/bin/python - <<'PY'
import duckdb

with duckdb.connect("views.duckdb", config={"storage_compatibility_version": "v1.1.0"}) as connection:
    connection.execute("CREATE VIEW with_case AS SELECT CASE WHEN true THEN 'yes' ELSE 'no' END AS answer")
    connection.execute("CREATE VIEW with_if AS SELECT if(true, 'yes', 'no') AS answer")
PY
cat > read.py <<'PY'
import duckdb

with duckdb.connect("views.duckdb", read_only=True) as connection:
    for view in ("with_case", "with_if"):
        try:
            answer = connection.execute(f"FROM {view}").fetchall()[0][0]
        except duckdb.Error as error:
            answer = str(error).partition("\n")[0]
        print(f"{duckdb.__version__:8}{view:12}{answer}")
PY
for version in 2.0.1 1.5.5; do "$version/bin/python" read.py; done | tee seen
[ "$(grep -c 'yes$' seen)" = 3 ] && grep -q '^1.5.5 *with_if *Catalog Error: Scalar Function with name if does not exist' seen
