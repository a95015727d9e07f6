"""What the job `refresh_open_day` costs of an open day that it has read before, next to one that it makes anew.

    python benchmarks/open_day_refresh.py [--events N] [--runs N]

The job reads both streams, and makes all tables and the report. Both runs are a process each, on a root with the tables of the
HISTORY days before. One root has nothing of the open day; the other has it as it was read at T, and 200 events came in the five
minutes since. Files that both made are compared: rows and hashes have to be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import requests
from deployments import Deployment, pipeline
from measuring import ROUNDS, Measured, cpu, median, side_by_side, table, wall
from open_day_server import WITHHELD_SECONDS, serving
from sla_account import EVENTS_PER_TICKET, STREAM, footer_of, metric_events
from ticket_account import AUDITS, audits
from ticket_making import SLA, TICKET_TABLES, make

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.jobs import REFRESH
from ticket_events_pipeline.defs.run_tags import MOST_REQUESTS_TAG
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata, write_partition
from ticket_events_pipeline.tables.registry import TABLES

OPEN = Day.parse("2026-06-30")
HISTORY = 3
READ_AT = OPEN.end - 3600
"""T, by the account's clock."""

AGAIN_AT = READ_AT + 300
NEW_EVENTS = 200
EVENTS_OF_TICKET = EVENTS_PER_TICKET + 8
"""Of both streams, about."""

ALL_OF_IT = {MOST_REQUESTS_TAG: "1000000"}
"""For the run that reads the whole day: the job is bounded otherwise."""

ANEW, REFRESHED = "made anew", "refreshed"


def write_days(scratch: Path, *, events: int) -> None:
    """The days before in `root`, with their tables; the events of the open day in `served`, as the server takes them."""
    days = days_between(OPEN.plus(-HISTORY), OPEN)
    per_day = events * 24 // 23 * EVENTS_PER_TICKET // EVENTS_OF_TICKET
    root, served = scratch / "root", scratch / "served"
    served.mkdir()
    open_day: dict[str, pa.Table] = {}
    for stream, rows_of in ((STREAM, metric_events), (AUDITS, audits)):
        for day, rows in rows_of(days, events_per_day=per_day):
            if day == OPEN:
                open_day[stream] = rows
            else:
                write_partition(FolderStore(root), stream, day, rows, footer_of(stream, day, rows).to_metadata())
    for name in (SLA, *TICKET_TABLES):
        make(name, root, days[:-1])
    new = _new_events(open_day)
    for stream, rows in open_day.items():
        seconds = _seconds(rows)
        kept = rows.filter(pa.array((seconds < READ_AT - WITHHELD_SECONDS) | np.isin(rows["id"].to_numpy(), new[stream])))
        print(f"{kept.num_rows - len(new[stream]):,} + {len(new[stream])} {stream}", file=sys.stderr)
        with open(served / f"{stream}.jsonl", "w") as file:
            file.writelines(map(_LINES[stream], kept.to_pylist()))


def _seconds(rows: pa.Table) -> np.ndarray:
    return rows["time"].cast(pa.int64()).to_numpy() // 1000


def _new_events(open_day: dict[str, pa.Table]) -> dict[str, np.ndarray]:
    """By stream, the ids of NEW_EVENTS events after T: those of the first tickets that have some, every second or so."""
    parts = []
    for number, rows in enumerate(open_day.values()):
        seconds = _seconds(rows)
        later = rows.filter(pa.array((seconds >= READ_AT - WITHHELD_SECONDS) & (seconds < AGAIN_AT - WITHHELD_SECONDS)))
        parts.append(np.stack([later["ticket_id"].to_numpy(), later["id"].to_numpy(), np.full(later.num_rows, number)]))
    tickets, ids, streams = np.concatenate(parts, axis=1)
    order = np.argsort(np.random.default_rng(1).permutation(tickets.max() + 1)[tickets], kind="stable")[:NEW_EVENTS]
    print(f"{len(order)} new events of {len(np.unique(tickets[order]))} tickets", file=sys.stderr)
    return {stream: ids[order][streams[order] == number] for number, stream in enumerate(open_day)}


def _metric_line(row: dict[str, Any]) -> str:
    event = {name: row[name] for name in ("id", "ticket_id", "metric", "instance_id", "type")}
    event |= {"time": f"{row['time']:%Y-%m-%dT%H:%M:%SZ}", "deleted": row["deleted"]}
    if row["sla_policy_id"] is not None:
        policy = {"id": int(row["sla_policy_id"]), "title": row["sla_policy_title"]}
        target = {"target": row["sla_target_minutes"], "target_in_seconds": row["sla_target_seconds"]}
        event["sla"] = {**target, "business_hours": row["sla_business_hours"], "policy": policy}
    if row["status_calendar_minutes"] is not None:
        event["status"] = {"calendar": row["status_calendar_minutes"], "business": row["status_business_minutes"]}
    return _line(row, json.dumps(event, separators=(",", ":")))


