"""What a tick sees: values only, as they were read from the store and from Dagster. What of it is worth telling is `facts`'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ticket_events_pipeline.day import Day


@dataclass(frozen=True)
class MetricState:
    """One SLA metric on one day, over all policies.

    Attributes:
        sla_metric: as in `daily_sla_breach_summary`: text of the account.
        breaches: targets first breached on the day.
        achieved: targets met on the day.
        worst_policy: title (else id) of the policy with the most breaches; None where Zendesk never said, or none breached.
        worst_policy_breaches: those of that policy.
    """

    sla_metric: str
    breaches: int
    achieved: int
    worst_policy: str | None = None
    worst_policy_breaches: int = 0


@dataclass(frozen=True)
class DayState:
    """A day's summary.

    Attributes:
        as_of: what it says is as of, epoch seconds.
        is_complete: whether the day was read to its end.
    """

    day: Day
    as_of: int
    is_complete: bool
    metrics: tuple[MetricState, ...]


@dataclass(frozen=True)
class FailedRun:
    """A run that failed and that nothing will start again by itself.

    Attributes:
        job: its name.
        ended_at: epoch seconds.
        reason: what it said; None where that isn't known, or was told already.
        is_over: a later run of the same job has succeeded.
    """

    run_id: str
    job: str
    ended_at: int
    reason: str | None = None
    is_over: bool = False


@dataclass(frozen=True)
class Observed:
    """Everything that one tick sees.

    Attributes:
        now: epoch seconds.
        timezone: IANA zone that times are told in.
        days: the newest days, each once.
        read_at: server time at which each stream was last read, epoch seconds; without streams that never were.
        failed_runs: of the last day or so.
        summary_path: of the summary's asset in the UI.
    """

    now: int
    timezone: str
    days: tuple[DayState, ...] = ()
    read_at: Mapping[str, int] = field(default_factory=dict)
    failed_runs: tuple[FailedRun, ...] = ()
    summary_path: str = "daily_sla_breach_summary"
