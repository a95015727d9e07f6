"""`new_event_partitions_sensor`: asks for the SLA tables of days whose raw files have landed or changed.

It compares what the files say of themselves. Dagster's log is written, for the UI, and never believed. Wiring only: what is
stale is `summarize.staleness`'s, what has come of earlier runs `asked_runs`', what to record in the log `stored_days`'.
Rejected: `@asset_sensor` sees only the newest of many partitions (dagster#32853); an automation condition can't make one range
run from the earliest stale day on; both believe the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.event_log import EventLog, mark_of
from ticket_events_pipeline.defs.jobs import SUMMARIZE
from ticket_events_pipeline.defs.requested_runs import Tried, note, request, tried, unnoted_runs
from ticket_events_pipeline.defs.runs import days_in_progress
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.stored_days import (
    RECORDED_A_TICK,
    AssetDay,
    recorded,
    standing_days,
    unrecorded_days,
    unrecorded_reports,
)
from ticket_events_pipeline.defs.tick_report import TickReport, Told, given_up_reason, settled_reason, together, unusable_reason
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.sla.footer_cache import TABLES, FooterCache
from ticket_events_pipeline.sla.staleness import SUMMARY, Comparison, StaleRange, compare, range_before_obstacle, stale_ranges
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import SLA_STREAMS

DAILY_ASSETS = (*TABLES, REPORT)
"""A run or backfill over any of them holds its days."""


def new_event_partitions_sensor(scope: AccountScope) -> dg.SensorDefinition:
    """The account's sensor: one range run of the SLA tables per stretch of days whose raw files have landed or changed."""
    memory = Memory(scope)

    @dg.sensor(
        name=scope.named("new_event_partitions_sensor"),
        job_name=scope.named(SUMMARIZE),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Compares what the stored files say of themselves, asks for one range run of the SLA tables per stretch of "
        "days whose raw files have landed or changed, and records stored days that Dagster's log doesn't tell.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        try:
            with memory.lock:
                return _tick(context, scope, memory)
        except TicketEventsError as error:  # the root is set wrong, or can't be reached
            return dg.SensorResult(skip_reason=f"Nothing was compared. {error}")

    return sensor


@dataclass(frozen=True)
class Found:
    """What a look at the files and at the log has found.

    Attributes:
        comparison: of the files.
        standing: by table, the days whose files can be recorded.
        unrecorded: the files to be recorded in the log.
    """

    comparison: Comparison
    standing: Mapping[str, list[Day]]
    unrecorded: list[AssetDay]


class Memory:
    """What the process remembers from tick to tick: it saves work, and losing it loses nothing.

    Attributes:
        lock: to be held for a tick: somebody may try the sensor in the UI meanwhile.
        log: the newest records.
        untellable: files that couldn't be recorded, since the files have last changed.
    """

    def __init__(self, scope: AccountScope) -> None:
        self._scope = scope
        self._footers = FooterCache()
        self._found: Found | None = None
        self._today: Day | None = None
        self.lock = Lock()
        self.log = EventLog(scope)
        self.untellable: set[AssetDay] = set()

    def look(self, instance: dg.DagsterInstance, store: Store) -> Found:
        """What stands, and what of it the log doesn't tell. The same object as the last time, if nothing has changed.

        Raises:
            UsageError, TransientError: the root can't be listed.
        """
        mark = mark_of(instance)  # first: what is recorded from now on is seen by the next look
        found = self._compared(store)
        is_told_anew = self.log.look(instance, mark, found.standing)
        if is_told_anew or found is not self._found or found.unrecorded:
            unrecorded = unrecorded_days(found.comparison.stored, found.standing, self.log)
            unrecorded += unrecorded_reports(store, self._scope, found.standing[SUMMARY], self.log)
            self._found = Found(found.comparison, found.standing, [one for one in unrecorded if one not in self.untellable])
        return self._found

    def _compared(self, store: Store) -> Found:
        """The files, compared; what was found the last time, if none has changed."""
        first, today = self._scope.first_day, self._scope.day_containing(wall_clock())
        stored = self._footers.read(store, self._scope.timezone)
        if self._found is not None and stored is self._found.comparison.stored and today == self._today:
            return self._found

        def is_partition(day: Day) -> bool:
            return first <= day <= today

        self._today, self.untellable = today, set()
        return Found(compare(stored, is_partition), {**standing_days(stored, is_partition), REPORT: []}, [])


def _tick(context: dg.SensorEvaluationContext, scope: AccountScope, memory: Memory) -> dg.SensorResult:
    """Compare what every summary was made from with what is stored, ask for runs where they differ, and tell the log."""
    repository, instance, store = context.repository_def, context.instance, scope.pipeline().store
    if repository is None:
        raise dg.DagsterInvariantViolationError("the sensor needs its repository to know which backfills touch its assets")
    ended = unnoted_runs(instance, scope)  # before the files are looked at: what stands then is what they left
    found, busy = memory.look(instance, store), {}
    if not found.comparison.stored.unread:
        note(instance, scope, ended, found.comparison)
    if found.comparison.stale or found.unrecorded:
        keys = [scope.key(asset) for asset in DAILY_ASSETS]
        busy = days_in_progress(instance, repository, keys, timezone=scope.timezone)
        found = memory.look(instance, store)  # again: a run may have ended in between
    answer = _Answer(instance, scope, store, memory.log, found, busy)
    requests, report = answer.asked()
    events = answer.recorded(memory.untellable)
    report = replace(report, recorded=len(events), unrecorded=len(answer.to_be_recorded) - len(events))
    if requests or report.is_trouble:  # a tick that asks for runs shows no reason in the UI, but its log
        context.log.log(logging.WARNING if report.is_trouble else logging.INFO, str(report))
    return dg.SensorResult(run_requests=requests, asset_events=events, skip_reason=None if requests else str(report))


@dataclass(frozen=True)
class _Answer:
    """What follows from what was found.

    Attributes:
        instance, scope, store, log: where.
        found: what was found.
        busy: days that a run or backfill in progress covers, each with its name.
    """

    instance: dg.DagsterInstance
    scope: AccountScope
    store: Store
    log: EventLog
    found: Found
    busy: Mapping[Day, str]

    def asked(self) -> tuple[list[dg.RunRequest], TickReport]:
        """The runs to be asked for, and what there is to say of every stretch; no run before there was time for all files."""
        comparison = self.found.comparison
        stored = comparison.stored
        landed, unusable = len(comparison.landed), "" if comparison.landed else self._unusable()
        report = TickReport(self.store.location, stored.files, stored.unread, landed=landed, unusable=unusable)
        if stored.unread:
            return [], report
        requests: list[dg.RunRequest] = []
        asked, waiting, given_up, settled = [], [], [], []
        for stretch, so_far in map(self._tried, stale_ranges(comparison, self.store.location)):
            holders = sorted({self.busy[day] for day in stretch.days if day in self.busy})
            if holders:
                waiting.append(Told(stretch.days, f"{stretch.reason} {', '.join(holders)} is not over yet."))
            elif so_far.is_given_up:
                given_up.append(Told(stretch.days, given_up_reason(stretch.reason, so_far.attempts)))
            elif so_far.is_settled:
                settled.append(Told(stretch.days, self._settled(stretch)))
            else:
                requests.append(request(self.instance, self.scope, stretch, so_far.attempts + 1))
                asked.append(Told(stretch.days, stretch.reason))
        blocked = together(comparison.blocked)
        return requests, replace(report, asked=asked, waiting=waiting, given_up=given_up, settled=settled, blocked=blocked)

    def _tried(self, stretch: StaleRange) -> tuple[StaleRange, Tried]:
        """What is to be asked for of a stretch, and how often it was; of one whose runs fail, the days before the obstacle."""
        so_far = tried(self.instance, self.scope, stretch)
        if so_far.has_failed:
            before = range_before_obstacle(self.found.comparison, stretch, self.store.location)
            if before is not None:
                return before, tried(self.instance, self.scope, before)
        return stretch, so_far

    def _unusable(self) -> str:
        footers = self.found.comparison.stored.footers
        days = sorted({day for stream in SLA_STREAMS for day in footers[stream]})
        return unusable_reason(days, first=self.scope.first_day, last=self.scope.day_containing(wall_clock()))

    def _settled(self, stretch: StaleRange) -> str:
        day = stretch.days[0]
        here = self.store.url(partition_path(SUMMARY, day))
        record = self.log.record_now(self.instance, SUMMARY, day) or {}
        return settled_reason(stretch.reason, here=here, there=record.get("dagster/uri", here))

    @property
    def to_be_recorded(self) -> list[AssetDay]:
        """Files that the log doesn't tell; a run in progress tells of its days itself."""
        return [(asset, day) for asset, day in self.found.unrecorded if day not in self.busy]

    def recorded(self, untellable: set[AssetDay]) -> list[dg.AssetMaterialization]:
        """Records of some of them; those of which none can be made are added to `untellable`."""
        wanted = self.to_be_recorded[:RECORDED_A_TICK]
        made = recorded(self.scope, self.store, wanted)
        untellable |= {asset_day for asset_day, event in zip(wanted, made, strict=True) if event is None}
        return [event for event in made if event is not None]
