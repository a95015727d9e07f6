"""Where a folder is mounted, and whether locks there reach other machines: what Linux says in /proc/self/mountinfo.

A folder can be shared by several hosts only if its file system passes locks on to its server.
https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html, https://man7.org/linux/man-pages/man5/nfs.5.html
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
    ]
)

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Lock(StrEnum):
    """The two kinds of locks, as Python's fcntl calls them."""

    FLOCK = "flock"
    """What files of the root are locked by."""

    LOCKF = "lockf"
    """POSIX record locks, by which SQLite locks its databases."""


_STAYS_LOCAL = {
    Lock.FLOCK: frozenset({"nolock", "local_lock=all", "local_lock=flock", "nobrl", "localflock", "noflock"}),
    Lock.LOCKF: frozenset({"nolock", "local_lock=all", "local_lock=posix", "nobrl"}),
}
"""Mount options of NFS, SMB and Lustre by which a lock is unknown to other machines."""


@dataclass(frozen=True)
class Mount:
    """A mounted file system.

    Attributes:
        point: the folder that it is mounted on.
        kind: its type: ext4, nfs4, fuse.sshfs …
        options: of the mount and of the file system.
    """

    point: str
    kind: str
    options: frozenset[str] = frozenset()

    @property
    def is_network(self) -> bool:
        """Whether its files may lie on another machine. FUSE may be anything."""
        return self.kind in _NETWORK or self.kind == "fuse" or self.kind.startswith("fuse.")

    def local_option(self, lock: Lock) -> str:
        """The mount option by which locks of that kind stay on this machine; empty if there is none."""
        return min(self.options & _STAYS_LOCAL[lock], default="")


def parse_mounts(text: str) -> list[Mount]:
    """The mounts that a mountinfo file lists, in its order; lines of another form are left out."""
    return [mount for line in text.splitlines() if (mount := _parsed(line)) is not None]


def mount_of(folder: str, mounts: list[Mount]) -> Mount | None:
    """The mount that a folder, given by its real path, lies on; of several on one point, the last hides the others."""
    found = [mount for mount in mounts if folder == mount.point or folder.startswith(f"{mount.point.rstrip('/')}/")]
    return max(reversed(found), key=lambda mount: len(mount.point), default=None)


def mount_at(folder: Path) -> Mount | None:
    """The mount that a folder lies on, which need not exist; None if the system doesn't say."""
    try:
        text = _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # no Linux
        return None
    return mount_of(os.path.realpath(folder), parse_mounts(text))


def _parsed(line: str) -> Mount | None:
    before, _, after = line.partition(" - ")  # any number of optional fields stands before the hyphen
    fields, more = before.split(" "), after.split(" ")
    if len(fields) < 6 or not more[0]:
        return None
    options = ",".join([fields[5], *more[2:3]]).split(",")
    return Mount(_unescaped(fields[4]), more[0], frozenset(filter(None, options)))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
