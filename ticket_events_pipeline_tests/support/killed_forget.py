"""`forget` in a process of its own, which dies (SIGKILL) at its n-th change of a file: by `killed_at`, or as a script.

    python -m ticket_events_pipeline_tests.support.killed_forget ROOT REQUESTER NUMBER

Odd numbers die in the middle of a write or before a removal, even ones after it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from ticket_events_pipeline.forget.forget import Wanted, forget
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.checkout import CHECKOUT


def killed_at(number: int, root: Path, requester: int, *, dimensions: tuple[str, ...]) -> bool:
    """Run it; whether it was killed before its end."""
    command = [sys.executable, "-m", "ticket_events_pipeline_tests.support.killed_forget"]
    arguments = [str(root), str(requester), str(number), *dimensions]
    ended = subprocess.run([*command, *arguments], cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode != 0


class DyingFolder(FolderStore):
    """A folder whose process dies at a change."""

    left = 0

    def _change(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def writer(self, path, **fence):
        with super().writer(path, **fence) as file:
            yield file
            self._change()
        self._change()

    def delete(self, *paths, **fence):
        if paths:
            self._change()
        super().delete(*paths, **fence)
        if paths:
            self._change()


def main(root: str, requester: str, number: str, *dimensions: str) -> None:
    store = DyingFolder(Path(root))
    store.left = int(number)
    settings = RootSettings(root, "UTC", "recorded", None, dimensions=dimensions)
    forget(store, settings, Wanted(requesters=(int(requester),)), sleep=lambda _: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
