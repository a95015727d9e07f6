"""A fleet on one machine: the very files and commands of `deploy/celery` or `deploy/postgres`, each process on a host of its own.

    with fleet(folder, "celery", place) as fleet:
        fleet.start_code_server("code")
        fleet.start_services()
        fleet.start_workers("worker-a", "worker-b")
        fleet.hosts["worker-a"].kill()

Postgres, Redis and the object store run beside it; the hosts are those of `support.hosts`. All of it ends with the block.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ticket_events_pipeline.defs.run_tags import PROCESS_TAG
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN, DEFINITIONS
from ticket_events_pipeline_tests.support.dev_server import Ui, wait_for
from ticket_events_pipeline_tests.support.hosts import Host
from ticket_events_pipeline_tests.support.object_server import BUCKET, ObjectServer, object_server
from ticket_events_pipeline_tests.support.services import PASSWORD, Postgres, free_port, postgres, redis
from ticket_events_pipeline_tests.support.units import DEPLOY, PROGRAMS, example, settings

PROJECT = DEPLOY / "two_accounts"
"""The example of a code location with several accounts."""

START_SECONDS = 180
"""Until a process answers; a quiet machine takes ten seconds."""

RUNS = """query { runsOrError(limit: 500) { ... on Runs { results {
  runId status jobName startTime endTime tags { key value } } } } }"""
MESSAGES = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } } }"""


@dataclass(frozen=True)
class Run:
    """A run as the UI shows it; times are epoch seconds. `mark` is the tag that names its process, empty without one."""

    id: str
    status: str
    job: str
    started_at: float | None
    ended_at: float | None
    tags: Mapping[str, str]
    mark: str

    @property
    def parent(self) -> str | None:
        """The run that it retries."""
        return self.tags.get("dagster/parent_run_id")

    @property
    def host(self) -> str:
        """The host that executes it."""
        return self._words[1]

    @property
    def process_id(self) -> int:
        """The id of its process on that host."""
        return int(self._words[2].split("_")[2])

    @property
    def _words(self) -> list[str]:
        words = self.mark.split()
        # A retry has its parent's tags until it marks itself.
        assert words[:1] == [self.id], f"run {self.id} has not marked itself: {self.mark}"
        return words


@dataclass(frozen=True)
class Place:
    """What a fleet's code server loads.

    Attributes:
        module: with the definitions.
        folder: where the code server is started; None: anywhere.
        variables: of the account, or of the accounts.
    """

    variables: Mapping[str, str]
    module: str = DEFINITIONS
    folder: Path | None = None


@dataclass
class Fleet:
    """A running fleet; `ui` is its web server, `hosts` are those that were started, by name."""

    kind: str
    folder: Path
    place: Place
    env: dict[str, str]
    store: ObjectServer
    database: Postgres
    ui: Ui
    hosts: dict[str, Host] = field(default_factory=dict)

    def start_code_server(self, name: str) -> None:
        """Start the code server on a new host, and wait until it has loaded the definitions."""
        more = [] if self.place.folder is None else ["--location-name", self.place.folder.name]
        command = [self.place.module if word == DEFINITIONS else word for word in self._command("code-server")]
        host = self._host(name)
        host.start(*command, *more, env=self.env, cwd=self.place.folder)
        port = self.env["DAGSTER_CODE_SERVER_PORT"]
        checked = [sys.executable, "-m", "dagster", "api", "grpc-health-check", "-p", port]
        wait_for(lambda: subprocess.run(checked, capture_output=True, check=False).returncode == 0, START_SECONDS, str(host.log))

    def start_services(self) -> None:
        """Start the daemon and the web server, each on a host, and wait until the UI answers."""
        for name in ("daemon", "webserver"):
            self._host(name).start(*self._command(name), env=self.env)
        wait_for(self.ui.is_up, START_SECONDS, str(self.hosts["webserver"].log))

    def start_workers(self, *names: str) -> None:
        """Start Celery workers, each on a new host, and wait until they take runs."""
        for name in names:
            self._host(name).start(*self._command("worker"), env=self.env)
        for name in names:
            log = self.hosts[name].log
            wait_for(lambda log=log: b" ready." in log.read_bytes(), START_SECONDS, str(log))

    def take_runs(self, name: str, *, takes: bool) -> None:
        """Let a worker take new runs or not, as an operator does before an upgrade of its host."""
        from celery import Celery

        with Celery(broker=self.env["CELERY_BROKER_URL"]) as app:
            control = app.control.add_consumer if takes else app.control.cancel_consumer
            answers = control("dagster", destination=[f"ticket-events@{name}"], reply=True, timeout=20)
        assert answers, f"{name} doesn't answer"

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        marks = self._marks()
        return [
            Run(
                found["runId"],
                found["status"],
                found["jobName"],
                found["startTime"],
                found["endTime"],
                {tag["key"]: tag["value"] for tag in found["tags"]},
                marks.get(found["runId"], ""),
            )
            for found in reversed(self.ui.query(RUNS)["runsOrError"]["results"])
        ]

    def runs_of(self, backfill: str) -> list[Run]:
        """The runs of a backfill, retries included, oldest first."""
        return [run for run in self.runs() if run.tags.get("dagster/backfill") == backfill]

    def messages(self, run: Run) -> list[str]:
        """What the log of a run says."""
        events = self.ui.query(MESSAGES, id=run.id)["logsForRun"]["events"]
        return [event["message"] for event in events if "message" in event]

    def _marks(self) -> dict[str, str]:
        """By run, the tag that the UI doesn't show."""
        rows = self.database.value(f"SELECT run_id || ':' || value FROM run_tags WHERE key = '{PROCESS_TAG}'")
        return dict(row.split(":", maxsplit=1) for row in rows.splitlines())

    def _host(self, name: str) -> Host:
        made = self.hosts[name] = Host(name, self.folder)
        for file in (DEPLOY / self.kind).glob("*.yaml"):
            shutil.copy(file, made.home if file.name == "dagster.yaml" else made.folder)
        return made

    def _command(self, unit: str) -> list[str]:
        """The command of the systemd unit, with this installation's programs and a free port for the web server."""
        (line,) = settings(DEPLOY / self.kind / "systemd" / f"ticket-events-{unit}.service")["ExecStart"]
        line = line.replace(PROGRAMS, str(BIN)).replace("-p 3000", f"-p {self.ui.url.rpartition(':')[2]}")
        return shlex.split(re.sub(r"\$\{(\w+)\}", lambda variable: self.env[variable[1]], line))


