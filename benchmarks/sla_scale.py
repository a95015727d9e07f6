"""Ten million metric events to SLA targets and summaries, against DuckDB reading and sorting the same rows.

    python benchmarks/sla_scale.py [--rounds N] [--events N] [--days N]

Ours goes from raw day files to the files of all three tables, as the assets make them. DuckDB reads the same columns of the
same files, sorts them as the rules have to, by clock and time, and keeps them in memory. Each has a process of its own, on two
cores. In a line of its own, the days also have the audits of the same tickets, which are read for deletions.
The events are `sla_account`'s, the audits `ticket_account`'s: written first, once, and not measured.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from measuring import NO_VARIABLES, ROUNDS, Measured, builds, cpu, measured, median, peak, side_by_side, table, wall
from sla_account import STREAM, write_account
from ticket_account import AUDITS, write_audits

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.sources import RAW_COLUMNS
from ticket_events_pipeline.storage.folder_store import FolderStore

try:
    from ticket_events_pipeline.pandas_on_demand import defer_pandas
    from ticket_events_pipeline.sla.precomputed import PrecomputedDays
except ImportError:  # an earlier build, which it is measured against
    PrecomputedDays = None

FIRST = Day.parse("2026-01-01")
CORES = 2


def make(root: Path, days: list[Day]) -> None:
    """Make the three tables of the days as a run of all three assets does, and print how many rows they have."""
    shared = {}
    if PrecomputedDays is not None:
        defer_pandas()
        shared["precomputed"] = PrecomputedDays()
    for make_table in (make_clocks, make_targets, make_summaries):
        rows = 0
        for made in make_table(FolderStore(root), days, **shared):
            rows += made.table.num_rows
            del made
        print(make_table.__name__, rows)


def sort(root: Path) -> None:
    """Read the rows and sort them, with DuckDB."""
    import duckdb

    connection = duckdb.connect(config={"threads": CORES, "preserve_insertion_order": False})
    connection.execute(
        f"CREATE TEMP TABLE events AS SELECT {', '.join(RAW_COLUMNS)} FROM read_parquet('{root}/{STREAM}/*/*.parquet') "  # noqa: S608
        "ORDER BY ticket_id, metric, instance_id, time, id"
    )
    print("rows", *connection.execute("SELECT count(*) FROM events").fetchone())


def contender(what: str, raw: Path, days: int, variables: Mapping[str, str] = NO_VARIABLES) -> Measured:
    """Run one of the two above in a process of its own."""
    return measured([sys.executable, __file__, "--run", what, str(raw), "--days", str(days)], env=variables)


def ours(raw: Path, days: int, variables: Mapping[str, str], streams: tuple[str, ...], folder: Path) -> Measured:
    """The tables, in an empty folder with links to the raw files of the streams."""
    for file in (file for stream in streams for file in raw.glob(f"{stream}/*/*.parquet")):
        link = folder / file.relative_to(raw)
        link.parent.mkdir(parents=True)
        os.link(file, link)
    return contender("ours", folder, days, variables)


def facts(raw: Path, run: Measured) -> str:
    """What was read and made."""
    import duckdb

    files = f"read_parquet('{raw}/{STREAM}/*/*.parquet')"
    applied = "count(DISTINCT (ticket_id, metric, instance_id)) FILTER (type = 'apply_sla')"
    query = f"SELECT count(*), count(DISTINCT (ticket_id, metric, instance_id)), {applied} FROM {files}"  # noqa: S608
    events, clocks, targets = duckdb.execute(query).fetchone()
    rows = dict(re.findall(r"^make_(\w+) (\d+)", run.output, re.MULTILINE))
    made = int(rows["targets"])
    return f"{events:,} events of {clocks:,} clocks, {targets:,} of them with a policy; {made:,} rows of sla_targets."


def main(*, rounds: int, events: int, days: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch)
        made = {"days": days_between(FIRST, FIRST.plus(days - 1)), "events_per_day": events // days}
        write_account(raw, **made)
        audits = write_audits(raw, **made)
        contenders: dict[str, Callable[[Path], Measured]] = {"DuckDB: read and sort": lambda _: contender("duckdb", raw, days)}
        for build, variables in builds().items():
            contenders[f"{build}: clocks, targets, summaries"] = partial(ours, raw, days, variables, (STREAM,))
            contenders[f"{build}: the same, {audits:,} audits read too"] = partial(ours, raw, days, variables, (STREAM, AUDITS))
        runs = side_by_side(contenders, rounds=rounds)
        base, mine, *_ = runs.values()
        print(facts(raw, mine[0]) + "\n")
        rows = [
            (
                name,
                f"{median(of, wall):.1f}",
                f"{median(of, wall) / median(base, wall):.2f}",
                f"{median(of, cpu):.1f}",
                f"{median(of, peak):.0f}",
            )
            for name, of in runs.items()
        ]
        print(table(["", "wall, s", "ratio", "CPU, s", "peak, MB"], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--run", nargs=2, metavar=("WHAT", "ROOT"), help="run one contender over a root, and nothing else")
    asked = parser.parse_args()
    if asked.run is None:
        main(rounds=asked.rounds, events=asked.events, days=asked.days)
    elif asked.run[0] == "ours":
        make(Path(asked.run[1]), days_between(FIRST, FIRST.plus(asked.days - 1)))
    else:
        sort(Path(asked.run[1]))
