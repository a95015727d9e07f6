"""The jobs of an account: fetch all streams, make the tables and the report, and fetch the names of its ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.tables.streams import STREAMS

FETCH, SUMMARIZE, FETCH_NAMES = "fetch_ticket_events", "summarize_sla_breaches", "fetch_zendesk_names"

DESCRIPTIONS = {
    FETCH: f"Fetch {' and '.join(STREAMS)} of the selected days.",
    SUMMARIZE: "Make the SLA tables, the ticket tables and the report of the selected days from the stored files, without "
    "fetching events again.",
    FETCH_NAMES: "Fetch the names of groups, agents and all else that the tables hold as ids.",
}


def asset_job(scope: AccountScope, name: str, assets: Sequence[dg.AssetsDefinition]) -> Any:  # its type has no public name
    """The account's job of that name, over `assets`."""
    return dg.define_asset_job(
        scope.named(name),
        selection=dg.AssetSelection.assets(*assets),
        description=DESCRIPTIONS[name],
        # Steps are short and share their imports: one process per step would take longer than the steps.
        executor_def=dg.in_process_executor,
    )
