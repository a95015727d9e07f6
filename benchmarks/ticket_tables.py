"""The ticket tables of ten million metric events and two million audits, against DuckDB reading and sorting the same rows.

    python benchmarks/ticket_tables.py [--rounds N] [--events N] [--days N]

Ours goes from the raw files and the SLA tables to the files of all six tables, in two processes, as the runs make them: the
changes with the fetch, the five others one after the other after the summary. DuckDB reads all columns of both raw tables,
sorts them by ticket and time, and keeps them in memory. Both have two cores. The raw files are those of `sla_account` and
`ticket_account`: written first, once, and not measured, as the SLA tables are.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import ROUNDS, Measured, cpu, measured, median, peak, side_by_side, table, wall
from ticket_making import AUDITS, SLA, STREAM, TICKET_TABLES, link, made, make, parts_of, write_raw

from ticket_events_pipeline.day import Day, days_between

FIRST = Day.parse("2026-01-01")
CORES = 2
DUCKDB = "DuckDB: read and sort"


def sort(root: Path) -> None:
    """Read the rows and sort them, with DuckDB."""
    import duckdb

    connection = duckdb.connect(config={"threads": CORES, "preserve_insertion_order": False})
    for stream in (STREAM, AUDITS):
        files = f"read_parquet('{root}/{stream}/*/*.parquet')"
        connection.execute(f"CREATE TEMP TABLE {stream} AS SELECT * FROM {files} ORDER BY ticket_id, time")  # noqa: S608


RUNS = {"with the fetch": list(TICKET_TABLES)[:1], "after the summary": list(TICKET_TABLES)[1:]}
"""The tables that a run makes in one process."""


class _Ours:
    """The runs one after the other in one folder, as contenders of their own."""

    def __init__(self, files: Path, days: list[Day], scratch: Path) -> None:
        self._files, self._days, self._scratch = files, days, scratch
        self._root = files

    def contender(self, run: str) -> Measured:
        """Make the tables of a run; the first one of a round begins a new folder."""
        if run == next(iter(RUNS)):
            self._root = Path(tempfile.mkdtemp(dir=self._scratch))
            link(self._files, self._root)
        return made(RUNS[run], self._root, self._days[0], self._days[-1])


def main(*, rounds: int, events: int, days: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        files, range_of_days = Path(scratch, "files"), days_between(FIRST, FIRST.plus(days - 1))
        write_raw(files, range_of_days, events=events)
        make(SLA, files, range_of_days)
        ours = _Ours(files, range_of_days, Path(scratch))
        contenders = {DUCKDB: lambda _: measured([sys.executable, __file__, "--sort", str(files)])}
        contenders |= {run: lambda _, run=run: ours.contender(run) for run in RUNS}
        print_tables(side_by_side(contenders, rounds=rounds))


def print_tables(runs: dict[str, list[Measured]]) -> None:
    """A row for each process, and one for all of ours; then what each table took of ours."""
    rows = [(name, *_cells(runs, [name])) for name in runs]
    rows.append(("all six tables", *_cells(runs, list(RUNS))))
    print(table(["", "wall, s", "ratio", "CPU, s", "ratio", "peak, MB"], rows))
    print()
    parts = [[part for run in RUNS for part in parts_of(runs[run][number])] for number in range(len(runs[DUCKDB]))]
    rows = [
        (of[0].table, f"{statistics.median(part.work for part in of):.1f}", f"{of[0].rows:,}")
        for of in zip(*parts, strict=True)
    ]
    print(table(["", "work, wall s", "rows"], rows))


def _cells(runs: dict[str, list[Measured]], names: list[str]) -> list[str]:
    """What they take together, and the highest of their peaks."""
    cells = []
    for of in (wall, cpu):
        total = sum(median(runs[name], of) for name in names)
        cells += [f"{total:.1f}", f"{total / median(runs[DUCKDB], of):.2f}"]
    return [*cells, f"{max(median(runs[name], peak) for name in names):.0f}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--sort", type=Path, metavar="ROOT", help="sort the rows of a root, and nothing else")
    asked = parser.parse_args()
    if asked.sort:
        sort(asked.sort)
    else:
        main(rounds=asked.rounds, events=asked.events, days=asked.days)
