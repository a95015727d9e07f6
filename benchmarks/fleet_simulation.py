"""A fleet on paper: what 1, 100 and 10,000 accounts take of the quota, run slots, the daemon, Postgres and the bucket.

    python benchmarks/fleet_simulation.py [--accounts 1,100,10000] [--mix 1000:70,50000:28,2000000:2] [--every 10] [--alerts]
        [--days 365] [--slots 8] [--threads 8] [--accounts-a-deployment 100] [--write]

prints the tables of docs/explanation/scale.md, and writes them there if asked to. Where queues matter (run slots, the daemon's
loop over the sensors), the fleet is simulated event by event; the rest is arithmetic. The same arguments give the same tables.
The figures it calculates with are in `fleet_model.py`, each with the command that measured it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fleet_model as model
from fleet_arithmetic import Options, Quota, hour_of_runs, sensors_of, sizes, stored, ticks_a_second
from fleet_model import DAY, HOUR, MINUTE
from fleet_queues import seconds_between_ticks, slots_needed, slowest_start
from measuring import table

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "scale.md"

ACCOUNTS = (1, 100, 10_000)
MIX = {1_000: 70, 50_000: 28, 2_000_000: 2}
"""Events a day of an account → how many of a hundred accounts have so many."""

WATCH = 0.7
"""From this part on, a limit is worth a change."""

START_WITHIN = 300.0
"""Seconds within which 95 of 100 runs are to start: five minutes after the hour's fetch was requested."""


# --- what bends first


@dataclass(frozen=True)
class Limit:
    """Something that a fleet uses up: which part of it, and what to change when it is used up."""

    what: str
    used: float
    change: str


def limits(accounts: Sequence[int], options: Options) -> list[Limit]:
    """What one deployment with these accounts uses up, the most used first."""
    ticks = ticks_a_second(len(accounts), options)
    kept = stored(accounts, options)
    runs = hour_of_runs(accounts, options)
    needed = slots_needed(runs, within=START_WITHIN, launch_seconds=model.LAUNCH_SECONDS)
    starting = slowest_start(runs, len(runs), launch_seconds=model.LAUNCH_SECONDS)
    largest = max(accounts)
    quota = Quota.of(largest, options.every).a_day / (model.QUOTA * 24 * 60)
    busy_threads = ticks * model.TICK.seconds
    found = [
        Limit(
            f"the daemon's {options.threads} threads for sensors", busy_threads / options.threads, _threads_text(busy_threads)
        ),
        Limit(
            "one code server's processor",
            ticks * model.TICK.cpu_seconds,
            f"a code server for every {_accounts_of_a_server(options)} accounts",
        ),
        Limit(f"{options.slots} run slots", (needed or math.inf) / options.slots, _slots_text(needed)),
        Limit("one daemon that starts runs one by one", starting / START_WITHIN, "`dequeue_use_threads`; several deployments"),
        Limit(
            "Postgres transactions",
            kept.transactions / DAY / model.POSTGRES_TRANSACTIONS,
            "a larger server; several deployments",
        ),
        Limit(
            f"Postgres' disk of {model.POSTGRES_GIGABYTES} GB, after a year",
            kept.postgres_gigabytes / model.POSTGRES_GIGABYTES,
            _disk_text(kept.kept_gigabytes),
        ),
        Limit(f"the quota of an account of {largest:,} events a day", quota, "Zendesk's add-on; a shorter restatement"),
    ]
    return sorted(found, key=lambda limit: -limit.used)


def _slots_text(needed: int | None) -> str:
    if needed is None:
        return "several deployments"
    return f"`max_concurrent_runs: {math.ceil(needed / WATCH)}`, on hosts with memory for them"


def _disk_text(kept_gigabytes: float) -> str:
    divided = "; several deployments" if kept_gigabytes > model.POSTGRES_GIGABYTES else ""
    return f"delete runs after {model.KEPT_DAYS} days: {kept_gigabytes:,.0f} GB{divided}"


def _threads_text(busy: float) -> str:
    needed = math.ceil(busy / WATCH)
    return "several deployments" if needed > model.MOST_THREADS else f"`sensors: {{use_threads: true, num_workers: {needed}}}`"


def _accounts_of_a_server(options: Options) -> int:
    an_account = ticks_a_second(1, options) * model.TICK.cpu_seconds
    return max(1, int(WATCH / an_account))


# --- the tables


def account_table(options: Options) -> str:
    """One account of each size: its quota, with `hourly_fetch` and the restatement, and what `frequent_fetch` takes more."""
    every = options.every or 10
    head = [
        "events a day",
        "requests a day: hourly",
        "restatement",
        f"if on, every {every} minutes",
        "quota used of 10",
        "of 30",
    ]
    lines = []
    for events in options.mix:
        quota, frequent = Quota.of(events, options.every), Quota.of(events, every).frequent
        used = [f"{quota.a_day / (a_minute * 24 * 60):.1%}" for a_minute in (model.QUOTA, model.QUOTA_WITH_ADD_ON)]
        year = [_days(quota.backfill_days(a_minute)) for a_minute in (model.QUOTA, model.QUOTA_WITH_ADD_ON)]
        lines.append(
            [f"{events:,}", f"{quota.hourly:,}", f"{quota.restatement:,}", frequent, *used, f"{quota.year:,}", *year],
        )
    return table([*head, "requests of a year's backfill", "which takes, at 10 a minute", "at 30"], lines)


def _days(days: float) -> str:
    return "never ends" if math.isinf(days) else f"{days * 24:.1f} h" if days < 2 else f"{days:.1f} days"


