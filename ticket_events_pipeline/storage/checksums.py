"""Checksums over all of a Parquet file: one flipped bit, wherever, is an error and never a figure.

A CRC-32 of each block of the file stands in its footer, and so does a SHA-256 of the footer itself. They are checked before
Arrow looks at the bytes: of page headers and footers it believes all, and some flips there end the process. Pages carry
checksums of their own besides, for other readers; those cover neither.

To hash the footer, which holds the hash, zeros stand in its place. Files of earlier versions have neither entry, and are read
unchecked.
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

from ticket_events_pipeline.storage.range_reader import SeekableReader

BLOCK_BYTES = 64 * 1024
"""What is read at least, and checked at once; five bytes of footer each. The checksums tell it: files may have another."""

CRCS_KEY, DIGEST_KEY = "block_crc32", "footer_sha256"
"""Footer keys: the size of a block and base64 of the blocks' CRC-32s, four bytes each, little end first; the hash."""

CHECKSUM_KEYS = frozenset({CRCS_KEY, DIGEST_KEY})

_TAIL_BYTES = 64 * 1024
_MAGIC = b"PAR1"
_END_BYTES = 8  # the footer's length, and the magic
_NO_DIGEST = b"0" * 64

# As Thrift writes a key and what follows it: a string is 0x18, its length, its bytes.
_KEYS = tuple(b"\x18" + bytes([len(key)]) + key.encode() for key in (CRCS_KEY, DIGEST_KEY))
_DIGEST = re.compile(re.escape(_KEYS[1]) + b"\x18\x40([0-9a-f]{64})")


class ChecksumError(Exception):
    """The bytes aren't those that were written."""


class ChecksummedWriter:
    """Writes a Parquet file with checksums over all of it. A context manager: what isn't finished is no file."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema, **options: Any) -> None:
        """`options` are those of `pq.ParquetWriter`."""
        self._sink = _Sink(sink)
        self._parquet = pq.ParquetWriter(self._sink, schema, write_page_checksum=True, **options)

    def write_table(self, rows: pa.Table, *, row_group_size: int) -> None:
        """Append rows, as row groups of their own."""
        self._parquet.write_table(rows, row_group_size=row_group_size)

    def finish(self, metadata: Mapping[str, str]) -> int:
        """Close the file with `metadata` in its footer; its size in bytes. Nothing can be written any more."""
        crcs = self._sink.hold_back()
        told = {CRCS_KEY: f"{BLOCK_BYTES}:{_encoded(crcs)}", DIGEST_KEY: _NO_DIGEST.decode()}
        self._parquet.add_key_value_metadata({**metadata, **told})
        self._parquet.close()
        return self._sink.finish()

    def __enter__(self) -> ChecksummedWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.hold_back()  # of a file that wasn't finished, nothing more is put down
        self._parquet.close()


class _Sink(io.RawIOBase):
    """Takes the checksums of what goes by; from `hold_back` on, keeps it."""

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
            self._take(view)
            self._sink.write(view)
        else:
            self._held.write(view)
        self._size += len(view)
        return len(view)

    def hold_back(self) -> list[int]:
        """Let the footer begin; the checksums of what stands before it."""
        self._held = self._held or io.BytesIO()
        return self._crcs

    def finish(self) -> int:
        """Put the footer down, with its hash in it; the file's size in bytes."""
        footer = b"" if self._held is None else self._held.getvalue()
        places = [found.start(1) for found in _DIGEST.finditer(footer) if found[1] == _NO_DIGEST]
        if len(footer) != _footer_bytes(footer) or not places:
            raise RuntimeError("Arrow wrote a Parquet footer of another form than expected; this version of it is not known")
        digest = hashlib.sha256(footer).hexdigest().encode()
        self._sink.write(footer[: places[-1]] + digest + footer[places[-1] + len(digest) :])
        return self._size

    def _take(self, view: memoryview) -> None:
        position, taken = self._size, 0
        while taken < len(view):
            upto = min(len(view), taken + BLOCK_BYTES - position % BLOCK_BYTES)
            if position % BLOCK_BYTES:
                self._crcs[-1] = zlib.crc32(view[taken:upto], self._crcs[-1])
            else:
                self._crcs.append(zlib.crc32(view[taken:upto]))
            position, taken = position + upto - taken, upto


