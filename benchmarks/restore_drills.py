"""What is lost, is lost on purpose, and comes back: the drills of docs/how-to/runbook.md, with the seconds that they take.

    python benchmarks/restore_drills.py [--days N]     prints a Markdown table

A small account on Postgres with the files of deploy/postgres, and the daemon of Dagster: the database is dropped; a day's file
is deleted; the whole root is deleted, and copied back from a backup which lacks the last day. Days are fetched again as the
runbook says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deployments import DAY, Deployment
from event_storage import Postgres, daemon, on_postgres, requests_of
from measuring import table
from page_server import serving

from ticket_events_pipeline.day import Day

STREAMS = "ticket_events,ticket_metric_events"
DAYS = 30
ROWS_A_DAY = 300
PATIENCE_SECONDS = 900
MATERIALIZED = "dagster_event_type = 'ASSET_MATERIALIZATION'"

HEAD = ["what was lost", "files stored", "days recorded in Dagster", "requests to Zendesk", "seconds until it was so"]


class Drill:
    """A deployment, its root, and the lines of the table."""

    def __init__(self, account: Deployment, server: Postgres, url: str, days: int) -> None:
        self.account, self.server, self.url = account, server, url
        self.root = Path(account.variables["TICKET_EVENTS_ROOT"])
        self.first, self.last = Day.parse(DAY).plus(1 - days), Day.parse(DAY)
        self.lines: list[list[object]] = []

    def execute(self, job: str, first: Day, last: Day) -> None:
        """Run a job over a range of days, as a command."""
        days = f'{{"dagster/asset_partition_range_start": "{first}", "dagster/asset_partition_range_end": "{last}"}}'
        self.account.dagster("job", "execute", "-m", self.account.module, "-j", job, "--tags", days)

    def files(self) -> int:
        """Of all assets and days."""
        return sum("date=" in path.parent.name and "_inflight" not in path.parts for path in self.root.rglob("*.*"))

    def recorded(self) -> int:
        """Asset days that Dagster's log shows."""
        of_asset_days = "count(DISTINCT (asset_key, partition))"
        query = f"SELECT {of_asset_days} FROM event_logs WHERE partition IS NOT NULL AND {MATERIALIZED}"  # noqa: S608
        try:
            return int(self.server.value(query))
        except subprocess.CalledProcessError:
            return 0  # Dagster has not made its tables in the new database yet

    def backfill(self, day: Day) -> None:
        """Fetch and make a day again, with the command of the runbook.

        Raises:
            RuntimeError: it failed; the message is what it printed.
        """
        self.account.run([str(Path(sys.executable).with_name("ticket-events")), "backfill", str(day)])

    def newest_tick(self) -> tuple[int, str]:
        """Of `new_event_partitions_sensor`: its number, and what was stored of it."""
        of = "FROM job_ticks WHERE tick_body LIKE '%new_event_partitions_sensor%' ORDER BY id DESC LIMIT 1"
        number, _, body = self.server.value(f"SELECT id || ' ' || tick_body {of}").partition(" ")
        return int(number), body

    def wait(self, what: str, is_so: Callable[[], bool], *, begun: float | None = None) -> None:
        """Wait until it is so, and add a line; the seconds count from now on, or from `begun`."""
        begun = begun or time.monotonic()
        while not is_so() and time.monotonic() - begun < PATIENCE_SECONDS:
            time.sleep(1)
        seconds = f"{time.monotonic() - begun:.0f}" if is_so() else f"not in {PATIENCE_SECONDS}"
        self.lines.append([what, self.files(), self.recorded(), requests_of(self.url), seconds])
        print(*self.lines[-1], sep=" | ", file=sys.stderr, flush=True)

    def drop_database(self) -> None:
        """As after the loss of the database's disk: an empty one of the same name."""
        for statement in ("DROP DATABASE dagster WITH (FORCE)", "CREATE DATABASE dagster"):
            command = [
                "psql",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.server.port),
                "-U",
                "dagster",
                "-d",
                "postgres",
                "-c",
                statement,
            ]
            env = {**os.environ, "PGPASSWORD": self.server.env["DAGSTER_PG_PASSWORD"]}
            subprocess.run(command, env=env, check=True, capture_output=True)


def main(*, days: int = DAYS) -> None:
    """Print the table."""
    with (
        serving(STREAMS, ROWS_A_DAY * days, days=days, rendered=True) as url,
        tempfile.TemporaryDirectory() as folder,
        on_postgres(Path(folder) / "pg", url, 1000) as (home, server),
    ):
        variables = {**home.deployment.variables, "TICKET_EVENTS_START_DATE": str(Day.parse(DAY).plus(1 - days))}
        drill = Drill(replace(home.deployment, variables=variables), server, url, days)
        drill.execute("fetch_ticket_events", drill.first, drill.last)
        drill.execute("summarize_sla_breaches", drill.first, drill.last)
        drill.wait("nothing", lambda: True)
        _lose_everything(drill, Path(folder) / "backup")
        print(table(HEAD, drill.lines))


def _lose_everything(drill: Drill, backup: Path) -> None:
    all_files, all_recorded = drill.files(), drill.recorded()
    drill.drop_database()
    with daemon(drill.account):
        drill.wait("the database", lambda: drill.recorded() >= all_recorded)
        lost, begun = drill.last.plus(-2), time.monotonic()
        (drill.root / "ticket_metric_events" / f"date={lost}" / "ticket_metric_events.parquet").unlink()
        drill.backfill(lost)
        drill.wait("a day's file", lambda: drill.files() >= all_files, begun=begun)
    shutil.copytree(drill.root, backup, ignore=shutil.ignore_patterns("_inflight", f"date={drill.last}"))
    shutil.rmtree(drill.root)
    shutil.copytree(backup, drill.root)
    last_tick, _ = drill.newest_tick()
    with daemon(drill.account):
        drill.wait("the root; a tick names the day that the backup lacks", lambda: _names_unstored_days(drill, last_tick))
        begun = time.monotonic()
        drill.backfill(drill.last)
        drill.wait("… that day", lambda: drill.files() >= all_files, begun=begun)


def _names_unstored_days(drill: Drill, after: int) -> bool:
    number, body = drill.newest_tick()
    return number > after and "not stored" in body and str(drill.last) in body


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=DAYS)
    main(**vars(parser.parse_args()))
