"""How long it takes to verify a day of N audits with comments, and how much memory: in a process of its own.

    python benchmarks/verify_memory.py [ROWS ...]     prints a row of a Markdown table for each

The day is fetched first, from the server of `page_server.py`. `imports` is a process that verifies nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fetch_memory import DAY, FETCH
from page_server import serving

VERIFY = """
import sys, time
from pathlib import Path
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.quality.schema_drift import find_oddities
from ticket_events_pipeline.tables.streams import STREAMS
store, days = FolderStore(Path(sys.argv[1])), [Day.parse("2026-03-02")]
begun = time.monotonic()
if sys.argv[2] == "verify":
    owner = owner_of(store, "ticket_events", days, account=None, timezone="UTC")
    (result,) = verify_days(store, stream=STREAMS["ticket_events"], days=days, owner=owner, now=wall_clock())
    assert result.is_whole, result
    print("rows", result.rows)
print("seconds", time.monotonic() - begun)
if sys.argv[2] == "verify":
    find_oddities(store, "ticket_events", days)
    print("with_oddities", time.monotonic() - begun)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def measured(root: str, what: str) -> dict[str, float]:
    """Peak MB as `VmHWM`, and what else the process printed by name."""
    output = subprocess.run([sys.executable, "-c", VERIFY, root, what], capture_output=True, text=True, check=True).stdout
    found = {name: float(number) for name, number in re.findall(r"^(\w+):?\s+([\d.]+)", output, re.MULTILINE)}
    return {**found, "VmHWM": found["VmHWM"] // 1024}


def main(sizes: list[int]) -> None:
    """Print the table."""
    print("| audits in the day | imports alone, MB | verified, MB | file, MB | seconds | with the checks of drift, seconds |")
    print("|---|---|---|---|---|---|")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as root:
            with serving("ticket_events", rows, comment_bytes=2000) as url:
                subprocess.run(
                    [sys.executable, FETCH, url, "ticket_events", DAY, DAY, root, "--comments"],
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
            imports, verified = measured(root, "imports"), measured(root, "verify")
            assert verified["rows"] == rows
            (file,) = Path(root).glob("ticket_events/*/*.parquet")
            print(
                f"| {rows:,} | {imports['VmHWM']:.0f} | {verified['VmHWM']:.0f} | {file.stat().st_size // 2**20} "
                f"| {verified['seconds']:.1f} | {verified['with_oddities']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [20_000, 1_000_000])
