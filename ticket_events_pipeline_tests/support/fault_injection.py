"""Folders that fail: one whose process dies at a chosen moment, in the middle of anything; and one that is full."""

import errno
import io
import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ticket_events_pipeline.process import this_process
from ticket_events_pipeline.storage.folder_store import FolderStore


class KilledError(BaseException):
    """The end of a killed process: no code of the pipeline may catch it."""


class MortalStore(FolderStore):
    """Dies after `steps` steps; no later call of the dying fetch has any effect."""

    def __init__(self, root: Path, *, steps: int) -> None:
        super().__init__(root)
        self._steps = steps

    def step(self) -> None:
        if self._steps <= 0:
            raise KilledError
        self._steps -= 1

    @contextmanager
    def writer(self, path, **fence):
        self.step()
        with super().writer(path, **fence) as file:
            yield file
            self.step()
        self.step()

    def delete(self, *paths, **fence):
        for one in [[path] for path in paths] or [[]]:
            self.step()
            super().delete(*one, **fence)
        self.step()

    def update(self, path, change, **log):
        self.step()
        super().update(path, change, **log)
        self.step()

    def sweep(self):
        self.step()
        super().sweep()


class MortalSource:
    """A client that dies with its store."""

    def __init__(self, client, store):
        self._client = client
        self._store = store

    def pages(self, stream, start_time, **bounds):
        for walked in self._client.pages(stream, start_time, **bounds):
            self._store.step()
            yield walked


class HaltingStore(MortalStore):
    """Stops after `steps` steps until it may resume: a process that is stopped, or whose machine sleeps."""

    def __init__(self, root: Path, *, steps: int) -> None:
        super().__init__(root, steps=steps)
        self.is_stopped, self.may_resume = threading.Event(), threading.Event()

    def step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            self.is_stopped.set()
            self.may_resume.wait(60)


def bury(root: Path) -> None:
    """Make the leases of the root those of a process that has ended: the test's own process still lives."""
    for path in (root / "_inflight" / "passes").glob("*.json"):
        holders = json.loads(path.read_text())
        path.write_text(json.dumps([{**holder, "process": str(replace(this_process(), began="1"))} for holder in holders]))


class FullFolder(FolderStore):
    """Takes `room_bytes` in all, and then raises the error of a full disk."""

    def __init__(self, root: Path, *, room_bytes: int) -> None:
        super().__init__(root)
        self._room = room_bytes

    @contextmanager
    def writer(self, path, **fence):
        with super().writer(path, **fence) as file:
            write = file.write

            def until_full(content):
                self._room -= len(memoryview(content))
                if self._room < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(content)

            with Sink(file, until_full) as sink:
                yield sink


class Sink(io.BufferedIOBase):
    """A file whose `write` is another."""

    def __init__(self, file, write) -> None:
        self._file = file
        self._write = write

    def writable(self):
        return True

    def write(self, content):
        return self._write(content)

    def tell(self):
        return self._file.tell()
