"""What a fetch costs next to the limit: a bare loop over the same pages, one step after the other.

    python benchmarks/ingest.py [--rounds N] [--rows N]     prints a Markdown table

`--rows` metric events of a day (1,000,000), and a tenth as many ticket events with child events. Both read pages that the
server has rendered before; it has a core of its own, if there are two.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from measuring import BUILD, NO_VARIABLES, ROUNDS, Measured, builds, cpu, measured, median, peak, side_by_side, table, wall
from page_server import LAST_DAY_START, serving
from peer_contenders import BARE_LOOP, PIPELINE, Contender, Task

ROWS = 1_000_000
MUST = {"ticket_metric_events": "wall ≤ 1.1, CPU ≤ 1.6", "ticket_events": "wall ≤ 0.9"}
HEAD = ["stream", "events", "", "wall, s", "÷ bare loop", "CPU, s", "÷ bare loop", "peak MB", "to be shown"]


def _run(contender: Contender, url: str, stream: str, folder: Path, variables: Mapping[str, str] = NO_VARIABLES) -> Measured:
    task = Task(url, stream, LAST_DAY_START, folder)
    return measured(contender.command(task), env={**contender.env(task), **variables})


def rows_of(stream: str, rows: int, *, rounds: int) -> list[list[object]]:
    """Lines of the table: the limit, and the fetch of each build."""
    with serving(stream, rows, rendered=True) as url:
        contenders: dict[str, Callable[[Path], Measured]] = {BARE_LOOP.name: partial(_run, BARE_LOOP, url, stream)}
        for build, variables in builds().items():
            contenders[f"{build}: fetch"] = partial(_run, PIPELINE, url, stream, variables=variables)
        found = side_by_side(contenders, rounds=rounds)
    limit = found[BARE_LOOP.name]
    return [
        [
            f"`{stream}`",
            f"{rows:,}",
            name,
            f"{median(runs, wall):.2f}",
            f"{median(runs, wall) / median(limit, wall):.2f}",
            f"{median(runs, cpu):.2f}",
            f"{median(runs, cpu) / median(limit, cpu):.2f}",
            f"{median(runs, peak):.0f}",
            MUST[stream] if name == f"{BUILD}: fetch" else "",
        ]
        for name, runs in found.items()
    ]


def main(*, rounds: int = ROUNDS, rows: int = ROWS) -> None:
    """Print the table."""
    lines = rows_of("ticket_metric_events", rows, rounds=rounds) + rows_of("ticket_events", rows // 10, rounds=rounds)
    print(table(HEAD, lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    main(**vars(parser.parse_args()))
