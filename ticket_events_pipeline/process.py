"""Processes: who this one is, and whether another one is provably gone.

A process number alone says little: numbers are used again, and a container counts its own. So a process is known by the boot
of the machine, the number space, its number and the moment it began; where the system tells none of that, nothing is provable.
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
        boot: id of the machine's boot; empty where the system tells none.
        space: of process numbers (a container has its own); empty where the system tells none.
        pid: its number there.
        began: clock ticks from the boot to its begin; empty where the system tells none.
    """

    boot: str
    space: str
    pid: int
    began: str

    @classmethod
    def parse(cls, token: str) -> Process | None:
        """The inverse of `str`; None for what is no process."""
        found = _TOKEN.fullmatch(token)
        return cls(found[1], found[2], int(found[3]), found[4]) if found else None

    def __str__(self) -> str:
        """One word of letters, digits, `-` and `_`: fit for a file name."""
        return f"{self.boot}_{self.space}_{self.pid}_{self.began}"

    @property
    def is_gone(self) -> bool:
        """Whether it has ended for certain; False also where there is no telling from here (another machine or container)."""
        here = this_process()
        if not (self.boot and self.space and self.began) or (self.boot, self.space) != (here.boot, here.space):
            return False
        return _began(self.pid) != self.began


def this_process() -> Process:
    """The calling process."""
    return _process(os.getpid())  # cached by number: a forked child is another process


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
    """When the process began, in ticks since the boot; empty if there is none of that number, or it is a zombie."""
    try:
        # Behind the name in brackets, which may hold anything: the state first, the begin is the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""
