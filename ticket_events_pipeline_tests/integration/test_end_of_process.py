"""A process that has read a file ends with exit code 0, although threads of Arrow may still let go of what they read."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition

DAY = Day.parse("2026-03-02")

# The first line of `atexit` runs last, and keeps the interpreter for itself until it ends: a thread that waits for it then has
# no other chance. Without waiting for Arrow's threads, every second process is aborted.
READS_AND_ENDS = """
import atexit, sys
atexit.register(sum, range(5_000_000))
from pathlib import Path
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
sys.setswitchinterval(0.5)
read_partition(FolderStore(Path(sys.argv[1])), "numbers", Day.parse(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_process_that_ends_right_after_reading_a_file_is_not_aborted(tmp_path):
    table = pa.table({f"column_{number}": range(20_000) for number in range(30)})
    write_partition(FolderStore(tmp_path), "numbers", DAY, table, {})
    ended = [
        subprocess.run([sys.executable, "-c", READS_AND_ENDS, tmp_path, str(DAY)], capture_output=True, check=False, timeout=60)
        for _ in range(8)
    ]
    assert [(process.returncode, process.stderr) for process in ended] == [(0, b"")] * 8


def test_what_is_held_for_another_reason_does_not_keep_a_process_from_ending():
    script = (
        "import pyarrow as pa\n"
        "from ticket_events_pipeline.storage.arrow_threads import hold_until_released\n"
        "kept = hold_until_released(pa.py_buffer(b'kept'))\n"
        "import builtins; builtins.kept = kept\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
