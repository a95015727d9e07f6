"""Where Arrow takes its memory from.

Its default allocator (mimalloc) returns what is freed to the system within milliseconds, and the next table's pages are mapped
and cleared again: a quarter of the CPU of long SLA runs. jemalloc, which Arrow brings along on most systems, keeps it for a
while, and leaves fewer gaps between what lives for long and what doesn't than the C library's `malloc`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

KEPT_MILLISECONDS = 1_000
"""How long jemalloc keeps freed memory: longer than a day of a large account takes, whose memory the next day uses again."""

KEPT_BYTES = 2**25 - 2**16
"""glibc's `malloc`, from which numpy takes its memory, keeps as much freed memory as twice the largest block that was freed, up
to 32 MB; with its first limit, 256 KB, arrays of a few MB are mapped and cleared again each time."""


@contextmanager
def keeping_allocator() -> Iterator[None]:
    """In the block, Arrow's allocator keeps what is freed, in all threads. What is allocated keeps its allocator."""
    before = pa.default_memory_pool()
    np.empty(KEPT_BYTES, np.int8)  # freed at once, which raises that limit; no page of it is touched
    pa.set_memory_pool(_keeping_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _keeping_pool() -> pa.MemoryPool:
    if "jemalloc" not in pa.supported_memory_backends():
        return pa.system_memory_pool()
    pa.jemalloc_set_decay_ms(KEPT_MILLISECONDS)
    return pa.jemalloc_memory_pool()
