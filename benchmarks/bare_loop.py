"""The limit: the least work that reading and storing a stream takes, one step after the other.

    python benchmarks/bare_loop.py URL STREAM START FOLDER

requests, the standard library's json, Arrow's own guess of the columns, one Parquet file a day. It trusts everything: no retry,
no quota, no duplicate is dropped, a kill loses all, and the types of the columns are Arrow's guess.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import requests

DAY_SECONDS = 86_400


def main(url: str, stream: str, start_time: int, folder: Path) -> None:
    """Read the stream from `start_time` (epoch seconds) to its end."""
    time_field = "timestamp" if stream == "ticket_events" else "time"
    pages = []
    with requests.Session() as session:
        session.trust_env = False
        while True:
            answer = session.get(f"{url}/api/v2/incremental/{stream}", params={"start_time": start_time})
            page = json.loads(answer.content)
            rows = page[stream]
            if stream == "ticket_events":
                rows = [
                    {**row, **{name: json.dumps(row[name]) for name in row if isinstance(row[name], dict | list)}}
                    for row in rows
                ]
            pages.append(pa.Table.from_pylist(rows))
            if page["end_of_stream"]:
                break
            start_time = page["end_time"]
    table = pa.concat_tables(pages, promote_options="permissive")
    times = table[time_field]
    days = (
        times.cast(pa.timestamp("s"), safe=False)
        if stream == "ticket_events"
        else pc.strptime(times, "%Y-%m-%dT%H:%M:%SZ", "s")
    )
    days = pc.floor_temporal(days, unit="day")
    for day in pc.unique(days).to_pylist():
        pq.write_table(table.filter(pc.equal(days, day)), folder / f"{day:%Y-%m-%d}.parquet", compression="zstd")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
