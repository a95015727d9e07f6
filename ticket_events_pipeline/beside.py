"""Work beside other work: in a thread of its own, in order, bounded, and never failing unheard.

Arrow, numpy and sockets let other threads run while they work. Not here: anything that runs longer than the block or the loop
that waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

_AT_ONCE = 16
"""Requests to a server take most of their time to travel."""


class Beside:
    """Does pieces of work in the order in which they were begun, one at a time, while the block goes on.

    A piece that fails is the last: none that was begun behind it is done. Leaving the block waits.
    """

    def __init__(self, *, most: int) -> None:
        """`most` is how many pieces may be under way, the one that is being done among them."""
        self._most = most
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._under_way: deque[Future[None]] = deque()
        self._has_failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown()

    def start(self, work: Callable[[], None]) -> None:
        """Begin, as soon as few enough are under way. Raises what an earlier one raised, once."""
        self._finish(down_to=self._most - 1)
        self._under_way.append(self._worker.submit(self._done_unless_failed, work))

    def finish(self) -> None:
        """Wait for everything that was begun. Raises what a piece of it raised, once."""
        self._finish(down_to=0)

    def wait(self) -> None:
        """Wait for everything that was begun, however it ends."""
        wait(self._under_way)

    def _finish(self, *, down_to: int) -> None:
        while self._under_way and (self._has_failed or len(self._under_way) > down_to):
            self._under_way.popleft().result()

    def _done_unless_failed(self, work: Callable[[], None]) -> None:
        if self._has_failed:
            return
        try:
            work()
        except BaseException:
            self._has_failed = True
            raise


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items, the next of which is made in another thread while one is in use.

    What making one raises is raised in its place: the items before it have been seen.
    """
    remaining = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as beside:
        coming = beside.submit(next, remaining, end)
        while (item := coming.result()) is not end:
            coming = beside.submit(next, remaining, end)
            yield item  # type: ignore[misc]  # what is not the end is an item


def at_once(make: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """What is made of each of the items, in their order, some at a time. Raises what the first that fails raises."""
    with ThreadPoolExecutor(_AT_ONCE) as workers:
        return list(workers.map(make, items))
