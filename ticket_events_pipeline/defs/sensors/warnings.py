"""`sla_warning_sensor`: tells of targets that will breach soon, each due time once, and of stale data. Off by default.

It connects `ticket_events_pipeline.alerts` with Dagster, which contributes the ticks and the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from ticket_events_pipeline.alerts.destinations import Destination
from ticket_events_pipeline.alerts.rich_text import Message
from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.alerts.warning_data import LatestTargets
from ticket_events_pipeline.alerts.warning_message import Account, warning_message
from ticket_events_pipeline.alerts.warning_rules import outlook
from ticket_events_pipeline.alerts.warning_settings import WarningSettings, warning_settings
from ticket_events_pipeline.alerts.warning_state import WarningNews, WarningState
from ticket_events_pipeline.alerts.warning_tick import tick
from ticket_events_pipeline.background_worker import in_time
from ticket_events_pipeline.day import Clock, Day, wall_clock
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.report.files import LATEST
from ticket_events_pipeline.text import printable_lines
from ticket_events_pipeline.tickets.names import Names, read_names
from ticket_events_pipeline.tickets.subjects import newest_subjects

if TYPE_CHECKING:
    from ticket_events_pipeline.alerts.webhook import Answer

SUBJECT_SECONDS, NAME_SECONDS, HANGS_SECONDS = 8.0, 5.0, 12.0
"""For the subjects and names of a message. Dagster stops a tick after a minute, and the deliveries may take a part of it."""

_NAMES_SHOWN = ("groups", "agents")

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Settings:
    alerts: AlertSettings
    warnings: WarningSettings


def sla_warning_sensor(scope: AccountScope, *, clock: Clock = wall_clock) -> dg.SensorDefinition:
    """The account's sensor: at most one message a tick to each destination, about new due times only."""
    latest = LatestTargets()

    @dg.sensor(
        name=scope.named("sla_warning_sensor"),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
        description="Turn this on together with frequent_fetch for warnings: tells of targets that will breach within "
        "TICKET_EVENTS_WARN_MINUTES, each due time once, where alerts are sent.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        pipeline = scope.pipeline()
        try:
            settings = _Settings(scope.read(alert_settings), scope.read(warning_settings))
            store = pipeline.store
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        now, problems = int(clock()), list[str]()
        today = scope.day_containing(now)
        found = latest.read(store, today, problems)
        interval = pipeline.root_settings.fetch_every_minutes * 60
        seen = outlook(found, settings.warnings, now=now, today=today, interval_seconds=interval)
        account = partial(_account, scope, pipeline, settings, today)
        ticked = tick(
            WarningState.parse(context.cursor, [destination.mark for destination in settings.alerts.destinations]),
            seen,
            settings.alerts.destinations,
            send=lambda news: _send(
                news,
                lambda item: warning_message(item, seen.freshness, account(), without_estimate=seen.without_estimate),
            ),
        )
        unusable = [f"Gets nothing: {scope.as_spelled(problem)}" for problem in settings.alerts.problems]
        summary = "\n".join(
            [ticked.summary, *unusable, *(f"Can't be read: {printable_lines(problem)}" for problem in problems)]
        )
        return dg.SensorResult(skip_reason=summary, cursor=ticked.state.to_cursor())

    return sensor


def _send(news: Mapping[Destination, WarningNews], message: Callable[[WarningNews], Message]) -> Mapping[str, Answer]:
    """Deliver its news to each destination; most have the same."""
    from ticket_events_pipeline.alerts.delivery import deliver_each  # an HTTP client, which few sensors need

    messages = {item: message(item) for item in set(news.values())}
    return deliver_each({destination: messages[item] for destination, item in news.items()})


def _account(scope: AccountScope, pipeline: Pipeline, settings: _Settings, today: Day) -> Account:
    """What messages say of the account; names are read, and subjects looked up, only for what is sent."""
    root, store = pipeline.root_settings, pipeline.store
    return Account(
        name=scope.name or root.account,
        today=today,
        within_hours=-(-settings.warnings.longest_seconds // 3600),
        tickets_url=root.tickets_url,
        report_url=None if root.report_url is None else f"{root.report_url}/{LATEST.rpartition('/')[2]}",
        dagster_url=settings.alerts.dagster_url,
        names=_unless_it_hangs(partial(read_names, store, kinds=_NAMES_SHOWN), NAME_SECONDS, Names()),
        subjects=lambda tickets: _unless_it_hangs(
            partial(newest_subjects, store, today, tickets, seconds=SUBJECT_SECONDS), HANGS_SECONDS, {}
        ),
    )


def _unless_it_hangs(read: Callable[[], _T], seconds: float, otherwise: _T) -> _T:
    """A warning without names is better than none: the store may hang."""
    try:
        return in_time(read, seconds=seconds)
    except TimeoutError:
        return otherwise
