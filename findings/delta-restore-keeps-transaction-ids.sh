#!/bin/sh
# RESTORE of a Delta table brings old rows back and keeps the newest transaction identifiers: an idempotent writer then skips them.
#
# Versions:  deltalake 1.6.6, pyarrow 26.0.1.
# Expected:  `txn` actions let a writer record how far it has come, atomically with the rows (Delta protocol, "Transaction
#            Identifiers"; delta-rs, `CommitProperties(app_transactions=…)`). A table that is restored to version 1 is as it was
#            at version 1, so `transaction_version` says 1, and the writer writes its second batch again.
# Seen:      the rows are those of version 1, and `transaction_version` says 2. A writer that skips what it has recorded never
#            writes the second batch again.
# Matters:   after a RESTORE, a pipeline that relies on these identifiers loses rows for good, without an error.
# Way out:   record the number of the commit, too (another identifier, without commit retries): if a later commit has changed
#            rows, nothing that is recorded can be believed.
# Prints:    rows and recorded version before and after the restore, and the rows after the writer ran again.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1

cd "$work" && venv/bin/python - <<'PY'
import sys

import deltalake
import pyarrow as pa

print(f"deltalake {deltalake.__version__}, pyarrow {pa.__version__}")


def write(batch: int) -> None:
    """What an idempotent writer does: nothing if the table says that it has the batch."""
    is_new = not deltalake.DeltaTable.is_deltatable("table")
    if not is_new and (deltalake.DeltaTable("table").transaction_version("writer") or 0) >= batch:
        return
    properties = deltalake.CommitProperties(app_transactions=[deltalake.Transaction("writer", batch)])
    rows = pa.table({"batch": [batch] * 10})
    deltalake.write_deltalake("table", rows, mode="append", commit_properties=properties)


def state() -> tuple[int, int | None]:
    table = deltalake.DeltaTable("table")
    return table.count(), table.transaction_version("writer")


write(1)
write(2)
before = state()
deltalake.DeltaTable("table").restore(0)
restored = state()
write(2)
after = state()
print(f"before: {before[0]} rows, recorded {before[1]}")
print(f"restored to the first commit: {restored[0]} rows, recorded {restored[1]}")
print(f"after the second batch was written again: {after[0]} rows")
sys.exit(0 if (before, restored, after) == ((20, 2), (10, 2), (10, 2)) else "the behaviour has changed; it was 20, 10, 10 rows")
PY
