import duckdb

duckdb.sql("SET TimeZone = 'UTC'")  # the footer's `timezone`


def read(asset: str) -> duckdb.DuckDBPyRelation:
    """All days of an asset; columns that older files lack are NULL there."""
    files = f"data/{asset}/date=*/*.parquet"
    return duckdb.read_parquet(files, hive_partitioning=True, union_by_name=True)


day = read("daily_sla_breach_summary").filter("date = DATE '2026-03-29'")
print(day.sum("breaches").fetchall()[0][0])
