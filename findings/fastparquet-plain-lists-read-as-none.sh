#!/bin/sh
# fastparquet reads a column of lists as None in every row if its values are stored without a dictionary.
#
# Versions:  fastparquet 2026.9.0.
# Expected:  lists of simple values are read (fastparquet, "Technical Notes", "Reading Nested Schema"), whatever their encoding;
#            what can't be read is an error.
# Seen:      with dictionary encoding the lists are right. With plain encoding every row is None, without an error. pyarrow reads
#            both files alike.
# Matters:   a column of tags looks as if nothing had any tag, depending on an option of the writer.
# Way out:   read lists with pyarrow.
# Prints:    the lists as both read them, by encoding.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check fastparquet==2026.9.0 pandas==3.1.1 pyarrow==25.0.1

cd "$work" && venv/bin/python -W ignore - <<'PY'
import sys

import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

print(f"fastparquet {fastparquet.__version__}, pyarrow {pa.__version__}")
tags = [["vip"], ["vip", "late"], None, [], ["late"]]
table = pa.table({"id": range(5), "tags": pa.array(tags, pa.list_(pa.string()))})
seen = {}
for encoding, use_dictionary in {"dictionary": True, "plain": False}.items():
    pq.write_table(table, f"{encoding}.parquet", use_dictionary=use_dictionary)
    assert pq.read_table(f"{encoding}.parquet")["tags"].to_pylist() == tags
    seen[encoding] = list(fastparquet.ParquetFile(f"{encoding}.parquet").to_pandas()["tags"])
print(f"pyarrow, both:           {tags}")
print(f"fastparquet, dictionary: {seen['dictionary']}")
print(f"fastparquet, plain:      {seen['plain']}")
sys.exit(0 if seen == {"dictionary": tags, "plain": [None] * 5} else "the behaviour has changed")
PY
