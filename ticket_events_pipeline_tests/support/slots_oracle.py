"""Runs that wait for a slot, second by second: the plain second implementation of `benchmarks/fleet_queues.py`."""

from __future__ import annotations

from collections.abc import Sequence


def waits(runs: Sequence[tuple[int, int]], slots: int, *, launch_seconds: int) -> list[int]:
    """Seconds that each run waits, given as (requested at, seconds) in order; one is started every `launch_seconds` at most."""
    ends: list[int] = []
    found: list[int] = []
    launched_at, now = -launch_seconds, 0
    while len(found) < len(runs):
        requested_at, seconds = runs[len(found)]
        ends = [end for end in ends if end > now]
        if requested_at <= now and len(ends) < slots and now >= launched_at + launch_seconds:
            found.append(now - requested_at)
            ends.append(now + seconds)
            launched_at = now
            if not launch_seconds:
                continue  # the next run may start in the same second
        now += 1
    return found
