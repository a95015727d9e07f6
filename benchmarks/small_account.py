"""A year of a small account in one run, against the same rows on one day.

    python benchmarks/small_account.py [--rounds N]     prints a Markdown table

The fetch alone, and through Dagster (`dagster asset materialize`), and an asset that does nothing: in its SQLite log, Dagster
writes two events for every day of a range, whatever the asset does.
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
from urllib.request import urlopen

from deployments import DAY, IMPORTS, Deployment, empty_project, pipeline
from measuring import ROUNDS, Measured, builds, cpu, measured, median, side_by_side, table, wall
from page_server import serving

STREAM = "ticket_metric_events"
ROWS = 50_000
DAYS = 365
FIRST_DAY = "2025-03-03"
"""364 days before DAY."""

FETCH = str(Path(__file__).with_name("pipeline_fetch.py"))
HEAD = ["", "days", "requests", "wall, s", "÷ one day", "÷ nothing", "CPU, s", "÷ one day", "÷ nothing", "to be shown"]

NOTHING, THROUGH_DAGSTER = "an asset that does nothing", "through Dagster"

Run = Callable[[Path], Measured]


def _fetch(url: str, first: str, build: Mapping[str, str], folder: Path) -> Measured:
    return measured([sys.executable, FETCH, url, STREAM, first, DAY, str(folder)], env=build)


def _through_dagster(deployment: Deployment, days: str, build: Mapping[str, str], _: Path) -> Measured:
    shutil.rmtree(deployment.folder / "data", ignore_errors=True)  # a DAGSTER_HOME takes the days of one root only
    return replace(deployment, variables={**deployment.variables, **build}).materialize(STREAM, days)


def _nothing(deployment: Deployment, days: str, _: Path) -> Measured:
    return deployment.materialize("nothing", days)


def _requests(url: str) -> int:
    with urlopen(f"{url}/requests") as answer:  # noqa: S310 - the server of this benchmark
        return int(answer.read())


def requests_of(url: str, run: Run) -> int:
    """How many requests a run makes; it is run only for that, and not measured."""
    before = _requests(url)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))
    return _requests(url) - before


def _lines(name: str, found: Mapping[str, list[Measured]], requests: tuple[object, object]) -> list[list[object]]:
    def line(days: int, asked: object) -> list[object]:
        runs, day, nothing = (found[f"{one}, {so_many}"] for one, so_many in ((name, days), (name, 1), (NOTHING, days)))
        figures = [
            figure
            for of in (wall, cpu)
            for figure in (median(runs, of), median(runs, of) / median(day, of), median(runs, of) / median(nothing, of))
        ]
        shown = "≤ 60 requests" if asked else ""
        shown += ", wall ≤ 1.3 of nothing" if name.endswith(THROUGH_DAGSTER) else ""
        return [name if days > 1 else "", days, asked, *(f"{one:.2f}" for one in figures), shown if days > 1 else ""]

    return [line(DAYS, requests[0]), line(1, requests[1])]


def main(*, rounds: int = ROUNDS, rows: int = ROWS) -> None:
    """Print the table."""
    span = f"{FIRST_DAY}...{DAY}"
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(STREAM, rows, days=DAYS, rendered=True) as year_url,
        serving(STREAM, rows, rendered=True) as day_url,
    ):
        years, one_day = pipeline(Path(folder) / "year", year_url), pipeline(Path(folder) / "day", day_url)
        empty = empty_project(Path(folder) / "empty", {"nothing": 0})
        checked = empty_project(Path(folder) / "checked", {"nothing": 6}, body=IMPORTS)
        pairs: dict[str, tuple[Run, Run]] = {}
        for name, build in builds().items():
            pairs |= {
                f"{name}: the fetch alone": (
                    partial(_fetch, year_url, FIRST_DAY, build),
                    partial(_fetch, day_url, DAY, build),
                ),
                f"{name}: {THROUGH_DAGSTER}": (
                    partial(_through_dagster, years, span, build),
                    partial(_through_dagster, one_day, DAY, build),
                ),
            }
        pairs[NOTHING] = (partial(_nothing, empty, span), partial(_nothing, empty, DAY))
        pairs["the same with six checks, requests and pyarrow"] = (
            partial(_nothing, checked, span),
            partial(_nothing, checked, DAY),
        )
        asked = {
            name: (requests_of(year_url, year) or "", requests_of(day_url, day) or "") for name, (year, day) in pairs.items()
        }
        found = side_by_side(
            {f"{name}, {days}": run for name, pair in pairs.items() for days, run in zip((DAYS, 1), pair, strict=True)},
            rounds=rounds,
        )
    lines = [_lines(name, found, asked[name]) for name in pairs]
    print(table(HEAD, [line for pair in lines for line in pair]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    main(**vars(parser.parse_args()))
