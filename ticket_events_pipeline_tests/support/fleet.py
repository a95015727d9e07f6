"""A fleet on one machine, set up by the very files of `deploy/celery`, with Postgres, Redis, an object store and accounts.

    with fleet(folder, accounts) as fleet:
        fleet.start_worker("worker-a")
        backfill = fleet.ui.launch_backfill(["acme/ticket_events"], days)
        fleet.hosts["worker-a"].kill()

The code server, the daemon, the web server and each worker run on hosts of their own (`support.hosts`). All of them end with the
block.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ticket_events_pipeline.defs.run_tags import PROCESS_TAG
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN
from ticket_events_pipeline_tests.support.dev_server import Ui, wait_for
from ticket_events_pipeline_tests.support.hosts import Host
from ticket_events_pipeline_tests.support.object_server import ObjectServer, object_server
from ticket_events_pipeline_tests.support.services import Postgres, free_port, postgres, redis

DEPLOY = CHECKOUT / "deploy"
CELERY = DEPLOY / "celery"
PROJECT = DEPLOY / "two_accounts"
"""The example of a code location with several accounts; a fleet's differs from it in the accounts' YAML files."""

RUNS = """query { runsOrError(limit: 500) { ... on Runs { results {
  runId status jobName startTime endTime tags { key value } } } } }"""
POOLS = "query { instance { concurrencyLimits { concurrencyKey slotCount activeSlotCount } } }"


@dataclass(frozen=True)
class Run:
    """A run as the UI shows it; times are epoch seconds."""

    id: str
    status: str
    job: str
    started_at: float | None
    ended_at: float | None
    tags: Mapping[str, str]

    @property
    def backfill(self) -> str | None:
        return self.tags.get("dagster/backfill")

    @property
    def parent(self) -> str | None:
        """The run that it retries."""
        return self.tags.get("dagster/parent_run_id")

    @property
    def place(self) -> tuple[str, int] | None:
        """The host that executes it, and the id of the process there; None until it has marked itself."""
        marked = self.tags.get(PROCESS_TAG, "").split()
        return (marked[1], int(marked[2].split("_")[2])) if marked[:1] == [self.id] else None

    @property
    def host(self) -> str | None:
        return self.place and self.place[0]


@dataclass
class Fleet:
    """A running fleet; `ui` is its web server, `hosts` are those that were started, by name."""

    folder: Path
    env: dict[str, str]
    store: ObjectServer
    database: Postgres
    broker: str
    ui: Ui
    hosts: dict[str, Host] = field(default_factory=dict)

    def host(self, name: str, *files: Path) -> Host:
        """A new host with `files` in its DAGSTER_HOME; not yet started."""
        made = self.hosts[name] = Host(name, self.folder)
        for file in files:
            shutil.copy(file, made.home)
        return made

    def start_worker(self, name: str, *, concurrency: int = 4) -> None:
        """Start a Celery worker on a new host, and wait until it takes runs."""
        host = self.host(name, CELERY / "dagster.yaml", CELERY / "celery.yaml")
        command = [str(BIN / "dagster-celery"), "worker", "start", "-A", "dagster_celery.app", "-n", "worker"]
        host.start(*command, "-y", str(host.home / "celery.yaml"), "--", f"--concurrency={concurrency}", env=self.env)
        wait_for(lambda: b" ready." in host.log.read_bytes(), 90, f"{name} takes runs: {host.log}")

    def take_runs(self, name: str, *, takes: bool) -> None:
        """Let a worker take new runs or not, as before an upgrade of its host."""
        from celery import Celery

        with Celery(broker=self.broker) as app:
            control = app.control.add_consumer if takes else app.control.cancel_consumer
            answers = control("dagster", destination=[f"worker@{name}"], reply=True, timeout=5)
        assert answers, f"{name} doesn't answer"

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        return [
            Run(
                found["runId"],
                found["status"],
                found["jobName"],
                found["startTime"],
                found["endTime"],
                {tag["key"]: tag["value"] for tag in found["tags"]},
            )
            for found in self.ui.query(RUNS)["runsOrError"]["results"]
        ]

    def runs_of(self, backfill: str) -> list[Run]:
        """The runs of a backfill, retries included, oldest first."""
        return [run for run in reversed(self.runs()) if run.backfill == backfill]

    def pools(self) -> dict[str, int]:
        """By pool, how many of its places are taken."""
        limits = self.ui.query(POOLS)["instance"]["concurrencyLimits"]
        return {limit["concurrencyKey"]: limit["activeSlotCount"] for limit in limits}


@contextmanager
def fleet(folder: Path, accounts: Mapping[str, SandboxServer]) -> Iterator[Fleet]:
    """The accounts' fleet without workers, once its web server shows their assets."""
    with ExitStack() as stack:
        database = stack.enter_context(postgres(folder))
        queue = stack.enter_context(redis(folder, "--save", ""))
        store = stack.enter_context(object_server())
        env = _variables(accounts, database, queue, store)
        made = Fleet(folder, env, store, database, f"{queue}/0", Ui(free_port()))
        stack.callback(lambda: [host.kill() for host in made.hosts.values()])
        _start_services(made, _project(folder, accounts))
        yield made


