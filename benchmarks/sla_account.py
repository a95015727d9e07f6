"""An account's metric events in any number, written as the pipeline's own raw files: what the SLA benchmarks read.

Every ticket has four clocks of some ten events each. Tickets come day and night alike and live from minutes to weeks, half of
them less than eight hours; one in twenty-five is re-opened within twelve days. Four in five have a policy, on two of their
clocks; one target in eight breaches, one in twenty is changed. A breach has an id of the moment its policy was applied, as
one does that was planned then: so ids of days before turn up. The tickets of the weeks before the first day are there too, so
that no day is unlike the others.

The same numbers always give the same files. No event comes twice, and none is an audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.ticket_metric_events import TICKET_METRIC_EVENTS_TABLE

STREAM = "ticket_metric_events"
TYPES = ["activate", "apply_sla", "breach", "pause", "fulfill", "update_status"]
ACTIVATE, APPLY, BREACH, PAUSE, FULFILL, UPDATE_STATUS = range(6)
METRICS = ["reply_time", "requester_wait_time", "agent_work_time", "resolution_time"]
PAUSES = [0, 4, 4, 0]
WITH_POLICY = {0, 1}

EVENTS_PER_TICKET = 38
POLICIES = 12
LONGEST_DAYS = 21
BEFORE_DAYS = LONGEST_DAYS + 13
"""No ticket has events longer than that after it came."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Events = dict[str, Ints]


def write_account(root: Path, days: list[Day], *, events_per_day: int) -> int:
    """Write the raw files of contiguous days with about so many events each; how many there are in all."""
    rows = 0
    for day, table in metric_events(days, events_per_day=events_per_day):
        write_partition(FolderStore(root), STREAM, day, table, footer_of(STREAM, day, table).to_metadata())
        rows += table.num_rows
    return rows


def metric_events(days: list[Day], *, events_per_day: int) -> Iterator[tuple[Day, pa.Table]]:
    """The rows of the raw files of contiguous days with about so many events each."""
    size = tickets_per_day(events_per_day)
    for day, events in by_day(days, lambda day, number: _Tickets(day, number, size).events()):
        yield day, _table(events)


