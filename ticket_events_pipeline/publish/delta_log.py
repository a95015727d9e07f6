"""The transaction identifiers of a Delta table, all read at once from its log.

The library looks one up by reading the log anew each time: for a year of days in a bucket, that would be tens of thousands of
requests. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow.parquet as pq

from ticket_events_pipeline.storage.store import Store

LOG = "_delta_log"

READS_AT_ONCE = 16
"""A request to an object store takes some thirty milliseconds."""

_CHECKPOINT = re.compile(r"([0-9]{20})\.checkpoint(?:\.([0-9]{10})\.([0-9]{10}))?\.parquet")


def transaction_versions(store: Store, version: int) -> Mapping[str, int] | None:
    """By application id, the newest version in the table at `store`, as of its commit `version`.

    None if the log can't be read this way: another program has written a checkpoint of a kind that is unknown here.
    """
    names = [path.rpartition("/")[2] for path in store.paths(LOG)]
    checkpoint, parts = _newest_checkpoint(names, version)
    wanted = [_commit_name(number) for number in range(checkpoint + 1, version + 1)]
    if not set(wanted).issubset(names):
        return None
    found: dict[str, int] = {}
    for part in parts:
        found |= _of_checkpoint(store, f"{LOG}/{part}")
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        for actions in pool.map(lambda name: _actions(store, name), wanted):
            found |= {action["txn"]["appId"]: action["txn"]["version"] for action in actions if "txn" in action}
    return found


def has_changed_rows(store: Store, after: int, version: int) -> bool:
    """Whether a commit after `after`, up to `version`, has changed rows, or may have: it isn't in the log any more.

    A compaction changes files, and no rows.
    """
    try:
        return any(_changes_rows(_actions(store, _commit_name(number))) for number in range(after + 1, version + 1))
    except FileNotFoundError:
        return True


def _changes_rows(actions: Iterable[Mapping[str, Any]]) -> bool:
    files = (action.get("add") or action.get("remove") for action in actions)
    return any(file is not None and file.get("dataChange", True) for file in files)


def _newest_checkpoint(names: Iterable[str], version: int) -> tuple[int, list[str]]:
    """The version of the newest whole checkpoint up to `version`, and its files; -1 without any."""
    parts: dict[tuple[int, int], list[str]] = {}
    for name in sorted(names):
        found = _CHECKPOINT.fullmatch(name)
        if found and int(found[1]) <= version:
            of_parts = int(found[3] or 1)
            parts.setdefault((int(found[1]), of_parts), []).append(name)
    whole = {number: files for (number, of_parts), files in parts.items() if len(files) == of_parts}
    newest = max(whole, default=-1)
    return newest, whole.get(newest, [])


def _of_checkpoint(store: Store, path: str) -> dict[str, int]:
    with contextlib.closing(store.reader(path)) as source, pq.ParquetFile(source) as file:
        if "txn" not in file.schema_arrow.names:
            return {}
        rows = file.read(columns=["txn"])["txn"].drop_null().to_pylist()
    return {row["appId"]: row["version"] for row in rows}


def _actions(store: Store, name: str) -> list[dict[str, Any]]:
    with contextlib.closing(store.reader(f"{LOG}/{name}")) as source:
        return [json.loads(line) for line in source.read().splitlines() if line.strip()]


def _commit_name(number: int) -> str:
    return f"{number:020d}.json"
