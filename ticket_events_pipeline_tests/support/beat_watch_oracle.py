"""For how long a beat was seen to stand still, worked out from the whole list of looks at once."""

from __future__ import annotations

from collections.abc import Sequence

LookAt = tuple[str, float, str | None]
"""Boot of the machine that looked, its time, and the beat that it found."""


def seconds_still(looks: Sequence[LookAt]) -> float:
    """The sum of the pauses between the looks at the end of the list that all found the same beat."""
    first = len(looks) - 1
    while first > 0 and looks[first - 1][2] == looks[-1][2]:
        first -= 1
    total = 0.0
    for (boot_before, before, _), (boot, now, _) in zip(looks[first:], looks[first + 1 :], strict=False):
        pause = now - before if boot == boot_before else 20.0
        total += 40.0 if pause > 40.0 else 0.0 if pause < 0.0 else pause
    return total