def tickets_per_day(events_per_day: int) -> int:
    """How many tickets come on a day."""
    return max(1, events_per_day // EVENTS_PER_TICKET)


def by_day(days: list[Day], events_of: Callable[[Day, int], Events]) -> Iterator[tuple[Day, Events]]:
    """The events of each day, sorted by (time, id); `events_of` gives those of the tickets that come on a day, by its number.

    Tickets are made a day at a time, so that years fit into memory.
    """
    pending: list[Events] = []
    for number, day in enumerate(days_between(days[0].plus(-BEFORE_DAYS), days[-1])):
        pending.append(events_of(day, number))
        every = {name: np.concatenate([part[name] for part in pending]) for name in pending[0]}
        is_past = every["seconds"] < day.end
        if day >= days[0]:
            of_day = _at(every, np.flatnonzero(is_past))
            yield day, _at(of_day, np.lexsort([of_day["id"], of_day["seconds"]]))
        pending = [_at(every, np.flatnonzero(~is_past))]


def _at(events: Events, places: Ints) -> Events:
    return {name: column[places] for name, column in events.items()}


@dataclass(frozen=True)
class Lives:
    """The lives of tickets that come on a day, an entry a ticket.

    Attributes:
        created: when it came, epoch seconds.
        lasts, replies: after how many seconds it is solved, and first replied to.
        reopened: when it is re-opened, epoch seconds; 0 if it isn't.
    """

    created: Ints
    lasts: Ints
    replies: Ints
    reopened: Ints


def drawn_lives(rng: np.random.Generator, day: Day, size: int) -> Lives:
    """Of `size` tickets that come on the day; the first numbers that are drawn of `rng`."""
    created = np.sort(day.start + rng.integers(0, day.end - day.start, size))
    lasts = np.minimum(rng.lognormal(np.log(8 * 3600), 1.5, size), LONGEST_DAYS * 86_400).astype(np.int64) + 600
    replies = np.minimum(lasts // 3, rng.exponential(5400, size).astype(np.int64)) + 60
    reopened = np.where(rng.random(size) < 1 / 25, created + lasts + rng.integers(3600, 12 * 86_400, size), 0)
    return Lives(created, lasts, replies, reopened)


@dataclass
class _Tickets:
    """The tickets that come on a day, and all their events."""

    day: Day
    number: int
    size: int
    _parts: list[Events] = field(default_factory=list)

    def events(self) -> Events:
        rng = np.random.default_rng(self.number)
        lives = drawn_lives(rng, self.day, self.size)
        created, lasts, replies, reopened = lives.created, lives.lasts, lives.replies, lives.reopened
        has_policy = rng.random(self.size) < 0.8
        for metric in range(len(METRICS)):
            span = replies if metric == 0 else lasts
            self._cycle(metric, created, span)
            if metric in WITH_POLICY:
                self._policy(rng, metric, created, span, has_policy)
            if metric:
                self._add(metric, ACTIVATE, reopened, reopened > 0)
                self._add(metric, FULFILL, reopened + 7200, reopened > 0)
        merged = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        return self._delivered(merged, created, rng.integers(0, POLICIES, self.size))

    def _cycle(self, metric: int, created: Ints, span: Ints) -> None:
        """From the first activate to the fulfil, with the pauses between."""
        everybody = np.ones(self.size, bool)
        self._add(metric, ACTIVATE, created, everybody)
        steps = 2 * PAUSES[metric] + 1
        for pause in range(PAUSES[metric]):
            paused = created + span * (2 * pause + 1) // steps + 2
            self._add(metric, PAUSE, paused, everybody)
            self._add(metric, UPDATE_STATUS, paused, everybody)
            self._add(metric, ACTIVATE, created + span * (2 * pause + 2) // steps + 2, everybody)
        self._add(metric, FULFILL, created + span, everybody)
        self._add(metric, UPDATE_STATUS, created + span, everybody)

    def _policy(self, rng: np.random.Generator, metric: int, created: Ints, span: Ints, has_policy: Bools) -> None:
        """A target is shorter than what it measures where it breaches, and longer where not."""
        is_late = rng.random(self.size) < 1 / 8
        share = np.where(is_late, rng.uniform(0.3, 0.95, self.size), rng.uniform(1.1, 4, self.size))
        target = np.maximum(1, span * share / 60).astype(np.int64)
        self._add(metric, APPLY, created + 1, has_policy, target=target)
        self._add(metric, APPLY, created + span // 2, has_policy & (rng.random(self.size) < 1 / 20), target=target * 2)
        self._add(metric, BREACH, created + target * 60, has_policy & is_late, known_from=created + 1)

    def _add(
        self, metric: int, kind: int, seconds: Ints, of: Bools, *, known_from: Ints | None = None, target: Ints | None = None
    ) -> None:
        tickets = np.flatnonzero(of)
        self._parts.append(
            {
                "ticket": tickets,
                "metric": np.full(len(tickets), metric),
                "type": np.full(len(tickets), kind),
                "seconds": seconds[tickets],
                "known_from": (seconds if known_from is None else known_from)[tickets],
                "target": np.zeros(len(tickets), np.int64) if target is None else target[tickets],
            }
        )

    def _delivered(self, events: Events, created: Ints, policy: Ints) -> Events:
        ticket = events["ticket"]
        # Ascending with time; 64 days and 2^20 events of one day's tickets apart, so that no two are equal.
        identity = (events.pop("known_from") << 26) | (self.number % 64 << 20) | np.arange(len(ticket))
        elapsed = (events["seconds"] - created[ticket]) // 60
        return {
            **events,
            "id": identity,
            "policy": policy[ticket],
            "elapsed": elapsed,
            "ticket": ticket + self.number * self.size + 1,
        }


def _table(events: Events) -> pa.Table:
    kind = events["type"]
    is_apply, is_status = kind == APPLY, kind == UPDATE_STATUS
    policies = pa.array(events["policy"], mask=~is_apply)
    columns = {
        "id": pa.array(events["id"]),
        "ticket_id": pa.array(events["ticket"]),
        "metric": pa.array(METRICS).take(pa.array(events["metric"])),
        "instance_id": pa.array(np.ones(len(kind), np.int64)),
        "type": pa.array(TYPES).take(pa.array(kind)),
        "time": pa.array(events["seconds"] * 1000),
        "deleted": pa.array(np.zeros(len(kind), bool)),
        "sla_target_minutes": pa.array(events["target"], mask=~is_apply),
        "sla_target_seconds": pa.array(events["target"] * 60, mask=~is_apply),
        "sla_business_hours": pa.array(events["policy"] % 3 == 0, mask=~is_apply),
        "sla_policy_id": pa.array([str(360_000 + number) for number in range(POLICIES)]).take(policies),
        "sla_policy_title": pa.array([f"Policy {number} for customers" for number in range(POLICIES)]).take(policies),
        "sla_is_group": pa.array(np.zeros(len(kind), bool), mask=~is_apply),
        "status_calendar_minutes": pa.array(events["elapsed"], mask=~is_status),
        "status_business_minutes": pa.array(events["elapsed"] // 3, mask=~is_status),
        "extra": pa.nulls(len(kind), pa.string()),
    }
    schema = TICKET_METRIC_EVENTS_TABLE.schema
    columns |= {item.name: pa.nulls(len(kind), item.type) for item in schema if item.name not in columns}
    return pa.table([columns[item.name].cast(item.type) for item in schema], schema=schema)


def footer_of(stream: str, day: Day, table: pa.Table) -> RawFooter:
    """That of a complete day."""
    return RawFooter(
        schema_version=SCHEMA_VERSION,
        account="bench",
        timezone=day.timezone,
        sideload=False,
        stream=stream,
        partition=str(day),
        window_start=day.start,
        window_end=day.end,
        complete=True,
        next_start_time=day.end + 3600,
        requests=1,
        rows=table.num_rows,
        duplicates=0,
        rejected=0,
        fetched_at=day.end + 3600,
        content_hash=content_hash(table, added=TABLES[stream].added),
        pages=(),
    )
