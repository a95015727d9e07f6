"""A fleet on paper: what 1, 100 and 10,000 accounts take of the quota, run slots, the daemon, Postgres and the bucket.

    python benchmarks/fleet_simulation.py [--accounts 1,100,10000] [--mix 1000:70,50000:28,2000000:2] [--every 10] [--alerts]
        [--days 365] [--slots 8] [--threads 16] [--accounts-a-deployment 100] [--write]

prints the tables of docs/explanation/scale.md, and writes them there if asked to. Where queues matter (run slots, the daemon's
loop over the sensors), the fleet is simulated event by event; the rest is arithmetic. The same arguments give the same tables.
The figures it calculates with are in `fleet_model.py`, each with the command that measured it.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fleet_model as model
from fleet_model import DAY, HOUR, MINUTE
from fleet_queues import Launch, Sensor, seconds_between_ticks, slots_needed, slowest_start
from measuring import table

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "scale.md"

ACCOUNTS = (1, 100, 10_000)
MIX = {1_000: 70, 50_000: 28, 2_000_000: 2}
"""Events a day of an account → how many of a hundred accounts have so many."""

WATCH = 0.7
"""From this part on, a limit is worth a change."""

START_WITHIN = 300.0
"""Seconds within which 95 of 100 runs are to start: five minutes after the hour's fetch was requested."""


@dataclass(frozen=True)
class Options:
    """What the fleet does, and what it runs on.

    Attributes:
        mix: events a day of an account → its share of the accounts.
        every: minutes from one `frequent_fetch` to the next; 0 if it is off.
        alerts: whether the sensors of alerts and warnings are on.
        days: that are stored of each account.
        slots: runs at once, `max_concurrent_runs`.
        threads: of the daemon's sensors (`sensors: {use_threads: true, num_workers: …}`).
        per_deployment: accounts of one deployment, where there are several.
    """

    mix: Mapping[int, float]
    every: int
    alerts: bool
    days: int
    slots: int
    threads: int
    per_deployment: int


# --- the quota of one account


def requests_a_run(events_a_day: int, every_seconds: int, *, at_most: int = 0) -> int:
    """Requests of a fetch of what came since the last one, both streams."""
    streams = {"metric events": events_a_day * model.METRIC_SHARE, "audits": events_a_day * (1 - model.METRIC_SHARE)}
    total = 0
    for stream, events in streams.items():
        rows = events * (every_seconds + model.OVERLAP[stream]) / DAY
        pages = max(1, math.ceil(rows / model.PAGE_EVENTS))
        total += min(pages, at_most) if at_most else pages
    return total


def requests_of_days(events_a_day: int, days: int) -> int:
    """Requests of a fetch of whole days, both streams."""
    shares = (model.METRIC_SHARE, 1 - model.METRIC_SHARE)
    return sum(math.ceil(events_a_day * share * days / model.PAGE_EVENTS) + 1 for share in shares)


@dataclass(frozen=True)
class Quota:
    """Requests a day of one account, by what makes them."""

    hourly: int
    frequent: int
    restatement: int
    year: int

    @classmethod
    def of(cls, events_a_day: int, every: int) -> Quota:
        """Of an account; `hourly_fetch` finds what `frequent_fetch` has left, if that is on."""
        frequent = 24 * 60 // every * requests_a_run(events_a_day, every * MINUTE, at_most=2) if every else 0
        followed = bool(every) and requests_a_run(events_a_day, every * MINUTE) <= 4
        hourly = 24 * requests_a_run(events_a_day, every * MINUTE if followed else HOUR)
        return cls(hourly, frequent, requests_of_days(events_a_day, 3), requests_of_days(events_a_day, 365))

    @property
    def a_day(self) -> int:
        """Requests of a day without a backfill."""
        return self.hourly + self.frequent + self.restatement

    def backfill_days(self, a_minute: int) -> float:
        """Days that a backfill of a year takes beside them; infinite if they leave nothing."""
        left = a_minute * 24 * 60 - self.a_day
        return self.year / left if left > 0 else math.inf


# --- runs and their slots


