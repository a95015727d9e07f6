"""What a run writes into Dagster's database: a year of both streams on Postgres, by DAGSTER_EVENT_BATCH_SIZE, and on SQLite.

    python benchmarks/event_storage.py [--rounds N] [--batches 100,365,1000]     prints a Markdown table
    python benchmarks/event_storage.py --kill                                    kills a run while events wait in a batch

A run is a command from its start to its end. Postgres is the machine's own package, a server and a database for each contender,
with its tables made before; it counts the transactions that it committed, reading ones too. On SQLite, the commits of
SQLAlchemy are counted in the process of the run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import urlopen

from deployments import CHECKOUT, DAY, Deployment, pipeline
from measuring import table
from page_server import serving

from ticket_events_pipeline.day import Day

sys.path.append(str(CHECKOUT))  # the tests' services are not part of the installed package
from ticket_events_pipeline_tests.support.services import Postgres, postgres

STREAMS = "ticket_events,ticket_metric_events"
ROWS = 50_000
DAYS = 365
FIRST_DAY = "2025-03-03"
"""364 days before DAY."""
MONTH_FIRST_DAY = "2026-02-01"
"""29 days before DAY."""

ROUNDS = 3
BATCHES = (0, 100, 365, 1000)
"""Values of DAGSTER_EVENT_BATCH_SIZE; 0 is Dagster's default, every event by itself."""

KILLED_DAYS, WAITING = 100, 80
"""Of the run that is killed: its days, and how many events of its second asset wait then."""

_WAIT_SECONDS = 600

HEAD = ["a run of", "storage", "batch", "transactions", "÷", "event_logs", "asset_event_tags", "wall, s", "MB"]

POSTGRES_YAML = CHECKOUT / "deploy" / "postgres" / "dagster.yaml"

_COUNTING = """
import os, sys
from sqlalchemy import Engine, event
commits = 0
def count(connection):
    global commits
    commits += 1
event.listen(Engine, "commit", count)
from dagster._cli import main
try:
    main()
finally:
    with open(os.environ["COMMITS"], "w") as file:
        file.write(str(commits))
"""
"""The command `dagster`, which leaves in a file how often its process committed."""

_KILLED = """
import os, signal, sys
from dagster import DagsterInstance
WAITING = int(os.environ.pop("KILLED_AT"))
handle, waiting = DagsterInstance.handle_new_event, 0
def killing(self, event, *, batch_metadata=None):
    global waiting
    handle(self, event, batch_metadata=batch_metadata)
    waiting += batch_metadata is not None and event.get_dagster_event().event_type_value == "ASSET_MATERIALIZATION"
    if waiting == WAITING:
        os.kill(os.getpid(), signal.SIGKILL)
DagsterInstance.handle_new_event = killing
from dagster._cli import main
main()
"""
"""The command `dagster`, which is killed once it has given Dagster so many materializations, which may wait in a batch."""


