"""The schedules: keep up with the account every hour or every few minutes; re-read closed days, and fetch names, once a day.

The hourly schedule also fills gaps among the last days (see `ingest.catch_up`), and skips a day at which it fails repeatedly.
Days that another run or backfill is fetching are left to it: a second fetch of them would wait for its lease, and fail.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import takewhile

import dagster as dg

from ticket_events_pipeline.day import Day, day_ranges, days_between, wall_clock
from ticket_events_pipeline.defs.dagster_home import refuse_foreign_home
from ticket_events_pipeline.defs.jobs import FETCH, FETCH_NAMES, PUBLISH, REFRESH, REFRESH_REQUESTS
from ticket_events_pipeline.defs.run_tags import NOTE_TAG
from ticket_events_pipeline.defs.runs import (
    days_in_progress,
    days_of_tags,
    range_tags,
    repository_of,
    runs_in_progress,
)
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.ingest.catch_up import (
    ENOUGH_FAILURES,
    MOST_COMPLETE_DAYS,
    MOST_GAP_DAYS,
    Attempt,
    CompleteFiles,
    catch_up,
    is_stuck,
    open_days,
)
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.text import plural, ranges_text

SCHEDULE_TAG = "dagster/schedule_name"

ATTEMPTS_SINCE_SECONDS = 86_400
"""Fetches that failed longer ago don't keep a day from being tried again."""

MAX_NAMED_RANGES = 5
"""Ranges of days that a text names one by one."""


