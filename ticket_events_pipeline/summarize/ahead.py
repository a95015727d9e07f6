"""One step of work beside the next: reading, computing and writing of days overlap, each in its own order.

Arrow and numpy let other threads run while they work. Not here: anything that runs longer than the loop that waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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
