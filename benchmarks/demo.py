"""`ticket-events demo` against the same days, fetched and made into the same tables without Dagster.

    python benchmarks/demo.py [--rounds N]     prints a Markdown table

The second run is measured: DAGSTER_HOME and the root hold the days already, and all of them are fetched and made again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from deployments import DAY, EVERYTHING, FETCHED, SUMMARISED, Deployment, empty_project, make_home
from measuring import ROUNDS, Measured, builds, cpu, measured, median, peak, side_by_side, table, wall

DEMO = "import sys; from ticket_events_pipeline.cli.main import main; sys.argv = ['ticket-events', 'demo']; main()"
PLAIN = str(Path(__file__).with_name("plain_demo.py"))
WITHOUT, NOTHING = "the same without Dagster", "as many days, assets and checks that do nothing"
FIRST_DAY = "2026-02-01"
"""As many days before DAY as the demo has."""

HEAD = ["", "wall, s", "÷ without", "CPU, s", "÷ without", "peak, MB", "to be shown"]


def _demo(folder: Path, build: Mapping[str, str]) -> Deployment:
    make_home(folder)
    return Deployment("", folder, build)


def _plain(folder: Path) -> Measured:
    return measured([sys.executable, PLAIN], env={"ZENDESK_SANDBOX": "1"}, cwd=str(folder))


def main(*, rounds: int = ROUNDS) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for number, (name, build) in enumerate(builds().items()):
            demo = _demo(Path(folder) / str(number), build)
            runs[name] = partial(demo.run, [sys.executable, "-c", DEMO])
        runs[WITHOUT] = partial(_plain, Path(folder))
        empty = empty_project(Path(folder) / "empty", FETCHED | SUMMARISED)
        runs[NOTHING] = partial(empty.execute, EVERYTHING, FIRST_DAY, last=DAY)
        for run in runs.values():
            run()
        found = side_by_side({name: (lambda _, run=run: run()) for name, run in runs.items()}, rounds=rounds)
    limit = found[WITHOUT]
    lines = [
        [
            name,
            f"{median(measurements, wall):.2f}",
            f"{median(measurements, wall) / median(limit, wall):.2f}",
            f"{median(measurements, cpu):.2f}",
            f"{median(measurements, cpu) / median(limit, cpu):.2f}",
            f"{median(measurements, peak):.0f}",
            "" if name in (WITHOUT, NOTHING) else "wall ≤ 2",
        ]
        for name, measurements in found.items()
    ]
    print(table(HEAD, lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    main(**vars(parser.parse_args()))
