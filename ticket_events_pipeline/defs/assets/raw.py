"""The raw assets: what each of the account's streams delivered, one file a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.assets.source import ZENDESK_API
from ticket_events_pipeline.defs.columns import column_schema
from ticket_events_pipeline.defs.daily_asset import MakeDays, Shown, daily_asset
from ticket_events_pipeline.defs.descriptions import description
from ticket_events_pipeline.defs.freshness import RAW_FRESHNESS
from ticket_events_pipeline.defs.recording import DayMetadata
from ticket_events_pipeline.defs.run_tags import NOTE_TAG, most_requests
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.defs.shown_metadata import CONTENT_HASH, debug, moment
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.written_day import WrittenDay
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.tables.streams import STREAMS, Stream

ZENDESK_POOL = "zendesk_api"
"""At most two runs at a time fetch (dagster.yaml): a long backfill must not starve the hourly fetch."""


def _fetcher(stream: Stream) -> MakeDays:
    def fetch(context: dg.AssetExecutionContext, pipeline: Pipeline, days: list[Day]) -> Iterator[DayMetadata]:
        log = context.log.info
        for warning in pipeline.new_warnings():
            context.log.warning(warning)
        if note := context.run.tags.get(NOTE_TAG):
            log(note)
        log(f"account {pipeline.settings.account}, files below {pipeline.store.location}")
        with pipeline.client(log) as client:
            fetched = fetch_days(
                client,
                pipeline.store,
                stream=stream,
                days=days,
                ownership=pipeline.ownership(stream),
                clock=wall_clock,
                log=log,
                label=f"Dagster run {context.run.run_id}",
                requests_per_minute=pipeline.quota.known_per_minute(),
                most_requests=most_requests(context.run),
            )
            for day in fetched:
                if token_warning := pipeline.token_warning(client):
                    context.log.warning(token_warning)
                yield str(day.day), committed_metadata(day)
        _record_reading(context, stream)

    return fetch


def _record_reading(context: dg.AssetExecutionContext, stream: Stream) -> None:
    """Show the API as read: in the collapsed graph, a source without any record counts as missing for ever."""
    api = dg.AssetKey([*context.asset_key.path[:-1], ZENDESK_API])
    read = dg.AssetMaterialization(api, description=f"Read for {stream.name}.")
    context.instance.report_runless_asset_event(read)


def committed_metadata(committed: WrittenDay) -> dict[str, Any]:
    """What the UI shows of a raw day."""
    footer = committed.footer
    events: dict[str, Any] = {}
    if committed.oldest is not None and committed.newest is not None:
        events = {"oldest_event": moment(committed.oldest), "newest_event": moment(committed.newest)}
    return {
        "dagster/row_count": footer.rows,
        "complete": footer.complete,
        **events,
        "fetched_at": moment(footer.fetched_at),
        **({} if footer.stopped_at is None else {"read_up_to": moment(footer.read_up_to)}),
        "rejected": footer.rejected,
        "metric_rows": committed.metric_rows,
        "dagster/uri": committed.url,
        **debug(
            {
                "requests": footer.requests,
                "duplicates": footer.duplicates,
                "size_bytes": committed.size_bytes,
                "window_start": moment(footer.window_start),
                "window_end": moment(footer.window_end),
            }
        ),
        CONTENT_HASH: footer.content_hash,
    }


def raw_assets(scope: AccountScope) -> list[dg.AssetsDefinition]:
    """The raw assets of the account, one a stream."""
    return [
        daily_asset(
            scope,
            stream.name,
            _fetcher(stream),
            deps=[scope.key(ZENDESK_API)],
            pool=ZENDESK_POOL,
            freshness=RAW_FRESHNESS,
            shown=Shown(
                group="zendesk",
                description=description(stream.name),
                kinds={"zendesk", "python", "parquet"},
                made_by=fetch_days,
                tags={"source": "zendesk", "personal_data": "yes" if stream.has_personal_data else "no"},
                metadata={
                    **column_schema(stream.name),
                    "zendesk_api": dg.MetadataValue.url(stream.api_page),
                },
            ),
        )
        for stream in STREAMS.values()
    ]
