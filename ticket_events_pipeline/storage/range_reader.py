"""A file-like reader of an object: few requests, each for a range of bytes. How a range is requested is handed in.

Parquet is read from its end: the end is there from the start, and what follows is read ahead of the asker in windows.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass

TAIL_BYTES = 64 * 1024
"""What Arrow reads of a Parquet file before it knows anything; most footers fit, and small files fit whole."""

WINDOW_BYTES = 4 * 2**20
"""A request takes tens of milliseconds before its first byte: as long as some hundred thousand bytes take."""

_LARGEST_REQUEST_BYTES = 16 * 2**20

Fetch = Callable[[int, int], bytes]
"""The bytes from a first offset up to, and without, a second one."""


@dataclass(frozen=True)
class Block:
    """Bytes that have been read.

    Attributes:
        start: offset of the first one.
        content: the bytes.
    """

    start: int
    content: bytes

    @property
    def end(self) -> int:
        """Offset behind the last one."""
        return self.start + len(self.content)


class SeekableReader(io.RawIOBase):
    """A position in `size` bytes that can be read in any order."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` from the start, from here or from the end; returns the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"there is no position {base + offset}")
        self._position = base + offset
        return self._position

    def _available(self, size: int | None) -> int:
        """How many of the next `size` bytes exist; without a size, all that are left."""
        left = max(0, self._size - self._position)
        return left if size is None or size < 0 else min(size, left)


class ObjectReader(SeekableReader):
    """Reads and seeks in an object of `size` bytes, the last of which are given as `tail`."""

    def __init__(self, fetch: Fetch, *, size: int, tail: Block) -> None:
        super().__init__(size)
        self._fetch = fetch
        self._tail = tail
        self._window = Block(0, b"")

    def read(self, size: int | None = -1, /) -> bytes:
        """All of the next `size` bytes, as far as there are so many; without a size, all that are left."""
        self._check_open()
        wanted = self._available(size)
        pieces = []
        while wanted:
            block = self._block_here(wanted)
            offset = self._position - block.start
            piece = block.content[offset : offset + wanted]
            pieces.append(piece)
            self._position += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readall(self) -> bytes:
        """All bytes that are left."""
        return self.read()

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # Buffer is younger than 3.11
        """Fill `buffer`; how many bytes there were."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _block_here(self, wanted: int) -> Block:
        """What has been read at the position; if nothing has, read ahead, but nothing twice."""
        for block in (self._tail, self._window):
            if block.start <= self._position < block.end:
                return block
        ahead = min(max(wanted, WINDOW_BYTES), _LARGEST_REQUEST_BYTES)
        end = min(self._position + ahead, self._tail.start)
        self._window = Block(self._position, self._fetch(self._position, end))
        if self._window.end != end:
            raise EOFError(f"{self._window.end - self._position} bytes came where {end - self._position} were asked for")
        return self._window

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("read of a closed file")
