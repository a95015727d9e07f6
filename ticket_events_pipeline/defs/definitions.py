"""Everything that Dagster loads for one account."""

from __future__ import annotations

import dagster as dg

from ticket_events_pipeline.defs.asset_checks import asset_checks
from ticket_events_pipeline.defs.assets.names import zendesk_names
from ticket_events_pipeline.defs.assets.raw import raw_assets
from ticket_events_pipeline.defs.assets.report import sla_breach_report
from ticket_events_pipeline.defs.assets.sla import sla_assets
from ticket_events_pipeline.defs.assets.source import zendesk_api
from ticket_events_pipeline.defs.assets.tickets import ticket_assets, ticket_field_changes
from ticket_events_pipeline.defs.digest import morning_digest, send_morning_digest
from ticket_events_pipeline.defs.jobs import FETCH, FETCH_NAMES, PUBLISH, REFRESH, SUMMARIZE, asset_job
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_resource
from ticket_events_pipeline.defs.retention import daily_prune, prune_old_days
from ticket_events_pipeline.defs.schedules import (
    daily_restatement,
    frequent_fetch,
    hourly_fetch,
    hourly_publish,
    refresh_names,
)
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.sensors.alerts import sla_breach_alert_sensor
from ticket_events_pipeline.defs.sensors.dead_runs import dead_runs_sensor
from ticket_events_pipeline.defs.sensors.new_event_partitions import new_event_partitions_sensor
from ticket_events_pipeline.defs.sensors.warnings import sla_warning_sensor


def account_definitions(scope: AccountScope) -> dg.Definitions:
    """The assets, checks, jobs, schedules and sensors of the account, and its resource."""
    changes = [ticket_field_changes(scope)] if scope.has_ticket_tables else []
    tickets = ticket_assets(scope) if scope.has_ticket_tables else []
    raw, made, names = raw_assets(scope), [*sla_assets(scope), *tickets, sla_breach_report(scope)], zendesk_names(scope)
    fetch, summarize = asset_job(scope, FETCH, [*raw, *changes]), asset_job(scope, SUMMARIZE, made)
    refresh = asset_job(scope, REFRESH, [*raw, *changes, *made])
    published = _published_tables(scope) if scope.has_publishing else []
    return dg.Definitions(
        assets=[zendesk_api(scope), names, *raw, *changes, *made, *published],
        asset_checks=asset_checks(scope),
        jobs=[
            fetch,
            summarize,
            refresh,
            asset_job(scope, FETCH_NAMES, [names]),
            send_morning_digest(scope),
            prune_old_days(scope),
            *(asset_job(scope, PUBLISH, [asset]) for asset in published),
        ],
        schedules=[
            hourly_fetch(scope),
            daily_restatement(scope),
            refresh_names(scope),
            frequent_fetch(scope),
            morning_digest(scope),
            daily_prune(scope),
            *([hourly_publish(scope)] if published else []),
        ],
        sensors=[
            new_event_partitions_sensor(scope, [summarize, fetch]),
            dead_runs_sensor(scope),
            sla_breach_alert_sensor(scope),
            sla_warning_sensor(scope),
        ],
        resources={scope.named(PIPELINE): pipeline_resource(scope)},
    )


def _published_tables(scope: AccountScope) -> list[dg.AssetsDefinition]:
    # Few accounts publish their tables.
    from ticket_events_pipeline.defs.assets.published import published_tables

    return [published_tables(scope)]
