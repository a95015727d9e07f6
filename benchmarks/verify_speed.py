"""`ticket-events verify` of a day of 1,000,000 audits with comments, against DuckDB reading all columns of the same file.

    python benchmarks/verify_speed.py [--rounds N] [--rows N]     prints a Markdown table

DuckDB decodes every value and reads each of its bytes once, for a hash of the row, and keeps nothing; as a second figure it
keeps all rows in a temporary table. Each is a process of its own, start included, on two cores. The day is written first,
once: 1,000 audits are fetched, and repeated with ids and times of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from fetch_memory import DAY, FETCH
from measuring import BUILD, ROUNDS, Measured, builds, cpu, measured, median, peak, side_by_side, table, wall
from page_server import DAY_SECONDS, PAGE, serving

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.written_day import write_day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.storage.sorted_runs import BYTES_PER_CHUNK
from ticket_events_pipeline.tables.table import TIMESTAMP

STREAM = "ticket_events"
ROWS = 1_000_000
COMMENT_BYTES = 2000
CORES = 2
LIMIT = "DuckDB: all columns, hashed"
OURS = "ticket-events verify"
HEAD = ["", "wall, s", "÷ DuckDB", "CPU, s", "÷ DuckDB", "peak MB", "to be shown"]

VERIFY = "import sys; from ticket_events_pipeline.cli.main import main; sys.argv[0] = 'ticket-events'; main()"
DUCKDB = f"""
import sys, duckdb
rows = f"read_parquet('{{sys.argv[1]}}/{STREAM}/*/*.parquet', hive_partitioning=false)"
connection = duckdb.connect(config={{"threads": {CORES}, "preserve_insertion_order": False}})
connection.execute(sys.argv[2].format(rows)).fetchall()
"""
HASHED = "SELECT bit_xor(hash(*COLUMNS(*))) FROM {}"
KEPT = "CREATE TEMP TABLE events AS SELECT * FROM {}"


def write_audits(root: Path, rows: int) -> Path:
    """Write a whole day of so many audits, and return its file."""
    day = Day.parse(DAY)
    with tempfile.TemporaryDirectory() as folder, serving(STREAM, PAGE, comment_bytes=COMMENT_BYTES) as url:
        command = [sys.executable, FETCH, url, STREAM, DAY, DAY, folder, "--comments"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        page, footer = (
            read_partition(FolderStore(Path(folder)), STREAM, day),
            read_raw_footer(FolderStore(Path(folder)), STREAM, day),
        )
    write_day(FolderStore(root), STREAM, day, _chunks(page, day, rows), partial(_footer, footer, rows))
    (file,) = root.glob(f"{STREAM}/*/*.parquet")
    return file


def _seconds(day: Day, places: np.ndarray | int, rows: int) -> np.ndarray | int:
    return day.start + places * DAY_SECONDS // rows


def _chunks(page: pa.Table, day: Day, rows: int) -> Iterator[pa.Table]:
    rows_per_chunk = BYTES_PER_CHUNK * PAGE // page.nbytes
    for first in range(0, rows, rows_per_chunk):
        places = np.arange(first, min(rows, first + rows_per_chunk))
        times = pa.array(_seconds(day, places, rows) * 1000).cast(TIMESTAMP)
        own = {"id": pa.array(places + 1), "time": times, "created_at": times}
        chunk = page.take(places % PAGE)
        yield pa.table([own.get(name, chunk[name]) for name in chunk.column_names], schema=page.schema).combine_chunks()


def _footer(of_page: RawFooter, rows: int, content_hash: str) -> RawFooter:
    """The footer of a fetch in pages of PAGE rows, none of which came twice."""
    day, pages = Day.parse(DAY), list[LedgerPage]()
    for first in range(0, rows, PAGE):
        last = min(rows, first + PAGE) - 1
        start, newest = day.start if not pages else pages[-1].end_time, _seconds(day, last, rows)
        pages.append(LedgerPage(start, newest, last + 1 - first, first + 1, last + 1, newest=newest))
    return replace(
        of_page,
        rows=rows,
        pages=tuple(pages),
        requests=len(pages),
        next_start_time=pages[-1].end_time,
        content_hash=content_hash,
    )


def _verify(root: Path, variables: dict[str, str], _: Path) -> Measured:
    run = measured(
        [sys.executable, "-P", "-c", VERIFY, "verify", DAY, "--stream", STREAM],
        env={"TICKET_EVENTS_ROOT": str(root), **variables},
    )
    assert "complete and consistent" in run.output, run.output
    return run


def _duckdb(root: Path, query: str, _: Path) -> Measured:
    return measured([sys.executable, "-c", DUCKDB, str(root), query])


def main(*, rounds: int, rows: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        size = write_audits(root, rows).stat().st_size
        contenders = {LIMIT: partial(_duckdb, root, HASHED), "DuckDB: all columns, kept": partial(_duckdb, root, KEPT)}
        for build, variables in builds().items():
            contenders[f"{build}: {OURS}"] = partial(_verify, root, variables)
        runs = side_by_side(contenders, rounds=rounds)
    print(f"{rows:,} audits in {size / 2**20:.0f} MB.\n")
    lines = [
        [
            name,
            f"{median(of, wall):.2f}",
            f"{median(of, wall) / median(runs[LIMIT], wall):.2f}",
            f"{median(of, cpu):.2f}",
            f"{median(of, cpu) / median(runs[LIMIT], cpu):.2f}",
            f"{median(of, peak):.0f}",
            "wall ≤ 2" if name == f"{BUILD}: {OURS}" else "",
        ]
        for name, of in runs.items()
    ]
    print(table(HEAD, lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    main(**vars(parser.parse_args()))