def _audit_line(row: dict[str, Any]) -> str:
    plain = {name: row[name] for name in ("id", "ticket_id", "updater_id", "via", "event_type")}
    times = {"timestamp": int(row["time"].timestamp()), "created_at": f"{row['time']:%Y-%m-%dT%H:%M:%SZ}"}
    nested = ",".join(f'"{name}":{row[name]}' for name in ("child_events", "system", "metadata", "merged_ticket_ids"))
    return _line(row, f"{json.dumps(plain | times, separators=(',', ':'))[:-1]},{nested}}}")


def _line(row: dict[str, Any], event: str) -> str:
    return f"{int(row['time'].timestamp())}\t{event}\n"


_LINES: dict[str, Callable[[dict[str, Any]], str]] = {STREAM: _metric_line, AUDITS: _audit_line}


def _linked(files: Path, root: Path) -> None:
    for file in (path for path in files.rglob("*") if path.is_file()):
        target = root / file.relative_to(files)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)


@dataclass(frozen=True)
class Account:
    """The served account, and the deployment that reads it."""

    url: str
    deployment: Deployment

    def run(self, files: Path, *, now: int) -> Measured:
        """All assets of the open day by the account's clock, on a root with these files: the first files of `root`."""
        requests.get(f"{self.url}/now/{now}", timeout=10).raise_for_status()
        shutil.rmtree(self.root, ignore_errors=True)
        _linked(files, self.root)
        return self.deployment.execute(REFRESH, str(OPEN), ALL_OF_IT)

    @property
    def root(self) -> Path:
        """Where the days lie."""
        return self.deployment.folder / "data"

    def steps(self) -> dict[str, float]:
        """Seconds of each step of the newest run."""
        databases = self.deployment.folder.glob(f"home/history/runs/{36 * '?'}.db")  # index.db is none of a run
        newest = max(databases, key=lambda file: file.stat().st_mtime)
        with sqlite3.connect(newest) as database:
            events = database.execute("select step_key, dagster_event_type, timestamp from event_logs order by id").fetchall()
        return dict(_durations(events))


def _durations(events: list[tuple[str | None, str | None, str]]) -> Iterator[tuple[str, float]]:
    begun: dict[str, np.datetime64] = {}
    for step, kind, at in events:
        if step and kind == "STEP_START":
            begun[step] = np.datetime64(at)
        elif step and kind == "STEP_SUCCESS":
            yield step, float((np.datetime64(at) - begun[step]) / np.timedelta64(1, "ms")) / 1000


def compare(anew: Path, refreshed: Path) -> None:
    """Raise AssertionError unless both roots have equal files of the open day."""
    for name in TABLES:
        found = [read_partition_and_metadata(FolderStore(root), name, OPEN) for root in (anew, refreshed)]
        if any(found):
            (rows, metadata), (other_rows, other_metadata) = found
            assert rows.equals(other_rows), f"{name} differs"
            assert metadata["content_hash"] == other_metadata["content_hash"], f"{name} has another content_hash"


def main(*, events: int, runs: int) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_days(scratch, events=events)
        with serving(scratch / "served") as url:
            account = Account(url, _deployment(scratch / "deployment", url))
            account.run(scratch / "root", now=READ_AT)
            account.root.rename(scratch / "read")
            steps: dict[str, list[dict[str, float]]] = defaultdict(list)

            def run(name: str, files: Path, _: Path) -> Measured:
                done = account.run(files, now=AGAIN_AT)
                steps[name].append(account.steps())
                shutil.rmtree(scratch / name, ignore_errors=True)
                account.root.rename(scratch / name)
                return done

            contenders = {ANEW: partial(run, ANEW, scratch / "root"), REFRESHED: partial(run, REFRESHED, scratch / "read")}
            found = side_by_side(contenders, rounds=runs)
            compare(scratch / ANEW, scratch / REFRESHED)
            print_tables(found, steps)


def _deployment(folder: Path, url: str) -> Deployment:
    made = pipeline(folder, url)
    # The files of the days before are those of an account called bench.
    return replace(made, variables={**made.variables, "ZENDESK_SNAPSHOTS": "0", "ZENDESK_FORMER_SUBDOMAINS": "bench"})


def print_tables(found: dict[str, list[Measured]], steps: dict[str, list[dict[str, float]]]) -> None:
    """The whole, and its steps."""
    rows = []
    for name, of in (("wall, s", wall), ("CPU, s", cpu)):
        anew, refreshed = median(found[ANEW], of), median(found[REFRESHED], of)
        rows.append((name, f"{anew:.2f}", f"{refreshed:.2f}", f"{refreshed / anew:.2f}"))
    print(table(["a run", ANEW, REFRESHED, "ratio"], rows), end="\n\n")
    rows = []
    for step in steps[ANEW][0]:
        anew, refreshed = (statistics.median(run[step] for run in steps[name]) for name in (ANEW, REFRESHED))
        rows.append((step, f"{anew:.2f}", f"{refreshed:.2f}", f"{refreshed / max(anew, 0.01):.2f}"))
    sums = [statistics.median(sum(run.values()) for run in steps[name]) for name in (ANEW, REFRESHED)]
    rows.append(("all steps", *(f"{each:.2f}" for each in sums), f"{sums[1] / sums[0]:.2f}"))
    print(table(["step, s", ANEW, REFRESHED, "ratio"], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--runs", "--rounds", type=int, default=ROUNDS)
    main(**vars(parser.parse_args()))
