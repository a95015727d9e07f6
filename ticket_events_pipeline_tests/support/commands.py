"""A folder with nothing in it but Dagster's home, and commands that run there, for tests of the command line.

Every command is a process of its own with an environment built from scratch, so that nothing of the machine leaks in.
Those of this package and of Dagster are forked by a `command_server`, which has imported what they import.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.checkout import DAGSTER_YAML
from ticket_events_pipeline_tests.support.command_server import command_server

BIN = Path(sys.executable).parent
DEFINITIONS = "ticket_events_pipeline.definitions"
COMMAND = "from ticket_events_pipeline.cli.main import main; main()"
"""The console script as a program: `python -c COMMAND doctor`."""

DAGSTER = "from dagster._cli import main; main()"
"""`python -m dagster` as a program."""

INVALID_TOKEN = "not-the-token-7c1e"


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code, and everything that it printed."""

    code: int
    output: str


@dataclass
class Place:
    """An empty working folder with a home for Dagster, and the variables that commands run with."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def env(self, **more: str) -> dict[str, str]:
        machine = {"PATH": f"{BIN}{os.pathsep}{os.defpath}", "HOME": str(self.folder), "LANG": "C.UTF-8", "COLUMNS": "120"}
        return {**machine, "DAGSTER_HOME": str(self.home), **self.variables, **more}

    def run(self, *command: str, cwd: Path | None = None, **more: str) -> Ended:
        ended = subprocess.run(
            command, cwd=cwd or self.folder, env=self.env(**more), capture_output=True, text=True, timeout=600, check=False
        )
        return Ended(ended.returncode, ended.stdout + ended.stderr)

    def materialize(self, select: str, first: str, last: str | None = None, **more: str) -> Ended:
        """`dagster asset materialize` of a day, or of a range of days."""
        days = ("--partition", first) if last is None else ("--partition-range", f"{first}...{last}")
        arguments = ("dagster", "asset", "materialize", "-m", DEFINITIONS, "--select", select, *days)
        return self._forked(DAGSTER, arguments, self.env(**more))

    def ticket_events(self, *arguments: str, **more: str) -> Ended:
        """The console script."""
        return self._forked(COMMAND, ("ticket-events", *arguments), self.env(**more))

    def _forked(self, program: str, argv: tuple[str, ...], env: dict[str, str]) -> Ended:
        return Ended(*command_server().run(program, argv, cwd=self.folder, env=env))

    def recorded_days(self, asset: str) -> set[str]:
        """The days that are materialized by Dagster's event log."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return set(instance.get_materialized_partitions(dg.AssetKey(asset)))

    def files(self) -> dict[str, bytes]:
        """The content of every finished file of the root."""
        paths = FolderStore(self.root).paths("")
        return {path: (self.root / path).read_bytes() for path in paths if not path.startswith("_inflight/")}

    def holds(self, text: str) -> list[str]:
        """The files of the working folder, Dagster's included, that hold `text` anywhere."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes())
        return [str(path.relative_to(self.folder)) for path in found]


def new_home(home: Path) -> Path:
    """Make a home with the shipped dagster.yaml; its databases are copies of new ones, which take Dagster half a second."""
    shutil.copytree(_template_home().name, home)
    return home


@functools.cache
def _template_home() -> tempfile.TemporaryDirectory[str]:
    template = tempfile.TemporaryDirectory(prefix="ticket-events-home-")
    shutil.copy(DAGSTER_YAML, template.name)
    with dg.DagsterInstance.from_config(template.name):
        return template


def new_place(folder: Path, server: SandboxServer | None = None, **variables: str) -> Place:
    """A place in `folder` with the shipped dagster.yaml; with a `server`, the variables that lead to it."""
    account = {} if server is None else {"ZENDESK_BASE_URL": server.base_url, "ZENDESK_OAUTH_TOKEN": "sandbox"}
    place = Place(folder, {"TICKET_EVENTS_ROOT": str(folder / "root"), **account, **variables})
    new_home(place.home)
    return place
