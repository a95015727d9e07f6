"""What one more day of the ticket tables costs after 3 and 365 days of history: six tables, each in a fresh process.

    python benchmarks/ticket_history.py [--rounds N] [--events-per-day N]

An account of constant volume, see `sla_account` and `ticket_account`. Before the day that is measured lie all tables of so many
days; of the day itself the raw files and the SLA tables. *Work* is without the start of the interpreter and the imports.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring import ROUNDS, Measured, median, peak, side_by_side, table
from ticket_making import SLA, TICKET_TABLES, link, made, make, work, write_raw

from ticket_events_pipeline.day import Day, days_between

HISTORIES = [3, 365]
LAST = Day.parse("2026-06-30")


def with_history(raw: Path, root: Path, history: int) -> None:
    """A root with all tables of so many days before the last, and its raw files and SLA tables."""
    days = days_between(LAST.plus(-history), LAST)
    link(raw, root, days)
    begun = time.monotonic()
    make(SLA, root, days)
    for name in TICKET_TABLES:
        make(name, root, days[:-1])
    print(f"{history} days of history made in {time.monotonic() - begun:.1f} s", file=sys.stderr)


def one_more_day(name: str, root: Path) -> Measured:
    """Make a table of the last day anew."""
    shutil.rmtree(root / name / f"date={LAST}", ignore_errors=True)
    return made([name], root, LAST, LAST)


def main(*, rounds: int, events_per_day: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "raw")
        days = days_between(LAST.plus(-max(HISTORIES)), LAST)
        write_raw(raw, days, events=events_per_day * len(days))
        roots = {history: Path(scratch, str(history)) for history in HISTORIES}
        contenders: dict[str, Callable[[Path], Measured]] = {}
        for history, root in roots.items():
            with_history(raw, root, history)
        for name in TICKET_TABLES:
            for history, root in roots.items():
                contenders[f"{name} {history}"] = lambda _, name=name, root=root: one_more_day(name, root)
        print_table(side_by_side(contenders, rounds=rounds))


def print_table(runs: dict[str, list[Measured]]) -> None:
    """A row a table, and one for all six."""
    short, long = HISTORIES
    seconds = {name: [median(runs[f"{name} {history}"], work) for history in HISTORIES] for name in TICKET_TABLES}
    seconds["all six"] = [sum(of[place] for of in seconds.values()) for place in range(2)]
    rows = [
        (name, f"{few:.2f}", f"{many:.2f}", f"{many / few:.2f}", _peak(runs, f"{name} {long}"))
        for name, (few, many) in seconds.items()
    ]
    print(table(["one more day of", f"work after {short} days, s", f"after {long}, s", "ratio", "peak, MB"], rows))


def _peak(runs: dict[str, list[Measured]], name: str) -> str:
    return f"{median(runs[name], peak):.0f}" if name in runs else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--events-per-day", type=int, default=30_000)
    asked = parser.parse_args()
    main(rounds=asked.rounds, events_per_day=asked.events_per_day)
