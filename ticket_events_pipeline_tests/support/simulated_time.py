"""Simulated time for several threads: it advances when all of them sleep, and one of them runs at a time."""

import heapq
import itertools
import threading
from collections.abc import Callable


class SimulatedTime:
    """A clock, a way to sleep, and a way to run tasks in that time.

    Of the tasks that sleep, the one that wakes up first runs next, so the order is the same each time.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self._order = itertools.count()
        self._sleeping: list[tuple[float, int, threading.Event]] = []
        self._is_paused = threading.Semaphore(0)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Sleep in a task; other tasks run meanwhile."""
        awake = self._wakes_at(self.now + seconds)
        self._is_paused.release()
        awake.wait()

    def sleep_until(self, moment: float) -> None:
        self.sleep(max(0.0, moment - self.now))

    def run(self, *tasks: Callable[[], None]) -> None:
        """Run the tasks, which begin in this order, to the end of the last one; raises what one of them raised."""
        failures: list[BaseException] = []

        def begun(task: Callable[[], None], awake: threading.Event) -> None:
            awake.wait()
            try:
                task()
            except BaseException as error:
                failures.append(error)
            self._is_paused.release()

        for task in tasks:
            threading.Thread(target=begun, args=(task, self._wakes_at(self.now)), daemon=True).start()
        while self._sleeping and not failures:
            moment, _, awake = heapq.heappop(self._sleeping)
            self.now = max(self.now, moment)
            awake.set()
            self._is_paused.acquire()
        if failures:
            raise failures[0]

    def _wakes_at(self, moment: float) -> threading.Event:
        awake = threading.Event()
        heapq.heappush(self._sleeping, (moment, next(self._order), awake))
        return awake
