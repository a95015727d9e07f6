"""A file system of the tests' own whose locks don't work, mounted by the kernel (FUSE) and served by a process of its own.

    with lock_share(folder, "granted"):   # every process gets every lock, as on a share that keeps locks on each machine
    with lock_share(folder, "ENOLCK"):    # no process gets any, as on NFS without a lock daemon

Files are kept in the server's memory. Mounting needs root and /dev/fuse; without them the test is skipped.
https://man7.org/linux/man-pages/man4/fuse.4.html, linux/include/uapi/linux/fuse.h (protocol 7.31)
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

KIND = "fuse.test_locks"
_DETACH = 2
_FLAGS = 1 << 1 | 1 << 10  # the kernel asks for both kinds of locks instead of keeping them itself
_IN_HEADER, _OUT_HEADER = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_OPENED = struct.pack("<QII", 0, 0, 0)


@contextmanager
def lock_share(folder: Path, answer: str) -> Iterator[None]:
    """The file system on `folder`, whose `answer` to every lock is `granted`, or the name of an error."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("mounting a file system of its own needs root and /dev/fuse")
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-P", __file__, str(folder), answer]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "mounted":
                pytest.skip("this machine doesn't let a test mount a file system")
            yield
        finally:
            ctypes.CDLL(None).umount2(os.fsencode(folder), _DETACH)
            process.kill()


@dataclass
class _Node:
    mode: int
    content: bytearray = field(default_factory=bytearray)
    names: dict[bytes, int] = field(default_factory=dict)


class _Share:
    """The answers to the kernel's requests, by opcode; an `OSError` becomes its error."""

    def __init__(self, lock_error: int) -> None:
        self._lock_error = lock_error
        self._nodes = {1: _Node(stat.S_IFDIR | 0o755)}

    def answer(self, opcode: int, node: int, body: bytes) -> bytes:
        known = {
            1: self._lookup,
            3: self._getattr,
            4: self._setattr,
            9: self._mkdir,
            10: self._unlink,
            11: self._unlink,
            12: self._rename,
            14: self._opened,
            15: self._read,
            16: self._write,
            18: self._nothing,
            20: self._nothing,
            25: self._nothing,
            26: self._init,
            27: self._opened,
            28: self._readdir,
            29: self._nothing,
            30: self._nothing,
            32: self._lock,
            33: self._lock,
            35: self._create,
            45: self._rename2,
        }
        if opcode not in known:
            raise OSError(errno.ENOSYS, "")
        return known[opcode](node, body)

    def _init(self, _: int, body: bytes) -> bytes:
        readahead, offered = struct.unpack_from("<II", body, 8)
        return struct.pack("<IIIIHHIIHH8I", 7, 31, readahead, offered & _FLAGS, 8, 8, 65536, 1, 0, 0, *[0] * 8)

    def _lock(self, _: int, body: bytes) -> bytes:
        (kind,) = struct.unpack_from("<I", body, 32)
        if self._lock_error and kind != 2:  # unlocking always works
            raise OSError(self._lock_error, "")
        return b""

    def _lookup(self, node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        if name not in self._nodes[node].names:
            raise OSError(errno.ENOENT, "")
        return self._entry(self._nodes[node].names[name])

    def _getattr(self, node: int, _: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _setattr(self, node: int, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & 8:
            content = self._nodes[node].content
            content[size:] = b""
            content.extend(bytes(size - len(content)))
        return self._getattr(node, b"")

    def _mkdir(self, node: int, body: bytes) -> bytes:
        return self._made(node, body[8:], stat.S_IFDIR | 0o755)

    def _create(self, node: int, body: bytes) -> bytes:
        return self._made(node, body[16:], stat.S_IFREG | 0o600) + _OPENED

    def _unlink(self, node: int, body: bytes) -> bytes:
        del self._nodes[node].names[body.rstrip(b"\0")]
        return b""

    def _rename(self, node: int, body: bytes) -> bytes:
        (target,) = struct.unpack_from("<Q", body)
        return self._moved(node, target, body[8:])

    def _rename2(self, node: int, body: bytes) -> bytes:
        (target,) = struct.unpack_from("<Q", body)
        return self._moved(node, target, body[16:])

    def _moved(self, node: int, target: int, names: bytes) -> bytes:
        old, new, *_ = names.split(b"\0")
        self._nodes[target].names[new] = self._nodes[node].names.pop(old)
        return b""

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self._nodes[node].content[offset : offset + size])

    def _write(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        self._nodes[node].content[offset : offset + size] = body[40 : 40 + size]
        return struct.pack("<II", size, 0)

    def _readdir(self, node: int, body: bytes) -> bytes:
        (offset,) = struct.unpack_from("<Q", body, 8)
        entries = b""
        for number, (name, inode) in enumerate(list(self._nodes[node].names.items()), start=1):
            if number > offset:
                entry = struct.pack("<QQII", inode, number, len(name), self._nodes[inode].mode >> 12) + name
                entries += entry + bytes(-len(entry) % 8)
        return entries

    def _opened(self, *_: object) -> bytes:
        return _OPENED

    def _nothing(self, *_: object) -> bytes:
        return b""

    def _made(self, node: int, name: bytes, mode: int) -> bytes:
        inode = max(self._nodes) + 1
        self._nodes[inode] = _Node(mode)
        self._nodes[node].names[name.rstrip(b"\0")] = inode
        return self._entry(inode)

    def _entry(self, node: int) -> bytes:
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        found = self._nodes[node]
        return struct.pack("<QQQQQQ10I", node, len(found.content), 0, 0, 0, 0, 0, 0, 0, found.mode, 1, 0, 0, 0, 4096, 0)


def _serve(folder: str, answer: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40755,user_id=0,group_id=0"
    mounted = ctypes.CDLL(None).mount(b"test", os.fsencode(folder), KIND.encode(), 0, options.encode())
    if mounted != 0:
        sys.exit("not mounted")
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    share = _Share(0 if answer == "granted" else getattr(errno, answer))
    while True:
        try:
            request = os.read(device, 2**20)
        except OSError:  # unmounted
            return
        _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
        if opcode in (2, 42):  # forgotten nodes: no answer is expected
            continue
        error, body = 0, b""
        try:
            body = share.answer(opcode, node, request[_IN_HEADER.size :])
        except OSError as refused:
            error = -(refused.errno or errno.EIO)
        os.write(device, _OUT_HEADER.pack(_OUT_HEADER.size + len(body), error, unique) + body)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
