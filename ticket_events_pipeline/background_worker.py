"""A bounded background worker, iterators that prefetch, and work that is given up after a time.

Arrow, numpy and sockets let other threads run while they work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Thread
from typing import Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONCURRENT_CALLS = 16
"""Requests to a server take most of their time to travel."""


class BackgroundWorker:
    """Runs jobs in submission order, one at a time, in a thread of its own, and re-raises their exceptions.

    After a job has failed, no later job runs. Leaving the block waits for the running one.
    """

    def __init__(self, *, limit: int) -> None:
        """Submitting waits while `limit` jobs are pending, the running one included."""
        self._limit = limit
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._pending: deque[Future[None]] = deque()
        self.has_failed = False
        """Whether a job has failed, so that those after it didn't run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job, once fewer than `limit` are pending. Raises what an earlier job raised, once."""
        self._collect(down_to=self._limit - 1)
        self._pending.append(self._thread.submit(self._run_unless_failed, job))

    def finish(self) -> None:
        """Wait for all jobs. Raises what one of them raised, once."""
        self._collect(down_to=0)

    def wait(self) -> None:
        """Wait for all jobs, whether they fail or not."""
        wait(self._pending)

    def _collect(self, *, down_to: int) -> None:
        while self._pending and (self.has_failed or len(self._pending) > down_to):
            self._pending.popleft().result()

    def _run_unless_failed(self, job: Callable[[], None]) -> None:
        if self.has_failed:
            return
        try:
            job()
        except BaseException:
            self.has_failed = True
            raise


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """The items; while one is in use, the next is made in another thread.

    An exception from making an item is raised in its place, after the items before it.
    """
    remaining = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, remaining, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, remaining, end)
            yield item  # type: ignore[misc]  # what is not the end is an item


def map_ahead(make: Callable[[Item], Result], items: Iterable[Item], *, threads: int = 2) -> Iterator[Result]:
    """`make` of each item, in their order; up to `threads` are made at a time, and as many wait to be used.

    An exception is raised in the place of what it kept from being made.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            pending.append(pool.submit(make, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def map_concurrently(make: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`make` of each item, in their order, several at a time. Raises the exception of the first item that fails."""
    with ThreadPoolExecutor(_CONCURRENT_CALLS) as threads:
        return list(threads.map(make, items))


def in_time(work: Callable[[], Result], *, seconds: float) -> Result:
    """What `work` returns or raises, if that takes no longer than so many seconds.

    Work that is given up goes on in a thread of its own, which doesn't keep the process from ending: a request to a server that
    hangs can't be interrupted.

    Raises:
        TimeoutError: it takes longer.
    """
    done: Future[Result] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=do, daemon=True).start()
    return done.result(timeout=seconds)