def runs_a_day(every: int) -> Mapping[str, int]:
    """Runs of one account by kind: hourly fetch and its tables, frequent fetch, restatement and its tables, names."""
    hourly = {"fetch": 24, "summary": 1 if every else 24, "restatement": 1}
    return {**hourly, "refresh": 24 * 60 // every if every else 0}


def run_seconds(kind: str, events_a_day: int, every: int) -> float:
    """Seconds of a run: its start and work, and the minutes in which it waits for the quota."""
    requests = {
        "fetch": requests_a_run(events_a_day, HOUR),
        "refresh": requests_a_run(events_a_day, (every or 60) * MINUTE, at_most=2),
        "restatement": requests_of_days(events_a_day, 3),
        "summary": 0,
    }[kind]
    # The tables of an open day are made anew at every hourly summary: on average, half of the day is there.
    rows = {"summary": events_a_day / 2, "restatement": events_a_day * 3.0}.get(kind, requests * float(model.PAGE_EVENTS))
    waits = max(0, requests - model.QUOTA) / model.QUOTA * MINUTE
    return model.RUNS[kind].seconds + rows * model.EVENT_CPU_SECONDS + waits


def sizes(accounts: int, mix: Mapping[int, float]) -> list[int]:
    """Events a day of each account: the most frequent size first, so that one account is of that size."""
    whole, found = sum(mix.values()), []
    for events, share in sorted(mix.items(), key=lambda item: -item[1]):
        found += [events] * round(accounts * share / whole)
    return (found + [max(mix, key=lambda events: mix[events])] * accounts)[:accounts]


def hour_of_runs(accounts: Sequence[int], options: Options) -> list[Launch]:
    """The runs of one hour: at minute 7 every account's fetch, then its tables; or, with it, its refreshes of the open day."""
    found, half_a_tick = [], model.SENSORS["new_event_partitions_sensor"] / 2
    for events in accounts:
        fetch = run_seconds("fetch", events, options.every)
        found.append(Launch(7.0 * MINUTE, fetch))
        if options.every:
            refresh = run_seconds("refresh", events, options.every)
            found.extend(Launch(minute * MINUTE, refresh) for minute in range(0, 60, options.every))
        else:
            found.append(Launch(7 * MINUTE + fetch + half_a_tick, run_seconds("summary", events, options.every)))
    return sorted(found, key=lambda run: run.requested_at)


def sensors_of(options: Options) -> list[Sensor]:
    """The sensors of an account, `dead_runs_sensor` first."""
    names = list(model.SENSORS)[: 4 if options.alerts else 2]
    return [Sensor(model.SENSORS[name], model.TICK.seconds, model.TICK.cpu_seconds) for name in names]


# --- what is stored


def lists_a_tick(stored_days: int) -> float:
    """Requests of a look at all files of an account: each table is listed by itself."""
    return model.TICK.lists * max(1, math.ceil(stored_days / model.LIST_KEYS))


def ticks_a_day(alerts: bool) -> Mapping[str, float]:
    """Ticks of an account by sensor, as long as the daemon keeps up."""
    names = list(model.SENSORS)[: 4 if alerts else 2]
    return {name: DAY / model.SENSORS[name] for name in names}


@dataclass(frozen=True)
class Stored:
    """Of a fleet: Postgres and the bucket.

    Attributes:
        runs, run_seconds: of a day.
        transactions, rows: of Postgres, a day; rows of event_logs and asset_event_tags.
        postgres_gigabytes: after a year in which nothing was deleted but skipped ticks.
        puts, gets, lists: requests to the bucket a month.
        objects: of the stored days.
        bucket_gigabytes: of the stored days.
    """

    runs: int
    run_seconds: float
    transactions: float
    rows: float
    postgres_gigabytes: float
    puts: float
    gets: float
    lists: float
    objects: int
    bucket_gigabytes: float

    @property
    def request_dollars(self) -> float:
        """Of a month."""
        return (self.puts + self.lists) * model.PUT_DOLLARS + self.gets * model.GET_DOLLARS

    @property
    def list_dollars(self) -> float:
        """Of a month, for listings alone."""
        return self.lists * model.PUT_DOLLARS

    @property
    def storage_dollars(self) -> float:
        """Of a month."""
        return self.bucket_gigabytes * model.GB_MONTH_DOLLARS


def stored(accounts: Sequence[int], options: Options) -> Stored:
    """What a fleet stores, and what it asks for."""
    runs, ticks = runs_a_day(options.every), ticks_a_day(options.alerts)
    run_seconds_a_day = sum(
        share * count * run_seconds(kind, events, options.every)
        for events, share in Counter(accounts).items()
        for kind, count in runs.items()
    )
    beats = run_seconds_a_day / model.BEAT_SECONDS

    def of_runs(name: str) -> float:
        return len(accounts) * sum(count * getattr(model.RUNS[kind], name) for kind, count in runs.items())

    all_ticks = len(accounts) * sum(ticks.values())
    lists = len(accounts) * ticks["new_event_partitions_sensor"] * lists_a_tick(options.days)
    kept = of_runs("event_logs") * model.EVENT_ROW_BYTES * 365 + all_ticks * model.TICK_RETENTION_DAYS * model.TICK_BYTES
    day_bytes = sum(model.BYTES_A_DAY + events * model.BYTES_AN_EVENT for events in accounts)
    return Stored(
        runs=len(accounts) * sum(runs.values()),
        run_seconds=run_seconds_a_day,
        transactions=of_runs("transactions") + all_ticks * model.TICK.transactions,
        rows=of_runs("event_logs") + of_runs("tags"),
        postgres_gigabytes=kept / 1e9,
        puts=30 * (of_runs("puts") + beats),
        gets=30 * (of_runs("gets") + beats + all_ticks * model.TICK.gets),
        lists=30 * (of_runs("lists") + lists),
        objects=len(accounts) * options.days * model.ASSETS,
        bucket_gigabytes=day_bytes * options.days / 1e9,
    )


# --- what bends first


@dataclass(frozen=True)
class Limit:
    """Something that a fleet uses up: which part of it, and what to change when it is used up."""

    what: str
    used: float
    change: str


def limits(accounts: Sequence[int], options: Options) -> list[Limit]:
    """What one deployment with these accounts uses up, the most used first."""
    ticks = len(accounts) * sum(ticks_a_day(options.alerts).values()) / DAY
    kept = stored(accounts, options)
    runs = hour_of_runs(accounts, options)
    needed = slots_needed(runs, within=START_WITHIN, launch_seconds=model.LAUNCH_SECONDS)
    starting = slowest_start(runs, len(runs), launch_seconds=model.LAUNCH_SECONDS)
    largest = max(accounts)
    quota = Quota.of(largest, options.every).a_day / (model.QUOTA * 24 * 60)
    found = [
        Limit(
            "the daemon's loop over the sensors", ticks * model.TICK.seconds, "`sensors: {use_threads: true, num_workers: 16}`"
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
        Limit(f"the quota of an account of {largest:,} events a day", quota, "Zendesk's add-on; a shorter restatement"),
    ]
    return sorted(found, key=lambda limit: -limit.used)


def _slots_text(needed: int | None) -> str:
    return "several deployments" if needed is None else f"`max_concurrent_runs: {needed}`, on hosts with memory for them"


def _accounts_of_a_server(options: Options) -> int:
    an_account = sum(ticks_a_day(options.alerts).values()) / DAY * model.TICK.cpu_seconds
    return max(1, int(0.7 / an_account))


# --- the tables


def account_table(options: Options) -> str:
    """One account of each size: its quota."""
    head = [
        "events a day",
        "requests a day: hourly",
        f"every {options.every or '–'} minutes",
        "restatement",
        "quota used of 10",
        "of 30",
    ]
    lines = []
    for events in options.mix:
        quota = Quota.of(events, options.every)
        used = [f"{quota.a_day / (a_minute * 24 * 60):.1%}" for a_minute in (model.QUOTA, model.QUOTA_WITH_ADD_ON)]
        year = [_days(quota.backfill_days(a_minute)) for a_minute in (model.QUOTA, model.QUOTA_WITH_ADD_ON)]
        lines.append([f"{events:,}", quota.hourly, quota.frequent, f"{quota.restatement:,}", *used, f"{quota.year:,}", *year])
    return table([*head, "requests of a year's backfill", "days at 10", "days at 30"], lines)


def _days(days: float) -> str:
    return "never ends" if math.isinf(days) else f"{days * 24:.1f} h" if days < 2 else f"{days:.1f}"


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
        "ticks a second": f"{len(accounts) * sum(ticks_a_day(options.alerts).values()) / DAY:,.1f}",
        "`dead_runs_sensor` (every 20 s) ticks every, by default": _duration(between[0]),
        f"… with {options.threads} threads": _duration(between[1]),
        "… and as many code servers as that needs": f"{_duration(spread)} ({servers:,})",
        "Postgres: transactions a second": f"{kept.transactions / DAY:,.1f}",
        "Postgres: rows of events and tags a day": f"{kept.rows:,.0f}",
        "Postgres: GB after a year, no run deleted": f"{kept.postgres_gigabytes:,.1f}",
        "Redis: results kept at once (7 days)": f"{kept.runs * 7:,}",
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
    parser.add_argument("--threads", type=int, default=16)
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
