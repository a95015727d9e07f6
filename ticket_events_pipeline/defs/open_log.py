"""Dagster's event log in SQLite, kept open during a run, so that an event costs one sync instead of several.

Dagster opens a connection for each event. When the last connection closes, SQLite copies its write-ahead log into the database
(a checkpoint: further syncs) and removes it; the next event creates it again. While one more connection is open, SQLite does so
every 1,000 pages only. Each event is committed and synced as before. See https://www.sqlite.org/wal.html#ckpt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import dagster as dg

INDEX = "index"
"""The database of the events of all runs; each run also has one of its own, named by its id."""


@contextmanager
def log_kept_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep the databases of the run's events open during the block; does nothing where the log isn't in SQLite files."""
    path_of: Callable[[str], str] | None = getattr(instance.event_log_storage, "path_for_shard", None)
    paths = [] if path_of is None else [Path(path_of(name)) for name in (run_id, INDEX)]
    with ExitStack() as stack:
        for path in paths:
            with suppress(sqlite3.Error):  # the run only takes longer
                connection = stack.enter_context(closing(_connected(path)))
                connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # else the file isn't open yet
        yield


def _connected(path: Path) -> sqlite3.Connection:
    """A connection to an existing database, which any thread may close."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False)