def hourly_fetch(scope: AccountScope) -> dg.ScheduleDefinition:
    """One range run an hour, from the first incomplete day through today; none while the last is in progress."""
    name = scope.named("hourly_fetch")
    files = CompleteFiles()

    @dg.schedule(
        name=name,
        job_name=scope.named(FETCH),
        cron_schedule="7 * * * *",  # off the full hour, when most other jobs start
        execution_timezone=scope.timezone,
        description="Turn this on: fetches new events every hour. Begins after the newest complete day or at a gap of the last "
        "days, and ends today.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if next(runs_in_progress(context.instance, repository_of(context), {SCHEDULE_TAG: name}), None) is not None:
            return dg.SkipReason("The last hourly fetch is still queued or running.")
        today = _today(context, scope)
        if today < scope.first_day:
            return dg.SkipReason(_before_first_day(scope))
        try:
            refuse_foreign_home(context.instance, scope)
            found = catch_up(scope.pipeline().checked().store, today, files)
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        if left_out := [day for day in found.left_out if day >= scope.first_day]:
            context.log.info(_left_out_text(left_out, scope))
        days, stuck = _without_stuck(context, name, [day for day in found.days if day >= scope.first_day])
        return _run_request(context, scope, days, gaps=found.gaps, stuck=stuck, beside=[scope.named(REFRESH)])

    return schedule


def frequent_fetch(scope: AccountScope) -> dg.ScheduleDefinition:
    """One bounded run every few minutes, over the days that are open; none while the last is in progress."""
    name = scope.named("frequent_fetch")

    @dg.schedule(
        name=name,
        job_name=scope.named(REFRESH),
        cron_schedule=f"*/{scope.fetch_every_minutes} * * * *",
        execution_timezone=scope.timezone,
        description=f"Optional, beside hourly_fetch: reads what is new today every {scope.fetch_every_minutes} minutes "
        f"(TICKET_EVENTS_FETCH_EVERY_MINUTES), with at most {REFRESH_REQUESTS} requests a stream, and makes its tables.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if next(runs_in_progress(context.instance, repository_of(context), {SCHEDULE_TAG: name}), None) is not None:
            return dg.SkipReason("The last frequent fetch is still queued or running.")
        today = _today(context, scope)
        if today < scope.first_day:
            return dg.SkipReason(_before_first_day(scope))
        try:
            refuse_foreign_home(context.instance, scope)
            days = open_days(scope.pipeline().checked().store, today, first=scope.first_day)
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        if not days:
            return dg.SkipReason(
                f"{today.plus(-1)} is missing, and {today} has not been fetched yet: hourly_fetch reads them first. "
                f"To fetch them now: {_fetch_command(today.plus(-1), today, scope)}"
            )
        return _run_request(context, scope, days)

    return schedule


def daily_restatement(scope: AccountScope) -> dg.ScheduleDefinition:
    """One range run a day, over the last TICKET_EVENTS_RESTATE_DAYS closed days."""

    @dg.schedule(
        name=scope.named("daily_restatement"),
        job_name=scope.named(FETCH),
        cron_schedule="37 3 * * *",
        execution_timezone=scope.timezone,
        description="Turn this on: fetches the last closed days again every night, since Zendesk doesn't announce rows that "
        "came late or were withdrawn.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            refuse_foreign_home(context.instance, scope)
            restate_days = scope.pipeline().settings.restate_days
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        yesterday = _today(context, scope).plus(-1)
        first = max(yesterday.plus(1 - restate_days), scope.first_day)
        if restate_days < 1 or yesterday < first:
            return dg.SkipReason("There is no closed day to re-read.")
        return _run_request(context, scope, days_between(first, yesterday), beside=[scope.named(REFRESH)])

    return schedule


def refresh_names(scope: AccountScope) -> dg.ScheduleDefinition:
    """One run a day that fetches the names of the account's ids; none where ZENDESK_NAMES is `none`."""

    @dg.schedule(
        name=scope.named("refresh_names"),
        job_name=scope.named(FETCH_NAMES),
        cron_schedule="7 3 * * *",  # before the restatement, whose reports show the names
        execution_timezone=scope.timezone,
        description="Turn this on: fetches the names of groups, agents and all else that the tables hold as ids, every night.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            refuse_foreign_home(context.instance, scope)
            kinds = scope.pipeline().settings.names
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest() if kinds else dg.SkipReason("ZENDESK_NAMES is none: no names are fetched.")

    return schedule


def hourly_publish(scope: AccountScope) -> dg.ScheduleDefinition:
    """One run an hour that publishes the days that changed; none while the last is in progress."""
    name = scope.named("hourly_publish")

    @dg.schedule(
        name=name,
        job_name=scope.named(PUBLISH),
        cron_schedule="47 * * * *",  # when the tables of the hourly fetch are made
        execution_timezone=scope.timezone,
        description="Turn this on: copies the days that changed into the Delta or Iceberg tables of TICKET_EVENTS_PUBLISH_….",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if next(runs_in_progress(context.instance, repository_of(context), {SCHEDULE_TAG: name}), None) is not None:
            return dg.SkipReason("The last hourly publish is still queued or running.")
        try:
            refuse_foreign_home(context.instance, scope)
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest()

    return schedule


def _without_stuck(context: dg.ScheduleEvaluationContext, name: str, days: list[Day]) -> tuple[list[Day], list[Day]]:
    """Split off the first days at which the schedule's fetches fail repeatedly; the other days always include today."""
    since = dt.datetime.fromtimestamp(wall_clock() - ATTEMPTS_SINCE_SECONDS, dt.UTC)
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    filters = dg.RunsFilter(tags={SCHEDULE_TAG: name}, statuses=ended, created_after=since)
    attempts = [
        Attempt(fetched[0], run.status == dg.DagsterRunStatus.SUCCESS)
        for run in context.instance.get_runs(filters, ascending=True)
        if (fetched := days_of_tags(run.tags, days[0].timezone))
    ]
    stuck = list(takewhile(lambda day: is_stuck(day, attempts), days[:-1]))
    return days[len(stuck) :], stuck


def _run_request(
    context: dg.ScheduleEvaluationContext,
    scope: AccountScope,
    days: list[Day],
    *,
    gaps: Container[Day] = (),
    stuck: Sequence[Day] = (),
    beside: Collection[str] = (),
) -> dg.RunRequest | dg.SkipReason:
    """A run over those of `days` that no other run is fetching, which may be the days after a long backfill.

    The run logs which `gaps` it fills, and which `stuck` days it skips. Runs of the jobs in `beside` hold no day: they read for
    seconds, and the requested run waits for their lease. If they did, an hourly fetch would be left out for an hour because of
    a run of a minute.
    """
    keys = [scope.key(asset) for asset in STREAMS]
    held = days_in_progress(context.instance, repository_of(context), keys, timezone=scope.timezone, without_jobs=beside)
    held_text = _held_text([day for day in days if day in held], held)
    free = first_free_range(days, held)
    if not free:
        return dg.SkipReason(held_text)
    filled = [day for day in days if day in gaps and free[0] <= day <= free[-1]]
    notes = [*_stuck_notes(stuck), *_gap_notes(filled)]
    for line in [held_text, *notes]:
        if line:
            context.log.info(line)
    return dg.RunRequest(tags={**range_tags(free[0], free[-1]), **({NOTE_TAG: " ".join(notes)} if notes else {})})


def first_free_range(days: Sequence[Day], held: Container[Day]) -> list[Day]:
    """The range to request: from the first of `days` that isn't `held` through the last before a held one.

    It includes the days between two of `days`, since a range is one fetch. Rejected: to request nothing while any day is held
    would stop the hourly fetch for as long as a backfill of a year takes.
    """
    free = [day for day in days if day not in held]
    if not free:
        return []
    reached = list(takewhile(lambda day: day not in held, days_between(free[0], free[-1])))
    return days_between(free[0], max(day for day in free if day <= reached[-1]))


def _gap_notes(days: list[Day]) -> list[str]:
    return [f"Filled: a gap before newer complete days, {_days_text(days)}."] if days else []


def _stuck_notes(days: Sequence[Day]) -> list[str]:
    if not days:
        return []
    return [
        f"Skipped for now: {_days_text(days)}; {ENOUGH_FAILURES} hourly fetches or more that began there have failed "
        "within 24 hours. A fetch begins there again within the next 24 hours. See the errors of those runs."
    ]


def _left_out_text(days: list[Day], scope: AccountScope) -> str:
    """Names the newest range with the command that fetches it; the others are named once it is fetched."""
    first, last = day_ranges(days)[-1]
    more = "" if first == days[0] else f" There are more such days since {days[0]}."
    return (
        f"Not fetched now: {_days_text(days_between(first, last))} is missing or incomplete. The hourly fetch fills gaps of "
        f"{MOST_GAP_DAYS} days at most, and none before {MOST_COMPLETE_DAYS} complete days or before the first complete one. "
        f"To fetch it: {_fetch_command(first, last, scope)}{more}"
    )


def _fetch_command(first: Day, last: Day, scope: AccountScope) -> str:
    """An account of a project of the user's own is fetched there, where `dg` finds it."""
    if not scope.key_prefix:
        return f"ticket-events backfill {first}..{last}"
    return f"dg launch --job {scope.named(FETCH)} --partition-range {first}...{last}"


def _days_text(days: Iterable[Day]) -> str:
    """Every range of the ascending `days`; of many only the first and last day and the number, so that it fits into a tag."""
    found = day_ranges(days)
    if len(found) > MAX_NAMED_RANGES:
        return (
            f"{plural(sum(len(days_between(*one_range)) for one_range in found), 'day')} from {found[0][0]} to {found[-1][1]}"
        )
    return ranges_text(found)


def _held_text(days: list[Day], held: Mapping[Day, str]) -> str:
    holders = sorted({held[day] for day in days})
    return f"{days[0]} to {days[-1]}: being fetched by {', '.join(holders)}." if days else ""


def _before_first_day(scope: AccountScope) -> str:
    return f"The first partition, TICKET_EVENTS_START_DATE {scope.first_day}, has not begun yet."


def _today(context: dg.ScheduleEvaluationContext, scope: AccountScope) -> Day:
    return scope.day_containing(context.scheduled_execution_time.timestamp())