def fleet_table(fleets: Sequence[int], options: Options) -> str:
    """A column for each fleet."""
    columns = [_column(sizes(count, options.mix), options) for count in fleets]
    names = list(columns[0])
    return table(
        ["accounts", *(f"{count:,}" for count in fleets)], [[name, *(column[name] for column in columns)] for name in names]
    )


def _column(accounts: Sequence[int], options: Options) -> Mapping[str, str]:
    kept, runs, sensors = stored(accounts, options), hour_of_runs(accounts, options), sensors_of(options)
    needed = slots_needed(runs, within=START_WITHIN, launch_seconds=model.LAUNCH_SECONDS)
    waits = slowest_start(runs, options.slots, launch_seconds=model.LAUNCH_SECONDS)
    between = [seconds_between_ticks(len(accounts), sensors, threads=threads) for threads in (1, options.threads)]
    servers = math.ceil(len(accounts) / _accounts_of_a_server(options))
    spread = seconds_between_ticks(len(accounts), sensors, threads=options.threads, code_servers=servers)
    return {
        "runs a day": f"{kept.runs:,}",
        "slots in use, on average": f"{kept.run_seconds / DAY:.1f}",
        "slots so that 95 % of runs start within 5 minutes": "none suffice" if needed is None else f"{needed:,}",
        f"wait of 95 % of runs with {options.slots} slots": _duration(waits),
        "ticks a second": f"{ticks_a_second(len(accounts), options):,.1f}",
        f"`dead_runs_sensor` (every 20 s) ticks every, with {options.threads} threads": _duration(between[1]),
        "… and as many code servers as that needs": f"{_duration(spread)} ({servers:,})",
        "… without threads, Dagster's default": _duration(between[0]),
        "Postgres: transactions a second": f"{kept.transactions / DAY:,.1f}",
        "Postgres: rows of events and tags a day": f"{kept.rows:,.0f}",
        "Postgres: GB after a year, no run deleted": f"{kept.postgres_gigabytes:,.1f}",
        f"… with the runs of {model.KEPT_DAYS} days": f"{kept.kept_gigabytes:,.1f}",
        "with Celery: GB of `celery_taskmeta` after a year": f"{kept.runs * 365 * model.RESULT_BYTES / 1e9:,.2f}",
        f"objects of {options.days} days": f"{kept.objects:,}",
        "PUT a month": f"{kept.puts:,.0f}",
        "GET a month": f"{kept.gets:,.0f}",
        "LIST a month": f"{kept.lists:,.0f}",
        "requests, $ a month (LIST alone)": f"{kept.request_dollars:,.2f} ({kept.list_dollars:,.2f})",
        f"GB of {options.days} days": f"{kept.bucket_gigabytes:,.1f}",
        "storage, $ a month": f"{kept.storage_dollars:,.2f}",
    }


def _duration(seconds: float) -> str:
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def limit_table(fleets: Sequence[int], options: Options) -> str:
    """What bends first in each fleet, as one deployment and, for large ones, as several."""
    lines: list[list[object]] = []
    for count in fleets:
        parts = math.ceil(count / options.per_deployment)
        for deployments in {1: "one", parts: f"{parts:,}"}:
            accounts = sizes(count // deployments, options.mix)
            for rank, limit in enumerate(limits(accounts, options)[:3], start=1):
                of = f"{count:,} in {deployments:,} deployment{'s' * (deployments > 1)}" if rank == 1 else ""
                used = "∞" if math.isinf(limit.used) else f"{limit.used:,.0%}"
                lines.append([of, limit.what, used, limit.change if limit.used > WATCH else "nothing"])
    return table(["accounts", "what is used most", "used", "then change"], lines)


def tables(fleets: Sequence[int], options: Options) -> Mapping[str, str]:
    """All tables, each by the name of its place in the page."""
    return {
        "quota": account_table(options),
        "fleet": fleet_table(fleets, options),
        "limits": limit_table(fleets, options),
    }


def documented(page: str, found: Mapping[str, str]) -> str:
    """The page with the tables in their places.

    Raises:
        ValueError: a table has no place in it.
    """
    for name, text in found.items():
        opening, closing = f"<!-- simulated: {name} -->\n", "<!-- /simulated -->"
        before, found_opening, rest = page.partition(opening)
        _, found_closing, after = rest.partition(closing)
        if not found_opening or not found_closing:
            raise ValueError(f"{PAGE} needs the lines {opening.strip()} and {closing}, between which the table is written")
        page = f"{before}{opening}\n{text}\n\n{closing}{after}"
    return page


def parsed(words: Sequence[str] | None = None) -> tuple[list[int], Options, bool]:
    """The fleets, the options, and whether to write, of a command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", default=",".join(map(str, ACCOUNTS)))
    parser.add_argument("--mix", default=",".join(f"{events}:{share}" for events, share in MIX.items()))
    parser.add_argument("--every", type=int, default=0, help="minutes of frequent_fetch; 0: it is off")
    parser.add_argument("--alerts", action="store_true", help="the sensors of alerts and warnings are on")
    parser.add_argument("--days", type=int, default=365, help="stored days of each account")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--threads", type=int, default=model.THREADS, help="of the daemon's sensors")
    parser.add_argument("--accounts-a-deployment", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/explanation/scale.md, too")
    asked = parser.parse_args(words)
    mix = {int(events): float(share) for events, _, share in (part.partition(":") for part in asked.mix.split(","))}
    options = Options(mix, asked.every, asked.alerts, asked.days, asked.slots, asked.threads, asked.accounts_a_deployment)
    return [int(count) for count in asked.accounts.split(",")], options, asked.write


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    fleets, options, is_written = parsed(words)
    found = tables(fleets, options)
    if is_written:
        PAGE.write_text(documented(PAGE.read_text(), found))
    print(*found.values(), sep="\n\n")


if __name__ == "__main__":
    main()
