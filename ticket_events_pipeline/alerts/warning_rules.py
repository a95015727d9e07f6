"""Which targets are worth a warning now: those that breach soon, and those that breached while no warning could be sent.

The rules see stored tables only. A target that was met, paused, cancelled or deleted has no due time there, so it is no
candidate any more. What was sent already is the matter of `warning_state`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2s
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.alerts.warning_settings import WarningSettings
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tickets.due_targets import DueTargets

OVERDUE_SECONDS = 3 * 3600
"""A due time that has passed without a breach is reported for so long; later, the estimate was wrong, or the data is stale."""

BREACHED_SECONDS = 24 * 3600
"""A breach that no warning came before is reported for so long. It covers a night without the pipeline."""

INTERVALS_UNTIL_STALE = 2
"""Data is stale after two fetch intervals: one of them was left out, then."""

_COLUMNS = [
    "ticket_id",
    "metric",
    "instance_id",
    "sla_metric",
    "policy_id",
    "policy_title",
    "business_hours",
    "group_id",
    "assignee_id",
    "group_is_known",
    "assignee_is_known",
]


@dataclass(frozen=True)
class UrgentTarget:
    """A target to tell of.

    Attributes:
        policy_id, policy_title: of its policy; None where Zendesk named none.
        business_hours: whether that policy counts business hours; None where it is unknown.
        at: when it is due, an estimate, or when it breached; epoch seconds.
        is_breached: whether it has breached.
        group_id, assignee_id: who held the ticket at the end of the data; None and known is nobody.
    """

    ticket_id: int
    metric: str
    instance_id: int
    sla_metric: str
    policy_id: str | None
    policy_title: str | None
    business_hours: bool | None
    group_id: int | None
    assignee_id: int | None
    group_is_known: bool
    assignee_is_known: bool
    at: int
    is_breached: bool = False

    @cached_property
    def mark(self) -> str:
        """Identifies the target in 64 bits: a metric may have any name of any length."""
        key = f"{self.ticket_id} {self.instance_id} {self.metric}"
        return blake2s(key.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Freshness:
    """How old the data is that warnings are made from.

    Attributes:
        now: epoch seconds.
        interval_seconds: of `frequent_fetch`.
        as_of: the moment that the tables are as of, epoch seconds; None where neither today nor yesterday has any.
        read_at: when metric events were last fetched, epoch seconds; None where that is unknown.
    """

    now: int
    interval_seconds: int
    as_of: int | None = None
    read_at: int | None = None

    @property
    def age_seconds(self) -> int | None:
        """None without data."""
        return None if self.as_of is None else max(0, self.now - self.as_of)

    @property
    def is_old(self) -> bool:
        """Older than one interval: a message says how old it is."""
        return self.age_seconds is None or self.age_seconds > self.interval_seconds

    @property
    def is_stale(self) -> bool:
        """Older than two intervals: silence would mean nothing."""
        return self.age_seconds is None or self.age_seconds > INTERVALS_UNTIL_STALE * self.interval_seconds

    @property
    def is_read(self) -> bool:
        """Whether events were read lately, so that old tables are not the fault of the fetch."""
        return self.read_at is not None and self.now - self.read_at <= INTERVALS_UNTIL_STALE * self.interval_seconds


@dataclass(frozen=True)
class Outlook:
    """Everything that one tick knows of the targets.

    Attributes:
        freshness: how old that knowledge is.
        today: the account's day now.
        due: the open, unpaused, unbreached targets whose due time is near, or has passed a moment ago; the first one first.
        breached: the late and open targets that breached within BREACHED_SECONDS, the newest breach first.
        without_estimate: how many open, unpaused, unbreached targets have no due time: no warning comes before their breach.
    """

    freshness: Freshness
    today: Day
    due: tuple[UrgentTarget, ...] = ()
    breached: tuple[UrgentTarget, ...] = ()
    without_estimate: int = 0


def outlook(found: DueTargets | None, settings: WarningSettings, *, now: int, today: Day, interval_seconds: int) -> Outlook:
    """What the tables that were found tell; None: neither today nor yesterday has any."""
    if found is None:
        return Outlook(Freshness(now, interval_seconds), today)
    freshness = Freshness(now, interval_seconds, found.as_of, found.read_at)
    return Outlook(freshness, today, _due_soon(found, settings, now), _breached(found, now), _without_estimate(found.targets))


def _without_estimate(rows: pa.Table) -> int:
    active = rows.filter(pc.and_(pc.equal(rows["outcome"], "active"), pc.invert(rows["is_paused"])))
    count: int = active["due_at"].null_count
    return count


def _due_soon(found: DueTargets, settings: WarningSettings, now: int) -> tuple[UrgentTarget, ...]:
    rows = found.targets
    due_at = rows["due_at"]
    is_near = pc.and_(pc.less_equal(due_at, now + settings.longest_seconds), pc.greater(due_at, now - OVERDUE_SECONDS))
    near = _targets(rows.filter(pc.and_(is_near, pc.equal(rows["outcome"], "active"))), "due_at")
    due = (target for target in near if now >= target.at - settings.seconds_of(target.sla_metric))
    return tuple(sorted(due, key=lambda target: (target.at, target.ticket_id, target.mark)))


def _breached(found: DueTargets, now: int) -> tuple[UrgentTarget, ...]:
    """Without schedules, nothing is ever due in business hours: a breach is no warning that was missed then."""
    rows = found.targets
    is_new = pc.greater_equal(rows["breached_at"], now - BREACHED_SECONDS)
    late = rows.filter(pc.and_(is_new, pc.equal(rows["outcome"], "breached_open")))
    if found.schedules_fetched_at is None:
        late = late.filter(pc.equal(late["business_hours"], False))
    targets = _targets(late, "breached_at", is_breached=True)
    return tuple(sorted(targets, key=lambda target: (-target.at, target.ticket_id, target.mark)))


def _targets(rows: pa.Table, at: str, *, is_breached: bool = False) -> Iterator[UrgentTarget]:
    read: list[dict[str, Any]] = rows.select([*_COLUMNS, at]).to_pylist()
    for row in read:
        moment = row.pop(at)
        named = {**row, "sla_metric": row["sla_metric"] or "", "metric": row["metric"] or ""}
        yield UrgentTarget(**named, at=moment, is_breached=is_breached)
