"""`morning_digest`: sends the digest of yesterday to every destination of the alerts, every morning. Off by default.

The job has one op, so that a failed delivery is a failed run. A retried run would send the digest again to those that have it.
"""

# No deferred annotations here: Dagster reads that of the op's context as it stands.

import time
from collections.abc import Callable

import dagster as dg

from ticket_events_pipeline.alerts.settings import AlertSettings, alert_settings
from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.defs.dagster_home import refuse_foreign_home
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_resource
from ticket_events_pipeline.defs.run_tags import MAX_RETRIES_TAG
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.sla.build import SUMMARY

SEND_DIGEST = "send_morning_digest"

NO_RETRIES = {MAX_RETRIES_TAG: "0"}


def send_morning_digest(
    scope: AccountScope, *, clock: Clock = wall_clock, sleep: Callable[[float], None] = time.sleep
) -> dg.JobDefinition:
    """The job: one digest of yesterday to each destination."""

    @dg.op(name=scope.named("send_digest_of_yesterday"), required_resource_keys={scope.named(PIPELINE)})
    def send(context: dg.OpExecutionContext) -> None:
        _send(context, scope, scope.read(alert_settings), now=clock(), sleep=sleep)

    @dg.job(
        name=scope.named(SEND_DIGEST),
        description="Send the digest of yesterday to TICKET_EVENTS_ALERT_WEBHOOK and TICKET_EVENTS_NOTIFY_URLS.",
        executor_def=dg.in_process_executor,
        resource_defs={scope.named(PIPELINE): pipeline_resource(scope)},  # by which its run beats
        tags=NO_RETRIES,
    )
    def job() -> None:
        send()

    return job


def morning_digest(scope: AccountScope) -> dg.ScheduleDefinition:
    """One run of the job a day."""

    @dg.schedule(
        name=scope.named("morning_digest"),
        job_name=scope.named(SEND_DIGEST),
        cron_schedule="30 7 * * *",
        execution_timezone=scope.timezone,
        description="Turn this on: sends what yesterday's report says first, the groups with the most breaches and a link to "
        "every destination of the alerts, every morning.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            refuse_foreign_home(context.instance, scope)
            scope.read(alert_settings)
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest()

    return schedule


def _send(
    context: dg.OpExecutionContext,
    scope: AccountScope,
    settings: AlertSettings,
    *,
    now: float,
    sleep: Callable[[float], None],
) -> None:
    # The report and an HTTP client, which few jobs need.
    from ticket_events_pipeline.alerts.delivery import deliver_patiently
    from ticket_events_pipeline.report.digest import DigestLinks, digest_message

    pipeline, day = scope.pipeline(), scope.day_containing(now).plus(-1)
    links = DigestLinks(settings.dagster_url, "/".join(scope.key(SUMMARY).path))
    message = digest_message(pipeline.store, pipeline.root_settings, day, links, account=scope.name)
    refused = []
    for destination, answer in deliver_patiently(settings.destinations, message, sleep=sleep).items():
        if answer.is_accepted:
            context.log.info(f"The digest of {day} was accepted by {destination.name}.")
        else:
            refused.append(scope.as_spelled(f"{destination.name}: {answer.reason} (see {destination.variable})"))
    if refused:
        raise dg.Failure(f"The digest of {day} was not accepted by {'; '.join(refused)}.", allow_retries=False)
