"""Checksums over a whole Parquet file: a flipped bit anywhere raises an error and never changes a figure.

The footer has a CRC-32 of each block of the file and a SHA-256 of the footer itself. They are verified before Arrow parses the
bytes, since Arrow doesn't validate page headers and footers, and some flips there crash the process. Pages have checksums of
their own for other readers, which cover neither.

For hashing, the hash in the footer is replaced by zeros. Files of earlier versions have no checksums and are not verified.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.storage.arrow_threads import hold_until_released
from ticket_events_pipeline.storage.range_reader import SeekableReader

BLOCK_BYTES = 64 * 1024
"""The unit of reading and verifying; five bytes of footer each. A file states its own block size."""

CRCS_KEY, DIGEST_KEY = "block_crc32", "footer_sha256"
"""Footer keys: the block size and base64 of the blocks' CRC-32s, four bytes each, little-endian; the footer's hash."""

CHECKSUM_KEYS = frozenset({CRCS_KEY, DIGEST_KEY})

_TAIL_BYTES = 64 * 1024
_VERIFIED_AT_ONCE = 16 * BLOCK_BYTES
_MAGIC = b"PAR1"
_END_BYTES = 8  # the footer's length and the magic bytes
_NO_DIGEST = b"0" * 64

# As Thrift encodes a key and its value: a string is 0x18, its length, its bytes.
_KEYS = tuple(b"\x18" + bytes([len(key)]) + key.encode() for key in (CRCS_KEY, DIGEST_KEY))
_DIGEST = re.compile(re.escape(_KEYS[1]) + b"\x18\x40([0-9a-f]{64})")


class ChecksumError(Exception):
    """The bytes differ from those that were written."""


class ChecksummedWriter:
    """Writes a Parquet file with checksums over all of it. A context manager; without `finish` there is no valid file."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema, **options: Any) -> None:
        """`options` are those of `pq.ParquetWriter`."""
        self._sink = _Sink(sink)
        self._parquet = pq.ParquetWriter(self._sink, schema, write_page_checksum=True, **options)

    def write_table(self, rows: pa.Table, *, row_group_size: int) -> None:
        """Append rows, as new row groups."""
        self._parquet.write_table(rows, row_group_size=row_group_size)

    def finish(self, metadata: Mapping[str, str]) -> int:
        """Close the file with `metadata` in its footer; returns its size in bytes."""
        crcs = self._sink.hold_back()
        checksums = {CRCS_KEY: f"{BLOCK_BYTES}:{_encoded(crcs)}", DIGEST_KEY: _NO_DIGEST.decode()}
        self._parquet.add_key_value_metadata({**metadata, **checksums})
        self._parquet.close()
        return self._sink.finish()

    def __enter__(self) -> ChecksummedWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.hold_back()  # of an unfinished file, write nothing more
        self._parquet.close()


class _Sink(io.RawIOBase):
    """Computes checksums of what is written; from `hold_back` on, buffers it."""

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink = sink
        self._size = 0
        self._crcs: list[int] = []
        self._held: io.BytesIO | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        if self._held is None:
            self._add_checksums(view)
            self._sink.write(view)
        else:
            self._held.write(view)
        self._size += len(view)
        return len(view)

    def hold_back(self) -> list[int]:
        """Buffer from here on, since the footer starts; returns the checksums of everything before it."""
        self._held = self._held or io.BytesIO()
        return self._crcs

    def finish(self) -> int:
        """Write the footer with its hash; returns the file's size in bytes."""
        footer = b"" if self._held is None else self._held.getvalue()
        places = [found.start(1) for found in _DIGEST.finditer(footer) if found[1] == _NO_DIGEST]
        if len(footer) != _footer_bytes(footer) or not places:
            raise RuntimeError("Arrow wrote a Parquet footer in an unexpected form; this version of Arrow is not supported")
        digest = hashlib.sha256(footer).hexdigest().encode()
        self._sink.write(footer[: places[-1]] + digest + footer[places[-1] + len(digest) :])
        return self._size

    def _add_checksums(self, view: memoryview) -> None:
        position, taken = self._size, 0
        while taken < len(view):
            upto = min(len(view), taken + BLOCK_BYTES - position % BLOCK_BYTES)
            if position % BLOCK_BYTES:
                self._crcs[-1] = zlib.crc32(view[taken:upto], self._crcs[-1])
            else:
                self._crcs.append(zlib.crc32(view[taken:upto]))
            position, taken = position + upto - taken, upto


def open_checked(source: BinaryIO, **options: Any) -> pq.ParquetFile:
    """The Parquet file in `source`, whose bytes are verified as they are read; `options` are those of `pq.ParquetFile`.

    Raises:
        ChecksumError: the footer differs from what was written, or this is no Parquet file. Reading also raises it.
    """
    return _opened(source, **options)[0]


