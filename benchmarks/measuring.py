"""How commands are measured: wall time, CPU and memory of a process and all it started, side by side, in medians.

Every benchmark here is a script that prints a Markdown table; what it compares runs alternately in one run, since the machines
are noisy and only ratios of one run carry over to another.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROUNDS = 5
"""How often each command runs, if the command line says nothing else; the tables hold medians."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})

BUILD = "this pipeline"
"""The name of what is measured, in every table."""

AGAINST = "BENCH_AGAINST"
"""A variable: the folder with a checkout of another version, which is measured in the same rounds and this environment."""


def builds() -> dict[str, dict[str, str]]:
    """The builds to measure, by name, and the variables with which a process imports each.

    Raises:
        RuntimeError: the folder that AGAINST names is no checkout of this pipeline.
    """
    if not (folder := os.environ.get(AGAINST)):
        return {BUILD: {}}
    project = Path(folder).resolve() / "pyproject.toml"
    if not project.exists() or not (project.parent / "ticket_events_pipeline").is_dir():
        raise RuntimeError(
            f"{AGAINST}={folder} is no checkout of this pipeline: make one with `git worktree add {folder} REVISION`"
        )
    version = tomllib.loads(project.read_text())["project"]["version"]
    return {BUILD: {}, f"{BUILD}, version {version}": {"PYTHONPATH": str(project.parent)}}


_LAUNCHER = """
import os, sys, time
begun = time.monotonic()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
figures = time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, os.waitstatus_to_exitcode(status)
os.write(int(sys.argv[1]), " ".join(map(str, figures)).encode())
"""
"""Starts the command: a process begins with the peak of its parent, so that has to be a small one."""


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Attributes:
        wall_seconds: from its start to its end.
        cpu_seconds: its own and its children's.
        peak_mb: the largest resident set of one of its processes.
        output: what it printed, errors included.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: int
    output: str


def measured(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Measured:
    """Run the command to its end.

    Raises:
        RuntimeError: it failed; the message holds the end of what it printed.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as figures:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(figures.fileno()), *command],
            # Compiled modules are kept, whatever the shell says: an installed package is compiled.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(env or {})},
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[figures.fileno()],
            check=False,
        )
        output.seek(0)
        printed = output.read()
        figures.seek(0)
        wall_seconds, cpu_seconds, peak_mb, code = figures.read().split() or ["0", "0", "0", "no start"]
    if code != "0":
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{printed[-4000:].rstrip()}")
    return Measured(float(wall_seconds), float(cpu_seconds), int(peak_mb), printed)


def side_by_side(contenders: Mapping[str, Callable[[Path], Measured]], *, rounds: int) -> dict[str, list[Measured]]:
    """Run each contender once a round, one after the other, each in an empty folder of its own; the runs by contender."""
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(run(Path(folder)))
            last = found[name][-1]
            print(f"round {number + 1}: {name}: {last.wall_seconds:.2f} s", file=sys.stderr, flush=True)
    return found


def median(runs: Sequence[Measured], of: Callable[[Measured], float]) -> float:
    """The median of a figure over the runs."""
    return statistics.median(map(of, runs))


def wall(run: Measured) -> float:
    """For `median`: wall seconds."""
    return run.wall_seconds


def cpu(run: Measured) -> float:
    """For `median`: CPU seconds."""
    return run.cpu_seconds


def peak(run: Measured) -> float:
    """For `median`: MB at the peak."""
    return run.peak_mb


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
