import datetime as dt
from pathlib import Path

import daft


def read(asset: str) -> daft.DataFrame:
    """All days of an asset, newest first: the first file decides on the columns."""
    files = sorted(Path("data", asset).glob("date=*/*.parquet"), reverse=True)
    return daft.read_parquet([str(file) for file in files], hive_partitioning=True)


day = read("daily_sla_breach_summary").where(daft.col("date") == dt.date(2026, 3, 29))
print(day.sum("breaches").to_pydict()["breaches"][0])
