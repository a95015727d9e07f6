from pathlib import Path

import pandas as pd
from fastparquet import ParquetFile


def read(asset: str) -> pd.DataFrame:
    """All days of an asset, file by file, without lists; columns that older files lack are empty there."""
    days = []
    for file in sorted(Path("data", asset).glob("date=*/*.parquet")):
        stored = ParquetFile(str(file))
        flat = [name for name in stored.columns if not stored.schema.schema_element([name]).num_children]  # no lists
        day = stored.to_pandas(columns=flat)
        for name in day.select_dtypes("datetime64[ms]").columns:
            day[name] = day[name].dt.tz_localize("UTC")
        days.append(day.assign(date=pd.Timestamp(file.parent.name.removeprefix("date="))))
    return pd.concat(days, ignore_index=True)


summary = read("daily_sla_breach_summary")
print(summary.loc[summary["date"] == "2026-03-29", "breaches"].sum())
