"""The two queues of a fleet, simulated event by event: runs that wait for a slot, and sensors that wait for the daemon.

Time is in seconds from the start of the simulated hour. Randomness is seeded: the same arguments give the same results.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

SIMULATED_SECONDS, SIMULATED_TICKS = 4 * 3600, 50_000
"""A simulation of ticks ends with one of both."""

SEED = 18


@dataclass(frozen=True)
class Launch:
    """A run: when it is requested, and how long it occupies a slot."""

    requested_at: float
    seconds: float


@dataclass(frozen=True)
class Sensor:
    """A sensor of every account: seconds from tick to tick, and of a tick in the daemon and on the code server's processor."""

    interval: float
    seconds: float
    cpu_seconds: float


def slowest_start(runs: Sequence[Launch], slots: int, *, launch_seconds: float) -> float:
    """Seconds that 95 of 100 runs wait at most, first come, first served; one daemon starts them one after the other.

    Args:
        runs: in the order in which they are requested.
        slots: how many run at once.
        launch_seconds: that the daemon takes to start one.
    """
    free, launcher, waits = [0.0] * min(slots, len(runs)), 0.0, []
    for run in runs:
        start = max(run.requested_at, heapq.heappop(free), launcher)
        launcher = start + launch_seconds
        heapq.heappush(free, start + run.seconds)
        waits.append(start - run.requested_at)
    return sorted(waits)[math.ceil(0.95 * len(waits)) - 1]


def slots_needed(runs: Sequence[Launch], *, within: float, launch_seconds: float) -> int | None:
    """The fewest slots with which 95 of 100 runs start `within` so many seconds; None if launching them takes longer."""

    def suffices(slots: int) -> bool:
        return slowest_start(runs, slots, launch_seconds=launch_seconds) <= within

    if not suffices(len(runs)):
        return None
    low, high = 1, len(runs)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low


def seconds_between_ticks(accounts: int, sensors: Sequence[Sensor], *, threads: int, code_servers: int = 1) -> float:
    """Mean seconds between two ticks of the first of the `sensors`, of all accounts.

    Args:
        accounts: each has the sensors, which become due at seeded times.
        sensors: of an account.
        threads: of the daemon: so many ticks at once; 1 is the loop that Dagster has by default.
        code_servers: that the accounts are spread over; each has one processor for its ticks.
    """
    seeded = random.Random(SEED)
    due = [(seeded.uniform(0, sensor.interval), number, at) for number in range(accounts) for at, sensor in enumerate(sensors)]
    heapq.heapify(due)
    free, busy_until = [0.0] * threads, [0.0] * code_servers
    last: dict[int, float] = {}
    gaps: list[float] = []
    start = 0.0
    for _ in range(SIMULATED_TICKS):
        due_at, number, at = heapq.heappop(due)
        start = max(due_at, heapq.heappop(free))
        if start > SIMULATED_SECONDS:
            break
        server, sensor = number % code_servers, sensors[at]
        busy_until[server] = max(busy_until[server], start) + sensor.cpu_seconds * seeded.uniform(0.7, 1.3)
        heapq.heappush(free, max(start + sensor.seconds, busy_until[server]))
        heapq.heappush(due, (start + sensor.interval, number, at))
        if at == 0:
            gaps += [start - last[number]] if number in last else []
            last[number] = start
    # A sensor that has ticked once at most waits for at least the time that was simulated.
    unfinished = [start - last.get(number, 0.0) for number in range(accounts)] if len(gaps) < accounts else []
    return sum(gaps + unfinished) / len(gaps + unfinished)
