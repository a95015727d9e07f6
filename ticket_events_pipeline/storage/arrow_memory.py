"""Where Arrow takes its memory from.

Its own allocator (mimalloc) returns what is freed to the system within milliseconds, and the next table's pages are mapped and
cleared again: a quarter of the CPU of long SLA runs. The C library's `malloc` keeps some of it; the peak is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


@contextmanager
def system_allocator() -> Iterator[None]:
    """In the block, Arrow takes memory from `malloc`, in all threads. What is allocated keeps its allocator."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)
