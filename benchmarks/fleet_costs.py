"""What one account of a fleet costs: requests to the bucket, rows and transactions of Postgres, seconds; bytes an event.

    python benchmarks/fleet_costs.py [--minutes N]    of each kind of run, and of the daemon's ticks: Markdown tables
    python benchmarks/fleet_costs.py --sizes          bytes that a day takes, by asset and by the size of the account

The account is the simulated one, the bucket moto's, Postgres the machine's own package. Runs are commands from their start to
their end; ticks are those of `dagster-daemon` with a code server of its own, after all runs. `fleet_simulation.py` calculates
with these figures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from deployments import CHECKOUT, Deployment, pipeline
from event_storage import POSTGRES_YAML, daemon, in_postgres
from measuring import table

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer

sys.path.append(str(CHECKOUT))  # the tests' services are not part of the installed package
from ticket_events_pipeline_tests.support.object_server import BUCKET, ObjectServer, client, object_server
from ticket_events_pipeline_tests.support.services import Postgres, postgres

STORED_DAYS = 10
MINUTES = 3
SIZES = (6, 60, 600)
"""Tickets a day of the simulated accounts whose files are measured."""

MODULE = "ticket_events_pipeline.definitions"
RUN_HEAD = [
    "a run",
    "PUT",
    "GET",
    "LIST",
    "DELETE",
    "transactions",
    "event_logs",
    "asset_event_tags",
    "MB",
    "wall, s",
    "CPU, s",
]
TICK_HEAD = ["ticks of", "ticks", "PUT", "GET", "LIST", "transactions", "CPU, s"]
PER_TICK = ["a tick of the sensors", "PUT", "GET", "LIST", "transactions", "CPU, s"]
SIZE_HEAD = ["tickets a day", "asset", "raw events a day", "bytes a day", "bytes an event"]


def operations(server: ObjectServer) -> Counter[str]:
    """How many requests of each kind the bucket has answered; HEAD counts as GET, as in the price list."""
    found: Counter[str] = Counter()
    for line in server.requests():
        method, target, *_ = line.split(" ")
        kind = "LIST" if method == "GET" and "list-type=" in target else {"HEAD": "GET", "POST": "PUT"}.get(method, method)
        found[kind] += 1
    return found


def _account(folder: Path, url: str, root: str, days: int) -> Deployment:
    made = pipeline(folder, url)
    first = Day.containing(wall_clock()).plus(1 - days)
    own = {"PYTHONPATH": str(CHECKOUT), "TICKET_EVENTS_ROOT": root, "TICKET_EVENTS_START_DATE": str(first)}
    return replace(made, variables={**made.variables, **own})


def _runs() -> Mapping[str, tuple[str, Day, Day]]:
    today = Day.containing(wall_clock())
    first = today.plus(1 - STORED_DAYS)
    return {
        f"`fetch_ticket_events`, {STORED_DAYS} days": ("fetch_ticket_events", first, today),
        f"`summarize_sla_breaches`, {STORED_DAYS} days": ("summarize_sla_breaches", first, today),
        "`fetch_ticket_events`, today": ("fetch_ticket_events", today, today),
        "`summarize_sla_breaches`, today": ("summarize_sla_breaches", today, today),
        "`refresh_open_day`, today": ("refresh_open_day", today, today),
        "`fetch_ticket_events`, 3 closed days": ("fetch_ticket_events", today.plus(-3), today.plus(-1)),
    }


def run_lines(account: Deployment, bucket: ObjectServer, server: Postgres) -> Iterator[list[object]]:
    """A line for each kind of run."""
    for name, (job, first, last) in _runs().items():
        days = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
        before = in_postgres(server)
        bucket.heal()
        ran = account.dagster("job", "execute", "-m", MODULE, "-j", job, "--tags", json.dumps(days))
        asked, wrote = operations(bucket), in_postgres(server).since(before)
        seconds = [f"{ran.wall_seconds:.1f}", f"{ran.cpu_seconds:.1f}"]
        rows = [wrote.transactions, wrote.event_logs, wrote.asset_event_tags, f"{wrote.size_bytes / 1e6:.2f}"]
        yield [name, *(asked[kind] for kind in ("PUT", "GET", "LIST", "DELETE")), *rows, *seconds]
        print(f"{name}: {asked}, {wrote}, {ran.wall_seconds:.1f} s", file=sys.stderr, flush=True)


def _cpu_seconds(session: int) -> float:
    """Of all processes of the session that run now."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        ticks += (int(words[11]) + int(words[12])) if int(words[3]) == session else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(server: Postgres) -> Counter[str]:
    found = server.value("SELECT string_agg(tick_body::json->>'instigator_name', ',') FROM job_ticks")
    return Counter(found.split(","))


