import pyarrow as pa
from datafusion import DataFrame, SessionContext


def read(asset: str) -> DataFrame:
    """All days of an asset, in a session of its own: a session keeps its list of files."""
    context = SessionContext()
    context.register_parquet(asset, f"data/{asset}", table_partition_cols=[("date", pa.date32())])
    return context.table(asset)


day = read("daily_sla_breach_summary").filter("date = DATE '2026-03-29'")
print(day.select("breaches").to_pandas()["breaches"].sum())
