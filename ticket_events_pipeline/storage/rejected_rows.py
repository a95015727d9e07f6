"""Rows that can't be placed in a day: set aside as JSON lines with the reason, once a pass.

Why a row is rejected is decided in `decoding`; where a pass stands is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from ticket_events_pipeline.decoding.decode import RejectedRow
from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.storage.store import Store

REJECTED = "_rejected"
"""Folder of the rejected rows. A leading underscore keeps it out of what readers take for the table."""


class RejectedRows:
    """Those of one pass along one stream; `log` is told where they lie."""

    def __init__(self, store: Store, stream: str, log: Callable[[str], None]) -> None:
        self._store = store
        self._stream = stream
        self._log = log
        # Of the page before: pages repeat the rows of the second that they share, and nothing older.
        self._known: set[bytes] = set()

    def keep(self, start_time: int, rejected: Sequence[RejectedRow]) -> int:
        """Set aside what the page of `start_time` (epoch seconds) rejects and the page before it didn't; how many that is.

        The same page read again in another pass makes the same file.

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
            self._log(f"{self._stream}: {len(new)} rows can't be placed, see {self._store.url(path)}")
        return len(new)