def tick_lines(account: Deployment, bucket: ObjectServer, server: Postgres, *, minutes: int) -> list[list[object]]:
    """The ticks of so many minutes by sensor, and what one costs on average, the daemon's other work included."""
    with daemon(account) as process:
        time.sleep(90)  # its start, and the first ticks, which fill the caches
        before, ticks_before, cpu_before = in_postgres(server), _ticks(server), _cpu_seconds(process.pid)
        bucket.heal()
        time.sleep(60 * minutes)
        asked, ticks = operations(bucket), _ticks(server) - ticks_before
        wrote, cpu_seconds = in_postgres(server).since(before), _cpu_seconds(process.pid) - cpu_before
    print(
        *sorted({re.sub(r"continuation-token=[^&]*|\s.*by.*", "", line) for line in bucket.requests()}),
        sep="\n",
        file=sys.stderr,
    )
    names = ", ".join(f"`{name}` {count}" for name, count in sorted(ticks.items()))
    of = [asked["PUT"], asked["GET"], asked["LIST"], wrote.transactions]
    return [[f"{names} in {minutes} minutes", ticks.total(), *of, f"{cpu_seconds:.1f}"]]


def main(*, minutes: int = MINUTES) -> None:
    """Print the tables."""
    with (
        tempfile.TemporaryDirectory() as name,
        postgres(Path(name)) as server,
        object_server() as bucket,
        SandboxServer(SimulatedAccount(), clock=wall_clock) as zendesk,
    ):
        account = _account(Path(name) / "pipeline", zendesk.base_url, bucket.root("account"), STORED_DAYS)
        shutil.copy(POSTGRES_YAML, account.folder / "home" / "dagster.yaml")
        variables = {**account.variables, **server.env, **bucket.env, "DAGSTER_EVENT_BATCH_SIZE": "1000"}
        account = replace(account, variables=variables)
        account.dagster("run", "list")
        print(table(RUN_HEAD, list(run_lines(account, bucket, server))), end="\n\n", flush=True)
        print(table(TICK_HEAD, tick_lines(account, bucket, server, minutes=minutes)))
        objects = client(bucket).list_objects_v2(Bucket=BUCKET)["Contents"]
        print(f"\nobjects: {len(objects)}, of which in `_inflight`: {sum('_inflight' in found['Key'] for found in objects)}")


def sizes() -> None:
    """Print the bytes that a day takes."""
    lines: list[list[object]] = []
    for tickets in SIZES:
        clock = wall_clock
        with (
            tempfile.TemporaryDirectory() as name,
            SandboxServer(SimulatedAccount(tickets_per_day=tickets), clock=clock) as zendesk,
        ):
            account = _account(Path(name), zendesk.base_url, str(Path(name) / "root"), 4)
            today = Day.containing(clock())
            days = {
                "dagster/asset_partition_range_start": str(today.plus(-3)),
                "dagster/asset_partition_range_end": str(today.plus(-1)),
            }
            for job in ("fetch_ticket_events", "summarize_sla_breaches"):
                account.dagster("job", "execute", "-m", MODULE, "-j", job, "--tags", json.dumps(days))
            lines += _size_lines(tickets, Path(name) / "root", today.plus(-1))
    print(table(SIZE_HEAD, lines))


def _size_lines(tickets: int, root: Path, day: Day) -> Iterator[list[object]]:
    files = {file.parent.parent.name: file for file in root.rglob(f"date={day}/*") if "_inflight" not in file.parts}
    events = {asset: pq.read_metadata(files[asset]).num_rows for asset in ("ticket_events", "ticket_metric_events")}
    total = sum(events.values())
    for asset, file in sorted(files.items()):
        rows = events.get(asset, total)
        yield [tickets, f"`{asset}`", f"{rows:,}", f"{file.stat().st_size:,}", f"{file.stat().st_size / rows:.1f}"]
    size = sum(file.stat().st_size for file in files.values())
    yield [tickets, "all", f"{total:,}", f"{size:,}", f"{size / total:.1f}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--sizes", action="store_true")
    arguments = parser.parse_args()
    if arguments.sizes:
        sizes()
    else:
        main(minutes=arguments.minutes)
