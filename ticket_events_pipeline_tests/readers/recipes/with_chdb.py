import chdb


def read(asset: str) -> str:
    """All days of an asset, as a table in a query; columns that older files lack are NULL there."""
    return f"(SELECT * FROM file('data/{asset}/date=*/*.parquet', Parquet) SETTINGS schema_inference_mode = 'union')"


summary = read("daily_sla_breach_summary")
print(chdb.query(f"SELECT sum(breaches) FROM {summary} WHERE date = '2026-03-29'"), end="")
