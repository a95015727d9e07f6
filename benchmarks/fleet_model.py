"""The figures that `fleet_simulation.py` calculates with: each with the command that measured it, or where it was looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MINUTE, HOUR, DAY, MONTH, YEAR = 60, 3600, 86_400, 30 * 86_400, 365 * 86_400

PAGE_EVENTS = 1000
"""Rows of a page of the incremental exports."""

METRIC_SHARE = 0.87
"""Of an account's events, the rest are audits: 72,580 and 11,171 of the simulated account in 30 days."""

QUOTA, QUOTA_WITH_ADD_ON = 10, 30
"""Requests a minute: docs/explanation/quota.md."""

OVERLAP = {"metric events": 10 * MINUTE, "audits": 4 * MINUTE}
"""Seconds before its start that a fetch of an open day reads again."""


BUCKET_SECONDS = 0.02
"""Of a request to the bucket: an assumption."""


@dataclass(frozen=True)
class RunCost:
    """What a run of one kind takes.

    Attributes:
        own_seconds: from its start to its end, for a small account in a folder, without waiting for the quota.
        transactions, event_logs, tags: in Postgres, with DAGSTER_EVENT_BATCH_SIZE=1000.
        puts, gets, lists: requests to the bucket, without beats.
    """

    own_seconds: float
    transactions: int
    event_logs: int
    tags: int
    puts: int
    gets: int
    lists: int

    @property
    def seconds(self) -> float:
        """In a bucket."""
        return self.own_seconds + BUCKET_SECONDS * (self.puts + self.gets + self.lists)


RUNS: Mapping[str, RunCost] = {
    "fetch": RunCost(2.6, 597, 80, 3, puts=12, gets=68, lists=16),
    "summary": RunCost(2.5, 829, 91, 9, puts=12, gets=359, lists=16),
    "refresh": RunCost(4.0, 708, 84, 12, puts=22, gets=373, lists=21),
    "restatement": RunCost(2.6, 620, 92, 9, puts=18, gets=174, lists=18),
}
"""`python benchmarks/fleet_costs.py`, its first table: the simulated account, ten stored days in a bucket. Seconds:
benchmarks/README.md, *What Dagster costs*, on a quiet machine."""

LAUNCH_SECONDS = 0.3
"""What the daemon takes to take a run from the queue and to start it: an assumption; `fleet_costs.py --ticks` measures it."""


@dataclass(frozen=True)
class TickCost:
    """What a tick takes on average, the daemon's other work included.

    Attributes:
        seconds: between the daemon's request to the code server and the stored tick.
        cpu_seconds: in the code server.
        transactions: in Postgres.
        gets: requests to the bucket.
    """

    seconds: float
    cpu_seconds: float
    transactions: float
    gets: float


TICK = TickCost(0.2, 0.1, transactions=25.0, gets=1.0)
"""Bounds. `dead_runs_sensor` took 0.074 s of CPU with an instance of its own on Postgres, as the code server makes one for each
tick. `new_event_partitions_sensor` takes 0.01 to 0.05 s more over years of days (`python benchmarks/sensor_ticks.py`), and a
listing; `dead_runs_sensor` one GET, of the beats. The requests: `python benchmarks/fleet_costs.py --ticks`."""

IDLE_TRANSACTIONS = 10.0
"""A second, of a daemon without sensors: a bound. 7.2 were measured for a minute, on a machine with four times more work than
processors: `python benchmarks/fleet_costs.py --ticks`, its second line."""

SENSORS: Mapping[str, int] = {
    "dead_runs_sensor": 20,
    "new_event_partitions_sensor": 30,
    "sla_breach_alert_sensor": 60,
    "sla_warning_sensor": 30,
}
"""Seconds from tick to tick. The last two are off unless somebody turns them on."""

LIST_KEYS, INFLIGHT_FILES = 1000, 10
"""Keys of one answer of the bucket; files of work in progress, which `new_event_partitions_sensor` lists, too."""

BEAT_SECONDS = 10
"""Of a run in progress: one GET and one PUT of `_inflight/runs.json`."""

EVENT_ROW_BYTES, TICK_BYTES = 2300, 1500
"""Of Postgres. All that a run of a day adds, by its rows in event_logs: `python benchmarks/fleet_costs.py`. A tick: assumed."""

POSTGRES_GIGABYTES, KEPT_DAYS = 100, 30
"""A disk, an assumption; and how long runs are kept in docs/how-to/runbook.md."""

POSTGRES_TRANSACTIONS = 1000
"""A second, reading ones included, that a small server commits: an assumption; `pgbench -c 8 -T 60` says it of yours."""

RESULT_BYTES = 400
"""Of `celery_taskmeta` and its indexes in Postgres: a row a run, with Celery only: 377, measured with 1,000."""

THREADS, MOST_THREADS = 8, 64
"""Of the daemon's sensors: deploy/postgres/dagster.yaml; and from how many on a deployment should be divided, a choice."""

TICK_RETENTION_DAYS = 7
"""Skipped ticks of sensors, Dagster's default."""

ASSETS = 12
"""Files a day and account: two raw tables, nine made of them, and the report."""

BYTES_A_DAY, BYTES_AN_EVENT = 400_000, 36.0
"""`python benchmarks/fleet_costs.py --sizes`: a day's files of all assets, of which the report takes 300 kB."""

EVENT_CPU_SECONDS = 25e-6
"""CPU of a fetch and of the tables made of it, an event: benchmarks/README.md, *A fetch* and *SLA of 10,000,000 events*."""

PUT_DOLLARS, GET_DOLLARS, GB_MONTH_DOLLARS = 0.005 / 1000, 0.0004 / 1000, 0.023
"""Amazon S3 Standard, us-east-1: PUT and LIST, GET, storage. From c3x.dev/blog/s3-request-fees-explained and
deepeshsoni.com/archives/256 (2026-11-30), which quote https://aws.amazon.com/s3/pricing/."""
