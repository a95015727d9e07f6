"""Rejected rows (quarantine, dead letters): rows that belong to no day, kept as JSON lines with the reason, once per fetch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from ticket_events_pipeline.decoding.decode import RejectedRow
from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural

REJECTED = "_rejected"
"""Folder of the rejected rows. The leading underscore keeps query engines from reading it as part of a table."""


class RejectedRows:
    """The rejected rows of one fetch of a stream; `log` gets the path of each file."""

    def __init__(self, store: Store, stream: str, log: Callable[[str], None]) -> None:
        self._store = store
        self._stream = stream
        self._log = log
        # Of the page before: pages repeat only the rows of the second that they share.
        self._known: set[bytes] = set()

    def keep(self, start_time: int, rejected: Sequence[RejectedRow]) -> int:
        """Store the rows that the page of `start_time` (epoch seconds) rejects and the page before didn't; returns how many.

        Another fetch of the same page writes the same file.

        Raises:
            UsageError: the file can't be written.
        """
        lines = {}
        for one in rejected:
            line = compact_json({"reason": one.reason, "row": one.row}).encode() + b"\n"
            lines[hashlib.sha256(line).digest()] = line
        new = [line for digest, line in lines.items() if digest not in self._known]
        self._known = set(lines)
        if new:
            path = write_rejected(self._store, self._stream, str(start_time), b"".join(new))
            self._log(f"{self._stream}: {plural(len(new), 'row')} rejected, see {self._store.url(path)}")
        return len(new)


def write_rejected(store: Store, stream: str, start_time: str, content: bytes) -> str:
    """Store lines of rejected rows; returns the path, which is the same for the same page and lines."""
    path = f"{REJECTED}/{stream}/{start_time}-{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    with store.writer(path) as file:
        file.write(content)
    return path
