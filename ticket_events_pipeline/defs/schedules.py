"""The two schedules: keep up with the account every hour, and re-read the last closed days once a day.

Days that another run or backfill is fetching are left to it: a second pass over them would wait for it, and be refused.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import dropwhile, takewhile

import dagster as dg

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.jobs import FETCH
from ticket_events_pipeline.defs.runs import days_in_progress, range_tags, runs_in_progress
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.ingest.catch_up import first_day_to_fetch
from ticket_events_pipeline.lake.store import open_store

SCHEDULE_TAG = "dagster/schedule_name"

RAW_ASSETS = ("ticket_events", "ticket_metric_events")


def hourly_fetch(scope: AccountScope) -> dg.ScheduleDefinition:
    """One range run an hour, from the day after the newest complete one through today; none while the last is in progress."""
    name = scope.named("hourly_fetch")

    @dg.schedule(
        name=name,
        job_name=scope.named(FETCH),
        cron_schedule="7 * * * *",  # off the full hour, when everybody else's jobs ask
        execution_timezone=scope.timezone,
        description="Fetches from the day after the newest complete one through today.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if next(runs_in_progress(context.instance, {SCHEDULE_TAG: name}), None) is not None:
            return dg.SkipReason("The last hourly fetch is still queued or running.")
        today = _today(context, scope)
        if today < scope.first_day:
            return dg.SkipReason(f"The first partition, TICKET_EVENTS_START_DATE {scope.first_day}, has not begun yet.")
        try:
            first = first_day_to_fetch(open_store(scope.settings().root), today)
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        return _request(context, scope, days_between(max(first, scope.first_day), today))

    return schedule


def daily_restatement(scope: AccountScope) -> dg.ScheduleDefinition:
    """One range run a day, over the last TICKET_EVENTS_RESTATE_DAYS closed days."""

    @dg.schedule(
        name=scope.named("daily_restatement"),
        job_name=scope.named(FETCH),
        cron_schedule="37 3 * * *",
        execution_timezone=scope.timezone,
        description="Re-reads the last closed days: Zendesk doesn't announce rows that came late or were withdrawn.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            restate_days = scope.settings().restate_days
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        yesterday = _today(context, scope).plus(-1)
        first = max(yesterday.plus(1 - restate_days), scope.first_day)
        if restate_days < 1 or yesterday < first:
            return dg.SkipReason("There is no closed day to re-read.")
        return _request(context, scope, days_between(first, yesterday))

    return schedule


def _request(context: dg.ScheduleEvaluationContext, scope: AccountScope, days: list[Day]) -> dg.RunRequest | dg.SkipReason:
    """One run over those of `days` that nobody else is fetching, which may be the days behind a long backfill."""
    repository = context.repository_def
    if repository is None:
        raise dg.DagsterInvariantViolationError("the schedule needs its repository to know which backfills touch its assets")
    keys = [scope.key(asset) for asset in RAW_ASSETS]
    held = days_in_progress(context.instance, repository, keys, timezone=scope.timezone)
    told = _told([day for day in days if day in held], held)
    free = first_free_stretch(days, held)
    if not free:
        return dg.SkipReason(told)
    if told:
        context.log.info(told)
    return dg.RunRequest(tags=range_tags(free[0], free[-1]))


def first_free_stretch(days: list[Day], held: Container[Day]) -> list[Day]:
    """The first consecutive ones of `days` that are not `held`.

    Rejected: none at all while any is held would stop the hourly fetch for as long as a backfill of a year takes; the last
    ones would leave a gap behind a newer complete day, which is not filled by itself.
    """
    return list(takewhile(lambda day: day not in held, dropwhile(lambda day: day in held, days)))


def _told(days: list[Day], held: Mapping[Day, str]) -> str:
    holders = sorted({held[day] for day in days})
    return f"{days[0]} to {days[-1]}: being fetched by {', '.join(holders)}." if days else ""


def _today(context: dg.ScheduleEvaluationContext, scope: AccountScope) -> Day:
    return scope.day_containing(context.scheduled_execution_time.timestamp())
