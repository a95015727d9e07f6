"""The installation: how its programs are typed, and what an extra of the package needs to be installed.

The package is on no index, so no text may ask for `pip install 'ticket_events_pipeline[...]'`.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

PACKAGE = "ticket_events_pipeline"

_OF_AN_EXTRA = re.compile(r"""\s*(?P<requirement>[^;]+?)\s*;\s*extra\s*==\s*["'](?P<extra>\w+)["']\s*""")


def program(name: str = "ticket-events", *, folder: Path | None = None) -> str:
    """How a program of this installation is typed in a shell: its name where that finds it, else its path.

    Args:
        name: a console script, such as `dg`.
        folder: the working folder of the shell that it is typed in; None for this process's own.
    """
    path = Path(sysconfig.get_path("scripts")) / name
    if _is_same_file(shutil.which(name), path):
        return name
    return _as_typed(path, folder)


@functools.cache
def installed_version(package: str = PACKAGE) -> str:
    """The version of an installed package, by its metadata when it was first asked for; empty if it isn't installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def dagster_home_hint() -> str:
    """A sentence on the DAGSTER_HOME that `make` and `init` use in this folder; empty if there is none."""
    homes = [home for home in (Path(".dagster_home"), Path(".dagster_home/sandbox")) if (home / "dagster.yaml").is_file()]
    found = " or ".join(shlex.quote(str(home.absolute())) for home in homes)
    return f" (in this folder it may be {found})" if found else ""


def pip_install(extra: str) -> str:
    """The command that installs what an extra of this package needs, from the package's own metadata."""
    found = [_OF_AN_EXTRA.fullmatch(line) for line in requires(PACKAGE) or []]
    needed = [match["requirement"] for match in found if match is not None and match["extra"] == extra]
    return " ".join([_as_typed(Path(sys.executable), None), "-m pip install", *map(shlex.quote, needed)])


def _is_same_file(found: str | None, path: Path) -> bool:
    """Whether the shell's search ends at `path`; links are followed, but not those of a venv's interpreter."""
    return found is not None and os.path.exists(path) and os.path.samefile(found, path)


def _as_typed(path: Path, folder: Path | None) -> str:
    """A path from the working folder if it lies below it."""
    here = folder or Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
