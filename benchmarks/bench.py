"""Runs the benchmarks and writes what they print into `benchmarks/README.md`, between its two markers.

    make bench [ROUNDS=5] [ONLY=ingest,peers] [AGAINST=DIR]

A benchmark is a script here that takes `--rounds N` and prints a Markdown table; it is a line of BENCHMARKS. One that fails
leaves a line that says why, and the others run; with ONLY, the tables of the rest stay as they are. With AGAINST,
a checkout of another version, the benchmarks that compare builds measure it in the same rounds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measuring import AGAINST, ROUNDS, builds

HERE = Path(__file__).parent
README = HERE / "README.md"
OPEN, CLOSE = "<!-- measured -->", "<!-- /measured -->"
PACKAGES = ["pyarrow", "pandas", "dagster", "duckdb", "requests"]


@dataclass(frozen=True)
class Benchmark:
    """A script that prints a table.

    Attributes:
        script: its name without `.py`, and what ONLY calls it.
        shows: what its table must show.
    """

    script: str
    title: str
    shows: str


BENCHMARKS = [
    Benchmark("ingest", "A fetch and the limit", "÷ a bare loop: metric events ≤ 0.85 (CPU ≤ 1.37), ticket events ≤ 0.9"),
    Benchmark("peers", "A fetch and the peers", "dlt takes ≥ 15 times the CPU on metric events, ≥ 10 times on ticket events"),
    Benchmark(
        "small_account", "A year of a small account in one run", "≤ 60 requests; wall ≤ 1.3 of an asset that does nothing"
    ),
    Benchmark("sla_scale", "SLA of 10,000,000 events", "≤ 1.4 times DuckDB's time to read and sort the same rows; ≤ 900 MB"),
    Benchmark("sla_history", "One more SLA day after a long history", "after 365 days ≤ 1.3 times what it costs after 3"),
    Benchmark("ticket_tables", "The ticket tables of 10,000,000 events", "≤ 1.5 times DuckDB's read and sort; ≤ 1.2 GB"),
    Benchmark("ticket_history", "One more day of the ticket tables", "after 365 days ≤ 1.3 times what it costs after 3"),
    Benchmark("verify_speed", "Verifying a day of 1,000,000 audits", "≤ 2 times DuckDB's time to read all its columns"),
    Benchmark("open_day_refresh", "A refresh of an open day of 500,000 events", "≤ 0.3 of making that day anew"),
    Benchmark(
        "forecast",
        "Due times against the breaches that came",
        "at 1 h, recall ≥ 95 % in calendar hours and ≥ 90 % in business hours; precision ≥ 95 %",
    ),
    Benchmark(
        "dagster_costs",
        "What Dagster costs",
        "a run ≤ 1.2 of an empty one, a wide tick ≤ 20 of a narrow one, `dg check` ≤ 1.3",
    ),
    Benchmark("demo", "The demo against the same days without Dagster", "second run: wall ≤ 2 times the same without Dagster"),
    Benchmark("event_storage", "What a run writes into Postgres", "in batches, half of a year's transactions"),
]


def machine() -> str:
    """The processor, its cores and the memory."""
    names = re.findall(r"^model name\s*:\s*(.+)", _content("/proc/cpuinfo"), re.MULTILINE)
    memory_kb = re.search(r"^MemTotal:\s+(\d+)", _content("/proc/meminfo"), re.MULTILINE)
    memory = f", {int(memory_kb[1]) / 2**20:.0f} GB" if memory_kb else ""
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores{memory}, {platform.system()}"


def _content(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def versions() -> str:
    """Versions of the packages that matter to the figures; those of the peers are in their table."""
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def outcome(benchmark: Benchmark, *, rounds: int) -> tuple[str, bool]:
    """Run it: the text under its title, and whether it came to its end."""
    begun = time.monotonic()
    script = HERE / f"{benchmark.script}.py"
    if not script.exists():
        return f"There is no `benchmarks/{script.name}`.", False
    code, printed, last_words = _run([sys.executable, str(script), "--rounds", str(rounds)])
    minutes = (time.monotonic() - begun) / 60
    head = f"*`benchmarks/{script.name}`, {dt.datetime.now(dt.UTC):%Y-%m-%d}, rounds: {rounds}, {minutes:.0f} minutes; "
    head += f"to be shown: {benchmark.shows}.*"
    if code:
        printed = f"{printed.strip()}\n\nIt failed: `{last_words.replace(str(HERE.parent), '.')}`"
    return f"{head}\n\n{printed.strip()}", code == 0


def _run(command: Sequence[str]) -> tuple[int, str, str]:
    """(exit code, standard output, the last line of its errors), its progress shown as it comes."""
    last_words = ""
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr or ():
                print(line, end="", file=sys.stderr, flush=True)
                last_words = line.strip() or last_words
        output.seek(0)
        return process.returncode, output.read(), last_words


def sections(text: str) -> dict[str, str]:
    """Title → text of the sections between the markers."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return {title: body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


def rewritten(readme: str, found: dict[str, str]) -> str:
    """The README with these sections in place of those of the same title; its hand-written parts are left alone.

    Raises:
        ValueError: it has not both markers, once each.
    """
    before, opening, rest = readme.partition(OPEN)
    old, closing, after = rest.partition(CLOSE)
    if not opening or not closing:
        raise ValueError(f"{README} needs the lines {OPEN} and {CLOSE}, between which the tables are written")
    known = sections(old) | found
    texts = [f"## {benchmark.title}\n\n{known[benchmark.title]}" for benchmark in BENCHMARKS if benchmark.title in known]
    return before + "\n\n".join([OPEN, f"{machine()}; {versions()}.", *texts, CLOSE]) + after


def main(*, rounds: int = ROUNDS, only: Sequence[str] = ()) -> int:
    """Run them, write each table as soon as it is there; how many failed."""
    failures = 0
    for benchmark in BENCHMARKS:
        if only and benchmark.script not in only:
            continue
        print(f"== {benchmark.title}", file=sys.stderr, flush=True)
        text, is_whole = outcome(benchmark, rounds=rounds)
        failures += not is_whole
        README.write_text(rewritten(README.read_text(), {benchmark.title: text}))
        print(f"\n## {benchmark.title}\n\n{text}", flush=True)
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="the names of some, with commas between")
    parser.add_argument("--against", default="", help="the folder with a checkout of another version")
    arguments = parser.parse_args()
    if arguments.against:
        os.environ[AGAINST] = arguments.against
    try:
        builds()
    except RuntimeError as error:
        parser.error(str(error))
    names = [name for name in arguments.only.split(",") if name]
    unknown = set(names) - {benchmark.script for benchmark in BENCHMARKS}
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    sys.exit(main(rounds=arguments.rounds, only=names) and 1)