def _variables(
    accounts: Mapping[str, SandboxServer], database: Postgres, queue: str, store: ObjectServer
) -> dict[str, str]:
    """The variables of every process of the fleet."""
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "LANG": "C.UTF-8",
        **database.env,
        "CELERY_BROKER": f"{queue}/0",
        "CELERY_BACKEND": f"{queue}/1",
        "DAGSTER_CODE_SERVER_HOST": "127.0.0.1",
        "DAGSTER_CODE_SERVER_PORT": str(free_port()),
        **store.env,
        "TICKET_EVENTS_ROOT": store.root(),
        **{f"{name.upper()}_TOKEN": "sandbox" for name in accounts},
    }


def _project(folder: Path, accounts: Mapping[str, SandboxServer]) -> Path:
    """A copy of the example project in which only the accounts' YAML files are others."""
    project = folder / "project"
    shutil.copytree(PROJECT, project)
    for example in (project / "two_accounts" / "defs").glob("*/defs.yaml"):
        shutil.rmtree(example.parent)
    for name, server in accounts.items():
        attributes: dict[str, Any] = {
            "name": name,
            "base_url": server.base_url,
            "credentials": {"oauth_token": f"{name.upper()}_TOKEN"},
            "ticket_tables": False,
            "names": [],
        }
        (place := project / "two_accounts" / "defs" / name).mkdir()
        written = {"type": "ticket_events_pipeline.component.ZendeskTicketEvents", "attributes": attributes}
        (place / "defs.yaml").write_text(yaml.safe_dump(written))
    return project


def _start_services(made: Fleet, project: Path) -> None:
    dagster_yaml, workspace = CELERY / "dagster.yaml", CELERY / "workspace.yaml"
    port = made.env["DAGSTER_CODE_SERVER_PORT"]
    code = [str(BIN / "dagster"), "code-server", "start", "-h", "127.0.0.1", "-p", port, "-m", "two_accounts.definitions"]
    made.host("code-server", dagster_yaml).start(*code, env=made.env, cwd=project)
    wait_for(lambda: _answers(port), 120, f"the code server answers: {made.hosts['code-server'].log}")
    web = [str(BIN / "dagster-webserver"), "-h", "127.0.0.1", "-p", made.ui.url.rpartition(":")[2], "-w", str(workspace)]
    made.host("webserver", dagster_yaml).start(*web, env=made.env)
    daemon = [str(BIN / "dagster-daemon"), "run", "-w", str(workspace)]
    made.host("daemon", dagster_yaml).start(*daemon, env=made.env)
    wait_for(made.ui.is_up, 120, f"the web server answers: {made.hosts['webserver'].log}")


def _answers(port: str) -> bool:
    checked = [sys.executable, "-m", "dagster", "api", "grpc-health-check", "-p", port]
    return subprocess.run(checked, capture_output=True, check=False).returncode == 0
