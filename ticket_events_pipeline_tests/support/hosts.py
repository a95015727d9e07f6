"""Hosts on one machine: each has a host name, process ids and a boot id of its own, so that no process of another host can be seen.

    host = Host("worker-a", folder)
    host.start("dagster-celery", "worker", "start", env={...})
    host.kill_one(7)                  # kill -9 of the process that has that id there
    host.kill()                       # kill -9 of all of it at once, as by a power loss

The network is shared, and so are all files outside the host's folder. Where the machine doesn't allow namespaces, a host is a
process group, and `HAS_NAMESPACES` is false.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

from ticket_events_pipeline_tests.support.dev_server import wait_for

# All of it ends with the test that started it, however that ends.
_WITH_THE_TEST = ["setpriv", "--pdeathsig", "KILL"]
_UNSHARE = ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
# Its own boot id: a run's process is recognized by it. SIGINT as for a service: a shell's background job has it ignored.
_ENTER = 'hostname "$1" && mount --bind "$2" /proc/sys/kernel/random/boot_id && shift 2 && exec env --default-signal "$@"'


@functools.cache
def has_namespaces() -> bool:
    """Whether this machine lets a test make a host name, process ids and mounts of its own."""
    if not all(shutil.which(program) for program in ("unshare", "nsenter", "setpriv")):
        return False
    tried = ["hostname host && mount --bind /dev/null /proc/sys/kernel/random/boot_id"]
    return subprocess.run([*_UNSHARE, "sh", "-c", *tried], capture_output=True, check=False, timeout=30).returncode == 0


class Host:
    """A machine that runs one service, with a home for Dagster and a folder for temporary files of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.home, self.log = self.folder / "home", self.folder / "log"
        self.home.mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        self._boot_id = self.folder / "boot_id"
        self._boot_id.write_text(f"{uuid.uuid4()}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str, env: dict[str, str], cwd: Path | None = None) -> None:
        """Start its service, with `env` as its only variables beside those of its folders."""
        own = {"DAGSTER_HOME": str(self.home), "TMPDIR": str(self.folder / "tmp"), "HOME": str(self.folder)}
        own_space = [*_WITH_THE_TEST, *_UNSHARE, "sh", "-c", _ENTER, "sh", self.name, str(self._boot_id)]
        entered = own_space if has_namespaces() else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*entered, *command],
                env={**env, **own},
                cwd=cwd or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_up(self) -> bool:
        """Whether its service runs."""
        return self._process is not None and self._process.poll() is None

    def kill_one(self, process_id: int) -> None:
        """kill -9 of the process with that id on the host."""
        if has_namespaces():
            entered = ["nsenter", "--target", str(self._first_process()), "--pid", "--mount"]
            subprocess.run([*entered, "sh", "-c", f"kill -9 {process_id}"], check=True)
        else:
            os.kill(process_id, signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 of every process of the host at once."""
        if self._process is None:
            return
        first = self._first_process() if has_namespaces() and self.is_up else None
        if self.is_up:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        if first is not None:  # the first process of a namespace is gone after all others
            wait_for(lambda: not Path(f"/proc/{first}").exists(), 30, f"every process of {self.name} is gone")

    def _first_process(self) -> int:
        """Outside, the id of the process that is number 1 on the host."""
        assert self._process is not None
        unshare = self._process.pid
        return int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0])