@dataclass(frozen=True)
class Counts:
    """What the database holds or has counted so far."""

    transactions: int
    event_logs: int
    asset_event_tags: int
    size_bytes: int

    def since(self, before: Counts) -> Counts:
        """What was added."""
        return Counts(*(getattr(self, name) - getattr(before, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Home:
    """A deployment, and how what Dagster wrote there is counted."""

    deployment: Deployment
    counted: Callable[[], Counts]
    launcher: Sequence[str] = (sys.executable, "-m", "dagster")

    def dagster(self, *words: str) -> tuple[Counts, float]:
        """Run a command of Dagster's: what it wrote, and its wall seconds."""
        before = self.counted()
        run = self.deployment.run([*self.launcher, *words])
        return self.counted().since(before), run.wall_seconds


def _materialize(days: str) -> list[str]:
    option = "--partition-range" if "..." in days else "--partition"
    return ["asset", "materialize", "-m", "ticket_events_pipeline.definitions", "--select", STREAMS, option, days]


def _summarize(first: str, last: str) -> list[str]:
    tags = f'{{"dagster/asset_partition_range_start": "{first}", "dagster/asset_partition_range_end": "{last}"}}'
    return ["job", "execute", "-m", "ticket_events_pipeline.definitions", "-j", "summarize_sla_breaches", "--tags", tags]


RUNS: Mapping[str, list[str]] = {
    f"{DAYS} days, both streams": _materialize(f"{FIRST_DAY}...{DAY}"),
    "1 day, both streams": _materialize(DAY),
    "30 days, SLA tables": _summarize(MONTH_FIRST_DAY, DAY),
    "1 day, SLA tables": _summarize(DAY, DAY),
}


def _account(folder: Path, url: str) -> Deployment:
    made = pipeline(folder, url)
    own = {"PYTHONPATH": str(CHECKOUT), "TICKET_EVENTS_ROOT": str(folder / "root"), "TICKET_EVENTS_START_DATE": FIRST_DAY}
    return replace(made, variables={**made.variables, **own, "ZENDESK_SNAPSHOTS": "0", "ZENDESK_NAMES": "none"})


@contextmanager
def on_postgres(folder: Path, url: str, batch: int) -> Iterator[tuple[Home, Postgres]]:
    """A home on a database of its own, with its tables made."""
    folder.mkdir()
    with postgres(folder) as server:
        account = _account(folder / "pipeline", url)
        shutil.copy(POSTGRES_YAML, account.folder / "home" / "dagster.yaml")
        variables = {**account.variables, **server.env, "DAGSTER_EVENT_BATCH_SIZE": str(batch)}
        home = Home(replace(account, variables=variables), lambda: in_postgres(server))
        home.deployment.dagster("run", "list")
        yield home, server


def in_postgres(server: Postgres) -> Counts:
    """The counts of a server's database."""
    rows = [int(server.value(f"SELECT count(*) FROM {name}")) for name in ("event_logs", "asset_event_tags")]  # noqa: S608
    return Counts(server.transactions, *rows, int(server.value("SELECT pg_database_size('dagster')")))


def on_sqlite(folder: Path, url: str) -> Home:
    """A home on the shipped dagster.yaml, with its files made."""
    account = _account(folder / "pipeline", url)
    commits = folder / "commits"
    commits.write_text("0")
    counting = replace(account, variables={**account.variables, "COMMITS": str(commits)})
    history = account.folder / "home" / "history"
    total = 0

    def counted() -> Counts:
        nonlocal total
        total += int(commits.read_text())
        commits.write_text("0")
        files = list((account.folder / "home").rglob("*.db"))
        rows = [sum(_rows(file, name) for file in files) for name in ("event_logs", "asset_event_tags")]
        return Counts(total, *rows, sum(file.stat().st_size for file in history.rglob("*") if file.is_file()))

    account.dagster("run", "list")
    return Home(counting, counted, (sys.executable, "-c", _COUNTING))


def _rows(file: Path, name: str) -> int:
    with sqlite3.connect(file) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [name]).fetchone():
            return 0
        return int(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608


Found = dict[tuple[str, str], list[tuple[Counts, float]]]


def _measure(contender: str, home: Home, found: Found) -> None:
    for name, words in RUNS.items():
        found.setdefault((name, contender), []).append(home.dagster(*words))
        counts, wall_seconds = found[name, contender][-1]
        print(f"{name}, {contender}: {counts}, {wall_seconds:.1f} s", file=sys.stderr, flush=True)


def _lines(found: Found, batches: Sequence[int]) -> list[list[object]]:
    lines: list[list[object]] = []
    for name in RUNS:
        limit = 0.0
        for contender in [*(f"Postgres {batch}" for batch in batches), "SQLite "]:
            runs = found[name, contender]
            transactions = statistics.median(counts.transactions for counts, _ in runs)
            limit = limit or transactions
            storage, _, batch = contender.partition(" ")
            last = runs[-1][0]
            lines.append(
                [
                    name,
                    storage,
                    "" if storage == "SQLite" else batch if batch != "0" else "unset",
                    f"{transactions:,.0f}",
                    f"{limit / transactions:.1f}" if storage == "Postgres" else "",
                    f"{last.event_logs:,}",
                    f"{last.asset_event_tags:,}",
                    f"{statistics.median(wall for _, wall in runs):.1f}",
                    f"{last.size_bytes / 1e6:.1f}",
                ]
            )
    return lines


def main(*, rounds: int = ROUNDS, batches: Sequence[int] = BATCHES) -> None:
    """Print the table."""
    found: Found = {}
    with serving(STREAMS, ROWS, days=DAYS, rendered=True) as url:
        for _ in range(rounds):
            for batch in batches:
                with tempfile.TemporaryDirectory() as folder, on_postgres(Path(folder) / "pg", url, batch) as (home, _server):
                    _measure(f"Postgres {batch}", home, found)
            with tempfile.TemporaryDirectory() as folder:
                _measure("SQLite ", on_sqlite(Path(folder), url), found)
    print(table(HEAD, _lines(found, batches)))


def kill() -> None:
    """Kill -9 a run while events of its second asset wait in the batch; print what the log holds then, and after the sensor."""
    with (
        serving(STREAMS, ROWS, days=KILLED_DAYS, rendered=True) as url,
        tempfile.TemporaryDirectory() as folder,
        on_postgres(Path(folder) / "pg", url, 1000) as (home, server),
    ):
        exit_code = _killed_run(home.deployment)

        def line(what: str, seconds: object) -> list[object]:
            return [what, _stored_days(home.deployment), _recorded(server), requests_of(url), seconds]

        lines = [line(f"killed (exit code {exit_code}) with {WAITING} events in the batch", "")]
        begun = time.monotonic()
        with daemon(home.deployment):
            while _recorded(server) < _stored_days(home.deployment) and time.monotonic() - begun < _WAIT_SECONDS:
                time.sleep(1)
            lines.append(line("after the daemon's first ticks", f"{time.monotonic() - begun:.0f}"))
    print(table(["", "raw files stored", "recorded in Dagster", "requests to Zendesk", "seconds"], lines))


def _killed_run(account: Deployment) -> int:
    words = _materialize(f"{Day.parse(DAY).plus(1 - KILLED_DAYS)}...{DAY}")
    own = {"DAGSTER_HOME": str(account.folder / "home"), "KILLED_AT": str(KILLED_DAYS + WAITING)}
    command = [sys.executable, "-c", _KILLED, *words]
    env = {**os.environ, **account.variables, **own}
    return subprocess.run(command, env=env, cwd=account.folder, capture_output=True, check=False).returncode


def _stored_days(account: Deployment) -> int:
    return sum(
        len(list(Path(account.variables["TICKET_EVENTS_ROOT"]).glob(f"{stream}/date=*/*"))) for stream in STREAMS.split(",")
    )


def _recorded(server: Postgres) -> int:
    of = "dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key IN ('[\"ticket_events\"]', '[\"ticket_metric_events\"]')"
    return int(server.value(f"SELECT count(DISTINCT (asset_key, partition)) FROM event_logs WHERE {of}"))  # noqa: S608


def requests_of(url: str) -> int:
    """How many pages the server has answered so far."""
    with urlopen(f"{url}/requests") as answer:  # noqa: S310 - the server of this benchmark
        return int(answer.read())


@contextmanager
def daemon(account: Deployment) -> Iterator[subprocess.Popen[bytes]]:
    """`dagster-daemon` with a code server of its own, in a session of its own, while the block lasts; its runs end with it."""
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", account.module]
    env = {**os.environ, "DAGSTER_HOME": str(account.folder / "home"), **account.variables}
    with (account.folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=account.folder, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    arguments = parser.parse_args()
    if arguments.kill:
        sys.exit(kill())
    main(rounds=arguments.rounds, batches=[int(batch) for batch in arguments.batches.split(",")])
