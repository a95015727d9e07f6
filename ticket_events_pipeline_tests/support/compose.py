"""The services of deploy/compose as processes of this machine: their commands, variables, secrets and health checks.

Docker's part is missing: images, networks, volumes, restarts and the order of starting are not in effect. The services' names
are addresses of this machine, Postgres and the object store are those of `services` and `object_server`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN
from ticket_events_pipeline_tests.support.services import free_port

COMPOSE = CHECKOUT / "deploy" / "compose"
HOME = "/opt/dagster/"
"""The working folder in the image."""

CODE_SERVER = ["dagster", "code-server", "start", "-h", "127.0.0.1", "-p", "4000", "-m", "ticket_events_pipeline.definitions"]
CODE_SERVER_HEALTH = ["dagster", "api", "grpc-health-check", "-p", "4000"]
"""Those of the image, which `test_compose` compares with the Dockerfile."""


def compose_file() -> dict[str, Any]:
    """compose.yaml, its anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return found


class Containers:
    """Services of compose.yaml in folders of their own; `variables` replace those of the same name."""

    def __init__(self, folder: Path, secrets: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._secrets = secrets
        self._variables = variables
        self._file = compose_file()
        self._ports = {port: str(free_port()) for port in ("3000", "4000", "8743")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def port(self, port: int) -> int:
        """The port of this machine in place of a container's."""
        return int(self._ports[str(port)])

    def start(self, service: str) -> None:
        """Start the service's command as the image's entry point does."""
        folder = self._made(service)
        command = self._file["services"][service].get("command", CODE_SERVER)
        with (folder / "log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                ["env", "--default-signal=INT", COMPOSE / "with-secrets", *self._here(command)],
                env={**self._env(service), "SECRETS_FOLDER": str(folder / "secrets")},
                cwd=folder / "work",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        """The service's command, to its end."""
        folder = self._made(service)
        command = [str(COMPOSE / "with-secrets"), *self._here(self._file["services"][service]["command"])]
        env = {**self._env(service), "SECRETS_FOLDER": str(folder / "secrets")}
        return subprocess.run(command, env=env, cwd=folder / "work", capture_output=True, text=True, check=False)

    def is_healthy(self, service: str) -> bool:
        """Whether the service's health check succeeds, with the variables that Docker gives it: no secret is among them."""
        folder = self.folder / service
        check = self._file["services"][service].get("healthcheck", {"test": ["CMD", *CODE_SERVER_HEALTH]})["test"]
        assert check[0] == "CMD"  # not by a shell
        env = {**self._env(service), "SECRETS_FOLDER": str(folder / "secrets")}
        try:
            ended = subprocess.run(
                self._here(check[1:]), env=env, cwd=folder / "work", capture_output=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return ended.returncode == 0

    def log(self, service: str) -> str:
        """What the service has printed."""
        return (self.folder / service / "log").read_text()

    def environ(self, service: str) -> dict[str, str]:
        """The variables that the service's process has, its secrets among them."""
        raw = Path(f"/proc/{self._processes[service].pid}/environ").read_bytes().decode()
        return dict(pair.split("=", 1) for pair in raw.split("\0") if pair)

    def kill(self) -> None:
        """Leave no process behind."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _made(self, service: str) -> Path:
        """The container's file system: its mounted files, and its secrets only."""
        folder = self.folder / service
        (folder / "work" / "dagster_home").mkdir(parents=True, exist_ok=True)
        (folder / "secrets").mkdir(exist_ok=True)
        described = self._file["services"][service]
        for config in described.get("configs", []):
            source = COMPOSE / self._file["configs"][config["source"]]["file"]
            shutil.copy(source, folder / "work" / config["target"].removeprefix(HOME))
        for secret in described.get("secrets", []):
            shutil.copy(self._secrets / Path(self._file["secrets"][secret]["file"]).name, folder / "secrets")
        return folder

    def _env(self, service: str) -> dict[str, str]:
        """The service's variables with this machine's addresses, and those of the image."""
        given = {name: str(value) for name, value in self._file["services"][service].get("environment", {}).items()}
        own = {name: self._variables.get(name, value) for name, value in given.items()}
        if "DAGSTER_CODE_SERVER_PORT" in own:
            own |= {"DAGSTER_CODE_SERVER_HOST": "127.0.0.1", "DAGSTER_CODE_SERVER_PORT": self._ports["4000"]}
        image = {"PATH": f"{BIN}{os.pathsep}{COMPOSE}{os.pathsep}{os.defpath}", "PYTHONUNBUFFERED": "1"}
        image |= {"DAGSTER_HOME": str(self.folder / service / "work" / "dagster_home")}
        return {**image, "PYTHONPATH": str(CHECKOUT), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1", **own}

    def _here(self, command: list[str]) -> list[str]:
        """The command with this machine's ports, on the loopback."""
        found = [word.replace("0.0.0.0", "127.0.0.1") for word in command]  # noqa: S104
        for port, here in self._ports.items():
            found = [word.replace(port, here) for word in found]
        return found


@contextmanager
def containers(folder: Path, secrets: Path, variables: Mapping[str, str]) -> Iterator[Containers]:
    """None of them started; all killed at the end."""
    made = Containers(folder, secrets, variables)
    try:
        yield made
    finally:
        made.kill()
