import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def read(asset: str) -> ds.Dataset:
    """All days of an asset; columns that older files lack are null there."""
    newest = max(Path("data", asset).glob("date=*/*.parquet"))
    date = pa.field("date", pa.date32())
    partitioning = ds.partitioning(pa.schema([date]), flavor="hive")
    return ds.dataset(f"data/{asset}", schema=pq.read_schema(newest).append(date), partitioning=partitioning)


day = read("daily_sla_breach_summary").to_table(filter=ds.field("date") == dt.date(2026, 3, 29))
print(pc.sum(day["breaches"]))
