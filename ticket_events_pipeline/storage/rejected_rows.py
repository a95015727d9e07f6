"""Rejected rows (quarantine, dead letters): rows that belong to no day, kept as JSON lines with the reason, once per fetch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from ticket_events_pipeline.decoding.decode import RejectedRow
from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import counted

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
            content = b"".join(new)
            path = f"{REJECTED}/{self._stream}/{start_time}-{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
            with self._store.writer(path) as file:
                file.write(content)
            self._log(f"{self._stream}: {counted(len(new), 'row was', 'rows were')} rejected, see {self._store.url(path)}")
        return len(new)
