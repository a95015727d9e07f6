"""What another process sees of a store: is it refused a lock that this one holds, do both see each other's changes.

Tried with a real second process on this machine. Whether that also holds between machines, only the mount says: see `mounts`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticket_events_pipeline.process import this_process
from ticket_events_pipeline.storage.mounts import Lock
from ticket_events_pipeline.storage.store import HALF_WRITTEN, Store

LOCK_SECONDS, EXCHANGE_SECONDS = 10.0, 30.0
"""How long a second process may take: one without libraries starts in 20 ms, one that opens a bucket in a second."""

_GOT_IT, _REFUSED, _CANNOT_LOCK = 0, 10, 11

_TRY_LOCK = f"""
import errno, fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
try:
    getattr(fcntl, sys.argv[2])(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError as error:
    sys.exit({_REFUSED} if error.errno in (errno.EACCES, errno.EAGAIN) else {_CANNOT_LOCK})
"""

_ADD_ONE = """
import json, sys
from ticket_events_pipeline.storage.open_store import open_store
given = json.load(sys.stdin)
open_store(given["root"]).update(given["path"], lambda held: held and held + b" second")
"""


def lock_problem(folder: Path, lock: Lock = Lock.FLOCK) -> str:
    """Why locks in the folder don't keep two processes apart; empty if they do.

    Raises:
        OSError: no file can be made in the folder.
    """
    with _trial_file(folder) as trial:
        return tried_lock(trial, trial, lock)


def tried_lock(held: Path, wanted: Path, lock: Lock) -> str:
    """Lock the file `held` here, and let a second process lock `wanted`; why that wasn't refused, empty if it was.

    Raises:
        OSError: one of the files can't be opened.
    """
    descriptor = os.open(held, os.O_RDWR)
    try:
        try:
            getattr(fcntl, lock)(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"the file system can't lock files ({errno.errorcode.get(error.errno or 0, '')}: {error.strerror})"
        return _second_process_problem(wanted, lock)
    finally:
        os.close(descriptor)


def exchange_problem(store: Store, root: str) -> str:
    """Change a small file of the store at `root` in turn with a second process; what failed, empty if nothing did.

    Raises:
        UsageError, TransientError: the store refuses, or can't be reached.
    """
    path = f"{HALF_WRITTEN}/{this_process()}.{uuid.uuid4().hex}.exchange"
    store.update(path, lambda _: b"first")
    try:
        # No argument names the root: others can read those.
        command = [sys.executable, "-P", "-c", _ADD_ONE]
        given = json.dumps({"root": root, "path": path})
        ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=EXCHANGE_SECONDS, check=False)  # noqa: S603
        if ended.returncode:
            return "a second process can't change a file there, though this one can"
        with store.reader(path) as file:
            seen = file.read()
    except subprocess.TimeoutExpired:
        return f"a second process didn't change a file there within {EXCHANGE_SECONDS:g} s"
    finally:
        store.delete(path, f"{path}.lock")
    return "" if seen == b"first second" else "this process doesn't see what a second one has written there"


def _second_process_problem(wanted: Path, lock: Lock) -> str:
    command = [sys.executable, "-I", "-S", "-c", _TRY_LOCK, str(wanted), lock]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        code = process.wait(LOCK_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # and don't wait: it may hang in the file system
        return f"a second process that tries the lock hangs for {LOCK_SECONDS:g} s"
    if code == _REFUSED:
        return ""
    return "a second process got the lock that this one held" if code == _GOT_IT else "a second process can't lock files there"


@contextmanager
def _trial_file(folder: Path) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(prefix=f"{this_process()}.", suffix=".lock_trial", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        os.unlink(name)
