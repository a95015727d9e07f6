"""The two schedules: keep up with the account every hour, and re-read the last closed days once a day."""

from __future__ import annotations

import os

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.jobs import fetch_ticket_events
from ticket_events_pipeline.defs.partitions import START_DATE, TIMEZONE
from ticket_events_pipeline.defs.runs import UNFINISHED, range_tags
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
    own_runs = dg.RunsFilter(tags={SCHEDULE_TAG: "hourly_fetch"}, statuses=UNFINISHED)
    if context.instance.get_runs(own_runs, limit=1):
        return dg.SkipReason("The last hourly fetch is still queued or running.")
    today = _today(context)
    if today < FIRST_DAY:
        return dg.SkipReason(f"The first partition, TICKET_EVENTS_START_DATE {FIRST_DAY}, has not begun yet.")
    try:
        first = first_day_to_fetch(open_store(load_settings(os.environ).root), today)
    except TicketEventsError as error:
        return dg.SkipReason(str(error))
    return dg.RunRequest(tags=range_tags(max(first, FIRST_DAY), today))


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
    return dg.RunRequest(tags=range_tags(first, yesterday))


def _today(context: dg.ScheduleEvaluationContext) -> Day:
    return Day.containing(context.scheduled_execution_time.timestamp(), TIMEZONE)
