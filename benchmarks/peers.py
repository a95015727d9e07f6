"""A fetch of this pipeline next to a bare loop and every peer: same events, same server, each as its users would run it.

    python benchmarks/peers.py [--rounds N] [--rows N]     prints a Markdown table for each stream

`--rows` metric events (300,000) and a tenth as many ticket events with child events. Peers that would take many minutes read
the last twentieth of the metric events' day; figures are by the event. *without start-up* takes off what the contender takes
for a stream of one event. A peer that pip doesn't install, or that fails, is a line that says why.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from kill_and_resume import killed_and_restarted, requests_so_far
from measuring import ROUNDS, Measured, cpu, measured, median, peak, table, wall
from page_server import DAY_SECONDS, LAST_DAY_START, serving
from peer_contenders import CONTENDERS, DLT_AS_IT_COMES, PIPELINE, Contender, Task
from peer_setup import NotInstallableError, installed

ROWS = 300_000
SLOW_SHARE = 20
"""Slow peers read one in so many of the metric events."""
TICKET_EVENTS_SHARE = 10
"""There is one ticket event for so many metric events."""
MUST = {"ticket_metric_events": 15, "ticket_events": 10}
"""How many times this pipeline's CPU dlt must take."""
HEAD = ["", "events", "events/s", "CPU, µs an event", "÷ ours", "÷ ours, without start-up", "peak MB", "requests"]
HEAD += ["rows missing / twice", "killed and restarted: missing / twice / requests"]


@dataclass
class Racer:
    """A contender at one stream, and what it has done.

    Attributes:
        task: its folder is another for each run.
        first_id: of the rows that it is to read.
        failure: why it is out.
        starts: its runs over one event.
        runs: its runs over its rows.
        requests: of the last run.
        stored: (missing, twice) after the last run.
        killed: (missing, twice, requests) after a kill and a restart.
    """

    contender: Contender
    task: Task
    first_id: int
    last_id: int
    version: str = ""
    failure: str = ""
    starts: list[Measured] = field(default_factory=list)
    runs: list[Measured] = field(default_factory=list)
    requests: int = 0
    stored: tuple[int, int] | None = None
    killed: tuple[int, int, int] | None = None

    @property
    def events(self) -> int:
        """How many rows it is to read."""
        return self.last_id - self.first_id + 1

    def attempt(self, step: Callable[[Task], None], *, task: Task | None = None) -> None:
        """Do the step in an empty folder, if nothing has failed so far."""
        if self.failure:
            return
        with tempfile.TemporaryDirectory() as folder:
            try:
                step(replace(task or self.task, folder=Path(folder)))
            except (NotInstallableError, OSError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"{self.contender.name}: {error}", file=sys.stderr, flush=True)
                self.failure = f"{type(error).__name__}: {error}".splitlines()[-1][:200].replace("|", "/")

    def install(self, _: Task) -> None:
        """Make it ready, and note its version."""
        self.version = installed(self.contender.peer) if self.contender.peer else ""
        self.failure = self.contender.lacks.get(self.task.stream, "")

    def start(self, task: Task) -> None:
        """Read one event."""
        self.starts.append(self._measured(task))

    def run(self, task: Task) -> None:
        """Read the rows, and count what is stored."""
        before = requests_so_far(task.url)
        self.runs.append(self._measured(task))
        self.requests = requests_so_far(task.url) - before
        self.stored = self._missing_and_twice(task)
        print(f"{self.contender.name}: {self.runs[-1].wall_seconds:.1f} s", file=sys.stderr, flush=True)

    def kill(self, task: Task) -> None:
        """The same, killed in the middle and started again."""
        asked = killed_and_restarted(
            lambda: self.contender.command(task),
            env=self.contender.env(task),
            folder=task.folder,
            url=task.url,
            requests=self.requests,
        )
        missing_and_twice = self._missing_and_twice(task)
        self.killed = (*missing_and_twice, asked) if missing_and_twice else None

    def _measured(self, task: Task) -> Measured:
        return measured(self.contender.command(task), env=self.contender.env(task), cwd=str(task.folder))

    def _missing_and_twice(self, task: Task) -> tuple[int, int] | None:
        if task.stream in self.contender.keeps:
            return None
        return missing_and_twice(self.contender.stored_ids(task), first=self.first_id, last=self.last_id)

    def cpu_seconds(self, *, with_start: bool) -> float:
        """CPU of an event."""
        start = 0 if with_start else median(self.starts, cpu)
        return (median(self.runs, cpu) - start) / self.events


