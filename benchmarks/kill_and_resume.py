"""What is left of a command that is killed in the middle of a stream and started again.

The middle is reached when the server has received half of the requests of a whole run. The caller, `peers.py`, counts the rows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from measuring import measured

GLANCE_SECONDS = 0.01


def requests_so_far(url: str) -> int:
    """How many pages were requested of the server."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return int(direct.open(f"{url}/requests").read())


def killed_and_restarted(
    command: Callable[[], Sequence[str]], *, env: Mapping[str, str], folder: Path, url: str, requests: int
) -> int:
    """Kill the command (-9, with all it started) at half of so many requests, start it again; the requests of both together.

    `command` is called once for each start, since a restart may get what the first one left as an argument.

    Raises:
        RuntimeError: it ended before it could be killed, or the second one failed.
    """
    before = requests_so_far(url)
    with (folder / "killed.log").open("w") as log:
        process = subprocess.Popen(
            command(), env={**os.environ, **env}, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        while process.poll() is None and requests_so_far(url) - before < requests // 2:
            time.sleep(GLANCE_SECONDS)
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode} before it could be killed: {folder / 'killed.log'}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    measured(command(), env=env, cwd=str(folder))
    return requests_so_far(url) - before