def open_checked(source: BinaryIO, **options: Any) -> pq.ParquetFile:
    """The Parquet file in `source`, whose bytes are checked as they are read; `options` are those of `pq.ParquetFile`.

    Raises:
        ChecksumError: the footer isn't the one that was written, or this is no Parquet file. Reading raises it, too.
    """
    size = source.seek(0, os.SEEK_END)
    tail = _read(source, max(0, size - _TAIL_BYTES), size)
    length = _footer_bytes(tail)
    if not tail.endswith(_MAGIC) or not _END_BYTES < length <= size - len(_MAGIC):
        raise ChecksumError("it doesn't end as a Parquet file does")
    # Looked for in all of the tail: the footer may have lost its right length.
    if not any(key in tail for key in _KEYS):
        source.seek(0)
        return pq.ParquetFile(source, **options)
    if length > len(tail):
        tail = _read(source, size - length, size - len(tail)) + tail
    if not _bears_its_hash(tail[-length:]):
        raise ChecksumError("its footer isn't the one that was written: their checksums differ")
    checked = _Source(source, size=size, tail=tail)
    file = pq.ParquetFile(checked, **options)
    block_bytes, _, crcs = file.metadata.metadata[CRCS_KEY.encode()].decode().partition(":")
    checked.expect(_decoded(crcs), block_bytes=int(block_bytes), size=size - length)
    return file


def _footer_bytes(tail: bytes) -> int:
    """How long the footer is by its own words, up to the end of the file."""
    return int.from_bytes(tail[-_END_BYTES : -len(_MAGIC)], "little") + _END_BYTES


def _bears_its_hash(footer: bytes) -> bool:
    """Whether the footer is the one that was hashed; texts of the account in it may look like the hash, too."""
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
    """A file that Arrow reads: while it opens it, the tail as it is; then what stands before the footer, block by block.

    Of the tail, Arrow looks at nothing but the footer, which has been checked.
    """

    def __init__(self, source: BinaryIO, *, size: int, tail: bytes) -> None:
        super().__init__(size)
        self._source = source
        self._kept = (size - len(tail), pa.py_buffer(tail))
        self._crcs: list[int] = []
        self._block_bytes = BLOCK_BYTES

    def expect(self, crcs: list[int], *, block_bytes: int, size: int) -> None:
        """Check all that is read from now on: `size` bytes are left."""
        self._crcs, self._block_bytes, self._size = crcs, block_bytes, size
        self._kept = (0, pa.py_buffer(b""))

    def read(self, size: int | None = -1, /) -> bytes:
        content: bytes = self.read_buffer(size).to_pybytes()
        return content

    def read_buffer(self, size: int | None = -1, /) -> pa.Buffer:
        """What Arrow asks for rather than `read`: it needn't be copied."""
        wanted = self._available(size)
        start, end = self._position, self._position + wanted
        kept_from, kept = self._kept
        if not kept_from <= start <= end <= kept_from + kept.size:
            kept_from, kept = self._kept = self._checked(start // self._block_bytes, -(-end // self._block_bytes))
        self._position = end
        return kept.slice(start - kept_from, wanted)

    def _checked(self, first: int, behind: int) -> tuple[int, pa.Buffer]:
        """The blocks from the first up to another, and at which byte they start."""
        start = first * self._block_bytes
        content = _read(self._source, start, min(behind * self._block_bytes, self._size))
        view = memoryview(content)
        for number in range(first, behind):
            place = number * self._block_bytes - start
            if [zlib.crc32(view[place : place + self._block_bytes])] != self._crcs[number : number + 1]:
                raise ChecksumError(f"the {self._block_bytes} bytes from {start + place} on aren't those that were written")
        return start, pa.py_buffer(content)


def _encoded(crcs: Sequence[int]) -> str:
    return base64.b64encode(np.array(crcs, "<u4").tobytes()).decode()


def _decoded(text: str) -> list[int]:
    crcs: list[int] = np.frombuffer(base64.b64decode(text), "<u4").tolist()
    return crcs
