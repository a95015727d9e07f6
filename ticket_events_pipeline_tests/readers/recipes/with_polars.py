import datetime as dt
from pathlib import Path

import polars as pl


def read(asset: str) -> pl.LazyFrame:
    """All days of an asset; columns that older files lack are null there."""
    newest = max(Path("data", asset).glob("date=*/*.parquet"))
    return pl.scan_parquet(
        f"data/{asset}/date=*/*.parquet",
        hive_schema={"date": pl.Date},
        schema=pl.read_parquet_schema(newest),
        missing_columns="insert",
    )


day = read("daily_sla_breach_summary").filter(pl.col("date") == dt.date(2026, 3, 29))
print(day.select(pl.sum("breaches")).collect().item())