def verify_bytes(source: BinaryIO) -> bool:
    """Read the file through; False for a file of an earlier version, which has no checksums.

    Raises:
        ChecksumError: some byte differs from what was written, or this is no Parquet file.
    """
    file, checked = _opened(source)
    with file:
        if checked is None:
            return False
        checked.seek(0)
        while checked.read_buffer(_VERIFIED_AT_ONCE).size:
            pass
        return True


def _opened(source: BinaryIO, **options: Any) -> tuple[pq.ParquetFile, _Source | None]:
    """The file, and what verifies its bytes; None for a file without checksums."""
    size = source.seek(0, os.SEEK_END)
    tail = _read(source, max(0, size - _TAIL_BYTES), size)
    length = _footer_bytes(tail)
    if not tail.endswith(_MAGIC) or not _END_BYTES < length <= size - len(_MAGIC):
        raise ChecksumError("it doesn't end as a Parquet file does")
    # Search the whole tail: the footer's length may be damaged.
    if not any(key in tail for key in _KEYS):
        source.seek(0)
        return pq.ParquetFile(source, **options), None
    if length > len(tail):
        tail = _read(source, size - length, size - len(tail)) + tail
    if not _has_valid_hash(tail[-length:]):
        raise ChecksumError("its footer differs from what was written: the checksum doesn't match")
    checked = hold_until_released(_Source(source, size=size, tail=tail))
    file = pq.ParquetFile(checked, **options)
    block_bytes, _, crcs = file.metadata.metadata[CRCS_KEY.encode()].decode().partition(":")
    checked.expect(_decoded(crcs), block_bytes=int(block_bytes), size=size - length)
    return file, checked


def _footer_bytes(tail: bytes) -> int:
    """The length of the footer as the file states it, up to the end of the file."""
    return int.from_bytes(tail[-_END_BYTES : -len(_MAGIC)], "little") + _END_BYTES


def _has_valid_hash(footer: bytes) -> bool:
    """Whether the footer matches its hash. Texts of the account in the footer may look like the hash."""
    for found in _DIGEST.finditer(footer):
        blank = footer[: found.start(1)] + _NO_DIGEST + footer[found.end(1) :]
        if hashlib.sha256(blank).hexdigest().encode() == found[1]:
            return True
    return False


def _read(source: BinaryIO, start: int, end: int) -> bytes:
    source.seek(start)
    content = source.read(end - start)
    if len(content) != end - start:
        raise ChecksumError(f"it ends at byte {start + len(content)}, before its end")
    return content


class _Source(SeekableReader):
    """The file as Arrow reads it: while opening, the tail; then everything before the footer, verified block by block.

    Of the tail, Arrow reads only the footer, which has been verified.
    """

    def __init__(self, source: BinaryIO, *, size: int, tail: bytes) -> None:
        super().__init__(size)
        self._source = source
        self._kept = (size - len(tail), pa.py_buffer(tail))
        self._crcs: list[int] = []
        self._block_bytes = BLOCK_BYTES

    def expect(self, crcs: list[int], *, block_bytes: int, size: int) -> None:
        """Verify everything that is read from now on, up to `size` bytes."""
        self._crcs, self._block_bytes, self._size = crcs, block_bytes, size
        self._kept = (0, pa.py_buffer(b""))

    def read(self, size: int | None = -1, /) -> bytes:
        content: bytes = self.read_buffer(size).to_pybytes()
        return content

    def read_buffer(self, size: int | None = -1, /) -> pa.Buffer:
        """Arrow calls this instead of `read`, and saves a copy."""
        wanted = self._available(size)
        start, end = self._position, self._position + wanted
        kept_from, kept = self._kept
        if not kept_from <= start <= end <= kept_from + kept.size:
            kept_from, kept = self._kept = self._verified_blocks(start // self._block_bytes, -(-end // self._block_bytes))
        self._position = end
        return hold_until_released(kept.slice(start - kept_from, wanted))

    def _verified_blocks(self, first: int, behind: int) -> tuple[int, pa.Buffer]:
        """The first byte and the content of the blocks from `first` up to, but not including, `behind`."""
        start = first * self._block_bytes
        content = _read(self._source, start, min(behind * self._block_bytes, self._size))
        view = memoryview(content)
        for number in range(first, behind):
            place = number * self._block_bytes - start
            if [zlib.crc32(view[place : place + self._block_bytes])] != self._crcs[number : number + 1]:
                raise ChecksumError(
                    f"the {self._block_bytes} bytes from {start + place} on differ from those that were written"
                )
        return start, pa.py_buffer(content)


def _encoded(crcs: Sequence[int]) -> str:
    return base64.b64encode(np.array(crcs, "<u4").tobytes()).decode()


def _decoded(text: str) -> list[int]:
    crcs: list[int] = np.frombuffer(base64.b64decode(text), "<u4").tolist()
    return crcs
