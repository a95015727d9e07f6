"""What threads of Arrow hold of Python's, for which the end of the interpreter waits.

Arrow reads a file in threads of its own. They let go of it, and of its bytes, a moment after the rows are there, and need the
interpreter for that. A thread that still waits for its turn when the interpreter ends aborts the process, whose work is done:
"terminate called without an active exception", exit code 134. See https://github.com/apache/arrow/issues/34314.
"""

from __future__ import annotations

import atexit
import time
import weakref
from typing import Any, TypeVar

LONGEST_WAIT_SECONDS = 1.0
"""Something may be held for another reason: then the process ends all the same."""

_held: dict[int, weakref.ref[Any]] = {}

_Held = TypeVar("_Held")


def hold_until_released(held: _Held) -> _Held:
    """The same object; the interpreter doesn't end before nobody holds it any more."""
    key = id(held)
    _held[key] = weakref.ref(held, lambda _: _held.pop(key, None))
    return held


@atexit.register
def _wait() -> None:
    until = time.monotonic() + LONGEST_WAIT_SECONDS
    while _held and time.monotonic() < until:
        time.sleep(0.001)  # meanwhile, other threads have the interpreter
