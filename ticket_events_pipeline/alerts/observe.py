"""What one tick of the alert sensor sees: the summaries of today and yesterday, and when each stream was last read.

Older days are not read, and neither is Dagster's log: a backfill of last year is no news, and would make a stalled stream look
fresh. A file that can't be read becomes a problem, and hides nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError, TicketEventsError
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.provenance import read_sla_day
from ticket_events_pipeline.sla.rules.daily_summary import breaches_of_day
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS

MOST_METRICS = 50
"""Of one day. Zendesk has nine; a made-up name counts too, and the cursor must not grow with them."""

MOST_TICKETS = 5
"""Of one metric in a message: the newest ones are what somebody can still act on."""

_SUMMARY_COLUMNS = ["sla_metric", "policy_id", "policy_title", "business_hours", "breaches", "achieved"]
_TARGET_COLUMNS = ["ticket_id", "sla_metric", "breached_at", "superseded"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class MetricState:
    """One SLA metric on one day, over all policies.

    Attributes:
        sla_metric: as in `daily_sla_breach_summary`: text of the account.
        breaches: targets first breached on the day.
        achieved: targets met on the day.
        worst_policy: title (else id) of the policy with the most breaches; None where it is unknown, or none breached.
        worst_policy_breaches: those of that policy.
        worst_policy_hours: whether that policy counts business hours; None where it is unknown.
    """

    sla_metric: str
    breaches: int
    achieved: int
    worst_policy: str | None = None
    worst_policy_breaches: int = 0
    worst_policy_hours: bool | None = None


@dataclass(frozen=True)
class BreachedTickets:
    """Tickets that breached: the numbers of the newest ones, the newest breach first, and how many there are in all."""

    newest: tuple[int, ...]
    number: int


NO_TICKETS = BreachedTickets((), 0)


@dataclass(frozen=True)
class DayState:
    """A day's summary.

    Attributes:
        as_of: what its figures are as of, epoch seconds.
        is_complete: whether the day was read to its end.
    """

    day: Day
    as_of: int
    is_complete: bool
    metrics: tuple[MetricState, ...]


@dataclass(frozen=True)
class FailedRun:
    """A run that failed and that Dagster will not retry.

    Attributes:
        job: its name.
        ended_at: epoch seconds.
        reason: its error; None where that is unknown, or was posted already.
        is_over: a later run of the same job has succeeded.
    """

    run_id: str
    job: str
    ended_at: int
    reason: str | None = None
    is_over: bool = False


@dataclass(frozen=True)
class Observed:
    """Everything that one tick has read.

    Attributes:
        now: epoch seconds.
        timezone: IANA zone of the account's days.
        days: the newest days, each once.
        read_at: server time at which each stream was last read, epoch seconds; without streams that never were.
        failed_runs: of the last day or so.
    """

    now: int
    timezone: str
    days: tuple[DayState, ...] = ()
    read_at: Mapping[str, int] = field(default_factory=dict)
    failed_runs: tuple[FailedRun, ...] = ()


def summarised_days(store: Store, today: Day, problems: list[str]) -> tuple[DayState, ...]:
    """The summaries of yesterday and today, as far as there are any; what can't be read goes to `problems`."""
    found = [summarised_day(store, day, problems) for day in (today.plus(-1), today)]
    return tuple(state for state in found if state is not None)


def summarised_day(store: Store, day: Day, problems: list[str]) -> DayState | None:
    """The summary of one day; None where there is none, or where it can't be read: then `problems` says why."""
    return _attempted(partial(_summarised, store, day), problems)


def reading_times(store: Store, today: Day, problems: list[str]) -> dict[str, int]:
    """When the newest day of each stream was last read, epoch seconds; what can't be read goes to `problems`."""
    found = {stream: _attempted(partial(_read_at, store, stream, today), problems) for stream in STREAMS}
    return {stream: read_at for stream, read_at in found.items() if read_at is not None}


