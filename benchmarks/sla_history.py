"""What one more SLA day costs after 3, 30 and 365 days of history: three tables, from files to files, in a fresh process.

    python benchmarks/sla_history.py [--rounds N] [--events-per-day N]

An account of constant volume, see `sla_account.py`; the day, its events and its targets are the same after every history, but
for targets that came before a short one. *Work* is without the start of the interpreter and the imports.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measuring import ROUNDS, Measured, cpu, measured, median, peak, side_by_side, table, wall
from sla_account import STREAM, write_account

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.folder_store import FolderStore

HISTORIES = [3, 30, 365]
LAST = Day.parse("2026-06-30")


def make(root: Path, days: list[Day]) -> dict[str, int]:
    """Make the three tables of the days; how many rows each has of the last one."""
    rows = {}
    for make_table in (make_clocks, make_targets, make_summaries):
        for made in make_table(FolderStore(root), days):
            rows[make_table.__name__] = made.table.num_rows
    return rows


@dataclass(frozen=True)
class History:
    """So many days, with all three tables, before a day of which only the raw file is stored."""

    days: int
    root: Path

    def make(self, raw: Path) -> None:
        """Link the raw files of those days, and make the tables."""
        days = days_between(LAST.plus(-self.days), LAST)
        for day in days:
            folder = self.root / STREAM / f"date={day}"
            folder.mkdir(parents=True)
            os.link(raw / STREAM / f"date={day}" / f"{STREAM}.parquet", folder / f"{STREAM}.parquet")
        make(self.root, days[:-1])

    def one_more_day(self, _: Path) -> Measured:
        """Make the day in a process of its own."""
        return measured([sys.executable, __file__, "--one-day", str(self.root)])

    def row(self, runs: list[Measured], shortest: list[Measured]) -> list[object]:
        """Of the table."""

        def cell(of: Callable[[Measured], float]) -> str:
            return f"{median(runs, of):.2f} ({median(runs, of) / median(shortest, of):.2f})"

        return [self.days, cell(wall), cell(cpu), cell(work), f"{median(runs, peak):.0f}", _targets(runs[0])]


def work(run: Measured) -> float:
    """Seconds of the work alone."""
    return float(re.findall(r"^work (\S+)", run.output, re.MULTILINE)[0])


def _targets(run: Measured) -> int:
    return int(re.findall(r"^make_targets (\d+)", run.output, re.MULTILINE)[0])


def main(*, rounds: int, events_per_day: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        days = days_between(LAST.plus(-max(HISTORIES)), LAST)
        events = write_account(raw, days, events_per_day=events_per_day)
        print(f"{events} events written", file=sys.stderr)
        histories = {str(days): History(days, Path(folder, str(days))) for days in HISTORIES}
        for name, history in histories.items():
            begun = time.monotonic()
            history.make(raw)
            print(f"{name} days of history made in {time.monotonic() - begun:.1f} s", file=sys.stderr)
        runs = side_by_side({name: history.one_more_day for name, history in histories.items()}, rounds=rounds)
        shortest = runs[str(min(HISTORIES))]
        head = ["days of history", "wall, s (ratio)", "CPU, s (ratio)", "work, s (ratio)", "peak, MB", "targets of the day"]
        print(f"One more day of {events // len(days):,} events:\n")
        print(table(head, [history.row(runs[name], shortest) for name, history in histories.items()]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--events-per-day", type=int, default=30_000)
    parser.add_argument("--one-day", type=Path, help="make the last day of this root, and nothing else")
    asked = parser.parse_args()
    if asked.one_day:
        begun = time.monotonic()
        rows = make(asked.one_day, [LAST])
        print("work", time.monotonic() - begun, *(f"\n{name} {count}" for name, count in rows.items()))
    else:
        main(rounds=asked.rounds, events_per_day=asked.events_per_day)
