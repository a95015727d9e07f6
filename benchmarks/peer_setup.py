"""The peers that this pipeline is measured against: where each is installed, and in which version.

Each has a virtual environment of its own under `benchmarks/.venvs` (not committed), made when first asked for. How it is run is
in `peer_contenders.py`; no code of a peer is here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VENVS = Path(__file__).with_name(".venvs")


class NotInstallableError(Exception):
    """pip could not install a peer; the message is the last line of pip."""


@dataclass(frozen=True)
class Peer:
    """A client by other authors.

    Attributes:
        package: its name for pip.
        requirement: what is installed.
        python: the interpreter that it needs, where it doesn't take every newer one.
    """

    package: str
    requirement: str
    python: str = ""

    @property
    def bin(self) -> Path:
        """Where its commands lie."""
        return VENVS / self.package / "bin"


DLT = Peer("dlt", "dlt[filesystem,parquet]>=1.31,<2")
ZENPY = Peer("zenpy", "zenpy>=2.0.57,<3")
TAP_ZENDESK = Peer("tap-zendesk", "tap-zendesk>=2.8.2,<3")
AIRBYTE = Peer("airbyte-source-zendesk-support", "airbyte-source-zendesk-support>=4.9.1,<5", python="python3.11")


def installed(peer: Peer) -> str:
    """Install the peer if it isn't yet; its version.

    Raises:
        NotInstallableError: pip did not.
    """
    done = VENVS / peer.package / "installed"
    if not done.exists() or done.read_text() != peer.requirement:
        python = shutil.which(peer.python or sys.executable) or sys.executable
        print(f"installing {peer.requirement} for {python}", file=sys.stderr, flush=True)
        subprocess.run([python, "-m", "venv", "--clear", VENVS / peer.package], check=True)
        pip = subprocess.run(
            [peer.bin / "pip", "install", "--quiet", "--disable-pip-version-check", peer.requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        if pip.returncode:
            errors = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")] or pip.stderr.splitlines()
            raise NotInstallableError(errors[-1] if errors else f"pip ended with {pip.returncode}")
        done.write_text(peer.requirement)
    ask = f"from importlib.metadata import version; print(version({peer.package!r}))"
    return subprocess.run([peer.bin / "python", "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
