"""`dagster dev` in a process group of its own, driven by the UI's API, for tests of a whole deployment.

The group can be killed at once, as by a power loss, and started again with the same home.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import Place

LAUNCH = """mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}"""
BACKFILL = """query($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } ... on Error { message } }
}"""


class Ui:
    """The requests that a browser makes to the web server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/server_info", timeout=5).ok
        except requests.ConnectionError:
            return False

    def query(self, query: str, **variables: Any) -> Any:
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch_backfill(self, assets: list[str], days: list[str]) -> str:
        """Its id; an asset of an account is `account/asset`."""
        parameters = {"assetSelection": [{"path": asset.split("/")} for asset in assets], "partitionNames": days}
        return self.query(LAUNCH, parameters=parameters)["launchPartitionBackfill"]["backfillId"]

    def backfill_status(self, backfill: str) -> str:
        found = self.query(BACKFILL, id=backfill)["partitionBackfillOrError"]
        assert "status" in found, found["message"]
        return found["status"]


class Dev:
    """`dagster dev` of the checkout, or of another workspace, with the home of a place, on a port of its own."""

    def __init__(self, place: Place, *, workspace: Path = CHECKOUT / "workspace.yaml") -> None:
        self._place = place
        self._workspace = workspace
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Ui:
        """Start it, and wait until the web server answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "dagster", "dev", "--workspace", str(self._workspace), "--port", str(port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._place.env(PYTHONPATH=str(CHECKOUT)),
                cwd=self._place.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ui = Ui(port)
        wait_for(ui.is_up, 120, "the web server answers")
        return ui

    @property
    def log(self) -> Path:
        return self._place.folder / "dev.log"

    def kill(self) -> None:
        """kill -9 of the web server, the daemon, the code servers and the runs, at once."""
        assert self._process is not None
        group = self._process.pid
        os.killpg(group, signal.SIGKILL)
        self._process.wait()
        self._process = None
        wait_for(lambda: not _is_group_alive(group), 30, "every process of the group is gone")

    def stop(self) -> None:
        """Stop it as Ctrl-C does; kill what doesn't stop."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=60)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


@contextmanager
def running_ui(place: Place) -> Iterator[Ui]:
    """The UI of `dagster dev` for the place, while the block lasts."""
    dev = Dev(place)
    try:
        yield dev.start()
    finally:
        dev.stop()


def _is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The result of the condition as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")