def missing_and_twice(ids: Iterable[int], *, first: int, last: int) -> tuple[int, int]:
    """How many of the ids from first to last are missing, and how many rows are duplicates."""
    rows = list(ids)
    return last - first + 1 - len({row for row in rows if first <= row <= last}), len(rows) - len(set(rows))


def racers(stream: str, url: str, rows: int, *, slow_share: int) -> list[Racer]:
    """The contenders, slow ones with the last part of the day."""
    found = []
    for contender in CONTENDERS:
        offset = DAY_SECONDS - DAY_SECONDS // slow_share if contender.is_slow else 0
        task = Task(url, stream, LAST_DAY_START + offset, Path())
        found.append(Racer(contender, task, first_id=-(-offset * rows // DAY_SECONDS) + 1, last_id=rows))
    return found


def race(stream: str, rows: int, *, slow_share: int, rounds: int) -> list[Racer]:
    """Run the contenders, one after the other in every round."""
    with serving(stream, 1) as tiny_url, serving(stream, rows, rendered=True) as url:
        field_ = racers(stream, url, rows, slow_share=slow_share)
        for racer in field_:
            racer.attempt(racer.install)
        for _ in range(rounds):
            for racer in field_:
                racer.attempt(racer.start, task=Task(tiny_url, stream, LAST_DAY_START, Path()))
                racer.attempt(racer.run)
        for racer in field_:
            racer.attempt(racer.kill)
    return field_


def row(racer: Racer, ours: Racer) -> list[object]:
    """The contender's line of the table."""
    name = f"{racer.contender.name} {racer.version}".strip()
    if not racer.runs:
        return [name, racer.failure, *[""] * (len(HEAD) - 2)]
    return [
        name,
        f"{racer.events:,}",
        f"{racer.events / median(racer.runs, wall):,.0f}",
        f"{racer.cpu_seconds(with_start=True) * 1e6:.1f}",
        f"{racer.cpu_seconds(with_start=True) / ours.cpu_seconds(with_start=True):.1f}",
        f"{racer.cpu_seconds(with_start=False) / ours.cpu_seconds(with_start=False):.1f}",
        f"{median(racer.runs, peak):.0f}",
        f"{racer.requests:,}",
        " / ".join(f"{number:,}" for number in racer.stored or ()) or "-",
        " / ".join(f"{number:,}" for number in racer.killed or ()) or racer.failure or "-",
    ]


def main(*, rounds: int = ROUNDS, rows: int = ROWS) -> None:
    """Print the tables."""
    sizes = {"ticket_metric_events": (rows, SLOW_SHARE), "ticket_events": (rows // TICKET_EVENTS_SHARE, 1)}
    for stream, (size, slow_share) in sizes.items():
        run = race(stream, size, slow_share=slow_share, rounds=rounds)
        by_name = {racer.contender.name: racer for racer in run}
        ours, dlt = by_name[PIPELINE.name], by_name[DLT_AS_IT_COMES.name]
        print(f"\n`{stream}`:\n")
        print(table(HEAD, [row(racer, ours) for racer in run]), flush=True)
        for racer in run:
            if stream in racer.contender.keeps:
                print(f"\n{racer.contender.name}: {racer.contender.keeps[stream]}.")
        if dlt.runs:
            whole, bare = (dlt.cpu_seconds(with_start=it) / ours.cpu_seconds(with_start=it) for it in (True, False))
            print(f"\ndlt takes {whole:.1f} times this pipeline's CPU, {bare:.1f} times without start-up", end="")
            print(f" (to be shown: at least {MUST[stream]}).", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    main(**vars(parser.parse_args()))
