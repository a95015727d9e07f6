"""`ticket_events` and `ticket_metric_events`: what the account's two streams delivered, one file a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.columns import column_schema
from ticket_events_pipeline.defs.daily_asset import MakeDays, Shown, daily_asset
from ticket_events_pipeline.defs.freshness import RAW_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata, moment
from ticket_events_pipeline.defs.resources import TicketEventsPipeline, ownership
from ticket_events_pipeline.defs.runs import NOTE_TAG
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.ingest.committed_day import CommittedDay
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.zendesk.page import TICKET_EVENTS, TICKET_METRIC_EVENTS, Stream

ZENDESK_POOL = "zendesk_api"
"""At most two runs at a time fetch (dagster.yaml): a long backfill must not starve the hourly fetch."""


DESCRIPTIONS = {
    "ticket_events": "Audits of the account's tickets, and rows of the documented metric-event shape if the endpoint sends "
    "them; from `/api/v2/incremental/ticket_events`.",
    "ticket_metric_events": "Metric events of the account's tickets: SLA policies applied, breaches, fulfilments; "
    "from `/api/v2/incremental/ticket_metric_events`.",
}

API_PAGES = {
    "ticket_events": "https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/"
    "#incremental-ticket-event-export",
    "ticket_metric_events": "https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/",
}


def _fetcher(stream: Stream) -> MakeDays:
    def fetch(context: dg.AssetExecutionContext, pipeline: TicketEventsPipeline, days: list[Day]) -> Iterator[DayMetadata]:
        log = context.log.info
        settings = pipeline.settings()
        for warning in pipeline.new_warnings(settings):
            context.log.warning(warning)
        if note := context.run.tags.get(NOTE_TAG):
            log(note)
        store = pipeline.store()
        log(f"account {settings.account}, files below {store.location}")
        owner = ownership(settings, stream)
        with pipeline.client(settings, log) as client:
            passed = fetch_days(
                client,
                store,
                stream=stream,
                days=days,
                ownership=owner,
                clock=wall_clock,
                log=log,
                label=f"Dagster run {context.run.run_id}",
                requests_per_minute=pipeline.quota(settings, log).known_per_minute(),
            )
            for day in passed:
                if token_warning := pipeline.token_warning(settings, client):
                    context.log.warning(token_warning)
                yield str(day.day), committed_metadata(day)

    return fetch


def committed_metadata(committed: CommittedDay) -> dict[str, Any]:
    """What the UI shows of a raw day."""
    footer = committed.footer
    metadata: dict[str, Any] = {
        "dagster/row_count": footer.rows,
        "dagster/uri": committed.url,
        "file": dg.MetadataValue.path(committed.url),
        "size_bytes": committed.size_bytes,
        "window_start": moment(footer.window_start),
        "window_end": moment(footer.window_end),
        "complete": footer.complete,
        "requests": footer.requests,
        "duplicates": footer.duplicates,
        "rejected": footer.rejected,
        "metric_rows": committed.metric_rows,
        "fetched_at": moment(footer.fetched_at),
        "content_hash": footer.content_hash,
    }
    if committed.oldest is not None and committed.newest is not None:
        metadata["oldest_event"] = moment(committed.oldest)
        metadata["newest_event"] = moment(committed.newest)
    return metadata


def raw_assets(scope: AccountScope) -> list[dg.AssetsDefinition]:
    """Both raw assets of the account, `ticket_events` first."""
    return [
        daily_asset(
            scope,
            stream.name,
            _fetcher(stream),
            pool=ZENDESK_POOL,
            freshness=RAW_FRESHNESS,
            shown=Shown(
                group="zendesk",
                description=DESCRIPTIONS[stream.name],
                kinds={"zendesk", "parquet"},
                made_by=fetch_days,
                team="data_engineering",
                tags={"source": "zendesk", "personal_data": "yes" if stream is TICKET_EVENTS else "no"},
                metadata={
                    **column_schema(stream.name),
                    "zendesk_api": dg.MetadataValue.url(API_PAGES[stream.name]),
                },
            ),
        )
        for stream in (TICKET_EVENTS, TICKET_METRIC_EVENTS)
    ]
