"""How much memory a day takes: one fetch of a day of N audits with comments, in a process of its own.

    python benchmarks/fetch_memory.py [ROWS ...]     prints a row of a Markdown table for each

`bare` is a process that has only imported what a fetch needs; `dagster` is `dagster asset materialize` of the same day.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measuring import measured
from page_server import serving

FETCH = str(Path(__file__).with_name("pipeline_fetch.py"))
DAY = "2026-03-02"


def peak_mb_of_tree(process: subprocess.Popen[str]) -> int:
    """The largest resident set of any one process of the tree, sampled now and then."""
    peak = 0
    while process.poll() is None:
        listed = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True, check=True).stdout
        table = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
        family = {process.pid}
        for _ in range(5):
            family |= {pid for pid, parent, _ in table if parent in family}
        peak = max([peak, *(rss for pid, _, rss in table if pid in family)])
        threading.Event().wait(0.2)
    return peak // 1024


def bare(url: str, root: str) -> tuple[int, int]:
    """(peak MB, rows) of a fetch without Dagster."""
    run = measured([sys.executable, FETCH, url, "ticket_events", DAY, DAY, root, "--comments"])
    rows = re.search(r"^rows (\d+)", run.output, re.MULTILINE)
    return run.peak_mb, int(rows[1]) if rows else 0


def through_dagster(url: str, root: str, home: str) -> int:
    """Peak MB of the run's process."""
    env = {**os.environ, "ZENDESK_BASE_URL": url, "ZENDESK_OAUTH_TOKEN": "x", "ZENDESK_INCLUDE_COMMENTS": "1"}
    env |= {"ZENDESK_REQUESTS_PER_MINUTE": "100000", "TICKET_EVENTS_ROOT": root, "DAGSTER_HOME": home}
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "ticket_events_pipeline.definitions"]
    command += ["--select", "ticket_events", "--partition", DAY]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    peak = peak_mb_of_tree(process)
    assert process.returncode == 0
    return peak


def main(sizes: list[int]) -> None:
    """Print the table."""
    print("| audits in the day | imports alone, MB | a fetch, MB | through Dagster, MB | file, MB | seconds of the fetch |")
    print("|---|---|---|---|---|---|")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder, serving("ticket_events", rows, comment_bytes=2000) as url:
            imports, _ = bare("none", folder)
            begun = time.monotonic()
            peak, stored = bare(url, f"{folder}/root")
            seconds = time.monotonic() - begun
            assert stored == rows
            (file,) = Path(folder, "root").glob("ticket_events/*/*.parquet")
            home = Path(folder, "home")
            home.mkdir()
            dagster = through_dagster(url, f"{folder}/dagster_root", str(home))
            size = file.stat().st_size // 2**20
            print(f"| {rows:,} | {imports} | {peak} | {dagster} | {size} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [20_000, 1_000_000])
