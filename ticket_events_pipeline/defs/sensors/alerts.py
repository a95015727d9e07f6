"""`sla_breach_alert_sensor`: posts what somebody should hear of to a webhook, once. Off until it is turned on.

Wiring only: what is worth telling, what was told and how it is said is in `ticket_events_pipeline.alerts`; here is what Dagster
adds: the runs that failed, and the cursor that remembers. Rejected: `@run_failure_sensor` hears of runs alone, at each failure,
also of those that are started again by themselves, and forgets what a webhook that is down didn't take.
"""

from __future__ import annotations

import functools

import dagster as dg

from ticket_events_pipeline.alerts.observation import Observed
from ticket_events_pipeline.alerts.observe import reading_times, summarised_days
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.alerts.state import Memory
from ticket_events_pipeline.alerts.tick import tick
from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.defs.failed_runs import failed_runs
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import SettingsError, TicketEventsError
from ticket_events_pipeline.sla.build import SUMMARY


def sla_breach_alert_sensor(scope: AccountScope, *, clock: Clock = wall_clock) -> dg.SensorDefinition:
    """The account's sensor: one message a minute at most, of new facts alone."""

    @dg.sensor(
        name=scope.named("sla_breach_alert_sensor"),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        description="Posts new breaches, low achievement rates, failed runs and streams that are not read to "
        "TICKET_EVENTS_ALERT_WEBHOOK, each once.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = scope.read(alert_settings)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        return _tick(context, scope, settings, int(clock()))

    return sensor


def _tick(context: dg.SensorEvaluationContext, scope: AccountScope, settings: AlertSettings, now: int) -> dg.SensorResult:
    from ticket_events_pipeline.alerts.webhook import post  # an HTTP client, which no other sensor needs

    memory = Memory.parse(context.cursor)
    problems: list[str] = []
    observed = _observed(context, scope, memory, now, problems)
    ticked = tick(memory, observed, settings, account=_account(scope), post=functools.partial(post, settings.webhook))
    told = "\n".join([ticked.told, *(f"Can't be looked at: {_visible(problem)}" for problem in problems)])
    return dg.SensorResult(skip_reason=told, cursor=ticked.memory.to_cursor())


def _observed(
    context: dg.SensorEvaluationContext, scope: AccountScope, memory: Memory, now: int, problems: list[str]
) -> Observed:
    """What there is to see. A store that can't be read hides its days, not the runs that fail for the same reason."""
    repository = context.repository_def
    if repository is None:
        raise dg.DagsterInvariantViolationError("the sensor needs its repository to know which runs are its account's")
    origin = context.code_location_origin
    label = None if origin is None else f"{repository.name}@{origin.location_name}"
    failed = failed_runs(context.instance, repository, label, key_prefix=scope.key_prefix, now=now, is_told=memory.has_told)
    seen = Observed(now, scope.timezone, failed_runs=failed, summary_path="/".join(scope.key(SUMMARY).path))
    try:
        store, today = scope.pipeline().store, scope.day_containing(now)
    except TicketEventsError as error:
        problems.append(str(error))
        return seen
    days, read_at = summarised_days(store, today, problems), reading_times(store, today, problems)
    return Observed(now, scope.timezone, days, read_at, failed, seen.summary_path)


def _account(scope: AccountScope) -> str | None:
    try:
        return scope.name or scope.pipeline().lake_settings.account
    except SettingsError:
        return None


def _visible(text: str) -> str:
    """Paths are ours, but an error may quote what it found in a file."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
