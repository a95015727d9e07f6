"""`daily_prune`: removes what is older than TICKET_EVENTS_RETAIN_DAYS, every night. Off by default.

Dagster's open-source storages can't wipe single partitions, so the UI shows pruned days as materialized for ever. Nothing here
believes the log: neither the sensor nor a check misses a pruned day.
"""

# No deferred annotations here: Dagster reads that of the op's context as it stands.

from typing import TYPE_CHECKING

import dagster as dg

from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.defs.dagster_home import refuse_foreign_home
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_resource
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.retention.settings import RETAIN_DAYS, first_kept, retention_settings
from ticket_events_pipeline.text import plural, size_text

if TYPE_CHECKING:
    from ticket_events_pipeline.retention.prune import PrunePlan

PRUNE = "prune_old_days"


def prune_old_days(scope: AccountScope, *, clock: Clock = wall_clock) -> dg.JobDefinition:
    """The job: removes the days that are older than TICKET_EVENTS_RETAIN_DAYS; none while it is unset."""

    @dg.op(name=scope.named("prune_days"), required_resource_keys={scope.named(PIPELINE)})
    def prune_days(context: dg.OpExecutionContext) -> None:
        from ticket_events_pipeline.retention.prune import Root, prune  # all tables, which few jobs need

        with expected_failures():
            settings = scope.read(retention_settings)
            if not settings.retained:
                context.log.info(f"{RETAIN_DAYS} is not set: nothing is removed.")
                return
            root = Root.of(scope.pipeline().store, settings, now=clock())
            kept = first_kept(settings.retained, root.today)
            _log(context, prune(root, kept, label=f"run {context.run_id}", log=context.log.info))

    @dg.job(
        name=scope.named(PRUNE),
        description=f"Remove the days that are older than {RETAIN_DAYS} for good; none while it is unset.",
        executor_def=dg.in_process_executor,
        resource_defs={scope.named(PIPELINE): pipeline_resource(scope)},  # by which its run beats
    )
    def job() -> None:
        prune_days()

    return job


def daily_prune(scope: AccountScope) -> dg.ScheduleDefinition:
    """One run of the job a day."""

    @dg.schedule(
        name=scope.named("daily_prune"),
        job_name=scope.named(PRUNE),
        cron_schedule="17 4 * * *",  # after the restatement, whose days it leaves alone
        execution_timezone=scope.timezone,
        description=f"Optional: removes the days that are older than {RETAIN_DAYS} for good, every night.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            refuse_foreign_home(context.instance, scope)
            settings = scope.read(retention_settings)
        except TicketEventsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest() if settings.retained else dg.SkipReason(f"{RETAIN_DAYS} is not set: nothing is removed.")

    return schedule


def _log(context: dg.OpExecutionContext, done: "PrunePlan") -> None:
    for found in done.assets:
        if found.paths:
            days = found.days
            files, size = plural(len(found.paths), "file"), size_text(found.size_bytes)
            context.log.info(f"{found.asset}: removed {files} of {days[0]} to {days[-1]}, {size}.")
    if done.held_back:
        context.log.warning(done.held_back)
    context.log.info(f"Removed {plural(done.files, 'file')}. {done.record.closed_sentence}")