def _attempted(read: Callable[[], _T | None], problems: list[str]) -> _T | None:
    try:
        return read()
    except DayNotFetchedError:
        return None
    except TicketEventsError as error:
        problems.append(str(error))
        return None


def _summarised(store: Store, day: Day) -> DayState | None:
    stored = read_sla_day(store, SUMMARY, day)
    inputs = stored.provenance.inputs
    return DayState(day, inputs.as_of, inputs.complete, metric_states(store, day, stored.rows))


def metric_states(store: Store, day: Day, summary: pa.Table) -> tuple[MetricState, ...]:
    """The figures of a day's summary per metric, sorted by name.

    Raises:
        DamagedFileError: the table has not the columns of a summary.
    """
    try:
        rows = summary.select(_SUMMARY_COLUMNS).to_pylist()
    except KeyError as error:
        raise DamagedFileError(
            f"{SUMMARY} of {day} in {store.location} is no summary ({error}). Materialize it again."
        ) from error
    by_metric = defaultdict(list)
    for row in rows:
        by_metric[row["sla_metric"] or ""].append(row)
    return tuple(_metric_state(name, by_metric[name]) for name in sorted(by_metric)[:MOST_METRICS])


def _metric_state(name: str, rows: list[dict[str, Any]]) -> MetricState:
    by_policy: dict[tuple[str | None, bool | None], int] = defaultdict(int)
    for row in rows:
        by_policy[row["policy_title"] or row["policy_id"], row["business_hours"]] += row["breaches"] or 0
    worst = max(by_policy, key=lambda policy: by_policy[policy])
    policy, hours = worst if by_policy[worst] else (None, None)
    return MetricState(
        sla_metric=name,
        breaches=sum(by_policy.values()),
        achieved=sum(row["achieved"] or 0 for row in rows),
        worst_policy=policy,
        worst_policy_breaches=by_policy[worst],
        worst_policy_hours=hours,
    )


class BreachedTicketsReader:
    """Reads which tickets breached, once a day; what can't be read is unknown, and no reason to post nothing."""

    def __init__(self, store: Store, problems: list[str]) -> None:
        self._store = store
        self._problems = problems
        self._days: dict[Day, Mapping[str, BreachedTickets]] = {}

    def __call__(self, day: Day, sla_metric: str) -> BreachedTickets:
        """The tickets of the metric that first breached on the day."""
        if day not in self._days:
            self._days[day] = _attempted(partial(_breached_tickets, self._store, day), self._problems) or {}
        return self._days[day].get(sla_metric, NO_TICKETS)


def _breached_tickets(store: Store, day: Day) -> Mapping[str, BreachedTickets]:
    """By metric, the tickets with the breaches that the day's summary counts."""
    try:
        rows = breaches_of_day(read_sla_day(store, TARGETS, day, _TARGET_COLUMNS).rows, day)
    except (KeyError, pa.ArrowException) as error:
        raise DamagedFileError(f"{TARGETS} of {day} in {store.location} is no such table ({error!r}).") from error
    newest_first = rows.sort_by([("breached_at", "descending"), ("ticket_id", "descending")])
    by_metric: dict[str, dict[int, None]] = defaultdict(dict)
    for metric, ticket in zip(newest_first["sla_metric"].to_pylist(), newest_first["ticket_id"].to_pylist(), strict=True):
        by_metric[metric or ""].setdefault(ticket)
    return {metric: BreachedTickets(tuple(tickets)[:MOST_TICKETS], len(tickets)) for metric, tickets in by_metric.items()}


def _read_at(store: Store, stream: str, today: Day) -> int | None:
    for day in (today, today.plus(-1)):
        footer = read_raw_footer(store, stream, day)
        if footer is not None:
            return footer.read_up_to
    older = [day for day in stored_days(store, stream, today.timezone) if day < today]
    footer = read_raw_footer(store, stream, older[-1]) if older else None
    return None if footer is None else footer.read_up_to
