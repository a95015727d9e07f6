"""`ticket-events alerts test`: posts one example of an alert, with the figures of the newest stored day if there are any."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from ticket_events_pipeline.alerts.chats import chat_of
from ticket_events_pipeline.alerts.message import Context, payload
from ticket_events_pipeline.alerts.observe import BreachedTicketsReader, DayState, MetricState, summarised_day
from ticket_events_pipeline.alerts.rules import Fact, NewBreaches
from ticket_events_pipeline.alerts.destinations import WEBHOOK
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline.alerts.webhook import Answer, post
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.storage.partition_file import stored_days


def run_alerts_test() -> bool:
    """Post the example, and say what came back; whether the webhook accepted it.

    Raises:
        SettingsError: no webhook is set, or a variable is malformed.
        UsageError: the root can't be read.
    """
    answer = post_test(os.environ)
    if answer.is_accepted:
        click.echo("The webhook accepted the test message: look for it in the chat.")
    else:
        retry = f"Check {WEBHOOK}, or make a new webhook." if answer.is_final else "Try again in a minute."
        click.echo(f"The webhook did not accept the test message: {answer.reason}. {retry}", err=True)
    return answer.is_accepted


def post_test(variables: Mapping[str, str]) -> Answer:
    """Post the example to the webhook of `variables`. The sensor's cursor is not touched: nothing counts as posted.

    Raises:
        SettingsError: no webhook is set, or a variable is malformed.
        UsageError: the root can't be read.
    """
    settings = alert_settings(variables)
    pipeline = pipeline_of(variables)
    root, problems = pipeline.root_settings, list[str]()
    day = _newest_day(pipeline, problems) or _made_up_day(Day.containing(wall_clock(), root.timezone))
    context = Context(
        account=root.account,
        timezone=root.timezone,
        dagster_url=settings.dagster_url,
        summary_path=SUMMARY,
        chat=chat_of(settings.webhook),
        goal_percent=root.goal_percent,
        report_url=root.report_url,
        tickets_url=root.tickets_url,
        tickets=BreachedTicketsReader(pipeline.store, problems),
        is_test=True,
    )
    return post(settings.webhook, payload(News((_example(day, settings),), undelivered_since=None), context))


def _newest_day(pipeline: Pipeline, problems: list[str]) -> DayState | None:
    """The newest stored day on which something breached; None without one."""
    store = pipeline.store
    for day in reversed(stored_days(store, SUMMARY, pipeline.root_settings.timezone)[-7:]):
        found = summarised_day(store, day, problems)
        if found is not None and any(metric.breaches for metric in found.metrics):
            return found
    return None


def _made_up_day(today: Day) -> DayState:
    return DayState(today, int(wall_clock()), False, (MetricState("first_reply_time", 12, 36, "Example", 8, False),))


def _example(day: DayState, settings: AlertSettings) -> Fact:
    metric = max(day.metrics, key=lambda metric: metric.breaches)
    return Fact("test", NewBreaches(day, metric, settings.breaches, next_at=2 * settings.breaches))
