"""Waiting for a lock is bounded and names the holder."""

import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from ticket_events_pipeline.errors import LockHeldError
from ticket_events_pipeline.process import host_name, this_process
from ticket_events_pipeline.storage import file_lock
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.store import Fence
from ticket_events_pipeline_tests.support.file_contents import put

HOLDING = """
import sys
from pathlib import Path
from ticket_events_pipeline.storage.file_lock import locked
with locked(Path(sys.argv[1]), log=print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path, monkeypatch):
    """The lock of a small file, held by another process for as long as the test runs."""
    monkeypatch.setattr(file_lock, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(file_lock, "LOG_AFTER_SECONDS", 0.1)
    command = [sys.executable, "-c", HOLDING, str(tmp_path / "small")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process


def test_an_error_names_the_process_that_does_not_release_a_lock(tmp_path, held):
    store, log, seen = FolderStore(tmp_path), [], []
    fence = Fence("small", seen.append, "asset", log.append)
    put(store, "asset/file", b"as it was")
    attempts = [
        lambda: store.update("small", lambda _: b"changed", log=log.append),
        lambda: store.delete("asset/file", fence=fence),
        lambda: _fill(store, fence),
    ]
    for attempt in attempts:
        with pytest.raises(LockHeldError) as caught:
            attempt()
        assert str(caught.value) == (
            f"{tmp_path}/small has been held by process {held.pid} on {host_name()} for more than 0.3 s: it is suspended, or "
            f"the disk hangs. Resume it (kill -CONT {held.pid}), or end it; then run this again. Leave the lock file where "
            "it is: without it, that process would replace what others have written."
        )
    assert log == [f"{tmp_path}/small is held by process {held.pid} on {host_name()}; waiting for it, up to 0 s"] * 3
    assert seen == []
    assert (tmp_path / "asset" / "file").read_bytes() == b"as it was"
    assert store.paths("_inflight/half_written") == []


def _fill(store, fence):
    with store.writer("asset/file", fence=fence) as file:
        file.write(b"changed")


def test_a_lock_released_in_time_is_acquired(tmp_path, held):
    threading.Timer(0.15, held.stdin.close).start()
    log = []
    FolderStore(tmp_path).update("small", lambda _: b"changed", log=log.append)
    assert (tmp_path / "small").read_bytes() == b"changed"
    assert len(log) == 1
    assert not (tmp_path / "small.lock.holder").exists()


def test_a_former_lock_holder_is_never_named(tmp_path, held):
    """The name is written just after the lock is acquired; until then no holder is known. It is never the waiting process."""
    for name in (f"{this_process()} here", f"{replace(this_process(), began='1')} here"):
        (tmp_path / "small.lock.holder").write_text(name)
        with pytest.raises(LockHeldError, match="has been held by another process for more than"):
            FolderStore(tmp_path).update("small", lambda _: b"changed")


def test_a_fence_is_checked_while_its_file_is_locked(tmp_path):
    """After the file's content is written, before it is renamed."""
    store = FolderStore(tmp_path)
    store.update("small", lambda _: b"mine")
    seen = []
    others = threading.Thread(target=store.update, args=("small", lambda _: b"theirs"))

    def check(content):
        others.start()
        others.join(0.1)
        seen.append((content, (tmp_path / "small").read_bytes(), (tmp_path / "file").exists()))

    with store.writer("file", fence=Fence("small", check, "asset", print)) as file:
        file.write(b"content")
    others.join()
    assert seen == [(b"mine", b"mine", False)]
    assert (tmp_path / "file").read_bytes() == b"content"
