"""`new_event_partitions_sensor`: requests runs of the tables over days whose raw files have landed or changed.

It compares the footers of the stored files. Dagster's log is written, for the UI, and never believed. Rejected: `@asset_sensor`
sees only the newest of many partitions (dagster#32853); an automation condition can't request one range run from the earliest
stale day on; both believe the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import dagster as dg

from ticket_events_pipeline.code_server import Fingerprint, fingerprint_of, write_code_server
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.dagster_home import claim_dagster_home, refuse_foreign_home
from ticket_events_pipeline.defs.event_log import EventLog, log_position
from ticket_events_pipeline.defs.requested_runs import (
    Attempts,
    attempts_of,
    ended_runs_without_note,
    note_what_runs_left,
    run_request,
)
from ticket_events_pipeline.defs.runs import days_in_progress, repository_of
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.tick_report import (
    ReportedDays,
    TickReport,
    given_up_reason,
    grouped_by_reason,
    settled_reason,
    unusable_reason,
)
from ticket_events_pipeline.defs.unrecorded_days import (
    MAX_RECORDED_PER_TICK,
    AssetDay,
    materialisations,
    recordable_days,
    unrecorded_days,
    unrecorded_reports,
    unstored_days,
)
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.sla.footer_cache import TABLES, WITHOUT_TICKET_TABLES, FooterCache
from ticket_events_pipeline.sla.staleness import Comparison, StaleRange, compare, range_before_obstacle, stale_ranges
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.pruned_days import NOTHING_PRUNED, read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import SLA_STREAMS
from ticket_events_pipeline.tickets.staleness import (
    NOTHING_STALE,
    TicketComparison,
    change_ranges,
    compare_tickets,
    ticket_range_before_obstacle,
    ticket_ranges,
    without_blocked,
)

DAILY_ASSETS = (*TABLES, REPORT)
"""While a run or backfill over any of them is in progress, no run is requested over its days."""


def new_event_partitions_sensor(scope: AccountScope, jobs: Sequence[Any]) -> dg.SensorDefinition:
    """The account's sensor: one range run of the tables for each range of days whose raw files have landed or changed.

    `jobs` are the account's: their type has no public name.
    """
    cache = SensorCache(scope)

    @dg.sensor(
        name=scope.named("new_event_partitions_sensor"),
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="On as shipped; leave it on: makes the tables and the report of every day that was fetched or changed. "
        "Also records stored days that are missing in Dagster's log.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        try:
            with cache.lock:
                return _evaluate(context, scope, cache)
        except TicketEventsError as error:  # the root is set wrong, or can't be reached
            return dg.SensorResult(skip_reason=f"Nothing was compared. {error}")

    return sensor


@dataclass(frozen=True)
class Observation:
    """The stored files, compared with each other and with Dagster's log.

    Attributes:
        comparison: of the files.
        tickets: of the ticket tables.
        recordable: by table, the days whose files can be recorded.
        unrecorded: the files to be recorded in the log.
        unstored: by raw asset, the days that the log shows though they are not stored.
    """

    comparison: Comparison
    tickets: TicketComparison
    recordable: Mapping[str, list[Day]]
    unrecorded: list[AssetDay]
    unstored: Mapping[str, list[Day]]

    @property
    def has_stale_days(self) -> bool:
        """Whether anything has to be made again."""
        return bool(self.comparison.stale or self.tickets.stale or self.tickets.stale_changes)


class SensorCache:
    """What the process keeps from tick to tick: it saves work, and losing it loses nothing.

    Attributes:
        lock: held during a tick: the sensor may be tested in the UI meanwhile.
        log: the newest records.
        unreadable: files that couldn't be recorded, since the files have last changed.
    """

    def __init__(self, scope: AccountScope) -> None:
        self._scope = scope
        self._footers = FooterCache(TABLES if scope.has_ticket_tables else WITHOUT_TICKET_TABLES)
        self._observation: Observation | None = None
        self._today: Day | None = None
        self._pruned = NOTHING_PRUNED
        self._announced: tuple[str, Fingerprint] | None = None
        self.lock = Lock()
        self.log = EventLog(scope)
        self.unreadable: set[AssetDay] = set()

    def announce(self, pipeline: Pipeline) -> None:
        """Write what this process, the code server, runs with, once; if that fails, the next tick tries again."""
        with suppress(TicketEventsError):  # nothing but a comparison needs it
            fingerprint = fingerprint_of(pipeline.settings)
            if self._announced != (pipeline.store.location, fingerprint):
                write_code_server(pipeline.store, fingerprint, now=wall_clock())
                self._announced = pipeline.store.location, fingerprint

    def observe(self, instance: dg.DagsterInstance, store: Store) -> Observation:
        """The stored files, and those that the log doesn't know; the same object as the last time if nothing has changed.

        Raises:
            UsageError, TransientError: the root can't be listed.
        """
        position = log_position(instance)  # first: what is recorded from now on is seen by the next call
        observation = self._compare_files(store)
        is_log_changed = self.log.refresh(instance, position, observation.recordable)
        if is_log_changed or observation is not self._observation or observation.unrecorded:
            recordable = observation.recordable
            missing = unrecorded_days(observation.comparison.stored, recordable, self.log)
            missing += unrecorded_reports(store, self._scope, recordable[SUMMARY], self.log)
            missing = [asset_day for asset_day in missing if asset_day not in self.unreadable]
            unstored = unstored_days(observation.comparison.stored, self._pruned, self.log, self._scope.is_partition)
            self._observation = replace(observation, unrecorded=missing, unstored=unstored)
        return self._observation

    def _compare_files(self, store: Store) -> Observation:
        """Compare the files; the last observation if none has changed."""
        first, today = self._scope.first_day, self._scope.day_containing(wall_clock())
        stored = self._footers.read(store, self._scope.timezone)
        pruned = read_pruned_days(store)
        last, is_same = self._observation, (today, pruned) == (self._today, self._pruned)
        if last is not None and stored is last.comparison.stored and is_same:
            return last

        def is_partition(day: Day) -> bool:
            return first <= day <= today

        def may_be_made(day: Day) -> bool:
            return is_partition(day) and not pruned.is_closed(day)

        self._today, self._pruned, self.unreadable = today, pruned, set()
        comparison = compare(stored, may_be_made)
        tickets = compare_tickets(comparison, may_be_made) if self._scope.has_ticket_tables else NOTHING_STALE
        return Observation(comparison, tickets, {**recordable_days(stored, is_partition), REPORT: []}, [], {})


def _evaluate(context: dg.SensorEvaluationContext, scope: AccountScope, cache: SensorCache) -> dg.SensorResult:
    """Compare what every summary was made from with what is stored, request runs where they differ, and update the log."""
    instance, pipeline = context.instance, scope.pipeline()
    store = pipeline.store
    refuse_foreign_home(instance, scope)
    cache.announce(pipeline)
    ended = ended_runs_without_note(instance, scope)  # before the files are compared, so that those are what the runs left
    observation, busy = cache.observe(instance, store), {}
    if not observation.comparison.stored.unread:
        note_what_runs_left(instance, scope, ended, observation.comparison, observation.tickets)
    if observation.has_stale_days or observation.unrecorded or observation.unstored:
        keys = [scope.key(asset) for asset in DAILY_ASSETS]
        busy = days_in_progress(instance, repository_of(context), keys, timezone=scope.timezone)
        observation = cache.observe(instance, store)  # again: a run may have ended in between
    if observation.comparison.stored.files:
        claim_dagster_home(instance, scope)
    tick = _Tick(instance, scope, store, observation, busy)
    requests, report = tick.requests()
    events = tick.record(cache.unreadable)
    unrecorded = len(tick.to_be_recorded) - len(events)
    report = replace(report, recorded=len(events), unrecorded=unrecorded, unstored=tick.unstored)
    if requests or report.needs_attention:  # the UI shows no reason for a tick that requests runs, but its log
        context.log.log(logging.WARNING if report.needs_attention else logging.INFO, str(report))
    return dg.SensorResult(run_requests=requests, asset_events=events, skip_reason=None if requests else str(report))


@dataclass(frozen=True)
class _Tick:
    """What follows from an observation.

    Attributes:
        instance, scope, store: of the sensor.
        observation: the compared files.
        busy: days that a run or backfill in progress covers, each with its name.
    """

    instance: dg.DagsterInstance
    scope: AccountScope
    store: Store
    observation: Observation
    busy: Mapping[Day, str]

    def requests(self) -> tuple[list[dg.RunRequest], TickReport]:
        """The runs to request, and a report on every stale range; no run before all files have been read."""
        comparison = self.observation.comparison
        stored = comparison.stored
        landed, unusable = len(comparison.landed), "" if comparison.landed else self._unusable()
        report = TickReport(self.store.location, stored.files, stored.unread, landed=landed, unusable=unusable)
        if stored.unread:
            return [], report
        requests: list[dg.RunRequest] = []
        requested, waiting, given_up, settled = [], [], [], []
        for stale, attempts in map(self._with_attempts, self._stale_ranges()):
            holders = sorted({self.busy[day] for day in stale.days if day in self.busy})
            if holders:
                waiting.append(ReportedDays(stale.days, f"{stale.reason} {', '.join(holders)} is not over yet."))
            elif attempts.is_given_up:
                given_up.append(ReportedDays(stale.days, given_up_reason(stale.reason, attempts.count)))
            elif attempts.is_settled:
                settled.append(ReportedDays(stale.days, self._settled(stale)))
            else:
                requests.append(run_request(self.instance, self.scope, stale, attempts.count + 1))
                requested.append(ReportedDays(stale.days, stale.reason))
        blocked = grouped_by_reason(dict(sorted({**self.observation.tickets.blocked, **comparison.blocked}.items())))
        return requests, replace(
            report, requested=requested, waiting=waiting, given_up=given_up, settled=settled, blocked=blocked
        )

    def _stale_ranges(self) -> list[StaleRange]:
        """What has to be made; a range with stale SLA tables makes the ticket tables of its days, too."""
        comparison, tickets, root = self.observation.comparison, self.observation.tickets, self.store.location
        ranges = [without_blocked(found, tickets) for found in stale_ranges(comparison, root)]
        covered = {day for found in ranges for day in found.days}
        return [*ranges, *ticket_ranges(comparison, tickets, root, covered), *change_ranges(comparison, tickets, root)]

    def _with_attempts(self, stale: StaleRange) -> tuple[StaleRange, Attempts]:
        """The range to request and its attempts; where the runs of a range fail, only the days before the obstacle."""
        attempts = attempts_of(self.instance, self.scope, stale)
        if attempts.has_failed:
            before = self._before_obstacle(stale)
            if before is not None:
                return before, attempts_of(self.instance, self.scope, before)
        return stale, attempts

    def _before_obstacle(self, failing: StaleRange) -> StaleRange | None:
        comparison, root = self.observation.comparison, self.store.location
        if failing.days[0] in comparison.stale:
            return range_before_obstacle(comparison, failing, root)
        return ticket_range_before_obstacle(comparison, self.observation.tickets, failing, root)

    def _unusable(self) -> str:
        footers = self.observation.comparison.stored.footers
        days = sorted({day for stream in SLA_STREAMS for day in footers[stream]})
        return unusable_reason(days, first=self.scope.first_day, last=self.scope.day_containing(wall_clock()))

    def _settled(self, stale: StaleRange) -> str:
        table = stale.tables[-1] if stale.tables else SUMMARY
        return settled_reason(stale.reason, read=self.store.url(partition_path(table, stale.days[0])))

    @property
    def to_be_recorded(self) -> list[AssetDay]:
        """Files that are missing in the log; a run in progress records its days itself."""
        return [(asset, day) for asset, day in self.observation.unrecorded if day not in self.busy]

    @property
    def unstored(self) -> dict[str, list[Day]]:
        """By raw asset, the recorded days without a file; a run in progress may have stored its days since the comparison."""
        free = {asset: [day for day in days if day not in self.busy] for asset, days in self.observation.unstored.items()}
        return {asset: days for asset, days in free.items() if days}

    def record(self, unreadable: set[AssetDay]) -> list[dg.AssetMaterialization]:
        """Materialisations of some of them; files that can't be read are added to `unreadable`."""
        wanted = self.to_be_recorded[:MAX_RECORDED_PER_TICK]
        made = materialisations(self.scope, self.store, wanted)
        unreadable |= {asset_day for asset_day, event in zip(wanted, made, strict=True) if event is None}
        return [event for event in made if event is not None]
