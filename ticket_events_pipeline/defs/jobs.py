"""The two jobs of an account: fetch both streams, and make the SLA tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from ticket_events_pipeline.defs.scope import AccountScope

FETCH, SUMMARIZE = "fetch_ticket_events", "summarize_sla_breaches"

DESCRIPTIONS = {
    FETCH: "Fetch ticket events and ticket metric events of the chosen days.",
    SUMMARIZE: "Make the SLA tables of the chosen days from what is stored; no request is made.",
}


def asset_job(scope: AccountScope, name: str, assets: Sequence[dg.AssetsDefinition]) -> Any:  # its type has no public name
    """The account's job of that name, over `assets`."""
    return dg.define_asset_job(
        scope.named(name),
        selection=dg.AssetSelection.assets(*assets),
        description=DESCRIPTIONS[name],
        # Steps are short and share their imports: one process a step would cost more than the steps do.
        executor_def=dg.in_process_executor,
    )
