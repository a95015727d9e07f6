"""One piece of work beside another: the pages' rows are taken in while the next page is on its way.

What the work is, and what has to wait for it, is `range_pass`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self


class Beside:
    """Does one piece of work at a time in another thread. Leaving the block waits for it."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown()

    def start(self, work: Callable[[], None]) -> None:
        """Begin; what was begun before has been finished."""
        self._under_way = self._worker.submit(work)

    def finish(self) -> None:
        """Wait for what was begun, if anything was. Raises what it raised, once."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def wait(self) -> None:
        """Wait for it, however it ends."""
        if self._under_way is not None:
            wait([self._under_way])