@contextmanager
def fleet(folder: Path, kind: str, place: Place) -> Iterator[Fleet]:
    """A fleet of `deploy/<kind>` whose hosts aren't started yet."""
    with ExitStack() as stack:
        database = stack.enter_context(postgres(folder))
        store = stack.enter_context(object_server())
        env = _examples(kind) | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "LANG": "C.UTF-8",
            **database.env,
            **store.env,
            "DAGSTER_CODE_SERVER_HOST": "127.0.0.1",
            "DAGSTER_CODE_SERVER_PORT": str(free_port()),
            "TICKET_EVENTS_ROOT": store.root("root"),
            **place.variables,
        }
        if kind == "celery":
            queue = stack.enter_context(redis(folder, "--include", str(DEPLOY / kind / "redis.conf")))
            env |= {
                "CELERY_BROKER_URL": f"{queue}/0",
                "CELERY_RESULT_BACKEND": f"db+postgresql+psycopg2://dagster:{PASSWORD}@127.0.0.1:{database.port}/dagster",
                "DAGSTER_LOGS_BUCKET": BUCKET,
                "DAGSTER_LOGS_FOLDER": str(folder / "logs"),
            }
        made = Fleet(kind, folder, place, env, store, database, Ui(free_port()))
        stack.callback(lambda: [host.kill() for host in made.hosts.values()])
        yield made


def _examples(kind: str) -> dict[str, str]:
    """The variables that the deployment's examples set."""
    files = (DEPLOY / kind).glob("*.env.example")
    return {name: value for file in files for name, value in example(file).items() if value}


def accounts_project(folder: Path, accounts: Mapping[str, str]) -> Place:
    """The example project for several accounts, with YAML files for these: by name, the address of each.

    Only the YAML files are others than the example's.
    """
    project = folder / PROJECT.name
    shutil.copytree(PROJECT, project)
    for written in (project / "two_accounts" / "defs").glob("*/defs.yaml"):
        shutil.rmtree(written.parent)
    for name, address in accounts.items():
        attributes = {
            "name": name,
            "base_url": address,
            "credentials": {"oauth_token": f"{name.upper()}_TOKEN"},
            "ticket_tables": False,
            "names": [],
        }
        (place := project / "two_accounts" / "defs" / name).mkdir()
        component = {"type": "ticket_events_pipeline.component.ZendeskTicketEvents", "attributes": attributes}
        (place / "defs.yaml").write_text(yaml.safe_dump(component))
    variables = {f"{name.upper()}_TOKEN": "sandbox" for name in accounts}
    return Place(variables, "two_accounts.definitions", project)
