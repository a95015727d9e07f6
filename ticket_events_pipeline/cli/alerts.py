"""`ticket-events alerts test`: posts an example of an alert, with the figures of the newest stored day if there are any.

An example of a warning stands below it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import click

from ticket_events_pipeline.alerts.delivery import deliver_all
from ticket_events_pipeline.alerts.destinations import Destination
from ticket_events_pipeline.alerts.message import Context, alert_message
from ticket_events_pipeline.alerts.observe import BreachedTicketsReader, DayState, MetricState, summarised_day
from ticket_events_pipeline.alerts.rich_text import Section, text
from ticket_events_pipeline.alerts.rules import Fact, NewBreaches
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline.alerts.warning_message import Account, warning_message
from ticket_events_pipeline.alerts.warning_rules import Freshness, UrgentTarget
from ticket_events_pipeline.alerts.warning_settings import warning_settings
from ticket_events_pipeline.alerts.warning_state import WarningNews
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.storage.partition_file import stored_days


def run_alerts_test() -> bool:
    """Post the example, and say what came back from each destination; whether all of them accepted it.

    Raises:
        SettingsError: there is no destination, or a variable is malformed.
        UsageError: the root can't be read.
    """
    return told(post_test(os.environ), "the test message")


def told(answers: Mapping[Destination, Answer], what: str) -> bool:
    """Say what came back for a message; whether every destination accepted it."""
    for destination, answer in answers.items():
        if answer.is_accepted:
            click.echo(f"{capitalized(destination.name)} accepted {what}: look for it there.")
        else:
            click.echo(
                f"{capitalized(destination.name)} did not accept {what}: {answer.reason}. {advice(destination, answer)}",
                err=True,
            )
    return all(answer.is_accepted for answer in answers.values())


def capitalized(words: str) -> str:
    """The text with a capital first letter."""
    return words[:1].upper() + words[1:]


def advice(destination: Destination, answer: Answer) -> str:
    """What to do about a message that was not accepted."""
    if destination.problem:
        return "The others work without it."
    if answer.is_final:
        return f"Check {destination.variable}, or make a new webhook."
    return f"Try again in a minute, or check {destination.variable}."


def post_test(variables: Mapping[str, str]) -> dict[Destination, Answer]:
    """Post the example to all destinations of `variables`. No sensor's cursor is touched: nothing counts as posted.

    Raises:
        SettingsError: there is no destination, or a variable is malformed.
        UsageError: the root can't be read.
    """
    settings = alert_settings(variables)
    pipeline = pipeline_of(variables)
    root, problems = pipeline.root_settings, list[str]()
    now = int(wall_clock())
    today = Day.containing(now, root.timezone)
    day = _newest_day(pipeline, problems) or _made_up_day(today)
    context = Context(
        account=root.account,
        timezone=root.timezone,
        dagster_url=settings.dagster_url,
        summary_path=SUMMARY,
        goal_percent=root.goal_percent,
        report_url=root.report_url,
        tickets_url=root.tickets_url,
        tickets=BreachedTicketsReader(pipeline.store, problems),
        is_test=True,
    )
    message = alert_message(News((_example(day, settings),), undelivered_since=None), context)
    message = replace(message, sections=(*message.sections, *_warning_example(variables, today, now)))
    return by_destination(settings.destinations, deliver_all(settings.destinations, message))


def _warning_example(variables: Mapping[str, str], today: Day, now: int) -> Iterator[Section]:
    """A made-up warning; subjects and names of the account leave the machine with real ones only."""
    try:
        seconds = warning_settings(variables).seconds_of("first_reply_time")
    except SettingsError:
        return  # the alerts work without it, and the doctor names it
    at = now + seconds
    target = UrgentTarget(1, "reply_time", 1, "first_reply_time", None, "Example", True, None, None, True, True, at)
    account = Account(None, today, subjects=lambda _: {1: "The ticket's subject"})
    warning = warning_message(WarningNews((target,)), Freshness(now, 600, now, now), account)
    heading = (text("A warning of sla_warning_sensor looks like this (made up):"),)
    yield from (replace(section, heading=heading) for section in warning.sections)


def by_destination(destinations: Iterable[Destination], answers: Mapping[str, Answer]) -> dict[Destination, Answer]:
    """The answers by destination, in their order."""
    return {destination: answers[destination.mark] for destination in destinations}


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
