import datetime as dt
from pathlib import Path

import dask.dataframe as dd
import pyarrow as pa
import pyarrow.parquet as pq


def read(asset: str) -> dd.DataFrame:
    """All days of an asset; columns that older files lack are empty there."""
    newest = max(Path("data", asset).glob("date=*/*.parquet"))
    date = pa.field("date", pa.date32())
    partitioning = {"flavor": "hive", "schema": pa.schema([date])}
    schema = pq.read_schema(newest).append(date)
    return dd.read_parquet(f"data/{asset}/date=*/*.parquet", dataset={"schema": schema, "partitioning": partitioning})


summary = read("daily_sla_breach_summary")
print(summary[summary["date"] == dt.date(2026, 3, 29)]["breaches"].sum().compute())
