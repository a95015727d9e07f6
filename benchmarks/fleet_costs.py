"""What one account of a fleet costs: requests to the bucket, rows and transactions of Postgres, seconds; bytes an event.

    python benchmarks/fleet_costs.py                          of each kind of run: a Markdown table
    python benchmarks/fleet_costs.py --ticks [--minutes N]    of the daemon, while nothing is new, and of a run's start
    python benchmarks/fleet_costs.py --sizes                  bytes that a day takes, by asset and by the size of the account

The account is the simulated one, the bucket moto's, Postgres the machine's own package. Runs are commands from their start to
their end; ticks are those of `dagster-daemon` with a code server of its own, after all runs. `fleet_simulation.py` calculates
with these figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from deployments import CHECKOUT, Deployment, empty_project, pipeline
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
LAUNCHED = 6
_WARM_SECONDS = 90
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
TICK_HEAD = [
    "daemon with",
    "ticks",
    "PUT",
    "GET",
    "LIST",
    "transactions",
    "CPU, s",
    "code server, s",
    "s a tick",
    "bytes a tick",
]
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


def _cpu_seconds(daemon_pid: int) -> tuple[float, float]:
    """Of the daemon, and of all other processes of its session: its code server."""
    own, others = 0, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        ticks = (int(words[11]) + int(words[12])) if int(words[3]) == daemon_pid else 0
        own, others = (own + ticks, others) if stat.parent.name == str(daemon_pid) else (own, others + ticks)
    per_second = os.sysconf("SC_CLK_TCK")
    return own / per_second, others / per_second


def _ticks(server: Postgres) -> tuple[Counter[str], float, int]:
    """How many of each sensor were stored, the seconds that all together took, and the bytes of the table."""
    names = """string_agg(substring(tick_body from '"job_name": "([^"]+)"'), ',')"""
    ended, begun = (f"""substring(tick_body from '"{name}": ([0-9.]+)')::float8""" for name in ("end_timestamp", "timestamp"))
    found = server.value(f"SELECT coalesce({names}, '') FROM job_ticks")  # noqa: S608
    seconds = server.value(f"SELECT coalesce(sum({ended} - {begun}), 0) FROM job_ticks WHERE {ended} IS NOT NULL")  # noqa: S608
    size = int(server.value("SELECT pg_total_relation_size('job_ticks')"))
    return Counter(found.split(",") if found else []), float(seconds), size


def tick_line(account: Deployment, bucket: ObjectServer, server: Postgres, *, minutes: int) -> list[object]:
    """What the daemon and its code server do in so many minutes in which nothing is new."""
    with daemon(account) as process:
        time.sleep(_WARM_SECONDS)  # its start, and the first ticks, which fill the caches
        before, (ticks_before, seconds_before, _), cpu_before = in_postgres(server), _ticks(server), _cpu_seconds(process.pid)
        bucket.heal()
        time.sleep(60 * minutes)
        asked, (ticks, seconds, size), cpu = operations(bucket), _ticks(server), _cpu_seconds(process.pid)
        wrote = in_postgres(server).since(before)
    new = ticks - ticks_before
    names = ", ".join(f"{count} `{name}`" for name, count in sorted(new.items())) or "none"
    of = [
        asked["PUT"],
        asked["GET"],
        asked["LIST"],
        wrote.transactions,
        *(f"{now - then:.1f}" for now, then in zip(cpu, cpu_before, strict=True)),
    ]
    a_tick = [f"{(seconds - seconds_before) / new.total():.3f}", f"{size / ticks.total():,.0f}"] if new else ["", ""]
    return [names, *of, *a_tick]


def launch_seconds(account: Deployment, server: Postgres) -> float:
    """Seconds from one start of a run to the next, where several wait in the queue of a daemon that has just started."""
    days = dict.fromkeys(
        ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), str(Day.containing(wall_clock()))
    )
    for _ in range(LAUNCHED):
        account.dagster("job", "launch", "-m", MODULE, "-j", "summarize_sla_breaches", "--tags", json.dumps(days))
    of = "FROM event_logs WHERE dagster_event_type = 'PIPELINE_STARTING'"
    begun = int(server.value(f"SELECT count(*) {of}"))
    with daemon(account):
        while int(server.value(f"SELECT count(*) {of}")) < begun + LAUNCHED:
            time.sleep(1)
    newest = f"SELECT timestamp {of} ORDER BY id DESC LIMIT {LAUNCHED}"
    span = server.value(f"SELECT extract(epoch FROM max(timestamp) - min(timestamp)) FROM ({newest}) AS newest")  # noqa: S608
    return float(span) / (LAUNCHED - 1)


@contextmanager
def account_on_postgres(folder: Path) -> Iterator[tuple[Deployment, ObjectServer, Postgres]]:
    """The simulated account, its root in a bucket, on Postgres with its tables made."""
    with (
        postgres(folder) as server,
        object_server() as bucket,
        SandboxServer(SimulatedAccount(), clock=wall_clock) as zendesk,
    ):
        account = _account(folder / "pipeline", zendesk.base_url, bucket.root("account"), STORED_DAYS)
        shutil.copy(POSTGRES_YAML, account.folder / "home" / "dagster.yaml")
        variables = {**account.variables, **server.env, **bucket.env, "DAGSTER_EVENT_BATCH_SIZE": "1000"}
        account = replace(account, variables=variables)
        account.dagster("run", "list")
        yield account, bucket, server


def main() -> None:
    """Print the table of runs."""
    with tempfile.TemporaryDirectory() as name, account_on_postgres(Path(name)) as (account, bucket, server):
        print(table(RUN_HEAD, list(run_lines(account, bucket, server))))
        objects = client(bucket).list_objects_v2(Bucket=BUCKET)["Contents"]
        print(f"\nobjects: {len(objects)}, of which in `_inflight`: {sum('_inflight' in found['Key'] for found in objects)}")


def ticks(*, minutes: int = MINUTES) -> None:
    """Print the table of ticks, and what a start of a run takes."""
    with tempfile.TemporaryDirectory() as name, account_on_postgres(Path(name)) as (account, bucket, server):
        for job, first, last in list(_runs().values())[:2]:
            days = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
            account.dagster("job", "execute", "-m", MODULE, "-j", job, "--tags", json.dumps(days))
        lines = [["an account", *tick_line(account, bucket, server, minutes=minutes)]]
        print(*lines[-1], sep=" | ", file=sys.stderr, flush=True)
        nothing = replace(empty_project(account.folder / "empty", {"nothing": 0}), variables=account.variables)
        shutil.copy(POSTGRES_YAML, nothing.folder / "home" / "dagster.yaml")
        lines.append(["an asset that does nothing", *tick_line(nothing, bucket, server, minutes=minutes)])
        print(table(TICK_HEAD, lines))
        print(f"\nFrom one start of a run to the next: {launch_seconds(account, server):.2f} s")


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
    parser.add_argument("--ticks", action="store_true")
    parser.add_argument("--sizes", action="store_true")
    arguments = parser.parse_args()
    if arguments.sizes:
        sizes()
    elif arguments.ticks:
        ticks(minutes=arguments.minutes)
    else:
        main()
