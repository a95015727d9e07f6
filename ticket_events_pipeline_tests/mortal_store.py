"""A folder whose process dies at a chosen moment: between any two things that a pass does to its files, or in the middle."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ticket_events_pipeline.lake.store import FolderStore
from ticket_events_pipeline.process import this_process


class KilledError(BaseException):
    """What a process that is killed would not even notice."""


class MortalStore(FolderStore):
    """Dies after `steps` steps, and does nothing more after that: whatever the dying pass tries in its agony is in vain."""

    def __init__(self, root: Path, *, steps: int) -> None:
        super().__init__(root)
        self._steps = steps

    def step(self) -> None:
        if self._steps <= 0:
            raise KilledError
        self._steps -= 1

    @contextmanager
    def writer(self, path):
        self.step()
        with super().writer(path) as file:
            yield file
            self.step()
        self.step()

    def delete(self, path):
        self.step()
        super().delete(path)

    def exchange(self, path, change):
        self.step()
        super().exchange(path, change)
        self.step()

    def sweep(self):
        self.step()
        super().sweep()


def bury(root: Path) -> None:
    """Make the passes that hold days of the root those of a process that has ended: the test's own goes on living."""
    for path in (root / "_inflight" / "passes").glob("*.json"):
        holders = json.loads(path.read_text())
        path.write_text(json.dumps([{**holder, "process": str(replace(this_process(), began="1"))} for holder in holders]))
