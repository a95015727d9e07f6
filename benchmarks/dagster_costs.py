"""What Dagster itself costs, and what this pipeline adds to it: runs of one day, the loading of definitions, sensor ticks.

    python benchmarks/dagster_costs.py [--rounds N]     prints a Markdown table

A run is a command from its start to its end, over a day of ROWS events (the jobs: of the sandbox's account), and assets that
do nothing: alone, with as many checks as ours have, which do nothing either, and with what has to be imported. Each day is read
again in every round.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import sensor_ticks
from deployments import CHECKOUT, DAY, EVERYTHING, FETCHED, IMPORTS, SUMMARISED, Deployment, empty_project, pipeline
from measuring import BUILD, ROUNDS, Measured, builds, cpu, median, side_by_side, table, wall
from page_server import serving

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer

ROWS = 2000
STREAM = "ticket_metric_events"
HEAD = ["what", "", "wall, s", "÷ empty", "CPU, s", "÷ empty", "to be shown"]

NOTHING = "an asset that does nothing"

DG = str(Path(sys.executable).with_name("dg"))

Run = Callable[[], Measured]


def _compared(what: str, shown: str, runs: Mapping[str, Run], limit_name: str, *, rounds: int) -> list[list[object]]:
    """A line for each; the first is ours, and all are compared with the limit. Each runs once before it is measured."""
    for run in runs.values():
        run()
    found = side_by_side({name: (lambda _, run=run: run()) for name, run in runs.items()}, rounds=rounds)
    limit = found[limit_name]
    return [
        [
            what if number == 0 else "",
            name,
            f"{median(measurements, wall):.2f}",
            f"{median(measurements, wall) / median(limit, wall):.2f}",
            f"{median(measurements, cpu):.2f}",
            f"{median(measurements, cpu) / median(limit, cpu):.2f}",
            shown if number == 0 else "",
        ]
        for number, (name, measurements) in enumerate(found.items())
    ]


def run_lines(folder: Path, *, rounds: int) -> list[list[object]]:
    """Runs of one day: an asset alone, and both jobs."""
    one = empty_project(folder / "one", {"nothing": 0})
    checked = empty_project(folder / "checked", {"nothing": FETCHED[STREAM]})
    loading = empty_project(folder / "loading", {"nothing": FETCHED[STREAM]}, body=IMPORTS)
    lines: list[list[object]] = []
    with serving(STREAM, ROWS, rendered=True) as url:
        runs = {name: partial(ours.materialize, STREAM, DAY) for name, ours in _ours(folder / "ours", url).items()}
        runs |= {
            NOTHING: partial(one.materialize, "nothing", DAY),
            "the same with six checks": partial(checked.materialize, "nothing", DAY),
            "and with requests and pyarrow imported": partial(loading.materialize, "nothing", DAY),
        }
        lines += _compared(f"`{STREAM}` of a day", "wall ≤ 1.2", runs, NOTHING, rounds=rounds)
    with SandboxServer(SimulatedAccount(), clock=wall_clock) as server:
        ours = _ours(folder / "jobs", server.base_url)
        lines += _job_lines(folder, ours, "fetch_ticket_events", FETCHED, rounds=rounds)
        lines += _job_lines(folder, ours, "summarize_sla_breaches", SUMMARISED, rounds=rounds)
    return lines


def _ours(folder: Path, url: str) -> dict[str, Deployment]:
    """A deployment of each build, by its name."""
    return {name: _deployment(folder / str(number), url, build) for number, (name, build) in enumerate(builds().items())}


def _deployment(folder: Path, url: str, build: Mapping[str, str]) -> Deployment:
    deployment = pipeline(folder, url)
    return replace(deployment, variables={**deployment.variables, **build})


def _job_lines(
    folder: Path, ours: Mapping[str, Deployment], job: str, checks: Mapping[str, int], *, rounds: int
) -> list[list[object]]:
    empty, limit = empty_project(folder / job, checks), "as many assets and checks that do nothing"
    runs = {name: partial(deployment.execute, job, DAY) for name, deployment in ours.items()}
    runs[limit] = partial(empty.execute, EVERYTHING, DAY)
    return _compared(f"job `{job}` of a day", "", runs, limit, rounds=rounds)


def loading_lines(folder: Path, *, rounds: int) -> list[list[object]]:
    """`dg check defs`, here and in a project of one asset."""
    ours = Deployment("", folder / "checkout")
    # A copy: a checkout may hold other files, which dg would read.
    shutil.copytree(CHECKOUT / "ticket_events_pipeline", ours.folder / "ticket_events_pipeline")
    shutil.copy(CHECKOUT / "pyproject.toml", ours.folder)
    (ours.folder / "home").mkdir()
    runs = {
        BUILD: partial(ours.run, [DG, "check", "defs"]),
        NOTHING: partial(empty_project(folder / "project", {"nothing": 0}).run, [DG, "check", "defs"]),
    }
    return _compared("`dg check defs`", "wall ≤ 1.3", runs, NOTHING, rounds=rounds)


def main(*, rounds: int = ROUNDS) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        lines = run_lines(Path(folder), rounds=rounds) + loading_lines(Path(folder), rounds=rounds)
    print(table(HEAD, lines), end="\n\n")
    sensor_ticks.main(rounds=rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    main(**vars(parser.parse_args()))
