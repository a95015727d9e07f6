"""`sla_breach_alert_sensor`: posts breaches, failed runs and stalled streams to every destination, each once. Off by default.

It connects `ticket_events_pipeline.alerts` with Dagster, which contributes the failed runs and the cursor. Rejected:
`@run_failure_sensor` sees runs alone, at each failure, also if Dagster will retry them, and loses what a webhook that is down
didn't accept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg

from ticket_events_pipeline.alerts.cursor import AlertState
from ticket_events_pipeline.alerts.destinations import Destination
from ticket_events_pipeline.alerts.message import Context, alert_message
from ticket_events_pipeline.alerts.observe import BreachedTicketsReader, Observed, reading_times, summarised_days
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.alerts.state import News
from ticket_events_pipeline.alerts.tick import tick
from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.defs.runs import failed_runs, location_label, repository_of
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import SettingsError, TicketEventsError
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.text import printable_lines

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.webhook import Answer


def sla_breach_alert_sensor(scope: AccountScope, *, clock: Clock = wall_clock) -> dg.SensorDefinition:
    """The account's sensor: at most one message a minute, about new facts only."""

    @dg.sensor(
        name=scope.named("sla_breach_alert_sensor"),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        description="Turn this on for alerts: posts breaches, low achievement rates, failed runs and stalled fetches to "
        "TICKET_EVENTS_ALERT_WEBHOOK and TICKET_EVENTS_NOTIFY_URLS, each once.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = scope.read(alert_settings)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        return _evaluate(context, scope, settings, int(clock()))

    return sensor


def _evaluate(context: dg.SensorEvaluationContext, scope: AccountScope, settings: AlertSettings, now: int) -> dg.SensorResult:
    from ticket_events_pipeline.alerts.delivery import deliver_each  # an HTTP client, which few sensors need

    state = AlertState.parse(context.cursor, [destination.mark for destination in settings.destinations])
    problems: list[str] = []
    observed = _observe(context, scope, now, problems, is_posted=state.has_posted)
    about = _context(scope, settings, problems)

    def post(news: Mapping[Destination, News]) -> Mapping[str, Answer]:
        return deliver_each({destination: alert_message(of_it, about) for destination, of_it in news.items()})

    ticked = tick(state, observed, settings, post=post)
    unusable = [f"Gets nothing: {scope.as_spelled(problem)}" for problem in settings.problems]
    summary = "\n".join([ticked.summary, *unusable, *(f"Can't be read: {printable_lines(problem)}" for problem in problems)])
    return dg.SensorResult(skip_reason=summary, cursor=ticked.state.to_cursor())


def _observe(
    context: dg.SensorEvaluationContext,
    scope: AccountScope,
    now: int,
    problems: list[str],
    *,
    is_posted: Callable[[str], bool],
) -> Observed:
    """Days, streams and failed runs. A store that can't be read hides its days, not the runs that fail for the same reason."""
    failed = failed_runs(
        context.instance,
        repository_of(context),
        location_label(context),
        key_prefix=scope.key_prefix,
        now=now,
        is_posted=is_posted,
    )
    try:
        store, today = scope.pipeline().store, scope.day_containing(now)
    except TicketEventsError as error:
        problems.append(str(error))
        return Observed(now, scope.timezone, failed_runs=failed)
    days, read_at = summarised_days(store, today, problems), reading_times(store, today, problems)
    return Observed(now, scope.timezone, days, read_at, failed)


def _context(scope: AccountScope, settings: AlertSettings, problems: list[str]) -> Context:
    """What messages say of the account. Without a readable root, they have no tickets and no links to reports."""
    known = Context(
        account=scope.name or None,
        timezone=scope.timezone,
        dagster_url=settings.dagster_url,
        summary_path="/".join(scope.key(SUMMARY).path),
    )
    try:
        pipeline = scope.pipeline()
        root = pipeline.root_settings
        known = replace(
            known,
            account=scope.name or root.account,
            goal_percent=root.goal_percent,
            report_url=root.report_url,
            tickets_url=root.tickets_url,
        )
        return replace(known, tickets=BreachedTicketsReader(pipeline.store, problems))
    except TicketEventsError:
        return known  # what is wrong with the root is said where its days are read
