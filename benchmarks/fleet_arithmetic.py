"""What needs no simulation: the quota of an account, its runs, and what a fleet stores and asks for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fleet_model as model
from fleet_model import DAY, HOUR, MINUTE
from fleet_queues import Launch, Sensor


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
    """Runs of an account by kind: hourly fetch and restatement, the tables of both; `frequent_fetch` makes its own."""
    hourly = {"fetch": 24, "summary": 1 if every else 25, "restatement": 1}
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


def ticks_a_second(accounts: int, options: Options) -> float:
    """Of all sensors of the accounts, as long as the daemon keeps up."""
    return accounts * sum(ticks_a_day(options.alerts).values()) / DAY


def lists_a_tick(stored_days: int) -> int:
    """Requests of a look at all files of an account, `_inflight` included."""
    return math.ceil((stored_days * model.ASSETS + model.INFLIGHT_FILES) / model.LIST_KEYS)


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
        kept_gigabytes: if runs are deleted after KEPT_DAYS.
        puts, gets, lists: requests to the bucket a month.
        objects: of the stored days.
        bucket_gigabytes: of the stored days.
    """

    runs: int
    run_seconds: float
    transactions: float
    rows: float
    postgres_gigabytes: float
    kept_gigabytes: float
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
    kept_ticks, a_day = all_ticks * model.TICK_RETENTION_DAYS * model.TICK_BYTES, of_runs("event_logs") * model.EVENT_ROW_BYTES
    day_bytes = sum(model.BYTES_A_DAY + events * model.BYTES_AN_EVENT for events in accounts)
    return Stored(
        runs=len(accounts) * sum(runs.values()),
        run_seconds=run_seconds_a_day,
        transactions=of_runs("transactions") + all_ticks * model.TICK.transactions + DAY * model.IDLE_TRANSACTIONS,
        rows=of_runs("event_logs") + of_runs("tags"),
        postgres_gigabytes=(a_day * 365 + kept_ticks) / 1e9,
        kept_gigabytes=(a_day * model.KEPT_DAYS + kept_ticks) / 1e9,
        puts=30 * (of_runs("puts") + beats),
        gets=30 * (of_runs("gets") + beats + all_ticks * model.TICK.gets),
        lists=30 * (of_runs("lists") + lists),
        objects=len(accounts) * options.days * model.ASSETS,
        bucket_gigabytes=day_bytes * options.days / 1e9,
    )
