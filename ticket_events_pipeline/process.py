"""Processes: the identity of this one, and whether another one has certainly ended.

A process id alone is not enough: ids are reused, and each container has its own. So a process is identified by the boot of the
machine, the PID namespace, its id and its start time; on systems without these, no process is known to have ended.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(r"([0-9a-f-]*)_([0-9]*)_([0-9]+)_([0-9]*)")


@dataclass(frozen=True)
class Process:
    """A process on some machine.

    Attributes:
        boot: id of the machine's boot; empty if the system has none.
        space: PID namespace (a container has its own); empty if the system has none.
        pid: its id there.
        began: clock ticks from the boot to its start; empty if unknown.
    """

    boot: str
    space: str
    pid: int
    began: str

    @classmethod
    def parse(cls, token: str) -> Process | None:
        """The inverse of `str`; None if the token names no process."""
        found = _TOKEN.fullmatch(token)
        return cls(found[1], found[2], int(found[3]), found[4]) if found else None

    def __str__(self) -> str:
        """One word of letters, digits, `-` and `_`, for use in a file name."""
        return f"{self.boot}_{self.space}_{self.pid}_{self.began}"

    @property
    def is_gone(self) -> bool:
        """Whether it has certainly ended; False also if that is unknown here (another machine or container)."""
        here = this_process()
        if not (self.boot and self.space and self.began) or (self.boot, self.space) != (here.boot, here.space):
            return False
        return _began(self.pid) != self.began


def this_process() -> Process:
    """The calling process."""
    return _process(os.getpid())  # cached by id: a forked child is another process


def host_name() -> str:
    """The machine's name, for messages."""
    return socket.gethostname()


@functools.lru_cache(maxsize=4)
def _process(pid: int) -> Process:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = "".join(character for character in os.readlink("/proc/self/ns/pid") if character.isdigit())
    except OSError:  # no Linux
        return Process("", "", pid, "")
    return Process(boot, space, pid, _began(pid))


def _began(pid: int) -> str:
    """Start of the process in ticks since the boot; empty if there is no such process or it is a zombie."""
    try:
        # After the name in brackets, which may contain anything: the state is the first field, the start the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""
