"""`zendesk_api`: where all data comes from, as a node of the asset graph. Nothing materializes it."""

from __future__ import annotations

import dagster as dg

from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.tables.streams import STREAMS

ZENDESK_API = "zendesk_api"

API_PAGE = "https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/"


def zendesk_api(scope: AccountScope) -> dg.AssetSpec:
    """The account's API. An external asset: jobs, backfills and selections leave it out of what they run."""
    exports = "\n".join(f"* `/api/v2/incremental/{stream.name}`: {stream.doc}" for stream in STREAMS.values())
    return dg.AssetSpec(
        scope.key(ZENDESK_API),
        group_name=scope.named("zendesk"),
        description=f"The account's incremental exports, the source of all data here. Nothing to materialize.\n\n{exports}",
        kinds={"zendesk"},
        tags={"source": "zendesk"},
        metadata={"api_docs": dg.MetadataValue.url(API_PAGE)},
    )
