from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def read(asset: str) -> pd.DataFrame:
    """All days of an asset; columns that older files lack are empty there."""
    newest = max(Path("data", asset).glob("date=*/*.parquet"))
    schema = pq.read_schema(newest).append(pa.field("date", pa.timestamp("s")))
    return pd.read_parquet(f"data/{asset}", schema=schema)


summary = read("daily_sla_breach_summary")
print(summary.loc[summary["date"] == "2026-03-29", "breaches"].sum())
