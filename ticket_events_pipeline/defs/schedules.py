"""The two schedules: keep up with the account every hour, and re-read the last closed days once a day.

Days that another run or backfill is fetching are left to it: a second pass over them would wait for it, and be refused.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from itertools import dropwhile, takewhile

import dagster as dg

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.jobs import RAW_ASSETS, fetch_ticket_events
from ticket_events_pipeline.defs.partitions import START_DATE, TIMEZONE
from ticket_events_pipeline.defs.runs import days_in_progress, range_tags, runs_in_progress
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.ingest.catch_up import first_day_to_fetch
from ticket_events_pipeline.lake.store import open_store
from ticket_events_pipeline.settings import load_settings

SCHEDULE_TAG = "dagster/schedule_name"

FIRST_DAY = Day(START_DATE, TIMEZONE)


@dg.schedule(
    name="hourly_fetch",
    job=fetch_ticket_events,
    cron_schedule="7 * * * *",  # off the full hour, when everybody else's jobs ask
    execution_timezone=TIMEZONE,
    description="Fetches from the day after the newest complete one through today.",
)
def hourly_fetch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One range run from the day after the newest complete one through today; none while the last one is in progress."""
    if next(runs_in_progress(context.instance, {SCHEDULE_TAG: "hourly_fetch"}), None) is not None:
        return dg.SkipReason("The last hourly fetch is still queued or running.")
    today = _today(context)
    if today < FIRST_DAY:
        return dg.SkipReason(f"The first partition, TICKET_EVENTS_START_DATE {FIRST_DAY}, has not begun yet.")
    try:
        first = first_day_to_fetch(open_store(load_settings(os.environ).root), today)
    except TicketEventsError as error:
        return dg.SkipReason(str(error))
    return _request(context, days_between(max(first, FIRST_DAY), today))


@dg.schedule(
    name="daily_restatement",
    job=fetch_ticket_events,
    cron_schedule="37 3 * * *",
    execution_timezone=TIMEZONE,
    description="Re-reads the last closed days: Zendesk doesn't announce rows that came late or were withdrawn.",
)
def daily_restatement(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One range run over the last TICKET_EVENTS_RESTATE_DAYS closed days."""
    try:
        restate_days = load_settings(os.environ).restate_days
    except TicketEventsError as error:
        return dg.SkipReason(str(error))
    yesterday = _today(context).plus(-1)
    first = max(yesterday.plus(1 - restate_days), FIRST_DAY)
    if restate_days < 1 or yesterday < first:
        return dg.SkipReason("There is no closed day to re-read.")
    return _request(context, days_between(first, yesterday))


def _request(context: dg.ScheduleEvaluationContext, days: list[Day]) -> dg.RunRequest | dg.SkipReason:
    """One run over those of `days` that nobody else is fetching, which may be the days behind a long backfill."""
    repository = context.repository_def
    if repository is None:
        raise dg.DagsterInvariantViolationError("the schedule needs its repository to know which backfills touch its assets")
    held = days_in_progress(context.instance, repository, [asset.key for asset in RAW_ASSETS])
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


def _today(context: dg.ScheduleEvaluationContext) -> Day:
    return Day.containing(context.scheduled_execution_time.timestamp(), TIMEZONE)
