"""The processes of a deployment, started by the very ExecStart lines of the systemd units in deploy/.

Not by systemd: its environment files and sandboxing are not in effect, and what ended is restarted only on request. What is the
same is the command, the working folder, the variables, and how it is stopped: SIGTERM to the unit's processes or to its main
process, then SIGKILL to the rest.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN
from ticket_events_pipeline_tests.support.services import free_port

DEPLOY = CHECKOUT / "deploy"
PROGRAMS = "/opt/ticket-events/bin"
"""Where the units expect the installation."""


def settings(unit: Path) -> dict[str, list[str]]:
    """Every setting of the unit, with its values in their order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def example(file: Path) -> dict[str, str]:
    """The variables of an example of an environment file."""
    return dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE))


class Units:
    """The units of `deploy/<kind>` in a working folder of their own, with `variables` in place of the examples' values.

    Of `variables`, a unit gets those that its environment files define, and the machine's.
    """

    def __init__(self, kind: str, folder: Path, variables: Mapping[str, str], machine: Mapping[str, str]) -> None:
        self.folder, self.variables, self.web_port = folder, dict(variables), free_port()
        self._kind, self._machine = kind, machine
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for file in (DEPLOY / kind).glob("*.yaml"):
            shutil.copy(file, folder)
        (home := folder / "dagster_home").mkdir()
        shutil.move(folder / "dagster.yaml", home)
        self.variables["DAGSTER_HOME"] = str(home)

    @property
    def names(self) -> list[str]:
        """`code-server`, `daemon`, ..."""
        return [unit.stem.removeprefix("ticket-events-") for unit in sorted((DEPLOY / self._kind / "systemd").iterdir())]

    def env(self, name: str) -> dict[str, str]:
        """The environment of one unit: the machine's, its own settings, and the variables of its files."""
        own = [one.replace(PROGRAMS, str(BIN)).split("=", 1) for one in self._settings(name).get("Environment", [])]
        files = [Path(file).name for file in self._settings(name)["EnvironmentFile"]]
        defined = {variable for file in files for variable in example(DEPLOY / self._kind / f"{file}.example")}
        account = {"account.env"} & set(files)
        return {
            **self._machine,
            **dict(own),
            **{
                variable: value
                for variable, value in self.variables.items()
                if variable in defined or (account and variable.startswith(("ZENDESK_", "TICKET_EVENTS_")))
            },
        }

    def command(self, name: str, setting: str = "ExecStart") -> list[str]:
        """The unit's command with the programs of this installation, its variables, and a free port for the web server."""
        (line,) = self._settings(name)[setting]
        line = line.replace(PROGRAMS, str(BIN)).replace("-p 3000", f"-p {self.web_port}")
        line = re.sub(r"\$\{(\w+)\}", lambda variable: self.env(name)[variable[1]], line)
        return shlex.split(line)

    def log(self, name: str) -> str:
        """What the unit has printed."""
        return (self.folder / f"{name}.log").read_text()

    def start(self, name: str) -> None:
        """Start the unit. Its SIGINT is reset, which a test that runs in the background inherits as ignored."""
        command = ["env", "--default-signal=INT", *self.command(name)]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, env=self.env(name), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def restart_ended(self) -> None:
        """Start again what has ended, as systemd does with `Restart=always`."""
        for name, process in list(self._processes.items()):
            if process.poll() is not None and self._settings(name)["Restart"] == ["always"]:
                self.start(name)

    def stop(self, name: str) -> None:
        """End the unit as systemd does; raises TimeoutExpired if it takes longer than systemd would wait."""
        process, settings = self._processes.pop(name), self._settings(name)
        try:
            if settings.get("KillMode") == ["mixed"]:
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(float(settings["TimeoutStopSec"][0]))
        finally:
            _kill(process)

    def kill(self) -> None:
        """Leave no process behind."""
        for process in self._processes.values():
            _kill(process)

    def _settings(self, name: str) -> dict[str, list[str]]:
        return settings(DEPLOY / self._kind / "systemd" / f"ticket-events-{name}.service")


@contextmanager
def units(kind: str, folder: Path, variables: Mapping[str, str], machine: Mapping[str, str]) -> Iterator[Units]:
    """The units of `deploy/<kind>`, all of them started."""
    folder.mkdir()
    made = Units(kind, folder, variables, machine)
    try:
        for name in made.names:
            made.start(name)
        yield made
    finally:
        made.kill()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
