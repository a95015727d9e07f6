"""The jobs of an account: fetch all streams, make the tables and the report, and fetch the names of its ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from ticket_events_pipeline.defs.run_tags import MOST_REQUESTS_TAG
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.tables.streams import STREAMS

FETCH, SUMMARIZE, FETCH_NAMES = "fetch_ticket_events", "summarize_sla_breaches", "fetch_zendesk_names"
REFRESH, PUBLISH = "refresh_open_day", "publish_to_lakehouse"

REFRESH_REQUESTS = 2
"""Requests of a stream in one refresh: the tail of a usual account is one page. Every five minutes, both streams together take
less than a tenth of the smallest quota."""

DESCRIPTIONS = {
    FETCH: f"Fetch {' and '.join(STREAMS)} of the selected days.",
    SUMMARIZE: "Make the SLA tables, the ticket tables and the report of the selected days from the stored files, without "
    "fetching events again.",
    FETCH_NAMES: "Fetch the names of groups, agents and all else that the tables hold as ids.",
    PUBLISH: "Copy the stored days that changed into the Delta or Iceberg tables of TICKET_EVENTS_PUBLISH_….",
    REFRESH: f"Read what is new of the selected open days, with at most {REFRESH_REQUESTS} requests a stream, and make their "
    "tables and report, all in one run, without checks. Days that are complete are not read again. For those, and for days of "
    f"which much is missing: {FETCH}.",
}

TAGS: dict[str, Mapping[str, str]] = {REFRESH: {MOST_REQUESTS_TAG: str(REFRESH_REQUESTS)}}
"""Of each run of the job, also of one that is launched by hand."""


WITHOUT_CHECKS = {REFRESH}
"""Checks read all of the day again, a fifth of what a refresh costs. Those of the open day run with the hourly fetch."""


def asset_job(scope: AccountScope, name: str, assets: Sequence[dg.AssetsDefinition]) -> Any:  # its type has no public name
    """The account's job of that name, over `assets`."""
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(
        scope.named(name),
        selection=selection.without_checks() if name in WITHOUT_CHECKS else selection,
        description=DESCRIPTIONS[name],
        tags=TAGS.get(name),
        # Steps are short and share their imports: one process per step would take longer than the steps.
        executor_def=dg.in_process_executor,
    )
